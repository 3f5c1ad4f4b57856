package import Configuration

/// The configuration of a run: merged files and overrides, read and checked as far as it goes without starting.
package struct LoadedConfiguration: Sendable {
    package var tree: ConfigNode
    package var plan: GatewayPlan
    package var problems: ConfigProblems

    /// Where journals and databases lie when the file names no place.
    package static let dataDirectory = "./sluice-data"

    /// Reads `files`, or the built-in default when there are none, and lays `overrides` over them. Journals lie below
    /// `dataDirectory` when the file names no place.
    package static func load(
        files: [String], overrides: [String], dataDirectory: String = dataDirectory
    ) -> LoadedConfiguration {
        let sources: [ConfigSource] =
            files.isEmpty
            ? [.text(name: "built-in default", DefaultConfiguration.text)] : files.map { .file(strippingScheme($0)) }
        return load(sources, overrides: overrides, dataDirectory: dataDirectory)
    }

    /// The same for sources that need not be files.
    package static func load(
        _ sources: [ConfigSource], overrides: [String] = [], dataDirectory: String = dataDirectory
    ) -> LoadedConfiguration {
        var problems = ConfigProblems()
        let loader = ConfigLoader(environment: SystemFacts.environment)
        let tree = loader.load(sources, overrides: overrides, problems: &problems)
        let configuration = GatewayConfiguration(tree, problems: &problems)
        let plan = GatewayPlan(configuration, dataDirectory: dataDirectory, problems: &problems)
        return LoadedConfiguration(tree: tree, plan: plan, problems: problems)
    }

    /// The Collector writes `--config file:path`; the scheme may be left out.
    private static func strippingScheme(_ path: String) -> String {
        path.hasPrefix("file:") ? String(path.dropFirst(5)) : path
    }
}
