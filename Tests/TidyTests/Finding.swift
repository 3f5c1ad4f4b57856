import Testing

/// One breach of a rule of the house.
struct Finding: Equatable, CustomStringConvertible {
    var path: String
    var line: Int
    var message: String

    var description: String { "\(path):\(line): \(message)" }
}

/// A rule of the house: a name for the exception list, and what it finds in one file.
struct Rule: Sendable, CustomTestStringConvertible {
    var name: String
    var check: @Sendable (SourceFile) -> [Finding]

    var testDescription: String { name }
}

extension SourceFile {
    func finding(_ line: Int, _ message: String) -> Finding { Finding(path: path, line: line, message: message) }

    /// A finding for each line of `part` where `needle` stands on its own.
    func occurrences(of needle: String, in part: SourceText, message: String) -> [Finding] {
        Set(part.places(of: needle).map(part.line(of:))).sorted().map { finding($0, message) }
    }
}
