import FoundationEssentials

/// Which rules the alerts connectors of a gateway have, kept in its data directory for commands that run beside it.
package enum AlertDirectory {
    /// Notes a connector's rules beside its windows. Returns why it could not.
    static func keep(_ rules: [String], at path: String) -> String? {
        let file = URL(fileURLWithPath: path + ".rules")
        do { try JSONEncoder().encode(rules).write(to: file, options: .atomic) } catch {
            return "\(path).rules cannot be written: commands do not know its rules"
        }
        return nil
    }

    /// The rules of all connectors that ran here, those of connectors before `.rules` as far as they have measured.
    package static func rules(_ dataDirectory: String) -> Set<String> {
        let folder = dataDirectory + "/alerts"
        var rules: Set<String> = []
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            guard let bytes = AlertStore.read(folder + "/" + name) else { continue }
            if name.hasSuffix(".rules") {
                rules.formUnion((try? JSONDecoder().decode([String].self, from: Data(bytes))) ?? [])
            } else if name.hasSuffix(".json") {
                rules.formUnion(AlertStore.measuredRules(bytes))
            }
        }
        return rules
    }
}
