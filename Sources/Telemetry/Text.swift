public import CSupport

/// A borrowed run of bytes, usually UTF-8, that lives in a request body, a side buffer or the key arena.
///
/// It owns nothing: use it before the next change of the batch it came from. Reads are bounds checked.
public struct Text: BitwiseCopyable {
    public let start: UnsafeRawPointer
    public let count: Int

    @inline(__always)
    @inlinable
    public init(start: UnsafeRawPointer, count: Int) {
        self.start = start
        self.count = count
    }

    @inline(__always)
    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer) {
        start = bytes.baseAddress ?? Text.empty.start
        count = bytes.count
    }

    @inline(__always)
    @inlinable
    public init(_ string: StaticString) {
        start = UnsafeRawPointer(string.utf8Start)
        count = string.utf8CodeUnitCount
    }

    @inlinable
    public static var empty: Text { Text("" as StaticString) }

    @inlinable
    public var isEmpty: Bool { count == 0 }

    @inlinable
    public subscript(index: Int) -> UInt8 {
        @inline(__always) get {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "text index out of range")
            return start.load(fromByteOffset: index, as: UInt8.self)
        }
    }

    @inlinable
    public subscript(range: Range<Int>) -> Text {
        @inline(__always) get {
            precondition(range.lowerBound >= 0 && range.upperBound <= count, "text range out of range")
            return Text(start: start + range.lowerBound, count: range.count)
        }
    }

    @inlinable
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    @inline(__always)
    @inlinable
    public static func == (left: Text, right: Text) -> Bool {
        left.count == right.count && sluice_equal(left.start, right.start, left.count)
    }

    @inline(__always)
    @inlinable
    public static func == (left: Text, right: StaticString) -> Bool { left == Text(right) }

    @inline(__always)
    @inlinable
    public func hasPrefix(_ prefix: Text) -> Bool {
        count >= prefix.count && sluice_equal(start, prefix.start, prefix.count)
    }

    @inlinable
    public func hasPrefix(_ prefix: StaticString) -> Bool { hasPrefix(Text(prefix)) }

    @inlinable
    public func hasSuffix(_ suffix: Text) -> Bool {
        count >= suffix.count && sluice_equal(start + (count - suffix.count), suffix.start, suffix.count)
    }

    /// Index of the first `byte` at or behind `from`, nil when there is none.
    @inlinable
    public func firstIndex(of byte: UInt8, from: Int = 0) -> Int? {
        let hit = sluice_find(start, from, count, byte)
        return hit < 0 ? nil : hit
    }

    @inlinable
    public var isValidUTF8: Bool {
        @inline(__always) get { sluice_is_utf8(start.assumingMemoryBound(to: UInt8.self), count) }
    }

    /// Hash of an attribute key, for `KeyTable`.
    @inlinable
    public var keyHash: UInt64 {
        @inline(__always) get { sluice_key_hash(start.assumingMemoryBound(to: UInt8.self), count) }
    }

    /// The bytes in lower-case hexadecimal digits, as ids of traces and spans are written.
    public var hexDigits: String {
        String(unsafeUninitializedCapacity: count * 2) { digits in
            for index in 0..<count {
                digits[index * 2] = Text.digit(self[index] >> 4)
                digits[index * 2 + 1] = Text.digit(self[index] & 15)
            }
            return count * 2
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

    /// A String copy; broken UTF-8 is repaired. For logs, errors and rows, not for the hot path.
    @inlinable
    public var string: String {
        String(decoding: bytes, as: UTF8.self)
    }
}
