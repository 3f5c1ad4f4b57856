public import CSupport

/// A growable run of trivial values: the one storage form of telemetry records.
///
/// Memory is kept across `removeAll`, so a pooled batch allocates nothing once it has seen its largest request.
/// Indices come from our own code; they are checked all the same.
public struct Column<Element: BitwiseCopyable>: ~Copyable {
    public var base: UnsafeMutablePointer<Element>
    public var capacity: Int
    public var count: Int

    @inlinable
    public init(capacity: Int = 0) {
        precondition(MemoryLayout<Element>.alignment <= 16, "malloc aligns to 16 bytes")
        self.capacity = max(capacity, 1)
        base = sluice_reallocate(nil, self.capacity * MemoryLayout<Element>.stride)
            .assumingMemoryBound(to: Element.self)
        count = 0
    }

    deinit { sluice_release(base) }

    @inlinable
    public subscript(index: Int) -> Element {
        @inline(__always) get {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "column index out of range")
            return base[index]
        }
        @inline(__always) _modify {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "column index out of range")
            yield &base[index]
        }
    }

    @inlinable
    public var indices: Range<Int> { 0..<count }

    @inline(__always)
    @inlinable
    public mutating func append(_ element: Element) {
        if count == capacity { grow(to: count &+ 1) }
        (base + count).initialize(to: element)
        count &+= 1
    }

    /// Appends a copy of the elements of `range`, which must lie inside the column.
    @inlinable
    public mutating func appendCopy(of range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        if count &+ range.count > capacity { grow(to: count &+ range.count) }
        (base + count).update(from: base + range.lowerBound, count: range.count)
        count &+= range.count
    }

    /// Moves the elements behind `index` one place forward up to `end`, so that `index` is overwritten.
    @inlinable
    public mutating func shiftDown(over index: Int, end: Int) {
        precondition(index >= 0 && index < end && end <= count)
        (base + index).update(from: base + index + 1, count: end - index - 1)
    }

    /// Empties the column; memory stays.
    @inlinable
    public mutating func removeAll() { count = 0 }

    /// Cuts the column to its first `newCount` elements.
    @inlinable
    public mutating func truncate(to newCount: Int) {
        precondition(newCount >= 0 && newCount <= count)
        count = newCount
    }

    /// Bytes that the column holds on to.
    @inlinable
    public var footprint: Int { capacity * MemoryLayout<Element>.stride }

    @inline(never) @usableFromInline
    mutating func grow(to needed: Int) {
        let wanted = max(needed, capacity * 2, 16)
        base = sluice_reallocate(base, wanted * MemoryLayout<Element>.stride)
            .assumingMemoryBound(to: Element.self)
        capacity = wanted
    }
}
