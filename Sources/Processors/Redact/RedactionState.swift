import Synchronization
import Patterns
import Telemetry

/// Working memory of one redaction run; kept between runs so that clean requests allocate nothing.
struct RedactionState: ~Copyable {
    var matcher = PatternMatcher()
    /// Finds in the views that are being looked at, outermost first, each run in coordinates of its view.
    var raw = Column<Match>()
    /// Finds in coordinates of the value that will be rewritten.
    var hits = Column<Match>()
    /// Where a match of a blocked value may stand in the views that are being looked at, as `raw`.
    var places = Column<UInt32>()
    /// How far the patterns have come in one text.
    var searches = Column<PlacedSearch>()
    /// Open JSON containers of the texts being walked: 1 for an object, 0 for an array.
    var containers = Column<UInt8>()
    /// Bytes of the value in hand that may still be decoded.
    var decodable = 0
    /// Decoded strings by nesting.
    let levels: [DecodedText] = (0..<TextLimits.depth).map { _ in DecodedText() }
    /// The value being rewritten.
    var output = ByteColumn()
    /// Finds by tag since the run began.
    var counts = [Int](repeating: 0, count: 64)
    /// Whether `blocked_key_patterns` hit a known key: 0 unknown, 1 no, 2 yes. Good for one key table.
    var keyVerdicts: [UInt8] = []
    /// What the names of JSON members mean, as far as they came lately.
    var memberVerdicts: [ShortName: MemberRules.Verdict] = [:]
    static let memberVerdictsMax = 1_000
    /// Key of the attribute or map member whose value is being looked at; empty outside of them.
    var key = Text.empty
    /// Names that were masked in the attribute set or body in hand.
    var maskedNames = 0
    /// The key table of the batch in hand.
    var table = KeyTable.empty
    /// Attributes that the current set lost, had masked, allowed or ignored.
    var summary = SummaryCounts()
    /// Names for the `debug` summary, by `SummaryKind`, each followed by a zero byte.
    var names = ByteColumn()
    /// Path to the nested value being walked, for the `debug` summary.
    var path = ByteColumn()

    /// Text of the base64 token in hand.
    var base64 = ByteColumn()

    /// Most bytes of a buffer that are kept from one run to the next.
    static let keptBytes = 1 << 20

    mutating func finish() {
        raw.removeAll()
        hits.removeAll()
        places.removeAll()
        containers.removeAll()
        output.removeAll()
        output.shrink(to: RedactionState.keptBytes)
        base64.removeAll()
        base64.shrink(to: RedactionState.keptBytes)
        for level in levels { level.shrink() }
    }
}

/// Bounds on what is looked into. Beyond them text is withheld, never let through unseen.
enum TextLimits {
    /// Strings inside strings that are decoded.
    static let depth = 8
    /// Bytes of one string that are decoded.
    static let decodedBytes = 16 << 20
    /// Copies of a value that are decoded, with some bytes more for short ones. Two kinds of escapes that hide each
    /// other eight times would be hundreds of copies.
    static let decodings = 32
    static let decodedBytesLeast = 16 << 10
    /// Open JSON containers; deeper text is not taken for JSON but scanned as plain text.
    static let containers = 4_096
    /// AnyValue messages inside each other.
    static let values = 64
}

/// Attributes of one set by fate.
struct SummaryCounts {
    var redacted = 0
    var masked = 0
    var allowed = 0
    var ignored = 0

    /// `masked` and the length of the names when the attribute in hand was begun.
    var mark = 0
    var nameMark = 0

    var isEmpty: Bool { redacted | masked | allowed | ignored == 0 }
}

/// One run's memory, handed from thread to thread by the pool.
// Used by one `process` call at a time: the pool gives it out under its lock and gets it back when the call ends.
final class RedactionScratch: @unchecked Sendable {
    var state = RedactionState()
}

/// A few scratch memories for all event loops.
final class RedactionPool: Sendable {
    private let idle = Mutex<[RedactionScratch]>([])

    /// Most memories kept idle.
    static let limit = 16

    func take() -> RedactionScratch {
        idle.withLock { $0.popLast() } ?? RedactionScratch()
    }

    func give(_ scratch: RedactionScratch) {
        idle.withLock { all in
            if all.count < RedactionPool.limit { all.append(scratch) }
        }
    }
}
