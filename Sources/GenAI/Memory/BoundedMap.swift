/// A map with a bounded number of entries: the ones not used for longest leave, a quarter at a time.
///
/// With `tracksChanges` it knows what changed since `keep`: that can be written, or taken back. Until then nothing
/// leaves, so it is over its bound by what one batch adds at most.
package struct BoundedMap<Value: Sendable>: Sendable {
    private struct Entry {
        var value: Value
        /// When it was used last.
        var stamp: UInt64
    }

    /// What an entry was before it was set or used.
    private struct Change {
        var key: UInt64
        var before: Entry?
        var isSet: Bool
    }

    private var entries: [UInt64: Entry] = [:]
    private var clock: UInt64 = 0
    private var changes: [Change] = []
    private let capacity: Int
    private let tracksChanges: Bool

    package init(capacity: Int, tracksChanges: Bool = false) {
        self.capacity = max(capacity, 4)
        self.tracksChanges = tracksChanges
    }

    package var count: Int { entries.count }

    /// All entries, those used last at the end.
    package var all: [(key: UInt64, value: Value)] {
        entries.sorted { $0.value.stamp < $1.value.stamp }.map { ($0.key, $0.value.value) }
    }

    /// The value of a key; does not count as use.
    package func peek(_ key: UInt64) -> Value? { entries[key]?.value }

    /// The value of a key, and a note that it was used.
    package mutating func use(_ key: UInt64) -> Value? {
        guard let entry = entries[key] else { return nil }
        if tracksChanges { changes.append(Change(key: key, before: entry, isSet: false)) }
        clock += 1
        entries[key]?.stamp = clock
        return entry.value
    }

    /// Sets the value of a key, which counts as use. Others may leave.
    package mutating func set(_ key: UInt64, _ value: Value) {
        if tracksChanges { changes.append(Change(key: key, before: entries[key], isSet: true)) }
        clock += 1
        entries[key] = Entry(value: value, stamp: clock)
        if !tracksChanges { forgetOldest() }
    }

    private mutating func forgetOldest() {
        guard entries.count > capacity else { return }
        let kept = capacity - capacity / 4
        let stamps = entries.values.map(\.stamp).sorted()
        let oldest = stamps[stamps.count - kept]
        entries = entries.filter { $0.value.stamp >= oldest }
    }

    // MARK: Changes

    /// Keeps what changed.
    package mutating func keep() {
        if changes.isEmpty { return }
        changes.removeAll(keepingCapacity: changes.count <= 256)
        forgetOldest()
    }

    /// Takes back what changed.
    package mutating func undo() {
        for change in changes.reversed() { entries[change.key] = change.before }
        changes.removeAll(keepingCapacity: changes.count <= 256)
    }
}

/// Writing a map so that it can be brought back. An entry, numbers in little endian; without a size it was only used:
///
///     map u8 | key u64 | size + 1 u32 | value
extension BoundedMap where Value: MemoryValue {
    /// Writes what changed since `keep`, those used last at the end.
    package func writeChanges(as map: UInt8, to writer: inout MemoryWriter) {
        if changes.isEmpty { return }
        var isSet: [UInt64: Bool] = [:]
        for change in changes { isSet[change.key] = change.isSet || isSet[change.key] == true }
        let found = isSet.compactMap { key, isSet in entries[key].map { (key: key, entry: $0, isSet: isSet) } }
        for (key, entry, isSet) in found.sorted(by: { $0.entry.stamp < $1.entry.stamp }) {
            writer.entry(map, key, isSet ? entry.value : nil)
        }
    }

    /// Writes everything, those used last at the end. `part` gets pieces of some size, each of whole entries.
    package func writeAll(as map: UInt8, _ part: ([UInt8]) -> Void) {
        var writer = MemoryWriter()
        for (key, value) in all {
            writer.entry(map, key, value)
            guard writer.bytes.count >= MemoryWriter.partBytes else { continue }
            part(writer.bytes)
            writer.bytes.removeAll(keepingCapacity: true)
        }
        if !writer.bytes.isEmpty { part(writer.bytes) }
    }

    /// Brings one entry back. False when its value cannot be read. `keep` when all are back.
    package mutating func restore(_ entry: MemoryEntry) -> Bool {
        guard let bytes = entry.value else {
            _ = use(entry.key)
            return true
        }
        var reader = MemoryReader(bytes)
        guard let value = Value(&reader), reader.isAtEnd else { return false }
        set(entry.key, value)
        return true
    }
}
