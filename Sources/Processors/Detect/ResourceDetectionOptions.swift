package import Configuration

/// Options of the `resourcedetection` processor, named as the Collector's.
package struct ResourceDetectionOptions: ComponentOptions {
    package enum Detector: String, CaseIterable, Sendable { case env, system, docker }

    /// Where detectors of the Collector ask that do not run here.
    private static let others = [
        "k8s_api", "gce", "gke", "gcp", "ec2", "ecs", "elastic_beanstalk", "eks", "lambda", "azure", "aks", "consul",
        "heroku",
        "k8snode",
        "kubeadm", "openshift", "dynatrace", "hetzner", "akamai", "scaleway", "upcloud", "vultr", "oraclecloud",
        "digitalocean", "nova", "openstacknova", "tencent", "alibaba_ecs", "alibaba", "ibmcloud_vpc",
    ]

    package var detectors: [Detector]
    package var overrides: Bool
    /// Nil for all that are found.
    package var attributes: Set<String>?
    /// Of the system detector, beyond the usual.
    package var enabled: [String: Bool]

    package init(_ settings: inout Settings) {
        let names = settings.strings(
            "detectors", default: ["env"],
            "What is asked, in order; the first that knows an attribute wins: env (OTEL_RESOURCE_ATTRIBUTES), system "
                + "(host name and operating system), docker (the same of a container).")
        detectors = names.compactMap { Detector(rawValue: $0) }
        for name in names where Detector(rawValue: name) == nil {
            if Self.others.contains(name) {
                settings.warning(
                    "the detector \(name) does not run here, its attributes are missing",
                    fix: "give them with the resource processor or in OTEL_RESOURCE_ATTRIBUTES", at: "detectors")
            } else {
                settings.problem("\(name) is no detector: use env, system or docker", at: "detectors")
            }
        }
        overrides = settings.bool(
            "override", default: true, "Whether attributes that resources have already are replaced.")
        let listed = settings.strings(
            "attributes", default: [], "Names of the attributes that are set, others are not; empty for all.")
        attributes = listed.isEmpty ? nil : Set(listed)
        enabled = settings.group("system", "What the system detector looks at.") { Self.system(&$0) }
        settings.accepted("timeout", "Nothing is asked over the network.")
        settings.accepted("refresh_interval", "What is detected does not change while the gateway runs.")
        for name in Self.others + ["env", "docker"] {
            _ = settings.value(name, "Options of a detector that does not run here, or has none.")
        }
    }

    private static let known = [
        ("host.name", true), ("os.type", true), ("host.id", false), ("host.arch", false), ("os.description", false),
        ("os.version", false),
    ]

    private static func system(_ system: inout Settings) -> [String: Bool] {
        let sources = system.strings(
            "hostname_sources", default: ["dns", "os"], "Where the name comes from; here always the operating system.")
        if !sources.contains("os") {
            system.warning("the name of the operating system is taken", fix: "write [os]", at: "hostname_sources")
        }
        return system.group("resource_attributes", "Which attributes are set.") { group in
            var enabled: [String: Bool] = [:]
            for (name, usual) in known {
                enabled[name] = group.group(name, "The attribute \(name).") { attribute in
                    attribute.bool("enabled", default: usual, "Whether it is set.")
                }
            }
            for name in [
                "host.ip", "host.mac", "host.interface", "host.cpu.vendor.id", "host.cpu.family", "host.cpu.model.id",
                "host.cpu.model.name", "host.cpu.stepping", "host.cpu.cache.l2.size", "os.build.id", "os.name",
            ] { group.accepted(name, "It is not detected.") }
            return enabled
        }
    }
}
