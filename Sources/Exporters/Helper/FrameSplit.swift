import CSupport
import OTLP
import Pipeline
import Telemetry

/// Cuts a frame that is larger than one delivery may be into valid requests.
enum FrameSplit {
    /// A piece of a frame: a request of its own.
    struct Piece: Equatable {
        var items: Int
        var bytes: [UInt8]
        /// Items of the frame before it.
        var start = 0

        /// The place of its items in the frame.
        var place: Range<Int> { start..<start + items }
    }

    /// What of a frame is to be delivered, in pieces and in order; usually the frame itself. A single record that is
    /// larger than the limit stays whole: the exporter decides about it.
    static func pieces(of stored: StoredFrame, batch: BatchOptions?, bytesMax: Int) -> [Piece] {
        let (bytes, header) = (stored.frame.bytes, stored.frame.header)
        let whole = Piece(items: Int(header.itemCount), bytes: bytes)
        let all = pieces(of: whole, header.signal, batch, bytesMax)
        if stored.done.isEmpty { return all }
        // Cut as before, so that a destination that knows pieces by what they hold knows them again.
        let rest = all.flatMap { open($0, header.signal, without: stored.done) }
        return rest.isEmpty ? all : rest
    }

    /// What of a piece is not done, in pieces; all of it when it cannot be cut.
    private static func open(_ piece: Piece, _ signal: Signal, without done: [Range<Int>]) -> [Piece] {
        let here = JournaledRecords.clamped(done, to: piece.place)
        if here.isEmpty { return [piece] }
        let gaps = JournaledRecords.gaps(
            between: here.map { $0.lowerBound - piece.start..<$0.upperBound - piece.start }, of: piece.items)
        guard let kept = OTLPSplitter.keep(gaps, of: piece.bytes, signal: signal) else {
            return gaps.isEmpty ? [] : [piece]
        }
        return runs(gaps[...], of: kept, signal, start: piece.start) ?? [piece]
    }

    /// Each gap of `bytes`, which hold these gaps and nothing else, as a piece. In halves, so that very many cost a
    /// reading of all for each doubling rather than one for each.
    private static func runs(
        _ gaps: ArraySlice<Range<Int>>, of bytes: [UInt8], _ signal: Signal, start: Int
    ) -> [Piece]? {
        guard gaps.count > 1 else {
            return gaps.map { Piece(items: $0.count, bytes: bytes, start: start + $0.lowerBound) }
        }
        let middle = gaps.startIndex + gaps.count / 2
        let border = gaps[..<middle].reduce(0) { $0 + $1.count }
        let count = gaps[middle...].reduce(border) { $0 + $1.count }
        guard let left = OTLPSplitter.keep([0..<border], of: bytes, signal: signal),
            let right = OTLPSplitter.keep([border..<count], of: bytes, signal: signal),
            let before = runs(gaps[..<middle], of: left, signal, start: start),
            let behind = runs(gaps[middle...], of: right, signal, start: start)
        else { return nil }
        return before + behind
    }

    private static func pieces(of whole: Piece, _ signal: Signal, _ batch: BatchOptions?, _ limit: Int) -> [Piece] {
        var itemsMax = Int.max
        var bytesMax = limit
        if let batch, batch.maxSize > 0 {
            switch batch.sizer {
            case .items: itemsMax = batch.maxSize
            case .bytes: bytesMax = min(bytesMax, batch.maxSize)
            }
        }
        guard whole.items > 1, whole.items > itemsMax || whole.bytes.count > bytesMax else { return [whole] }
        var result: [Piece] = []
        var open = [whole]
        var left = OTLPSplitter.bytesMax(ofParts: whole.bytes.count) - whole.bytes.count
        while let piece = open.popLast() {
            if piece.items <= 1 || (piece.items <= itemsMax && piece.bytes.count <= bytesMax) {
                result.append(piece)
                continue
            }
            let halves = split(piece, signal: signal, maxItems: min(itemsMax, (piece.items + 1) / 2))
            let growth = halves.reduce(-piece.bytes.count) { $0 + $1.bytes.count }
            // Where it cannot be cut, or where what is around its records is most of it, it stays.
            guard halves.count > 1, growth <= left else {
                result.append(piece)
                continue
            }
            left -= growth
            open.append(contentsOf: halves.reversed())
        }
        return balanced(result, like: whole) ?? [whole]
    }

    /// A batch as two: between two of its requests, whose numbers of records `requests` tells, so that what came
    /// together stays so and is known by it; within the request when there is one or nobody knows. None when it cannot
    /// be cut.
    static func halves(of batch: ExportBatch, requests: [Int]) -> [(batch: ExportBatch, requests: [Int])] {
        let count = batch.itemCount
        guard count > 1 else { return [] }
        var border = (count + 1) / 2
        var parts: [[Int]] = [[], []]
        if requests.count > 1, requests.reduce(0, +) == count, let cut = middle(of: requests) {
            border = requests[..<cut].reduce(0, +)
            parts = [Array(requests[..<cut]), Array(requests[cut...])]
        }
        let bytes = batch.bytes
        var halves: [(batch: ExportBatch, requests: [Int])] = []
        for (places, requests) in zip([0..<border, border..<count], parts) {
            guard let kept = OTLPSplitter.keep([places], of: bytes, signal: batch.signal) else { return [] }
            var half = batch.with(itemCount: places.count, bytes: kept)
            half.journaled = batch.journaled?.at(places)
            if batch.number != 0 { half.number = batch.number &+ UInt64(places.lowerBound) }
            halves.append((half, requests))
        }
        return halves
    }

