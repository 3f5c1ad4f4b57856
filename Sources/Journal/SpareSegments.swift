/// Files of finished segments that the writer may write over: their blocks are allocated already, and are there when
/// the disk is full. A value without effects.
///
/// What a backlog leaves behind is many of them. Freeing their blocks at once makes every sync of the file system wait,
/// that of an append too, so those that are too many go in steps, and slowly while appends come in. New segments take
/// them first, so that they never make the journal's directory larger than its backlog was.
struct SpareSegments: Sendable {
    /// How many a journal keeps for good.
    static let kept = 2
    /// How many are let be while appends come in: about as many as they take until the next round.
    static let keptWhileBusy = 8
    /// Most bytes that are freed at once, and in a round while appends come in.
    static let stepBytes = 8 << 20
    /// Steps of a round while none do.
    static let stepsPerRound = 32

    private var paths: [String]
    /// The file that goes at present.
    private(set) var leaving: String?

    /// `paths` are files that an earlier life has left.
    init(_ paths: [String] = []) { self.paths = paths }

    mutating func add(_ path: String) { paths.append(path) }

    /// The newest one, to be written over.
    mutating func take() -> String? { paths.popLast() }

    /// True when there are more than are kept, so that another round is needed.
    var hasSurplus: Bool { leaving != nil || paths.count > Self.kept }

    /// The file of which blocks are to be freed next, until `left` is called.
    mutating func nextLeaving(isBusy: Bool) -> String? {
        if leaving == nil, paths.count > (isBusy ? Self.keptWhileBusy : Self.kept) { leaving = paths.removeFirst() }
        return leaving
    }

    /// The file that was to go is gone.
    mutating func left() { leaving = nil }

    /// All of them, when the journal ends.
    mutating func takeAll() -> [String] {
        defer {
            paths = []
            leaving = nil
        }
        return paths + (leaving.map { [$0] } ?? [])
    }
}
