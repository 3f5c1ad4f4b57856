import Yams

/// A fault of the YAML parser in words that say what to do.
struct YAMLFault {
    let message: String
    let fix: String?
    /// From 1; 0 when unknown.
    let line: Int
    /// From 1, in Unicode scalars; 0 when unknown.
    let column: Int

    /// Reads the parser's error; the text is searched for the place where the error does not say it.
    init(error: YamlError, text: String) {
        switch error {
        case .reader(_, let offset, _, _):
            let place = YAMLFault.place(ofCharacter: offset ?? 0, in: text)
            self.init("has a character that YAML does not allow", "remove it", place.line, place.column)
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
            self.init(context: context, problem: problem, mark: mark, text: text)
        case .composer(_, let problem, let mark, _):
            if problem.contains("undefined alias") {
                self.init("the alias has no anchor before it", "define it with &name", mark.line, mark.column)
            } else {
                self.init("bad YAML: \(problem)", nil, mark.line, mark.column)
            }
        case .duplicatedKeysInMapping(let duplicates, let context):
            let key = duplicates.first ?? ""
            let mark = context.mark
            let second = YAMLFault.repetition(of: key, after: mark, in: text)
            self.init(
                "the key \"\(KeyMask.mask(key: key))\" is given twice in one mapping"
                    + (second == nil ? "" : " (first in line \(mark.line))"),
                "keep one of them", second ?? mark.line, mark.column)
        default:
            self.init("cannot be read as YAML", nil, 0, 0)
        }
    }

    private init(_ message: String, _ fix: String?, _ line: Int, _ column: Int) {
        self.message = message
        self.fix = fix
        self.line = line
        self.column = column
    }

    private init(context: YamlError.Context?, problem: String, mark: Mark, text: String) {
        let lines = YAMLFault.lines(of: text)
        for number in [mark.line, mark.line - 1] where lines.indices.contains(number - 1) {
            let indentation = lines[number - 1].prefix { $0 == 0x20 || $0 == 0x09 }
            if let tab = indentation.firstIndex(of: 0x09) {
                self.init(
                    "a tab is used for indentation", "indent with spaces", number, tab - indentation.startIndex + 1)
                return
            }
        }
        let place = context.map { " (\($0.text) in line \($0.mark.line))" } ?? ""
        let line = lines.indices.contains(mark.line - 1) ? lines[mark.line - 1] : []
        let hint = YAMLFault.isBareText(line) ? YAMLFault.quotes : YAMLFault.hint(for: problem)
        self.init("bad YAML: \(problem)\(place)", hint, mark.line, mark.column)
    }

    private static let quotes = "put the whole text behind the dash in single quotes: it holds \": \""

    /// Whether a line is an element of a list, without quotes, that looks like a statement but is read as a mapping.
    private static func isBareText(_ line: ArraySlice<UInt8>) -> Bool {
        let text = line.drop { $0 == 0x20 }
        guard text.starts(with: "- ".utf8) else { return false }
        let rest = text.dropFirst(2).drop { $0 == 0x20 }
        guard let first = rest.first, !"\"'|>[{&*!".utf8.contains(first),
            let colon = rest.indices.first(where: { rest[$0...].starts(with: ": ".utf8) })
        else { return false }
        return rest[..<colon].contains { "({[\"".utf8.contains($0) }
    }

    private static func hint(for problem: String) -> String? {
        let hints = [
            ("mapping values are not allowed", "check the indentation, and put texts that hold \": \" in quotes"),
            ("did not find expected key", "check the indentation of this line and of the lines above"),
            ("did not find expected '-'", "indent this line like the elements of the list above"),
            ("could not find expected ':'", "put `key: value` on this line, or quote the text"),
            ("cannot start any token", "put the text in quotes"),
            ("did not find expected ',' or", "close the bracket, or separate the elements with commas"),
            ("unexpected end of stream", "close the quote that was opened"),
            ("maximum", "a configuration must be nested less deeply"),
        ]
        return hints.first { problem.contains($0.0) }?.1
    }

    private static func lines(of text: String) -> [ArraySlice<UInt8>] {
        Array(text.utf8).split(separator: 0x0A, omittingEmptySubsequences: false)
    }

    /// The line of the next key of the same name and column, as block mappings have it; nil when it is not found.
    private static func repetition(of key: String, after mark: Mark, in text: String) -> Int? {
        guard mark.line > 0, mark.column > 0 else { return nil }
        for (index, line) in lines(of: text).enumerated().dropFirst(mark.line) {
            guard line.prefix(mark.column - 1).allSatisfy({ $0 == 0x20 }), line.count >= mark.column else { continue }
            let rest = String(decoding: line.dropFirst(mark.column - 1), as: UTF8.self)
            for form in [key, "\"\(key)\"", "'\(key)'"] where rest.hasPrefix(form + ":") { return index + 1 }
        }
        return nil
    }

    private static func place(ofCharacter offset: Int, in text: String) -> (line: Int, column: Int) {
        var (line, column) = (1, 1)
        for character in text.prefix(max(0, offset)) {
            if character.isNewline {
                line += 1
                column = 1
            } else {
                column += character.unicodeScalars.count
            }
        }
        return (line, column)
    }
}
