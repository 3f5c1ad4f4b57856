import Telemetry

/// The tokens of a text that are base64, of either alphabet, of something readable.
struct Base64Tokens {
    private let bytes: ByteCursor
    private var at = 0

    /// Shorter ones hold no secret that a detector knows.
    static let least = 24
    /// Longer ones are media; they are not looked into beyond this.
    static let most = 1 << 20

    init(_ text: Text) { bytes = ByteCursor(text) }

    /// The next token, without padding, with what it stands for in `output`.
    mutating func next(decoding output: inout ByteColumn) -> Range<Int>? {
        while at < bytes.count {
            guard ByteClass.base64Value(bytes[at]) != nil else {
                at &+= 1
                continue
            }
            let start = at
            while ByteClass.base64Value(bytes[at]) != nil { at &+= 1 }
            guard at &- start >= Base64Tokens.least else { continue }
            // Behind a path or a name such as `key_` the token begins somewhere within.
            for offset in 0..<4 where decode(start &+ offset..<at, &output) { return start..<at }
        }
        return nil
    }

    /// False when it is not the base64 of text; told by its first bytes mostly.
    private func decode(_ range: Range<Int>, _ output: inout ByteColumn) -> Bool {
        output.removeAll()
        var word: UInt32 = 0
        var bits = 0
        for index in range.prefix(Base64Tokens.most) {
            word = word << 6 | UInt32(ByteClass.base64Value(bytes[index]) ?? 0)
            bits &+= 6
            guard bits >= 8 else { continue }
            bits &-= 8
            let byte = UInt8(truncatingIfNeeded: word >> UInt32(bits))
            guard byte >= 0x20 && byte != 0x7F || byte == 0x09 || byte == 0x0A || byte == 0x0D else { return false }
            output.append(byte)
        }
        return output.text.isValidUTF8
    }
}
