/// Small number of a known attribute key; zero means the key is not in the table.
public struct KeyID: BitwiseCopyable, Hashable, Sendable {
    public let value: UInt16

    @inline(__always)
    @inlinable
    public init(_ value: UInt16) { self.value = value }

    @inlinable public static var unknown: KeyID { KeyID(0) }
}

/// The attribute keys that any component of a gateway asks for, each with its number.
///
/// Components intern their keys while the gateway is built; then the table is frozen and every decoder resolves keys
/// with one hash and one comparison, so that processors compare integers.
public final class KeyTable: Sendable {
    /// Collects keys before decoding starts. At most 65,534 keys.
    public struct Builder {
        private var ids: [String: UInt16] = [:]
        private var names: [String] = []
        public init() {}

        /// The number of this key, given on first use.
        public mutating func intern(_ name: String) -> KeyID {
            if let id = ids[name] { return KeyID(id) }
            precondition(names.count < 65_534, "too many attribute keys")
            names.append(name)
            let id = UInt16(names.count)
            ids[name] = id
            return KeyID(id)
        }
        /// The table of all keys that were asked for until now.
        public func build() -> KeyTable { KeyTable(names: names) }
    }

    /// Names in order of their numbers; index 0 is number 1.
    public let names: [String]
    // Written once in init, read-only afterwards and freed in deinit: sharing them between threads is safe.
    nonisolated(unsafe) public let arena: UnsafeMutableRawPointer
    public let arenaCount: Int
    nonisolated(unsafe) public let places: UnsafeMutablePointer<TextRef>
    nonisolated(unsafe) public let slots: UnsafeMutablePointer<UInt16>
    public let mask: UInt64

    private init(names: [String]) {
        self.names = names
        arenaCount = names.reduce(0) { $0 + $1.utf8.count }
        arena = .allocate(byteCount: arenaCount + 16, alignment: 16)
        places = .allocate(capacity: names.count + 1)
        places[0] = TextRef(offset: TextRef.keyRegion, length: 0)
        var slotCount = 64
        while slotCount < names.count * 4 { slotCount *= 2 }
        slots = .allocate(capacity: slotCount)
        slots.initialize(repeating: 0, count: slotCount)
        mask = UInt64(slotCount - 1)
        var offset = 0
        for (index, name) in names.enumerated() {
            let length = name.utf8.count
            var copy = name
            copy.withUTF8 {
                UnsafeMutableRawBufferPointer(start: arena + offset, count: length).copyMemory(from: .init($0))
            }
            places[index + 1] = TextRef(offset: TextRef.keyRegion | UInt32(offset), length: UInt32(length))
            var slot = Text(start: UnsafeRawPointer(arena + offset), count: length).keyHash & mask
            while slots[Int(slot)] != 0 { slot = (slot &+ 1) & mask }
            slots[Int(slot)] = UInt16(index + 1)
            offset += length
        }
    }

    deinit {
        arena.deallocate()
        places.deallocate()
        slots.deallocate()
    }

    /// A table without keys.
    public static let empty = Builder().build()

    @inlinable
    public var count: Int { names.count }

    /// The number of `key`, or `unknown`.
    @inline(__always)
    @inlinable
    public func id(of key: Text) -> KeyID {
        var slot = key.keyHash & mask
        while true {
            let candidate = slots[Int(slot)]
            if candidate == 0 { return .unknown }
            if text(of: places[Int(candidate)]) == key { return KeyID(candidate) }
            slot = (slot &+ 1) & mask
        }
    }

    /// Where the name of `id` lies; the reference is good in every batch that uses this table.
    @inlinable
    public func reference(of id: KeyID) -> TextRef {
        precondition(Int(id.value) <= names.count)
        return places[Int(id.value)]
    }

    @inlinable
    public func name(of id: KeyID) -> String { id == .unknown ? "" : names[Int(id.value) - 1] }

    /// The text that a reference into the table's own bytes means.
    @inlinable @inline(__always)
    public func text(of reference: TextRef) -> Text {
        let offset = Int(reference.offset & TextRef.offsetMask)
        precondition(offset + Int(reference.length) <= arenaCount)
        return Text(start: UnsafeRawPointer(arena + offset), count: Int(reference.length))
    }
}
