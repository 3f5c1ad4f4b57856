/// Splits a text at its references; references may stand inside references, innermost first.
struct ReferenceText {
    /// A piece of the text.
    indirect enum Part {
        /// Text as it is.
        case text(String)
        /// What stands between `${` and `}`.
        case reference([Part])
    }

    private let bytes: [UInt8]
    /// True to leave `$$` as it is, for texts from outside that are read further.
    private let keepsDollars: Bool
    private var index = 0

    init(_ text: String, keepsDollars: Bool = false) {
        bytes = Array(text.utf8)
        self.keepsDollars = keepsDollars
    }

    /// The pieces, or a failure when a reference is not closed, empty or nested too deep.
    mutating func parse() throws(ConfigExpansion.Failure) -> [Part] {
        try parts(depth: 0)
    }

    private mutating func parts(depth: Int) throws(ConfigExpansion.Failure) -> [Part] {
        var parts: [Part] = []
        var literal: [UInt8] = []
        func flush() {
            if !literal.isEmpty { parts.append(.text(String(decoding: literal, as: UTF8.self))) }
            literal = []
        }
        while index < bytes.count {
            let byte = bytes[index]
            let next = index + 1 < bytes.count ? bytes[index + 1] : 0
            if byte == UInt8(ascii: "}"), depth > 0 { break }
            if byte == UInt8(ascii: "$"), next == UInt8(ascii: "$") {
                literal += keepsDollars ? [byte, byte] : [byte]
                index += 2
            } else if byte == UInt8(ascii: "$"), next == UInt8(ascii: "{") {
                flush()
                parts.append(.reference(try reference(depth: depth)))
            } else {
                literal.append(byte)
                index += 1
            }
        }
        flush()
        return parts
    }

    private mutating func reference(depth: Int) throws(ConfigExpansion.Failure) -> [Part] {
        guard depth < ConfigExpansion.depthMaximum else {
            throw ConfigExpansion.Failure(
                message: "references are nested deeper than \(ConfigExpansion.depthMaximum)", fix: nil)
        }
        index += 2
        let inside = try parts(depth: depth + 1)
        guard index < bytes.count else {
            throw ConfigExpansion.Failure(
                message: "a reference is not closed", fix: "close it with }, or write $$ for a dollar sign")
        }
        index += 1
        guard !inside.isEmpty else {
            throw ConfigExpansion.Failure(
                message: "the reference ${} is empty", fix: "use ${env:NAME}, or write $$ for a dollar sign")
        }
        return inside
    }
}
