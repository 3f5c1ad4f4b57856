import Configuration

/// Reads the options of a component from YAML as the gateway does; the headlines are the problems found.
func options<T: ComponentOptions>(_ type: T.Type, _ text: String) -> (options: T, headlines: [String]) {
    var problems = ConfigProblems()
    let world = ConfigEnvironment(variable: { _ in nil }) { _ throws(ConfigReadFailure) in
        throw ConfigReadFailure(reason: "no such file")
    }
    let loader = ConfigLoader(environment: world)
    let tree = loader.load([.text(name: "c.yaml", text)], overrides: [], problems: &problems)
    let options = readOptions(type, node: tree, path: "x", problems: &problems)
    return (options, problems.all.map(ConfigProblems.headline))
}
