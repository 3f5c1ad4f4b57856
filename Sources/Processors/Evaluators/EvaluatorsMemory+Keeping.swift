import GenAI

/// How the memory outlives the process.
extension EvaluatorsMemory: KeptMemory {
    static let version: UInt32 = 1

    mutating func keep() {
        sessions.keep()
        baselines.keep()
        drifts.keep()
        periods.keep()
    }

    mutating func undo() {
        sessions.undo()
        baselines.undo()
        drifts.undo()
        periods.undo()
    }

    func changes() -> [UInt8] {
        var writer = MemoryWriter()
        sessions.writeChanges(as: 0, to: &writer)
        baselines.writeChanges(as: 1, to: &writer)
        drifts.writeChanges(as: 2, to: &writer)
        periods.writeChanges(as: 3, to: &writer)
        return writer.bytes
    }

    func writeAll(_ part: ([UInt8]) -> Void) {
        sessions.writeAll(as: 0, part)
        baselines.writeAll(as: 1, part)
        drifts.writeAll(as: 2, part)
        periods.writeAll(as: 3, part)
    }

    mutating func restore(_ entry: MemoryEntry) -> Bool {
        switch entry.map {
        case 0: sessions.restore(entry)
        case 1: baselines.restore(entry)
        case 2: drifts.restore(entry)
        case 3: periods.restore(entry)
        default: false
        }
    }
}

extension EvaluatorsMemory.Session: MemoryValue {
    private static var sums: [WritableKeyPath<EvaluatorsMemory.Session, Double>] {
        [
            \.turns, \.seconds, \.inputTokens, \.outputTokens, \.cost, \.steps, \.modelCalls, \.toolCalls,
            \.emptyResults, \.failedSteps, \.findings,
        ]
    }

    package func write(to writer: inout MemoryWriter) {
        writer.add(seen)
        for sum in EvaluatorsMemory.Session.sums { writer.add(self[keyPath: sum]) }
    }

    package init?(_ reader: inout MemoryReader) {
        self.init()
        guard let seen: [UInt64] = reader.list() else { return nil }
        self.seen = seen
        for sum in EvaluatorsMemory.Session.sums {
            guard let number = reader.double() else { return nil }
            self[keyPath: sum] = number
        }
    }
}

extension Baseline: MemoryValue {
    package func write(to writer: inout MemoryWriter) {
        writer.add(Int64(count))
        writer.add(mean)
        writer.add(spread)
    }

    package init?(_ reader: inout MemoryReader) {
        guard let count: Int64 = reader.number(), let mean = reader.double(), let spread = reader.double(),
            (0...10_000).contains(count)
        else { return nil }
        self.init(count: Int(count), mean: mean, spread: spread)
    }
}

extension DriftBaseline: MemoryValue {
    package func write(to writer: inout MemoryWriter) {
        writer.add(recent)
        writer.add(UInt8(clamping: recentCount))
        writer.add(Int64(before))
        writer.add(Int64(beforeEmpty))
    }

    package init?(_ reader: inout MemoryReader) {
        guard let recent: UInt32 = reader.number(), let recentCount: UInt8 = reader.number(), recentCount <= 32,
            let before: Int64 = reader.number(), let empty: Int64 = reader.number(), before >= 0, before <= 1 << 53,
            (0...before).contains(empty)
        else { return nil }
        self.init(recent: recent, recentCount: Int(recentCount), before: Int(before), beforeEmpty: Int(empty))
    }
}
