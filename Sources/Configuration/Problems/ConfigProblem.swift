/// How much a problem of the configuration weighs.
package enum ConfigSeverity: String, Sendable, Comparable {
    /// The gateway does not start with it.
    case error
    /// The gateway starts; the user should know.
    case warning

    /// Errors come before warnings.
    package static func < (left: ConfigSeverity, right: ConfigSeverity) -> Bool {
        left == .error && right == .warning
    }
}

/// One fault of the configuration: what is wrong, where, and how to mend it.
package struct ConfigProblem: Sendable, Hashable {
    /// Whether the gateway may start with it.
    package var severity: ConfigSeverity
    /// What is wrong, without a full stop.
    package var message: String
    /// What to do, in the imperative or as a question; nil when the message says it.
    package var fix: String?
    /// Where it is.
    package var place: ConfigPlace
    /// The dotted path of the option, empty for a problem of the file as a whole.
    package var path: String
    /// True when the source line holds a secret and must not be quoted.
    package var hidesSource: Bool

    /// Makes a problem.
    package init(
        _ severity: ConfigSeverity = .error, _ message: String, fix: String? = nil, place: ConfigPlace,
        path: String = "", hidesSource: Bool = false
    ) {
        self.severity = severity
        self.message = message
        self.fix = fix
        self.place = place
        self.path = path
        self.hidesSource = hidesSource
    }
}

/// All faults found while a configuration was read, and what is needed to print them like a compiler does.
///
/// Holds at most `maximum` problems; later ones are only counted.
package struct ConfigProblems: Error, Sendable {
    /// How many problems are kept.
    package static let maximum = 500

    private var found: [ConfigProblem] = []
    /// How many problems were found beyond the maximum.
    package private(set) var omitted = 0
    private var hasOmittedErrors = false
    /// The text of each file that was read, by the name the user gave, for quoting lines.
    private var sources: [String: String] = [:]
    /// Dotted paths of options read as secrets, so that printing the configuration masks them.
    package private(set) var secretPaths: Set<String> = []
    /// Dotted paths of URLs whose path is a credential, as of webhooks: printed up to the host.
    package private(set) var secretURLPaths: Set<String> = []
    /// Lines on which a secret begins; they are not quoted. Columns are 0.
    private var secretLines: Set<ConfigPlace> = []

    /// Starts without problems.
    package init() {}

    /// Keeps a problem; one that is equal to a kept one is ignored.
    package mutating func add(_ problem: ConfigProblem) {
        guard found.count < ConfigProblems.maximum else {
            omitted += 1
            hasOmittedErrors = hasOmittedErrors || problem.severity == .error
            return
        }
        if !found.contains(problem) { found.append(problem) }
    }

    /// Keeps an error.
    package mutating func error(
        _ message: String, fix: String? = nil, at place: ConfigPlace, path: String = "", hidesSource: Bool = false
    ) {
        add(ConfigProblem(.error, message, fix: fix, place: place, path: path, hidesSource: hidesSource))
    }

    /// Keeps a warning.
    package mutating func warning(_ message: String, fix: String? = nil, at place: ConfigPlace, path: String = "") {
        add(ConfigProblem(.warning, message, fix: fix, place: place, path: path))
    }

    /// Remembers the text of a file, so that problems in it are printed with their line.
    package mutating func remember(source text: String, of file: String) {
        sources[file] = text
    }

    /// Marks a path as a secret, and the line on which its value begins.
    package mutating func markSecret(_ path: String, at place: ConfigPlace? = nil) {
        secretPaths.insert(path)
        if let place { markLine(place) }
    }

    /// Marks a path as a URL whose path is a credential.
    package mutating func markSecretURL(_ path: String, at place: ConfigPlace) {
        secretURLPaths.insert(path)
        markLine(place)
    }

    private mutating func markLine(_ place: ConfigPlace) {
        secretLines.insert(ConfigPlace(file: place.file, line: place.line))
    }

    /// True when a secret begins on the line of a place.
    func hasSecret(on place: ConfigPlace) -> Bool {
        secretLines.contains(ConfigPlace(file: place.file, line: place.line))
    }

    /// Takes over everything from another collection.
    package mutating func merge(_ other: ConfigProblems) {
        for problem in other.found { add(problem) }
        omitted += other.omitted
        hasOmittedErrors = hasOmittedErrors || other.hasOmittedErrors
        sources.merge(other.sources) { _, new in new }
        secretPaths.formUnion(other.secretPaths)
        secretURLPaths.formUnion(other.secretURLPaths)
        secretLines.formUnion(other.secretLines)
    }

    /// The problems sorted by file, line and column; errors before warnings of the same place.
    package var all: [ConfigProblem] {
        found.enumerated().sorted { left, right in
            let (one, other) = (left.element, right.element)
            if one.place != other.place { return one.place < other.place }
            if one.severity != other.severity { return one.severity < other.severity }
            return left.offset < right.offset
        }.map(\.element)
    }

    /// The errors, sorted by place.
    package var errors: [ConfigProblem] { all.filter { $0.severity == .error } }
    /// The warnings, sorted by place.
    package var warnings: [ConfigProblem] { all.filter { $0.severity == .warning } }
    /// True when nothing at all was found.
    package var isEmpty: Bool { found.isEmpty }
    /// True when the gateway must not start.
    package var hasErrors: Bool { hasOmittedErrors || found.contains { $0.severity == .error } }

    /// True when there is an error of an option at or below a path, such as `exporters.otlp_http`.
    package func hasErrors(at path: String) -> Bool {
        found.contains { problem in
            guard problem.severity == .error, problem.path.hasPrefix(path) else { return false }
            let next = problem.path.dropFirst(path.count).first
            return next == nil || next == "." || next == "["
        }
    }

    /// Takes out the errors of an option for which another one is told.
    mutating func removeErrors(of path: String) {
        found.removeAll { $0.severity == .error && $0.path == path }
    }

    /// Takes out the warnings of a component for which a better one is told; false when there were none.
    package mutating func removeWarnings(of path: String) -> Bool {
        let before = found.count
        found.removeAll { $0.severity == .warning && $0.path == path }
        return found.count < before
    }

    /// Takes out the warnings that another collection has in the same words, wherever in the file they stood.
    package mutating func removeWarnings(toldBy earlier: ConfigProblems) {
        found.removeAll { problem in
            problem.severity == .warning
                && earlier.found.contains { known in
                    known.severity == .warning && known.path == problem.path && known.message == problem.message
                }
        }
    }

    /// The lines of a remembered file up to that of a place; empty when the file or line is unknown.
    func sourceLines(upTo place: ConfigPlace) -> [Substring] {
        guard place.line > 0, let text = sources[place.file] else { return [] }
        var lines: [Substring] = []
        var remaining = Substring(text)
        while true {
            let end = remaining.utf8.firstIndex { $0 == 0x0A || $0 == 0x0D }
            lines.append(end.map { remaining[..<$0] } ?? remaining)
            if lines.count == place.line { return lines }
            guard let end else { return [] }
            var next = remaining.utf8.index(after: end)
            if remaining.utf8[end] == 0x0D, next < remaining.utf8.endIndex, remaining.utf8[next] == 0x0A {
                next = remaining.utf8.index(after: next)
            }
            remaining = remaining[next...]
        }
    }
}
