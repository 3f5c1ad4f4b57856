/// A set of bytes.
package struct ByteSet: Sendable, Equatable, BitwiseCopyable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    package init() {}

    package init(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { insert(byte) }
    }

    package static func == (left: ByteSet, right: ByteSet) -> Bool { left.words == right.words }

    @inline(__always)
    package func contains(_ byte: UInt8) -> Bool {
        let bit = UInt64(byte & 63)
        switch byte >> 6 {
        case 0: return words.0 >> bit & 1 == 1
        case 1: return words.1 >> bit & 1 == 1
        case 2: return words.2 >> bit & 1 == 1
        default: return words.3 >> bit & 1 == 1
        }
    }

    package mutating func insert(_ byte: UInt8) {
        let bit: UInt64 = 1 << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    mutating func formUnion(_ other: ByteSet) {
        words.0 |= other.words.0
        words.1 |= other.words.1
        words.2 |= other.words.2
        words.3 |= other.words.3
    }

    /// The bytes of ASCII that are not in the set.
    func asciiComplement() -> ByteSet {
        var rest = ByteSet()
        rest.words.0 = ~words.0
        rest.words.1 = ~words.1
        return rest
    }

    var isEmpty: Bool { words.0 | words.1 | words.2 | words.3 == 0 }
    /// Whether no byte beyond ASCII is in it.
    var isASCII: Bool { words.2 | words.3 == 0 }

    package var bytes: [UInt8] { (0...255).map { UInt8($0) }.filter(contains) }

    /// Parts of characters beyond ASCII.
    static let high = ByteSet(0x80...0xFF)
    static let digits = ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
    static let spaces = ByteSet([0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20])
    static let words: ByteSet = {
        var set = ByteSet([0x5F])
        set.formUnion(digits)
        set.formUnion(ByteSet(0x41...0x5A))
        set.formUnion(ByteSet(0x61...0x7A))
        return set
    }()
}
