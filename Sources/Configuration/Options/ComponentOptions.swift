/// The options of one component: its initialiser declares every option by reading it.
///
/// The initialiser never throws: problems are collected in the settings and placeholders returned. It also runs on an
/// empty mapping to learn the options, so it must read every option unconditionally and must not trap on placeholders.
package protocol ComponentOptions: Sendable {
    /// Reads and thereby declares all options.
    init(_ settings: inout Settings)
}

/// Reads the options of one component from its body and collects every problem found.
///
/// - Parameters:
///   - node: the body; null stands for an empty mapping.
///   - path: the dotted path of the body, such as `exporters.otlp_http/backup`, for messages.
///   - problems: takes the problems and the paths of secrets. When it gains errors, the result holds placeholders.
package func readOptions<T: ComponentOptions>(
    _ type: T.Type, node: ConfigNode, path: String, problems: inout ConfigProblems
) -> T {
    readSettings(node: node, path: path, problems: &problems) { settings in T(&settings) }
}

/// Describes all options of a component by running its initialiser on an empty mapping.
package func describeOptions<T: ComponentOptions>(_ type: T.Type) -> [OptionDescription] {
    describeSettings { settings in _ = T(&settings) }
}

/// Reads a mapping with a closure in the place of a `ComponentOptions` initialiser; the same rules hold for it.
///
/// The closure runs twice: first on an empty mapping, so that other spellings are known before the first read.
package func readSettings<T>(
    node: ConfigNode, path: String, problems: inout ConfigProblems, _ read: (inout Settings) -> T
) -> T {
    var rehearsal = Settings.describing()
    _ = read(&rehearsal)
    var settings = Settings(node: node, path: path, aliases: rehearsal.aliases)
    let result = read(&settings)
    settings.refuseUnknownKeys()
    problems.merge(settings.problems)
    return result
}

/// Describes what a closure reads.
package func describeSettings(_ read: (inout Settings) -> Void) -> [OptionDescription] {
    var settings = Settings.describing()
    read(&settings)
    return settings.finishedDescriptions()
}
