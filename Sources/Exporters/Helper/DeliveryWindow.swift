/// How many deliveries may begin: as many as are allowed to run at once, less those that ended but are not known to be
/// in the cursor's file. So what a kill repeats is never more than what may run at once, and one write of the file
/// serves many deliveries. A value without effects.
struct DeliveryWindow: Sendable {
    let width: Int
    let bytesMax: Int
    /// Deliveries in the order of their count: begun, taken notice of at their end, and in the cursor's file.
    private(set) var begun = 0
    private(set) var reaped = 0
    var written: Int
    private(set) var bytes = 0

    init(width: Int, bytesMax: Int) {
        self.width = width
        self.bytesMax = bytesMax
        // Somebody else may have delivered from this cursor just now.
        written = -width
    }

    var running: Int { begun - reaped }

    /// Whether a delivery of so many bytes has to wait for the end of another.
    func isFull(for size: Int) -> Bool { running > 0 && (running >= width || bytes + size > bytesMax) }

    /// Whether the cursor's file has to be written before another one begins.
    var mustWrite: Bool { begun - written >= width }

    mutating func begin(_ size: Int) {
        begun += 1
        bytes += size
    }

    mutating func end(_ size: Int) {
        reaped += 1
        bytes -= size
    }

    /// None runs any more.
    mutating func endAll() {
        reaped = begun
        bytes = 0
    }
}
