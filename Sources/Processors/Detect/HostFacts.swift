import Glibc

/// What the environment and the operating system tell about where the gateway runs.
package struct HostFacts: Sendable {
    /// The value of an environment variable.
    package var variable: @Sendable (String) -> String?
    /// By attribute.
    package var system: @Sendable () -> [(key: String, value: String)]

    package init(
        variable: @escaping @Sendable (String) -> String?,
        system: @escaping @Sendable () -> [(key: String, value: String)]
    ) {
        self.variable = variable
        self.system = system
    }

    /// Of this machine.
    package static let live = HostFacts(
        variable: { name in getenv(name).map { String(cString: $0) } }, system: { readSystem() })

    private static func readSystem() -> [(key: String, value: String)] {
        var names = utsname()
        guard uname(&names) == 0 else { return [] }
        func text<Field>(_ field: Field) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        let machine = text(names.machine)
        let architectures = ["x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm32", "i686": "x86"]
        var facts = [
            (key: "host.name", value: text(names.nodename)), (key: "os.type", value: text(names.sysname).lowercased()),
            (key: "host.arch", value: architectures[machine] ?? machine),
            (key: "os.description", value: "\(text(names.sysname)) \(text(names.release)) \(text(names.version))"),
            (key: "os.version", value: text(names.release)),
        ]
        if let id = firstLine(of: "/etc/machine-id") { facts.append(("host.id", id)) }
        return facts
    }

    private static func firstLine(of path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 256)
        guard fgets(&buffer, 256, file) != nil else { return nil }
        let line = buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
        return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
    }
}
