/// One stamp per attribute name. Marked from looks that change nothing else, hence a class around raw memory.
// Unchecked because it belongs to one normalizer, which is used by one thread at a time.
final class NameMarks: @unchecked Sendable {
    private let stamps: UnsafeMutablePointer<UInt32>
    private let count: Int

    init(count: Int) {
        self.count = count
        stamps = .allocate(capacity: max(count, 1))
        stamps.initialize(repeating: 0, count: max(count, 1))
    }

    deinit { stamps.deallocate() }

    @inline(__always)
    func mark(_ name: NameID, _ stamp: UInt32) {
        if Int(name.value) < count { stamps[Int(name.value)] = stamp }
    }

    func isMarked(_ name: NameID, _ stamp: UInt32) -> Bool {
        Int(name.value) < count && stamps[Int(name.value)] == stamp
    }

    func clear() { stamps.update(repeating: 0, count: count) }
}
