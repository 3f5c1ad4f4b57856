import Configuration
import FoundationEssentials

/// A world of the test's own: variables and files in memory.
func world(
    variables: [String: String] = [:], files: [String: String] = [:]
) -> ConfigEnvironment {
    ConfigEnvironment(variable: { variables[$0] }) { path throws(ConfigReadFailure) in
        guard let text = files[path] else { throw ConfigReadFailure(reason: "no such file") }
        return Array(text.utf8)
    }
}

/// The text of a file in Tests/Fixtures/Config.
func fixture(_ name: String, here: String = #filePath) throws -> String {
    let folder = URL(fileURLWithPath: here).deletingLastPathComponent().deletingLastPathComponent()
    let data = try Data(contentsOf: folder.appendingPathComponent("Fixtures/Config/\(name)"))
    return String(decoding: data, as: UTF8.self)
}

/// A loaded text with what was found.
struct Loaded {
    var tree: ConfigNode
    var problems: ConfigProblems

    /// The problems as headlines, errors and warnings, sorted by place.
    var headlines: [String] { problems.all.map(ConfigProblems.headline) }
}

/// Loads one text under the name `c.yaml`.
func load(
    _ text: String, set overrides: [String] = [], variables: [String: String] = [:], files: [String: String] = [:]
) -> Loaded {
    var problems = ConfigProblems()
    let loader = ConfigLoader(environment: world(variables: variables, files: files))
    let tree = loader.load([.text(name: "c.yaml", text)], overrides: overrides, problems: &problems)
    return Loaded(tree: tree, problems: problems)
}

/// Loads a text and reads options from its top level.
func options<T: ComponentOptions>(
    _ type: T.Type, _ text: String, variables: [String: String] = [:], files: [String: String] = [:]
) -> (options: T, loaded: Loaded) {
    var loaded = load(text, variables: variables, files: files)
    let options = readOptions(type, node: loaded.tree, path: "x", problems: &loaded.problems)
    return (options, loaded)
}

/// Loads a text and reads its top level.
func gateway(_ text: String, variables: [String: String] = [:]) -> (GatewayConfiguration, Loaded) {
    var loaded = load(text, variables: variables)
    let configuration = GatewayConfiguration(loaded.tree, problems: &loaded.problems)
    return (configuration, loaded)
}
