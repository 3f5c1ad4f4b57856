package import Pipeline
package import Telemetry

/// A frame, or a piece of one, on its way through the batcher.
package struct BatchPart: Sendable {
    package var signal: Signal
    package var tenant: String
    /// Headers by which the exporter's batches are parted.
    package var metadata: RequestMetadata
    package var items: Int
    package var bytes: [UInt8]
    package var ticket: AcknowledgementTracker.Ticket
    /// Items of its frame before its own.
    package var start: Int
    /// Time of the newest record, Unix nanoseconds, 0 when unknown.
    package var newest: UInt64
    /// Where its records stand in the journal, when the exporter asks for that.
    package var place: JournaledRecords.Part?

    package init(
        signal: Signal, tenant: String, metadata: RequestMetadata = RequestMetadata(), items: Int, bytes: [UInt8],
        ticket: AcknowledgementTracker.Ticket, start: Int = 0, newest: UInt64 = 0, place: JournaledRecords.Part? = nil
    ) {
        self.signal = signal
        self.tenant = tenant
        self.metadata = metadata
        self.items = items
        self.bytes = bytes
        self.ticket = ticket
        self.start = start
        self.newest = newest
        self.place = place
    }
}

/// What leaves in one delivery, and which frames it settles.
package struct PreparedBatch: Sendable {
    package var batch: ExportBatch
    /// Tickets with the items that each contributes, by their place in the ticket's frame.
    package var parts: [(ticket: AcknowledgementTracker.Ticket, items: Range<Int>)]
    /// Time of the newest record, Unix nanoseconds, 0 when unknown.
    package var newest: UInt64 = 0
    /// Where its records stand in the journal, when the exporter asks for that.
    package var places: [JournaledRecords.Part] = []

    /// For each part which of its items are at some places of the batch, by their place in the ticket's frame.
    func parted(_ places: [Range<Int>]) -> [(ticket: AcknowledgementTracker.Ticket, items: [Range<Int>])] {
        var start = 0
        return parts.map { part in
            defer { start += part.items.count }
            let here = JournaledRecords.clamped(places, to: start..<start + part.items.count)
            let shift = part.items.lowerBound - start
            return (part.ticket, here.map { $0.lowerBound + shift..<$0.upperBound + shift })
        }
    }
}

/// Groups frames into deliveries by size and age. What differs in signal, tenant or metadata is never
/// mixed.
///
/// A pure state machine: times are durations since any fixed origin. Concatenated frames are a valid request, so a
/// group leaves as its pieces.
package struct Batcher: Sendable {
    /// Most groups that are open at once; one more closes the oldest.
    package static let openGroupsMax = 64

    private struct Group {
        var parts: [BatchPart]
        var items: Int
        var bytes: Int
        var deadline: Duration
    }

    private let options: BatchOptions?
    /// Largest delivery in bytes, whatever the options say.
    private let bytesMax: Int
    /// In order of their oldest part, so the first has the nearest deadline.
    private var groups: [Group] = []

    /// `options` nil delivers every frame by itself.
    package init(_ options: BatchOptions?, bytesMax: Int) {
        self.options = options
        self.bytesMax = bytesMax
    }

    /// When the oldest group has to leave.
    package var deadline: Duration? { groups.first?.deadline }

    /// Takes the next part and appends what has to leave now to `ready`.
    package mutating func add(_ part: BatchPart, now: Duration, ready: inout [PreparedBatch]) {
        guard let options else {
            ready.append(Self.prepare([part]))
            return
        }
        if let index = index(of: part), exceeds(groups[index], adding: part, options) { close(index, &ready) }
        let index: Int
        if let open = self.index(of: part) {
            index = open
            groups[index].parts.append(part)
            groups[index].items += part.items
            groups[index].bytes += part.bytes.count
        } else {
            if groups.count == Self.openGroupsMax { close(0, &ready) }
            let deadline = now + options.flushTimeout
            groups.append(Group(parts: [part], items: part.items, bytes: part.bytes.count, deadline: deadline))
            index = groups.count - 1
        }
        let size = options.sizer == .items ? groups[index].items : groups[index].bytes
        if size >= options.minSize || groups[index].bytes >= bytesMax { close(index, &ready) }
    }

    /// Appends groups whose time is over to `ready`.
    package mutating func flush(now: Duration, ready: inout [PreparedBatch]) {
        while let first = groups.first, first.deadline <= now { close(0, &ready) }
    }

    /// Appends every open group to `ready`, as at shutdown.
    package mutating func flushAll(ready: inout [PreparedBatch]) {
        while !groups.isEmpty { close(0, &ready) }
    }

    private func index(of part: BatchPart) -> Int? {
        groups.firstIndex { group in
            let first = group.parts[0]
            return first.signal == part.signal && first.tenant == part.tenant && first.metadata == part.metadata
        }
    }

    private func exceeds(_ group: Group, adding part: BatchPart, _ options: BatchOptions) -> Bool {
        if group.bytes + part.bytes.count > bytesMax { return true }
        guard options.maxSize > 0 else { return false }
        switch options.sizer {
        case .items: return group.items + part.items > options.maxSize
        case .bytes: return group.bytes + part.bytes.count > options.maxSize
        }
    }

    private mutating func close(_ index: Int, _ ready: inout [PreparedBatch]) {
        ready.append(Self.prepare(groups.remove(at: index).parts))
    }

    private static func prepare(_ parts: [BatchPart]) -> PreparedBatch {
        return PreparedBatch(
            batch: ExportBatch(
                signal: parts[0].signal, itemCount: parts.reduce(0) { $0 + $1.items }, pieces: parts.map(\.bytes),
                tenant: parts[0].tenant, metadata: parts[0].metadata),
            parts: parts.map { ($0.ticket, $0.start..<$0.start + $0.items) },
            newest: parts.reduce(0) { max($0, $1.newest) },
            places: parts.compactMap(\.place))
    }
}
