package import Configuration

/// The configuration of a run: merged files and overrides, read and checked as far as it goes without starting.
package struct LoadedConfiguration: Sendable {
    package var tree: ConfigNode
    package var plan: GatewayPlan
    package var problems: ConfigProblems

    /// How much of a plan is made on trial, so that what cannot be made is a problem of the file.
    package enum Trial: Sendable {
        case none
        /// Processors and connectors.
        case chains
        /// All that can be found out without a network.
        case all
        /// The same for a gateway that may run elsewhere: what folders of this machine do not allow is a warning.
        case elsewhere
    }

    /// Where journals and databases lie when the file names no place.
    package static let dataDirectory = "./sluice-data"

    /// Reads `files`, or the built-in default when there are none, and lays `overrides` over them. Journals lie below
    /// `dataDirectory` when the file names no place. With `skipsUnknown` components of types that are not here are left
    /// out, each with a warning. `trial` says what is made once when nothing else is wrong.
    package static func load(
        files: [String], overrides: [String], skipsUnknown: Bool = false, dataDirectory: String = dataDirectory,
        trial: Trial = .none
    ) -> LoadedConfiguration {
        let sources: [ConfigSource] =
            files.isEmpty ? [.text(name: "built-in default", DefaultConfiguration.text)] : files.map(source)
        return load(
            sources, overrides: overrides, skipsUnknown: skipsUnknown, dataDirectory: dataDirectory, trial: trial)
    }

    /// The same for sources that need not be files.
    package static func load(
        _ sources: [ConfigSource], overrides: [String] = [], skipsUnknown: Bool = false,
        dataDirectory: String = dataDirectory, trial: Trial = .none
    ) -> LoadedConfiguration {
        var problems = ConfigProblems()
        let loader = ConfigLoader(environment: SystemFacts.environment)
        var skipper = skipsUnknown ? UnknownComponents() : nil
        var tree = loader.load(
            sources, overrides: overrides, prepare: { skipper?.filter(sections: $0) ?? $0 }, problems: &problems)
        tree = skipper?.filter(uses: tree, problems: &problems) ?? tree
        let configuration = GatewayConfiguration(tree, advice: TypeAdvice.ofUndefined, problems: &problems)
        let plan = GatewayPlan(configuration, dataDirectory: dataDirectory, problems: &problems)
        if !problems.hasErrors {
            let parts = StartTrial(configuration, plan, dataDirectory: dataDirectory)
            switch trial {
            case .none: break
            case .chains: parts.runChains(&problems)
            case .all: parts.run(&problems)
            case .elsewhere: parts.elsewhere.run(&problems)
            }
        }
        return LoadedConfiguration(tree: tree, plan: plan, problems: problems)
    }

    /// The Collector writes `--config file:path`, and takes `env:NAME` and `yaml:TEXT` too; a path alone is a file.
    private static func source(_ name: String) -> ConfigSource {
        let rest = String(name.drop { $0 != ":" }.dropFirst())
        if name.hasPrefix("file:") { return .file(rest) }
        if name.hasPrefix("env:") { return .variable(rest) }
        if name.hasPrefix("yaml:") { return .text(name: "yaml", rest) }
        return .file(name)
    }
}
