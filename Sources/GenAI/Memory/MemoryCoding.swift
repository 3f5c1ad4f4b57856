/// Something remembered between traces that can be written to a file. Reading takes any bytes.
package protocol MemoryValue: Sendable {
    func write(to writer: inout MemoryWriter)
    init?(_ reader: inout MemoryReader)
}

/// Makes the bytes of what is remembered; numbers are little endian.
package struct MemoryWriter {
    package var bytes: [UInt8] = []

    /// Pieces that all entries of a map are written in have about this size.
    static let partBytes = 1 << 20

    package init() {}

    package mutating func add(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func add(_ number: Double) { add(number.bitPattern) }

    /// Adds a list: its count in 32 bits, then its values.
    package mutating func add<Value: MemoryValue>(_ list: [Value]) {
        add(UInt32(clamping: list.count))
        for value in list { value.write(to: &self) }
    }

    fileprivate mutating func set(_ number: UInt32, at place: Int) {
        withUnsafeBytes(of: number.littleEndian) { source in
            for (index, byte) in source.enumerated() { bytes[place + index] = byte }
        }
    }
}

extension MemoryWriter {
    mutating func entry(_ map: UInt8, _ key: UInt64, _ value: (some MemoryValue)?) {
        add(map)
        add(key)
        let place = bytes.count
        add(0 as UInt32)
        guard let value else { return }
        value.write(to: &self)
        set(UInt32(bytes.count - place - 3), at: place)
    }
}

/// Reads what `MemoryWriter` wrote, or finds that it is something else.
package struct MemoryReader {
    private let bytes: ArraySlice<UInt8>
    private var at: Int

    package init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        at = bytes.startIndex
    }

    package var isAtEnd: Bool { at == bytes.endIndex }

    /// The next bytes; nil, and nothing is taken, when there are fewer.
    package mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, count <= bytes.endIndex - at else { return nil }
        defer { at += count }
        return bytes[at..<at + count]
    }

    /// The next number in the width of its type; nil when the bytes end before.
    package mutating func number<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number? {
        guard let part = take(Number.bitWidth / 8) else { return nil }
        return part.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(as: Number.self)) }
    }

    package mutating func double() -> Double? { number(UInt64.self).map { Double(bitPattern: $0) } }

    /// As many values as are told; a count that the bytes cannot hold ends early.
    package mutating func list<Value: MemoryValue>(_: Value.Type = Value.self) -> [Value]? {
        guard let count = number(UInt32.self) else { return nil }
        var list: [Value] = []
        for _ in 0..<count {
            guard !isAtEnd, let value = Value(&self) else { return nil }
            list.append(value)
        }
        return list
    }
}

/// One entry of a written map; without value it was only used.
package struct MemoryEntry {
    package var map: UInt8
    package var key: UInt64
    package var value: ArraySlice<UInt8>?

    /// The next entry; nil when the bytes are no entry.
    package init?(_ reader: inout MemoryReader) {
        guard let map: UInt8 = reader.number(), let key: UInt64 = reader.number(),
            let size: UInt32 = reader.number()
        else { return nil }
        (self.map, self.key) = (map, key)
        if size == 0 { return }
        guard let value = reader.take(Int(size) - 1) else { return nil }
        self.value = value
    }
}

extension UInt64: MemoryValue {
    package func write(to writer: inout MemoryWriter) { writer.add(self) }

    package init?(_ reader: inout MemoryReader) {
        guard let number: UInt64 = reader.number() else { return nil }
        self = number
    }
}

extension UInt8: MemoryValue {
    package func write(to writer: inout MemoryWriter) { writer.add(self) }

    package init?(_ reader: inout MemoryReader) {
        guard let number: UInt8 = reader.number() else { return nil }
        self = number
    }
}

extension Array: MemoryValue where Element: MemoryValue {
    package func write(to writer: inout MemoryWriter) { writer.add(self) }

    package init?(_ reader: inout MemoryReader) {
        guard let list: [Element] = reader.list() else { return nil }
        self = list
    }
}
