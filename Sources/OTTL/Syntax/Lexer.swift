/// Cuts a text into tokens.
struct Lexer {
    private let bytes: [UInt8]
    private var index = 0

    /// Longest text that is read, in bytes.
    static let lengthMax = 64 << 10
    /// Most tokens; evaluation goes as deep as operators are chained.
    static let tokensMax = 4_000

    private init(_ text: String) { bytes = Array(text.utf8) }

    /// All tokens, the last one `end`.
    static func tokens(of text: String) throws(SyntaxFault) -> [Token] {
        var lexer = Lexer(text)
        if lexer.bytes.count > lengthMax { throw SyntaxFault(0, "is longer than 64 KiB") }
        var tokens: [Token] = []
        while true {
            let token = try lexer.next()
            tokens.append(token)
            if token.kind == .end { return tokens }
            if tokens.count > tokensMax { throw SyntaxFault(token.offset, "has more than \(tokensMax) words") }
        }
    }

    private func byte(_ at: Int) -> UInt8 { at < bytes.count ? bytes[at] : 0 }

    private mutating func next() throws(SyntaxFault) -> Token {
        while index < bytes.count, bytes[index] == 0x20 || bytes[index] &- 0x09 < 5 { index += 1 }
        let start = index
        guard index < bytes.count else { return Token(kind: .end, offset: start) }
        let first = bytes[index]
        switch first {
        case UInt8(ascii: "\""): return Token(kind: .string(try string()), offset: start)
        case UInt8(ascii: "0") where byte(index + 1) == UInt8(ascii: "x"):
            return Token(kind: .bytes(try hexBytes()), offset: start)
        case 0x30...0x39: return Token(kind: try number(), offset: start)
        case UInt8(ascii: ".") where byte(index + 1) &- 0x30 < 10: return Token(kind: try number(), offset: start)
        case 0x61...0x7A: return Token(kind: .lower(word()), offset: start)
        case 0x41...0x5A: return Token(kind: .upper(word()), offset: start)
        default: return Token(kind: .mark(try mark()), offset: start)
        }
    }

    private mutating func word() -> String {
        let start = index
        while index < bytes.count, isWord(bytes[index]) { index += 1 }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private func isWord(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == 0x5F
    }

    private mutating func mark() throws(SyntaxFault) -> String {
        let first = Character(Unicode.Scalar(bytes[index]))
        let isDoubled = byte(index + 1) == UInt8(ascii: "=")
        switch first {
        case "=", "<", ">":
            index += isDoubled ? 2 : 1
            return isDoubled ? "\(first)=" : String(first)
        case "!":
            guard isDoubled else { throw SyntaxFault(index, "a single \"!\" has no meaning: write not, or !=") }
            index += 2
            return "!="
        case "(", ")", "[", "]", "{", "}", ",", ":", ".", "+", "-", "*", "/":
            index += 1
            return String(first)
        case "'":
            throw SyntaxFault(index, "strings stand in double quotes")
        case "&", "|":
            throw SyntaxFault(index, "conditions are joined by the words and, or")
        default:
            if first == "_" { throw SyntaxFault(index, "a name cannot begin with \"_\"; \(Function.lambdas)") }
            let rest = String(decoding: bytes[index...], as: UTF8.self)
            throw SyntaxFault(index, "unexpected character \"\(rest.first ?? first)\"")
        }
    }

    private mutating func number() throws(SyntaxFault) -> Token.Kind {
        let start = index
        var isDouble = false
        while byte(index) &- 0x30 < 10 { index += 1 }
        if byte(index) == UInt8(ascii: "."), byte(index + 1) &- 0x30 < 10 {
            isDouble = true
            index += 1
            while byte(index) &- 0x30 < 10 { index += 1 }
        }
        if isDouble, byte(index) | 0x20 == UInt8(ascii: "e") {
            let signed = byte(index + 1) == UInt8(ascii: "+") || byte(index + 1) == UInt8(ascii: "-")
            if byte(index + (signed ? 2 : 1)) &- 0x30 < 10 {
                index += signed ? 2 : 1
                while byte(index) &- 0x30 < 10 { index += 1 }
            }
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if isWord(byte(index)) { throw SyntaxFault(index, "a number is followed by a letter") }
        if isDouble {
            guard let value = Double(text.hasPrefix(".") ? "0" + text : text) else {
                throw SyntaxFault(start, "\(text) is no number")
            }
            return .double(value)
        }
        // 9223372036854775808 is read as its negative: only behind a minus sign is it in range.
        if let value = Int64(text) { return .int(value) }
        if text == "9223372036854775808" { return .int(.min) }
        throw SyntaxFault(start, "\(text) does not fit into 64 bits")
    }

    private mutating func hexBytes() throws(SyntaxFault) -> [UInt8] {
        let start = index
        index += 2
        var digits: [UInt8] = []
        while let digit = Lexer.hexDigit(byte(index)) {
            digits.append(digit)
            index += 1
        }
        guard !isWord(byte(index)) else { throw SyntaxFault(index, "bytes are written 0x and hexadecimal digits") }
        guard digits.count % 2 == 0, !digits.isEmpty else {
            throw SyntaxFault(start, "bytes need an even number of hexadecimal digits")
        }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        if byte &- 0x30 < 10 { return byte &- 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }

    // MARK: Strings

    private mutating func string() throws(SyntaxFault) -> [UInt8] {
        let start = index
        index += 1
        var content: [UInt8] = []
        while index < bytes.count {
            let next = bytes[index]
            if next == UInt8(ascii: "\"") {
                index += 1
                return content
            }
            if next == UInt8(ascii: "\\") {
                try escape(&content)
            } else {
                content.append(next)
                index += 1
            }
        }
        throw SyntaxFault(start, "the string is not closed by a quote")
    }

    private mutating func escape(_ content: inout [UInt8]) throws(SyntaxFault) {
        let start = index
        let letter = byte(index + 1)
        index += 2
        switch letter {
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "a"): content.append(0x07)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "v"): content.append(0x0B)
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"): content.append(letter)
        case UInt8(ascii: "x"): content.append(UInt8(truncatingIfNeeded: try hex(2, start)))
        case UInt8(ascii: "u"): try append(scalar: try hex(4, start), &content, start)
        case UInt8(ascii: "U"): try append(scalar: try hex(8, start), &content, start)
        case 0x30...0x37:
            let digits = [letter, byte(index), byte(index + 1)]
            guard digits.allSatisfy({ $0 &- 0x30 < 8 }) else { throw SyntaxFault(start, "\\ needs three octal digits") }
            content.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 << 3 | UInt32($1 &- 0x30) }))
            index += 2
        default:
            let shown = letter == 0 ? "" : String(Unicode.Scalar(letter))
            throw SyntaxFault(start, "\\\(shown) is no escape: write \\\\\(shown) for a backslash before \(shown)")
        }
    }

    private mutating func hex(_ count: Int, _ start: Int) throws(SyntaxFault) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count {
            guard let digit = Lexer.hexDigit(byte(index)) else {
                throw SyntaxFault(start, "the escape needs \(count) hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }

    private func append(scalar: UInt32, _ content: inout [UInt8], _ start: Int) throws(SyntaxFault) {
        guard let scalar = Unicode.Scalar(scalar) else { throw SyntaxFault(start, "the escape is no character") }
        content.append(contentsOf: Array(String(scalar).utf8))
    }
}
