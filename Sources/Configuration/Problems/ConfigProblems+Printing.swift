extension ConfigProblems {
    /// All problems as a compiler prints them, each with its source line and a caret, sorted by place.
    ///
    /// A line that holds a secret is not quoted. Lines are cut to a screen's width around the caret.
    package func report() -> String {
        var text = ""
        for problem in all {
            text += ConfigProblems.headline(problem) + "\n"
            if let excerpt = excerpt(of: problem) { text += excerpt }
        }
        if omitted > 0 { text += "… and \(omitted) more\n" }
        return text
    }

    /// One problem on one line: `config.yaml:12:7: error: exporters.otlp_http.endpont: unknown key; did you mean …`.
    package static func headline(_ problem: ConfigProblem) -> String {
        var line = ""
        if !problem.place.file.isEmpty { line += "\(printable(problem.place.description)): " }
        line += "\(problem.severity.rawValue): "
        if !problem.path.isEmpty { line += "\(printable(problem.path)): " }
        line += printable(problem.message)
        if let fix = problem.fix { line += "; \(printable(fix))" }
        return line
    }

    private func excerpt(of problem: ConfigProblem) -> String? {
        guard !problem.hidesSource, let line = sourceLine(at: problem.place) else { return nil }
        guard !ConfigProblems.holdsSecret(line) else { return nil }
        let scalars = Array(SecretKeys.maskingPasswords(in: String(line)).unicodeScalars)
        let caret = max(0, problem.place.column - 1)
        let start = caret > 80 ? caret - 60 : 0
        guard start <= scalars.count else { return nil }
        var shown = ""
        for scalar in scalars[start...].prefix(110) {
            shown.unicodeScalars.append(ConfigProblems.isPrintable(scalar) && scalar != "\t" ? scalar : " ")
        }
        return "    \(shown)\n    \(String(repeating: " ", count: caret - start))^\n"
    }

    /// True when any key on the line names a credential that is written out rather than referenced.
    private static func holdsSecret(_ line: Substring) -> Bool {
        line.split { $0 == ":" || $0 == "," || $0 == "{" }.contains { part in
            let name = part.drop { $0 == " " || $0 == "-" || $0 == "\"" || $0 == "'" || $0 == "\t" }
            return SecretKeys.namesCredential(String(name.prefix(64).filter { $0 != "\"" && $0 != "'" && $0 != " " }))
        }
    }

    /// Text from a file must not steer the terminal it is printed on.
    private static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { !isPrintable($0) }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            result.unicodeScalars.append(isPrintable(scalar) ? scalar : "\u{FFFD}")
        }
        return result
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: scalar == "\t"
        default: true
        }
    }
}

extension ConfigProblems: CustomStringConvertible {
    /// The same as `report()`.
    package var description: String { report() }
}
