/// Frames of HTTP/2 written and read byte by byte (RFC 9113, 4.1).
package struct H2Frame: Equatable {
    package var type: UInt8
    package var flags: UInt8
    package var stream: UInt32
    package var payload: [UInt8]

    package init(type: UInt8, flags: UInt8 = 0, stream: UInt32, payload: [UInt8] = []) {
        self.type = type
        self.flags = flags
        self.stream = stream
        self.payload = payload
    }

    package static let data: UInt8 = 0
    package static let headers: UInt8 = 1
    package static let reset: UInt8 = 3
    package static let settings: UInt8 = 4
    package static let ping: UInt8 = 6
    package static let goAway: UInt8 = 7
    package static let windowUpdate: UInt8 = 8

    package var bytes: [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags]
            + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: stream >> $0) } + payload
    }

    /// The number that a reset (at 0) or a GOAWAY (at 4) gives as its reason.
    package func code(at offset: Int = 0) -> Int { payload.dropFirst(offset).prefix(4).reduce(0) { $0 << 8 | Int($1) } }

    /// A head as an HPACK block of plain literals that enter no table (RFC 7541, 6.2.2).
    package static func block(_ fields: [(String, String)]) -> [UInt8] {
        func text(_ text: String) -> [UInt8] { length(text.utf8.count) + Array(text.utf8) }
        return fields.flatMap { [0] + text($0) + text($1) }
    }

    /// A length behind a bit that is not set (RFC 7541, 5.1).
    private static func length(_ count: Int) -> [UInt8] {
        guard count >= 127 else { return [UInt8(count)] }
        var bytes: [UInt8] = [127]
        var rest = count - 127
        while rest >= 128 {
            bytes.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    /// Takes the next whole frame from the front of bytes that came.
    package static func next(_ bytes: inout [UInt8]) -> H2Frame? {
        guard bytes.count >= 9 else { return nil }
        let count = Int(bytes[0]) << 16 | Int(bytes[1]) << 8 | Int(bytes[2])
        guard bytes.count >= 9 + count else { return nil }
        let stream = bytes[5..<9].reduce(0) { $0 << 8 | UInt32($1) }
        let frame = H2Frame(type: bytes[3], flags: bytes[4], stream: stream, payload: Array(bytes[9..<(9 + count)]))
        bytes.removeFirst(9 + count)
        return frame
    }
}
