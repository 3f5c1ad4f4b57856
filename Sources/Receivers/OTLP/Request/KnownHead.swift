import Glibc

/// The bytes of a head that a sender has sent before, but for the digits of its Content-Length.
///
/// Senders repeat their heads to the letter. Taking one apart and judging it is a third of what a request of one span
/// costs (Benchmarks/README.md).
struct KnownHead: Equatable {
    /// Longest head that is kept with a connection, in bytes.
    static let sizeMax = 1 << 10
    /// Digits of a length that are read; longer ones are left to the parser.
    private static let digitsMax = 9

    /// Up to the digits.
    private let before: [UInt8]
    /// From behind the digits to the empty line.
    private let behind: [UInt8]

    /// The head that `bytes` begin with: nil when its end is not among the first `sizeMax` bytes, it does not begin
    /// with a method, or has no Content-Length. It must be one that the parser has taken, with one Content-Length.
    init?(startOf bytes: UnsafeRawBufferPointer) {
        guard let size = Self.size(startOf: bytes), let digits = Self.digits(in: bytes[..<size]) else { return nil }
        before = [UInt8](bytes[..<digits.lowerBound])
        behind = [UInt8](bytes[digits.upperBound..<size])
    }

    /// Size of this head at the start of `bytes` and the length that it announces, nil when they begin otherwise.
    func match(startOf bytes: UnsafeRawBufferPointer) -> (size: Int, length: Int)? {
        guard bytes.count > before.count + behind.count, bytes.starts(with: before, at: 0) else { return nil }
        var place = before.count
        var length = 0
        let digitsEnd = min(bytes.count, place + Self.digitsMax)
        while place < digitsEnd, case let digit = bytes[place] &- UInt8(ascii: "0"), digit <= 9 {
            length = length * 10 + Int(digit)
            place += 1
        }
        guard place > before.count, bytes.starts(with: behind, at: place) else { return nil }
        return (place + behind.count, length)
    }

    private static func size(startOf bytes: UnsafeRawBufferPointer) -> Int? {
        // Empty lines may stand before a request (RFC 9112, 2.2).
        guard let first = bytes.first, first > UInt8(ascii: " ") else { return nil }
        return bytes.headEnd(in: 0..<min(bytes.count, sizeMax))
    }

    private static func digits(in head: Slice<UnsafeRawBufferPointer>) -> Range<Int>? {
        for line in head.split(separator: 0x0A).dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), ASCII.equal(line[..<colon], "content-length")
            else { continue }
            let value = line[(colon + 1)...].drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            let digits = value.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            return digits.isEmpty ? nil : digits.startIndex..<digits.endIndex
        }
        return nil
    }
}

extension UnsafeRawBufferPointer {
    /// Behind the empty line that ends a head (RFC 9112, 2.1); nil when there is none in `range`.
    func headEnd(in range: Range<Int>) -> Int? {
        var matched = 0
        for index in range {
            let byte = self[index]
            matched = byte == (matched & 1 == 0 ? 0x0D : 0x0A) ? matched + 1 : byte == 0x0D ? 1 : 0
            if matched == 4 { return index + 1 }
        }
        return nil
    }

    fileprivate func starts(with part: [UInt8], at place: Int) -> Bool {
        guard part.count <= count - place, let base = baseAddress else { return false }
        return part.withUnsafeBytes { part in
            part.baseAddress.map { memcmp(base + place, $0, part.count) == 0 } ?? true
        }
    }
}
