/// One token of the language with its place.
struct Token {
    enum Kind: Equatable {
        /// The content of a string literal, escapes resolved.
        case string([UInt8])
        case bytes([UInt8])
        case int(Int64)
        case double(Double)
        /// Starts with a lower-case letter: part of a path, an editor, an argument's name or a keyword.
        case lower(String)
        /// Starts with an upper-case letter: a converter or an enum.
        case upper(String)
        /// An operator or bracket.
        case mark(String)
        case end
    }

    var kind: Kind
    /// Byte offset of its first character.
    var offset: Int

    /// As a message names it.
    var shown: String {
        switch kind {
        case .string: "a string"
        case .bytes: "bytes"
        case .int(let value): "\(value)"
        case .double(let value): "\(value)"
        case .lower(let name), .upper(let name): "\"\(name)\""
        case .mark(let mark): "\"\(mark)\""
        case .end: "the end"
        }
    }
}
