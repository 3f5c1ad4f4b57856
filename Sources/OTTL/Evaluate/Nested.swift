import OTLP
import Telemetry

/// A value inside of a list or map. Of one that may come in several pieces `value` has the last: the readers of lists
/// and maps go through all of them, and `EvaluationState.whole` joins them.
struct Nested: BitwiseCopyable {
    var value: Value
    var isInPieces = false
    /// The message around the AnyValues, which have this tag there.
    var owner = Text.empty
    var tag: UInt32 = 0

    init(_ value: Value) { self.value = value }

    init(_ value: Value, isInPieces: Bool, owner: Text, tag: UInt32) {
        self.value = value
        self.isInPieces = isInPieces
        self.owner = owner
        self.tag = tag
    }
}

/// Reads the pieces of one list or map: a value is its last member, merged with those of its kind before it that no
/// other kind parts from it.
struct PieceReader {
    private var outer: WireCursor
    private var inner = WireCursor(.empty)
    private let tag: UInt32

    /// `kind` is the tag of the members that the pieces are.
    init(_ nested: Nested, kind: UInt32) {
        outer = WireCursor(nested.owner)
        tag = nested.tag
        var ahead = self
        while let member = ahead.nextMember() {
            if member.tag != kind { (outer, inner) = (ahead.outer, ahead.inner) }
        }
    }

    /// The content of the next piece.
    mutating func next() -> Text? {
        guard let member = nextMember() else { return nil }
        return inner.bytes[member.content]
    }

    private mutating func nextMember() -> WireField? {
        while true {
            while let field = inner.nextField() {
                if OTLPWriter.isMember(field.tag) { return field }
            }
            guard let part = outer.nextField() else { return nil }
            if part.tag == tag { inner = WireCursor(outer.bytes[part.content]) }
        }
    }
}

extension EvaluationState {
    /// The value with all of its pieces: merging messages is concatenating them.
    mutating func whole(_ nested: Nested) throws(EvaluationFailure) -> Value {
        guard nested.isInPieces else { return nested.value }
        let kind: UInt32
        switch nested.value {
        case .list: kind = 0x2A
        case .map: kind = 0x32
        default: return nested.value
        }
        let mark = scratch.count
        var pieces = PieceReader(nested, kind: kind)
        while let piece = pieces.next() { scratch.append(piece) }
        let content = try take(from: mark)
        return kind == 0x2A ? .list(content) : .map(content)
    }

    /// The value of an element with all of its pieces.
    mutating func whole(_ item: ListReader.Item) throws(EvaluationFailure) -> Value { try whole(item.nested) }

    /// The value of a member with all of its pieces.
    mutating func whole(_ member: MapReader.Member) throws(EvaluationFailure) -> Value { try whole(member.nested) }
}
