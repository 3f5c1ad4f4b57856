extension ConfigProblems {
    /// All problems as a compiler prints them, each with its source line and a caret, sorted by place.
    ///
    /// Of a line only the entry at fault is quoted, and no line that holds a secret; see `SourceExcerpt`. Lines are cut
    /// to a screen's width around the caret.
    package func report() -> String {
        var text = ""
        for problem in all {
            text += ConfigProblems.headline(problem) + "\n"
            if let excerpt = excerpt(of: problem) { text += excerpt }
        }
        if omitted > 0 { text += "… and \(omitted) more\n" }
        return text
    }

    /// How many errors and warnings there are, for the end of a report; nil when there is one error at most.
    package var summary: String? {
        guard errors.count > 1 else { return nil }
        let more = omitted > 0 ? " or more" : ""
        let behind = warnings.isEmpty ? "" : warnings.count == 1 ? ", 1 warning" : ", \(warnings.count) warnings"
        return "\(errors.count)\(more) errors\(behind)"
    }

    /// One problem on one line: `config.yaml:12:7: error: exporters.otlp_http.endpont: unknown key; did you mean …`.
    package static func headline(_ problem: ConfigProblem) -> String {
        var line = ""
        if !problem.place.file.isEmpty { line += "\(printable(problem.place.description)): " }
        line += "\(problem.severity.rawValue): "
        if !problem.path.isEmpty { line += "\(printable(KeyMask.mask(path: problem.path))): " }
        line += printable(problem.message)
        if let fix = problem.fix { line += "; \(printable(fix))" }
        return line
    }

    private func excerpt(of problem: ConfigProblem) -> String? {
        guard !problem.hidesSource, !hasSecret(on: problem.place) else { return nil }
        guard let excerpt = SourceExcerpt(lines: sourceLines(upTo: problem.place), column: problem.place.column)
        else { return nil }
        let start = excerpt.caret > 80 ? excerpt.caret - 60 : 0
        var shown = ""
        for scalar in excerpt.text[start...].prefix(110) {
            shown.unicodeScalars.append(ConfigProblems.isPrintable(scalar) && scalar != "\t" ? scalar : " ")
        }
        return "    \(shown)\n    \(String(repeating: " ", count: excerpt.caret - start))^\n"
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
