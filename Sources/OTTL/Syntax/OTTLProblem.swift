/// Why a condition or statement cannot be used: the place, what is wrong there and, where it is known, what was meant.
package struct OTTLProblem: Error, Equatable, Sendable, CustomStringConvertible {
    /// Character of the text where the fault is, counted from 1.
    package var character: Int
    package var message: String

    init(at offset: Int, in source: String, _ message: String) {
        let utf8 = source.utf8
        let end = utf8.index(utf8.startIndex, offsetBy: min(offset, utf8.count))
        character = source.unicodeScalars.distance(from: source.startIndex, to: end) + 1
        self.message = message
    }

    package var description: String { "character \(character): \(message)" }
}

/// A fault during reading, before the source text is known.
struct SyntaxFault: Error {
    /// Byte offset.
    var offset: Int
    var message: String

    init(_ offset: Int, _ message: String) {
        self.offset = offset
        self.message = message
    }
}
