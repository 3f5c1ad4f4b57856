import Telemetry

/// Reads the protobuf fields of nested values. Total: what is no field ends the reading and sets `isBroken`.
struct NestedFields {
    /// One field.
    struct Field {
        /// Field number and wire type.
        var tag: UInt64
        /// From the tag to behind the value.
        var start: Int
        var end: Int
        /// Content of a length-delimited field; empty for others.
        var content: Range<Int>
        /// Value of a varint or fixed field.
        var number: UInt64
    }

    let bytes: ByteCursor
    private var index = 0
    private(set) var isBroken = false

    init(_ text: Text) { bytes = ByteCursor(text) }

    mutating func next() -> Field? {
        guard index < bytes.count, !isBroken else { return nil }
        let start = index
        guard let tag = varint(), tag >= 8 else { return fail() }
        switch tag & 7 {
        case 0:
            guard let number = varint() else { return fail() }
            return Field(tag: tag, start: start, end: index, content: index..<index, number: number)
        case 2:
            guard let length = varint(), length <= UInt64(bytes.count - index) else { return fail() }
            let content = index..<index + Int(length)
            index = content.upperBound
            return Field(tag: tag, start: start, end: index, content: content, number: 0)
        case 1, 5:
            let width = tag & 7 == 1 ? 8 : 4
            guard bytes.count - index >= width else { return fail() }
            var number: UInt64 = 0
            for offset in 0..<width { number |= UInt64(bytes[index + offset]) << UInt64(8 * offset) }
            index += width
            return Field(tag: tag, start: start, end: index, content: index..<index, number: number)
        case 3:
            // The schema has no groups, so this is a field that nobody knows.
            guard skipGroup(tag >> 3) else { return fail() }
            return Field(tag: tag, start: start, end: index, content: index..<index, number: 0)
        default: return fail()
        }
    }

    /// Levels of groups that are stepped over; the reader lets no more in.
    private static let groupDepthMax = 64

    /// Moves behind the end of a group whose tag was read.
    private mutating func skipGroup(_ number: UInt64) -> Bool {
        var open = [number]
        while let innermost = open.last {
            guard let tag = varint(), tag >= 8 else { return false }
            switch tag & 7 {
            case 0: guard varint() != nil else { return false }
            case 1: guard skip(8) else { return false }
            case 2: guard let length = varint(), skip(length) else { return false }
            case 3:
                guard open.count < Self.groupDepthMax else { return false }
                open.append(tag >> 3)
            case 4:
                guard tag >> 3 == innermost else { return false }
                open.removeLast()
            case 5: guard skip(4) else { return false }
            default: return false
            }
        }
        return true
    }

    private mutating func skip(_ count: UInt64) -> Bool {
        guard count <= UInt64(bytes.count - index) else { return false }
        index += Int(count)
        return true
    }

    private mutating func fail() -> Field? {
        isBroken = true
        return nil
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while index < bytes.count, shift < 64 {
            let byte = bytes[index]
            index += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}

extension ByteColumn {
    /// Puts `prefix`, the tag and the length of what follows in front of the bytes from `mark` to the end.
    mutating func frame(from mark: Int, prefix: Text, tag: UInt8) {
        let length = count - mark
        var width = 1
        while length >> (7 * width) != 0 { width += 1 }
        let room = prefix.count + 1 + width
        shift(from: mark, by: room)
        // The gap holds stale bytes until here.
        prefix.bytes.withMemoryRebound(to: UInt8.self) { source in
            for (offset, byte) in source.enumerated() { self[mark + offset] = byte }
        }
        self[mark + prefix.count] = tag
        var rest = length
        for offset in 0..<width {
            self[mark + prefix.count + 1 + offset] = UInt8(rest & 0x7F) | (offset + 1 < width ? 0x80 : 0)
            rest >>= 7
        }
    }
}
