import CSupport
import Exporters
import OTLP
import Pipeline
import Telemetry

/// Where the spans of gathered traces lie in the journal: a few words per piece, while the spans stay where they are.
///
/// A value. Pieces of one trace are a chain of numbers; what stands around spans is kept once for all that share it.
struct PieceStore {
    /// Neighbouring spans of one trace in one frame.
    fileprivate struct Piece {
        var frame: Int32
        /// Place in the frame's bytes.
        var offset: UInt32
        var length: UInt32
        var items: UInt32
        var checksum: UInt32
        /// What stands around the spans; -1 when the piece is a whole request.
        var resource: Int32
        var scope: Int32
        var next: Int32 = -1
    }

    private struct Frame {
        var place: FramePlace
        /// Headers kept with the frame.
        var metadata: RequestMetadata
        var ticket: AcknowledgementTracker.Ticket
        var openPieces: Int
        /// What stands beside the resources of the request; -1 when nothing does.
        var unknown: Int32

        /// Estimated bytes of memory.
        var cost: Int { Frame.cost(metadata) }

        static func cost(_ metadata: RequestMetadata) -> Int {
            metadata.fields.reduce(PieceStore.frameCost) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        }
    }

    private struct Head {
        var bytes: [UInt8]
        var uses: Int
    }

    /// The pieces of one trace in the order in which they came.
    struct List {
        fileprivate(set) var first: Int32
        fileprivate(set) var last: Int32
        fileprivate(set) var count = 1
    }

    /// Estimated bytes of memory per piece and per frame with an open piece: this store's, the tracker's, the cursor's.
    static let pieceCost = MemoryLayout<Piece>.stride + 4
    static let frameCost = 160
    private static let headCost = 120
    /// Tag and length of a field.
    private static let fieldBytes = 6

    private var pieces = Slots<Piece>()
    private var frames = Slots<Frame>()
    private var heads = Slots<Head>()
    private var headNumbers: [[UInt8]: Int32] = [:]
    /// Memory of frames and heads, which traces share.
    private(set) var sharedCost = 0
    /// Frames with fields beside their resources.
    private var framesWithUnknown = 0

    // MARK: Adding

    /// Most bytes of memory that a request takes here: less when heads are known.
    static func cost(of index: borrowing TraceIndex, _ metadata: RequestMetadata) -> Int {
        var cost = Frame.cost(metadata) + index.runs.count * pieceCost
        for number in 0..<index.resourceCount { cost += headCost + index.resource(number).count }
        for number in 0..<index.scopeCount { cost += headCost + index.scope(number).count }
        if !index.unknown.isEmpty { cost += headCost + index.unknown.count }
        return cost
    }

    /// Begins a frame of which `count` pieces are to be added; at least one. `unknown` is what its request holds beside
    /// the resources, of which every trace of it gets a copy.
    mutating func addFrame(
        _ place: FramePlace, _ metadata: RequestMetadata, _ ticket: AcknowledgementTracker.Ticket, pieces count: Int,
        unknown: Text = .empty
    ) -> Int32 {
        var frame = Frame(place: place, metadata: metadata, ticket: ticket, openPieces: count, unknown: -1)
        if !unknown.isEmpty {
            frame.unknown = head(unknown)
            heads[frame.unknown].uses += 1
            framesWithUnknown += 1
        }
        sharedCost += frame.cost
        return frames.insert(frame)
    }

    /// The number of a head that pieces are about to use; kept while they do.
    mutating func head(_ text: Text) -> Int32 {
        let bytes = [UInt8](text.bytes)
        if let number = headNumbers[bytes] { return number }
        sharedCost += PieceStore.headCost + bytes.count
        let number = heads.insert(Head(bytes: bytes, uses: 0))
        headNumbers[bytes] = number
        return number
    }

    /// Adds a run of spans of `request`, the bytes of `frame`, as a list of its own.
    mutating func add(_ run: TraceIndex.Run, of request: Text, frame: Int32, resource: Int32, scope: Int32) -> List {
        let bytes = request[run.bytes].bytes
        if resource >= 0 { heads[resource].uses += 1 }
        if scope >= 0 { heads[scope].uses += 1 }
        let number = pieces.insert(
            Piece(
                frame: frame, offset: UInt32(truncatingIfNeeded: run.bytes.lowerBound),
                length: UInt32(truncatingIfNeeded: run.bytes.count), items: UInt32(truncatingIfNeeded: run.items),
                checksum: sluice_crc32c(0, bytes.baseAddress, bytes.count), resource: resource, scope: scope))
        return List(first: number, last: number)
    }

