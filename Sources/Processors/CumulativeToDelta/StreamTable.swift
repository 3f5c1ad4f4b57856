/// The last point of each stream by key, in the order in which streams were seen.
struct StreamTable: Sendable {
    /// The last point of a stream.
    struct Last: Sendable {
        /// Unix nanoseconds.
        var time: UInt64
        var value: CountedValue
        /// Tells this point from all others of the table.
        var stamp: UInt64
    }

    private struct Slot: Sendable {
        var key: StreamKey
        var last: Last
        /// When a point came, Unix nanoseconds of the gateway's clock.
        var seen: Int64
        /// The slots of the streams that were seen before and after.
        var older = StreamTable.nowhere
        var newer = StreamTable.nowhere
    }

    /// What a stream takes beside its buckets: its slot, its place in the dictionary, and room in both to grow.
    static let streamBytes = 160

    private static let nowhere: Int32 = -1

    private var places: [StreamKey: Int32] = [:]
    private var slots: [Slot] = []
    private var free: [Int32] = []
    private var oldest = StreamTable.nowhere
    private var newest = StreamTable.nowhere
    /// What all streams take, about.
    private(set) var bytes = 0

    var count: Int { places.count }

    /// When the stream that was not seen for longest was seen; nil without streams.
    var oldestSeen: Int64? { oldest == StreamTable.nowhere ? nil : slots[Int(oldest)].seen }

    func last(_ key: StreamKey) -> Last? {
        guard let place = places[key] else { return nil }
        return slots[Int(place)].last
    }

    /// Sets the last point of a stream, which is seen `now`.
    mutating func set(_ last: Last, of key: StreamKey, now: Int64) {
        if let place = places[key] {
            restore(last, of: key)
            slots[Int(place)].seen = now
            unlink(place)
            link(place)
            return
        }
        let slot = Slot(key: key, last: last, seen: now)
        let place: Int32
        if let freed = free.popLast() {
            place = freed
            slots[Int(place)] = slot
        } else {
            place = Int32(slots.count)
            slots.append(slot)
        }
        places[key] = place
        bytes += StreamTable.streamBytes + last.value.bytes
        link(place)
    }

    /// Sets the last point of a stream that is there; when it was seen stays.
    mutating func restore(_ last: Last, of key: StreamKey) {
        guard let place = places[key] else { return }
        bytes += last.value.bytes - slots[Int(place)].last.value.bytes
        slots[Int(place)].last = last
    }

    mutating func remove(_ key: StreamKey) {
        guard let place = places.removeValue(forKey: key) else { return }
        unlink(place)
        bytes -= StreamTable.streamBytes + slots[Int(place)].last.value.bytes
        // Lets go of the buckets.
        slots[Int(place)].last.value = .int(0)
        free.append(place)
    }

    mutating func removeOldest() {
        if oldest != StreamTable.nowhere { remove(slots[Int(oldest)].key) }
    }

    // MARK: Order

    private mutating func unlink(_ place: Int32) {
        let (older, newer) = (slots[Int(place)].older, slots[Int(place)].newer)
        if older == StreamTable.nowhere { oldest = newer } else { slots[Int(older)].newer = newer }
        if newer == StreamTable.nowhere { newest = older } else { slots[Int(newer)].older = older }
    }

    /// Puts a slot that is not linked behind all others.
    private mutating func link(_ place: Int32) {
        slots[Int(place)].older = newest
        slots[Int(place)].newer = StreamTable.nowhere
        if newest == StreamTable.nowhere { oldest = place } else { slots[Int(newest)].newer = place }
        newest = place
    }
}
