package import Pipeline
package import Telemetry

/// Adds what is known of the gateway's surroundings to resources: the Collector's `resourcedetection` processor. What
/// is detected is read once, when the gateway is built.
package struct ResourceDetectionProcessor: Processor {
    private let found: [(key: KeyID, value: KeyID)]
    private let overrides: Bool

    /// `facts` can be others in tests.
    package init(options: ResourceDetectionOptions, build: inout ProcessorBuild, facts: HostFacts = .live) {
        overrides = options.overrides
        var seen: Set<String> = []
        var found: [(key: KeyID, value: KeyID)] = []
        for detector in options.detectors {
            let pairs: [(key: String, value: String)] =
                switch detector {
                case .env: Self.environment(facts.variable("OTEL_RESOURCE_ATTRIBUTES") ?? "")
                case .system: facts.system().filter { options.enabled[$0.key] ?? false }
                case .docker: facts.system().filter { ["host.name", "os.type"].contains($0.key) }
                }
            for pair in pairs where options.attributes?.contains(pair.key) ?? true && seen.insert(pair.key).inserted {
                found.append((build.keys.intern(pair.key), build.keys.intern(pair.value)))
            }
        }
        self.found = found
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        for index in batch.resources.indices {
            let set = batch.resources[index].set
            for pair in found {
                let place = batch.find(pair.key, in: set)
                if place != nil, !overrides { continue }
                let value = AttributeValue.string(batch.keys.reference(of: pair.value))
                if let place {
                    batch.setValue(value, at: place, in: set)
                } else {
                    batch.append(pair.key, value, to: set)
                }
            }
        }
    }

    /// `key=value` pairs with commas between them, values percent-encoded (OpenTelemetry's resource SDK, "Specifying
    /// resource information via an environment variable"). What is no pair is left out.
    static func environment(_ text: String) -> [(key: String, value: String)] {
        text.split(separator: ",").compactMap { pair in
            guard let sign = pair.firstIndex(of: "="), sign != pair.startIndex else { return nil }
            let key = trimmed(pair[..<sign])
            return key.isEmpty ? nil : (key, PercentEncoding.decoded(trimmed(pair[pair.index(after: sign)...])))
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        let front = text.drop { $0.isWhitespace }
        guard let last = front.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(front[...last])
    }
}