    mutating func append(_ other: List, to list: inout List) {
        pieces[list.last].next = other.first
        list.last = other.last
        list.count += other.count
    }

    // MARK: Reading

    /// What to read for the spans of a list.
    func parts(of list: List, into parts: inout [FramePart]) {
        var number = list.first
        while number >= 0 {
            let piece = pieces[number]
            parts.append(
                FramePart(
                    place: frames[piece.frame].place, offset: Int(piece.offset), length: Int(piece.length),
                    checksum: piece.checksum))
            number = piece.next
        }
    }

    /// Appends a request of the pieces of a list, whose bytes were read as `parts(of:)` says; the first of them was
    /// part `index` of the reading, in which those of `missing` could not be read. Neighbours under the same resource
    /// share it, and so with scopes. What their requests hold beside the resources is behind these. Returns how many
    /// spans are missing.
    func assemble(
        _ list: List, _ bytes: Text, firstPart index: Int, missing: Set<Int>, into output: inout ByteColumn
    ) -> Int {
        var lost = 0
        var place = Place(number: list.first, part: index, byte: 0)
        while place.number >= 0 {
            let resource = pieces[place.number].resource
            let size = scopesSize(from: place, missing)
            if size > 0 {
                heads[resource].bytes.withUnsafeBytes {
                    TraceAssembly.begin(resource: Text($0), scopesSize: size, in: &output)
                }
            }
            repeat {
                let run = neighbours(from: place, missing)
                if run.size > 0, resource >= 0 {
                    heads[pieces[place.number].scope].bytes.withUnsafeBytes {
                        TraceAssembly.begin(scope: Text($0), spansSize: run.size, in: &output)
                    }
                }
                lost += run.lost
                copy(bytes, from: place, to: run.end, missing, into: &output)
                place = run.end
            } while place.number >= 0 && resource >= 0 && pieces[place.number].resource == resource
        }
        if framesWithUnknown > 0 { appendUnknown(of: list, firstPart: index, missing, into: &output) }
        return lost
    }

    private func appendUnknown(
        of list: List, firstPart index: Int, _ missing: Set<Int>, into output: inout ByteColumn
    ) {
        var (number, part) = (list.first, index)
        var before: Int32 = -1
        while number >= 0 {
            let others = unknown(beside: pieces[number])
            if others >= 0, others != before, !missing.contains(part) {
                heads[others].bytes.withUnsafeBytes { output.append($0) }
                before = others
            }
            (number, part) = (pieces[number].next, part + 1)
        }
    }

    /// The number of what stands beside the resources of a piece's request; -1 when nothing does, and for a piece that
    /// is the whole request, which has it.
    private func unknown(beside piece: Piece) -> Int32 { piece.resource < 0 ? -1 : frames[piece.frame].unknown }

    /// A piece in the reading of a list.
    private struct Place {
        var number: Int32
        var part: Int
        var byte: Int
    }

    /// The pieces from `place` on that stand under the same heads; one that is a request of its own stands alone.
    private func neighbours(from place: Place, _ missing: Set<Int>) -> (size: Int, lost: Int, end: Place) {
        let first = pieces[place.number]
        var run = (size: 0, lost: 0, end: place)
        repeat {
            let piece = pieces[run.end.number]
            if missing.contains(run.end.part) { run.lost += Int(piece.items) } else { run.size += Int(piece.length) }
            run.end = Place(
                number: piece.next, part: run.end.part + 1, byte: run.end.byte + Int(piece.length))
        } while run.end.number >= 0 && first.resource >= 0 && pieces[run.end.number].resource == first.resource
            && pieces[run.end.number].scope == first.scope
        return run
    }