    /// Before which request a batch is cut: the one that begins next to the middle of its records. Nil when all
    /// records are in one.
    private static func middle(of requests: [Int]) -> Int? {
        let count = requests.reduce(0, +)
        var best: (index: Int, distance: Int)?
        var start = 0
        for (index, items) in requests.enumerated() {
            let distance = abs(2 * start - count)
            if start > 0, start < count, distance < best?.distance ?? .max { best = (index, distance) }
            start += items
        }
        return best?.index
    }

    /// Where the records of each piece stand in the journal.
    static func places(of pieces: [Piece], in stored: StoredFrame) -> [JournaledRecords.Part] {
        let checksum = stored.frame.bytes.withUnsafeBytes { sluice_crc32c(0, $0.baseAddress, $0.count) }
        return pieces.map { piece in
            let records = UInt32(clamping: piece.place.lowerBound)..<UInt32(clamping: piece.place.upperBound)
            return JournaledRecords.Part(frame: stored.sequence.value, checksum: checksum, records: records)
        }
    }

    /// The batch without records that its destination has already, and how many those are. When it is no request that
    /// can be read all of it is to be written once more, as a batch of unknown place.
    static func without(_ committed: [JournaledRecords.Part], _ batch: ExportBatch) -> (count: Int, rest: ExportBatch?)
    {
        var unknown = batch
        unknown.journaled = nil
        guard let journaled = batch.journaled, journaled.count == batch.itemCount else { return (0, unknown) }
        let done = journaled.places(of: committed)
        let count = done.reduce(0) { $0 + $1.count }
        if count == batch.itemCount { return (count, nil) }
        let left = JournaledRecords.gaps(between: done, of: batch.itemCount)
        guard count > 0, let bytes = OTLPSplitter.keep(left, of: batch.bytes, signal: batch.signal) else {
            return (0, unknown)
        }
        var rest = batch.with(itemCount: batch.itemCount - count, bytes: bytes)
        rest.journaled = journaled
        rest.journaled?.parts = left.flatMap(journaled.parts(at:))
        return (count, rest)
    }

    /// The records at these places as one request; the whole batch when it cannot be read.
    static func part(_ places: [Range<Int>], of batch: ExportBatch) -> ExportBatch {
        let places = JournaledRecords.joined(places)
        guard let bytes = OTLPSplitter.keep(places, of: batch.bytes, signal: batch.signal) else { return batch }
        return batch.with(itemCount: places.reduce(0) { $0 + $1.count }, bytes: bytes)
    }

    /// The records at these places, each as a request of its own; as one request where the reader takes one out, and
    /// the whole batch when it cannot be read. Each carries where its records stood in the database, if that is
    /// known.
    static func records(
        _ records: Set<Int>, of batch: ExportBatch, places known: [Int: RowPlace] = [:]
    ) -> [ExportBatch] {
        let places = records.filter((0..<batch.itemCount).contains).sorted()
        func noted(_ part: ExportBatch, _ places: [Int]) -> ExportBatch {
            var part = part
            let stood = places.compactMap { known[$0] }
            part.rowPlaces = stood.count == part.itemCount ? stood : []
            return part
        }
        guard batch.itemCount > 1 else { return [noted(batch, places)] }
        if let each = OTLPSplitter.each(places, of: batch.bytes, signal: batch.signal) {
            return zip(places, each).map { noted(batch.with(itemCount: 1, bytes: $1), [$0]) }
        }
        let ranges = JournaledRecords.joined(places.map { $0..<$0 + 1 })
        guard let kept = OTLPSplitter.keep(ranges, of: batch.bytes, signal: batch.signal) else { return [batch] }
        return [noted(batch.with(itemCount: places.count, bytes: kept), places)]
    }

    private static func split(_ piece: Piece, signal: Signal, maxItems: Int) -> [Piece] {
        OTLPSplitter.split(piece.bytes, signal: signal, maxItems: maxItems).map {
            Piece(items: $0.items, bytes: $0.bytes)
        }
    }

    /// With their places. Nil when the pieces do not hold exactly the records of the whole, so that nothing is lost
    /// uncounted.
    private static func balanced(_ pieces: [Piece], like whole: Piece) -> [Piece]? {
        var start = whole.start
        let placed = pieces.map { piece in
            var placed = piece
            placed.start = start
            start += piece.items
            return placed
        }
        return start == whole.place.upperBound ? placed : nil
    }
}
