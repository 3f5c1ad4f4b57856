/// Follows the framing of a chunked body (RFC 9112, 7.1): `size [;extensions] CR LF data CR LF`, again and again, until
/// a size of 0. The parser has accepted the bytes before, so faults are not looked for.
struct ChunkFraming {
    private enum Place: Equatable {
        /// In the digits of a size.
        case size
        /// Behind the digits, up to the line's end.
        case line
        /// In data, with that many bytes to come.
        case data(Int)
        /// Behind data, up to the line's end.
        case dataEnd
        /// Behind the last chunk.
        case end
    }

    /// Most bytes behind the sizes of a request's chunks; nobody has a use for any (RFC 9112, 7.1.1).
    static let extensionBytesMax = 16 << 10

    private var place = Place.size
    /// Bytes behind the sizes so far.
    private(set) var extensionBytes = 0
    /// Bytes of the chunks whose size is complete.
    private var total = 0
    /// What the digits say so far.
    private var size = 0

    /// Bytes of data that the sender has announced up to here.
    var announced: Int {
        let (sum, overflows) = total.addingReportingOverflow(size)
        return overflows ? Int.max : sum
    }

    /// A body that starts in the read that its head begins; nil when the head does not begin or end there.
    init?(request bytes: UnsafeRawBufferPointer) {
        // Empty lines before a request are skipped (RFC 9112, 2.2).
        let start = bytes.firstIndex { $0 != 0x0D && $0 != 0x0A } ?? bytes.endIndex
        guard bytes[start...].starts(with: "POST ".utf8), let end = bytes.headEnd(in: start..<bytes.endIndex) else {
            return nil
        }
        take(UnsafeRawBufferPointer(rebasing: bytes[end...]))
    }

    /// Takes the next bytes of the body.
    mutating func take(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        while let byte = rest.first, place != .end {
            switch place {
            case .data(let left):
                let taken = min(left, rest.count)
                rest = rest.dropFirst(taken)
                place = taken == left ? .dataEnd : .data(left - taken)
            case .size:
                guard let digit = Self.digit(byte) else {
                    place = .line
                    continue
                }
                let (shifted, overflows) = size.multipliedReportingOverflow(by: 16)
                size = overflows ? Int.max : shifted | digit
                rest = rest.dropFirst()
            case .line, .dataEnd:
                let found = rest.firstIndex(of: 0x0A)
                // A CR is of the line's end.
                if place == .line { extensionBytes += rest[..<(found ?? rest.endIndex)].count { $0 != 0x0D } }
                guard let end = found else { return }
                rest = rest[(end + 1)...]
                beginNext()
            case .end: return
            }
        }
    }

    /// The line behind a size or behind data has ended.
    private mutating func beginNext() {
        guard place == .line else {
            place = .size
            return
        }
        place = size == 0 ? .end : .data(size)
        total = announced
        size = 0
    }

    private static func digit(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte) - 0x30
        case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte | 0x20) - 0x57
        default: nil
        }
    }
}