    /// Bytes of the scopes that stand under the resource of the piece at `place` and its neighbours; 0 without one.
    private func scopesSize(from place: Place, _ missing: Set<Int>) -> Int {
        let resource = pieces[place.number].resource
        guard resource >= 0 else { return 0 }
        var place = place
        var size = 0
        repeat {
            let run = neighbours(from: place, missing)
            if run.size > 0 {
                size += heads[pieces[place.number].scope].bytes.withUnsafeBytes {
                    TraceAssembly.scopeSize(scope: Text($0), spansSize: run.size)
                }
            }
            place = run.end
        } while place.number >= 0 && pieces[place.number].resource == resource
        return size
    }

    private func copy(
        _ bytes: Text, from start: Place, to end: Place, _ missing: Set<Int>, into output: inout ByteColumn
    ) {
        if missing.isEmpty { return output.append(bytes[start.byte..<end.byte]) }
        var place = start
        while place.part < end.part {
            let piece = pieces[place.number]
            let next = place.byte + Int(piece.length)
            if !missing.contains(place.part) { output.append(bytes[place.byte..<next]) }
            place = Place(number: piece.next, part: place.part + 1, byte: next)
        }
    }

    /// Bytes, or a little more, that stand around the spans of a list of one piece in a request which has another list
    /// before it.
    func headBytes(of list: List, after other: List?) -> Int {
        let piece = pieces[list.first]
        guard piece.resource >= 0 else { return 0 }
        let before = other.map { pieces[$0.last] }
        let others = unknown(beside: piece)
        let sharesOthers = others < 0 || before.map { unknown(beside: $0) } == others
        var bytes = sharesOthers ? 0 : heads[others].bytes.count
        let sharesResource = before?.resource == piece.resource
        if sharesResource, before?.scope == piece.scope { return bytes }
        bytes += heads[piece.scope].bytes.count + PieceStore.fieldBytes
        return sharesResource ? bytes : bytes + heads[piece.resource].bytes.count + PieceStore.fieldBytes
    }

    // MARK: Removing

    /// Lets go of the pieces of a list and settles them. Gives the sequence before which everything is settled by that,
    /// if it moved.
    mutating func release(_ list: List, settling tracker: inout AcknowledgementTracker) -> Sequence? {
        var moved: Sequence?
        var number = list.first
        while number >= 0 {
            let piece = pieces[number]
            let ticket = frames[piece.frame].ticket
            moved = tracker.settle(ticket, items: Int(piece.items)).acknowledged ?? moved
            if piece.resource >= 0 { dropUse(of: piece.resource) }
            if piece.scope >= 0 { dropUse(of: piece.scope) }
            frames[piece.frame].openPieces -= 1
            if frames[piece.frame].openPieces == 0 { removeFrame(piece.frame) }
            pieces.remove(number)
            number = piece.next
        }
        return moved
    }

    private mutating func removeFrame(_ number: Int32) {
        sharedCost -= frames[number].cost
        let unknown = frames[number].unknown
        if unknown >= 0 {
            dropUse(of: unknown)
            framesWithUnknown -= 1
        }
        frames.remove(number)
    }

    private mutating func dropUse(of head: Int32) {
        heads[head].uses -= 1
        guard heads[head].uses == 0 else { return }
        let bytes = heads[head].bytes
        headNumbers[bytes] = nil
        heads.remove(head)
        sharedCost -= PieceStore.headCost + bytes.count
    }

    /// The headers kept with the frame of the list's first piece: spans that came with others join those.
    func metadata(of list: List) -> RequestMetadata { frames[pieces[list.first].frame].metadata }

    /// The journal sequence behind the frame of the list's first piece, which is its earliest.
    func firstEnd(of list: List) -> Sequence { frames[pieces[list.first].frame].ticket.end }
}

/// Values under small numbers that are given out again.
struct Slots<Element> {
    private var elements: [Element] = []
    private var free: [Int32] = []

    var count: Int { elements.count - free.count }

    subscript(number: Int32) -> Element {
        get { elements[Int(number)] }
        _modify { yield &elements[Int(number)] }
    }

    mutating func insert(_ element: Element) -> Int32 {
        if let number = free.popLast() {
            elements[Int(number)] = element
            return number
        }
        elements.append(element)
        return Int32(elements.count - 1)
    }

    /// The element stays until the number is given out again. The last one takes all memory with it.
    mutating func remove(_ number: Int32) {
        free.append(number)
        guard free.count == elements.count else { return }
        elements = []
        free = []
    }
}
