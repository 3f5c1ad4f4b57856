/// One point of a batch that is to become a delta.
struct CountedPoint: Sendable {
    /// Its place in the batch.
    var index: Int
    var key: StreamKey
    /// Unix nanoseconds; 0 is none.
    var start: UInt64
    var time: UInt64
    var value: CountedValue
}

/// Why a point has no delta; the raw values are those of the counter's label.
enum DeltaDrop: String, CaseIterable, Sendable {
    /// The first one of its stream.
    case initial
    /// The stream began anew.
    case reset
    case bucketMismatch = "bucket_mismatch"
    case noRecordedValue = "no_recorded_value"
    /// A later point of the stream came before, and its delta has what this one counts.
    case late
}

/// What becomes of a point.
enum DeltaOutcome: Sendable {
    /// It is the first of its stream, and its whole value is the delta.
    case whole
    case delta(start: UInt64, CountedValue)
    case dropped(DeltaDrop)
}

/// That a point became the last of its stream; `earlier` was it before.
struct StreamChange: Sendable {
    var key: StreamKey
    var stamp: UInt64
    var earlier: StreamTable.Last?
}

/// What the points of a batch become.
struct Conversion: Sendable {
    /// By point, in order.
    var outcomes: [DeltaOutcome] = []
    /// What the deltas among them changed, in order.
    var changes: [StreamChange] = []
    /// Streams that are remembered no more.
    var forgotten = 0
}

/// What is remembered of streams: a value that is told the points and the time.
struct CountedStreams: Sendable {
    struct Limits: Sendable {
        var streams: Int
        var bytes: Int
        /// Nanoseconds; 0 is no limit.
        var staleness: Int64
    }

    private var table = StreamTable()
    private let limits: Limits
    private let initialValue: InitialValue
    /// A stream that began before, Unix nanoseconds, may have been passed on in part: by an earlier process, or before
    /// it was forgotten.
    private var horizon: UInt64
    private var stamp: UInt64 = 0
    /// Changes of requests that may still be refused, by number.
    private var open: [Int: [StreamChange]] = [:]
    private var lastOpen = 0

    /// `started` is when the gateway began, Unix nanoseconds.
    init(_ limits: Limits, _ initialValue: InitialValue, started: Int64) {
        self.limits = limits
        self.initialValue = initialValue
        horizon = UInt64(clamping: started)
    }

    var count: Int { table.count }
    var bytes: Int { table.bytes }

    /// `now` is in Unix nanoseconds.
    mutating func convert(_ points: [CountedPoint], now: Int64) -> Conversion {
        var conversion = Conversion()
        conversion.outcomes.reserveCapacity(points.count)
        if limits.staleness > 0 {
            while let seen = table.oldestSeen, seen < now &- limits.staleness { forgetOldest(&conversion) }
        }
        for point in points {
            let outcome = convert(point, now, &conversion.changes)
            conversion.outcomes.append(outcome)
            while table.count > limits.streams || (table.bytes > limits.bytes && table.count > 1) {
                forgetOldest(&conversion)
            }
        }
        return conversion
    }

    /// Keeps the changes of a request until it is stored or refused; returns the number to say so with.
    mutating func keep(_ changes: [StreamChange]) -> Int {
        lastOpen += 1
        open[lastOpen] = changes
        return lastOpen
    }

    /// The request is stored.
    mutating func settle(_ number: Int) { open[number] = nil }

    /// Takes back what deltas that nobody got had changed. Where the stream went on since, a request that is still
    /// open goes back behind them too when it is refused. Nothing for one that is settled.
    mutating func revert(_ number: Int) {
        guard let changes = open.removeValue(forKey: number) else { return }
        var undone: [UInt64: StreamChange] = [:]
        for change in changes.reversed() {
            guard let last = table.last(change.key), last.stamp == change.stamp else {
                undone[change.stamp] = change
                continue
            }
            if let earlier = change.earlier {
                table.restore(earlier, of: change.key)
            } else {
                table.remove(change.key)
            }
        }
        if !undone.isEmpty { handOn(undone) }
    }

    /// Gives open changes that followed points that are undone what was before these.
    private mutating func handOn(_ undone: [UInt64: StreamChange]) {
        for (number, changes) in open {
            for (index, change) in changes.enumerated() {
                var earlier = change.earlier
                while let last = earlier, let below = undone[last.stamp] { earlier = below.earlier }
                if earlier?.stamp != change.earlier?.stamp { open[number]?[index].earlier = earlier }
            }
        }
    }

    private mutating func forgetOldest(_ conversion: inout Conversion) {
        if let seen = table.oldestSeen { horizon = max(horizon, UInt64(clamping: seen) &+ 1) }
        table.removeOldest()
        conversion.forgotten += 1
    }

    private mutating func convert(
        _ point: CountedPoint, _ now: Int64, _ changes: inout [StreamChange]
    ) -> DeltaOutcome {
        stamp += 1
        guard let earlier = table.last(point.key) else { return begin(point, now, &changes) }
        // Without a start time too: taken for a new beginning it would count twice what the later point has.
        if point.time < earlier.time { return .dropped(.late) }
        let value = point.value.completed(by: earlier.value)
        table.set(StreamTable.Last(time: point.time, value: value, stamp: stamp), of: point.key, now: now)
        switch value.progress(since: earlier.value) {
        case .counted(let delta):
            changes.append(StreamChange(key: point.key, stamp: stamp, earlier: earlier))
            return .delta(start: earlier.time, delta)
        case .reset: return .dropped(.reset)
        case .mismatch: return .dropped(.bucketMismatch)
        }
    }

    /// The first point of a stream.
    private mutating func begin(
        _ point: CountedPoint, _ now: Int64, _ changes: inout [StreamChange]
    ) -> DeltaOutcome {
        table.set(StreamTable.Last(time: point.time, value: point.value, stamp: stamp), of: point.key, now: now)
        let isKept =
            switch initialValue {
            case .keep: true
            case .drop: false
            case .auto: point.start >= horizon && point.start != point.time
            }
        guard isKept else { return .dropped(.initial) }
        changes.append(StreamChange(key: point.key, stamp: stamp, earlier: nil))
        return .whole
    }
}
