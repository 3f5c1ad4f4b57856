public import CSupport

/// A growable run of bytes: request bodies, edited text, encoder output. Memory is kept across `removeAll`.
public struct ByteColumn: ~Copyable {
    public var base: UnsafeMutableRawPointer
    public var capacity: Int
    public var count: Int

    @inlinable
    public init(capacity: Int = 0) {
        self.capacity = max(capacity, 16)
        base = UnsafeMutableRawPointer.allocate(byteCount: self.capacity, alignment: 16)
        count = 0
    }

    deinit { base.deallocate() }

    /// The bytes written so far. Valid until the next mutation.
    @inlinable
    public var bytes: UnsafeRawBufferPointer {
        @inline(__always) get { UnsafeRawBufferPointer(start: base, count: count) }
    }

    @inlinable
    public var text: Text {
        @inline(__always) get { Text(start: UnsafeRawPointer(base), count: count) }
    }

    @inlinable
    public subscript(index: Int) -> UInt8 {
        @inline(__always) get {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "byte index out of range")
            return base.load(fromByteOffset: index, as: UInt8.self)
        }
        @inline(__always) set {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "byte index out of range")
            base.storeBytes(of: newValue, toByteOffset: index, as: UInt8.self)
        }
    }

    /// Makes room for `additional` more bytes.
    @inline(__always)
    @inlinable
    public mutating func reserve(_ additional: Int) {
        if capacity &- count < additional { grow(by: additional) }
    }

    @inline(__always)
    @inlinable
    public mutating func append(_ byte: UInt8) {
        reserve(1)
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    /// Appends bytes that must not lie inside this column.
    @inline(__always)
    @inlinable
    public mutating func append(_ text: Text) {
        reserve(text.count)
        sluice_copy(base + count, text.start, text.count)
        count &+= text.count
    }

    @inlinable
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        append(Text(bytes))
    }

    @inlinable
    public mutating func append(_ string: StaticString) {
        append(Text(string))
    }

    /// Appends the UTF-8 of a string. For configuration-sized text, not for per-record work.
    @inlinable
    public mutating func append(string: String) {
        var string = string
        string.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Appends a little-endian fixed-width value.
    @inline(__always)
    @inlinable
    public mutating func append<Value: FixedWidthInteger & BitwiseCopyable>(littleEndian value: Value) {
        reserve(MemoryLayout<Value>.size)
        base.storeBytes(of: value.littleEndian, toByteOffset: count, as: Value.self)
        count &+= MemoryLayout<Value>.size
    }

    /// Opens a gap of `length` bytes at `offset`, or closes one when negative, by moving what follows.
    @inlinable
    public mutating func shift(from offset: Int, by length: Int) {
        precondition(offset >= 0 && offset <= count && offset + length >= 0)
        if length > 0 { reserve(length) }
        (base + offset + length).copyMemory(from: base + offset, byteCount: count - offset)
        count += length
    }

    /// Appends a copy of a range of this very column.
    @inlinable
    public mutating func appendCopy(of range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        reserve(range.count)
        (base + count).copyMemory(from: base + range.lowerBound, byteCount: range.count)
        count &+= range.count
    }

    /// Empties the column; memory stays.
    @inlinable
    public mutating func removeAll() { count = 0 }

    /// Cuts the column to its first `newCount` bytes; memory stays.
    @inlinable
    public mutating func truncate(to newCount: Int) {
        precondition(newCount >= 0 && newCount <= count)
        count = newCount
    }

    /// Gives memory back when the column has grown beyond `limit` bytes, so that one huge request does not pin it.
    @inlinable
    public mutating func shrink(to limit: Int) {
        guard capacity > limit, count == 0 else { return }
        base.deallocate()
        capacity = max(limit, 16)
        base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    }

    @inline(never) @usableFromInline
    mutating func grow(by additional: Int) {
        let wanted = max(count + additional, capacity + capacity / 2, 256)
        let grown = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 16)
        grown.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = grown
        capacity = wanted
    }
}
