import Configuration

extension GatewayPlan {
    /// Exporters of which the second could not lock its file; those that no pipeline uses do not count.
    func checkFiles(_ configuration: GatewayConfiguration, _ problems: inout ConfigProblems) {
        var used = pipelines.flatMap(\.exporters)
        used += used.flatMap { $0.plan.children }
        var owners: [String: String] = [:]
        var seen: Set<String> = []
        for (id, plan) in used where seen.insert(id).inserted {
            guard let file = plan.file, !file.isEmpty, !Self.isShared(file) else { continue }
            guard let owner = owners[file] else {
                owners[file] = id
                continue
            }
            let (place, path) = spot(.exporter, id, "path", configuration)
            problems.error(
                "exporter \(owner) writes to the same file", fix: "give each its own path", at: place, path: path)
        }
    }

    /// What `/dev/stdout` and its like lead to is another thing in each process.
    private static func isShared(_ file: String) -> Bool {
        file.hasPrefix("/dev/") || file.hasPrefix("/proc/") || SystemFacts.isDevice(file)
    }
}
