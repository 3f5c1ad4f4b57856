/// How many deliveries may begin: as many as are allowed to run at once, less those that ended but are not known to be
/// in the cursor's file. So what a kill repeats is never more than what may run at once, and one write of the file
/// serves many deliveries. A value without effects.
struct DeliveryWindow: Sendable {
    /// Bytes under way of a backlog that is delivered beside what comes in: enough for a destination that answers at
    /// once. More would hold up for as long who waits for the same processor.
    static let sparingBytes = 96 << 10
    /// What the quickest delivery to such a destination takes at most: with two under way that is 100 MB/s.
    static let quickness = Duration.milliseconds(1)
    /// A delivery that takes twice as long waits for its destination, and what follows no longer for it.
    static let lateness = Duration.milliseconds(5)
    /// As many deliveries tell whether a destination answers at once.
    static let judgedBy = 16

    let width: Int
    let bytesMax: Int
    /// What is to be delivered is of a backlog, see `StoredFrame.isPaced`.
    var isSparing = false
    /// Somebody calls `passTime` when `lateness` is over.
    var isTimed = false
    /// Deliveries in the order of their count: begun, taken notice of at their end, and in the cursor's file.
    private(set) var begun = 0
    private(set) var reaped = 0
    var written: Int
    private(set) var bytes = 0
    /// What runs of those that began since time passed last, and of those that began since it did before that. Older
    /// ones are late.
    private var young = Begun()
    private var grown = Begun()

    /// Whether the destination answers at once, and what the deliveries took that will tell it next.
    private var isQuick = false
    private var judged: [Duration] = []

    private struct Begun {
        /// The number of the last one before them.
        var before = 0
        var running = 0
        var bytes = 0
    }

    init(width: Int, bytesMax: Int) {
        self.width = width
        self.bytesMax = bytesMax
        // Somebody else may have delivered from this cursor just now.
        written = -width
    }

    var running: Int { begun - reaped }

    /// Whether a delivery of so many bytes has to wait for the end of another.
    func isFull(for size: Int) -> Bool { running > 0 && (running >= width || bytes + size > bytesMax) }

    /// Whether it has to wait for the end of another, or until that is late.
    func mustSpare(for size: Int) -> Bool {
        isSparing && isQuick && young.running + grown.running > 1
            && young.bytes + grown.bytes + size > Self.sparingBytes
    }

    /// Whether the cursor's file has to be written before another one begins.
    var mustWrite: Bool { begun - written >= width }

    /// Gives the number of the delivery.
    mutating func begin(_ size: Int) -> Int {
        begun += 1
        bytes += size
        young.running += 1
        young.bytes += size
        return begun
    }

    mutating func end(_ number: Int, _ size: Int, took: Duration) {
        judge(took)
        reaped += 1
        bytes -= size
        if number > young.before {
            young.running -= 1
            young.bytes -= size
        } else if number > grown.before {
            grown.running -= 1
            grown.bytes -= size
        }
    }

    private mutating func judge(_ took: Duration) {
        judged.append(took)
        guard judged.count == Self.judgedBy, let least = judged.min(), let most = judged.max() else { return }
        isQuick = least <= Self.quickness && most <= Self.lateness * 2
        judged.removeAll(keepingCapacity: true)
    }

    /// What has run since this was called last has had its time.
    mutating func passTime() {
        isTimed = false
        if grown.running > 0 {
            isQuick = false
            judged.removeAll(keepingCapacity: true)
        }
        grown = young
        young = Begun(before: begun)
    }

    /// None runs any more.
    mutating func endAll() {
        reaped = begun
        bytes = 0
        isTimed = false
        grown = Begun(before: begun)
        young = grown
    }
}
