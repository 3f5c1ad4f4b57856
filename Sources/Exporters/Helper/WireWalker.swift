import Telemetry

/// Walks the fields of one protobuf message that a reader has validated before. It stops silently at bytes that are no
/// field, so it is total on any input.
struct WireWalker {
    /// One field: its number with wire type, and its value in the member that the wire type calls for. Groups, of which
    /// OTLP has none, have neither, but their place.
    struct Field {
        var tag: UInt32
        /// Varint and fixed-width values.
        var number: UInt64 = 0
        /// Content of a length-delimited field.
        var content = Text.empty
        /// Where tag and value lie in the message.
        var range = 0..<0

        var fieldNumber: UInt32 { tag >> 3 }

        /// The members that a field of repeated fixed64 or double values adds: a packed run, or a single one.
        var words: [UInt64] { tag & 7 == 2 ? WireWalker.words(content) : [number] }
    }

    /// As deep as readers let groups nest.
    private static let groupsMax = 64

    private let bytes: Text
    private var at = 0

    init(_ bytes: Text) { self.bytes = bytes }

    /// The next field, nil at the end or on broken bytes.
    mutating func next() -> Field? {
        let start = at
        guard at < bytes.count, let tag = varint(), tag >> 3 != 0, tag <= UInt64(UInt32.max) else { return nil }
        var field = Field(tag: UInt32(tag))
        guard tag & 7 == 3 ? skipGroup(tag >> 3) : readValue(of: &field) else { return nil }
        field.range = start..<at
        return field
    }

    private mutating func readValue(of field: inout Field) -> Bool {
        switch field.tag & 7 {
        case 0:
            guard let value = varint() else { return false }
            field.number = value
        case 1:
            guard let value = fixed(8) else { return false }
            field.number = value
        case 2:
            guard let length = varint(), length <= UInt64(bytes.count - at) else { return false }
            field.content = bytes[at..<at + Int(length)]
            at += Int(length)
        case 5:
            guard let value = fixed(4) else { return false }
            field.number = value
        default: return false
        }
        return true
    }

    /// Goes behind the end of a group; false when it has none.
    private mutating func skipGroup(_ number: UInt64) -> Bool {
        var open = [number]
        while let innermost = open.last {
            guard let tag = varint() else { return false }
            switch tag & 7 {
            case 3:
                guard open.count < Self.groupsMax else { return false }
                open.append(tag >> 3)
            case 4:
                guard tag >> 3 == innermost else { return false }
                open.removeLast()
            default:
                var field = Field(tag: UInt32(truncatingIfNeeded: tag))
                guard readValue(of: &field) else { return false }
            }
        }
        return true
    }

    /// The members of a packed run of varints.
    static func varints(_ bytes: Text) -> [UInt64] {
        var walker = WireWalker(bytes)
        var values: [UInt64] = []
        while walker.at < bytes.count, let value = walker.varint() { values.append(value) }
        return values
    }

    /// The members of a packed run of fixed64 or double values.
    private static func words(_ bytes: Text) -> [UInt64] {
        var walker = WireWalker(bytes)
        var values: [UInt64] = []
        values.reserveCapacity(bytes.count / 8)
        while let value = walker.fixed(8) { values.append(value) }
        return values
    }

    /// The number that a varint of an sint stands for.
    static func zigzag(_ value: UInt64) -> Int64 { Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < bytes.count, shift < 70 {
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        return nil
    }

    private mutating func fixed(_ width: Int) -> UInt64? {
        guard bytes.count - at >= width else { return nil }
        var value: UInt64 = 0
        for index in 0..<width { value |= UInt64(bytes[at + index]) << UInt64(8 * index) }
        at += width
        return value
    }
}
