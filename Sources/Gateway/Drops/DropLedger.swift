import FoundationEssentials
import NIOHTTP1
import Pipeline
import Synchronization
import Telemetry

/// One record that a processor took out or a connector handed to nobody, or several of which only the number is known.
package struct DropEntry: Codable, Sendable, Equatable {
    /// Unix time in seconds.
    package var time: Double
    package var pipeline: String
    package var processor: String
    /// The rule or policy of the processor, empty when it has none.
    package var rule: String
    /// Hexadecimal; empty for metrics and for records without a trace.
    package var traceID: String
    package var spanID: String
    /// Records that this entry stands for: more than one when a request lost more than are noted one by one.
    package var count: Int
}

/// Which records were dropped last, and by which rule: a ring in memory that forgets the oldest.
///
/// It holds ids and names of the configuration, and nothing of what the records say.
package final class DropLedger: Sendable {
    /// One pipeline's way in.
    struct Book: Sendable {
        let ledger: DropLedger
        let pipeline: String
    }

    private struct Ring {
        var entries: [DropEntry] = []
        var next = 0
    }

    private let capacity: Int
    private let ring = Mutex(Ring())

    package init(capacity: Int = 10_000) { self.capacity = max(1, capacity) }

    func add(_ entry: DropEntry) {
        ring.withLock { ring in
            if ring.entries.count < capacity {
                ring.entries.append(entry)
            } else {
                ring.entries[ring.next] = entry
                ring.next = (ring.next + 1) % capacity
            }
        }
    }

    /// All that is remembered, the oldest first.
    package var entries: [DropEntry] {
        ring.withLock { Array($0.entries[$0.next...] + $0.entries[..<$0.next]) }
    }

    /// What the admin listener says.
    var answer: AdminAnswer {
        AdminAnswer(status: .ok, contentType: "application/json", body: DropLedger.encode(entries))
    }

    package static func encode(_ entries: [DropEntry]) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return ((try? encoder.encode(entries)).map { String(decoding: $0, as: UTF8.self) } ?? "[]") + "\n"
    }

    /// Reads what `encode` wrote, nil for anything else.
    package static func decode(_ bytes: [UInt8]) -> [DropEntry]? {
        try? JSONDecoder().decode([DropEntry].self, from: Data(bytes))
    }
}

extension DropLedger.Book {
    /// Most records of one request that are noted one by one.
    private static let noted = ProcessContext.dropRulesMax

    /// Notes what a step has taken out of a batch. `seen` are the records that earlier steps took out.
    func note(
        _ batch: borrowing RecordBatch, _ context: ProcessContext, _ dropped: Int, by processor: String,
        seen: inout Set<Int>
    ) {
        let time = SystemFacts.unixNanoseconds
        var entry = DropEntry(
            time: Double(time) / 1e9, pipeline: pipeline, processor: processor, rule: "", traceID: "", spanID: "",
            count: 1)
        var left = dropped
        let count = batch.signal == .traces ? batch.spans.count : batch.signal == .logs ? batch.logs.count : 0
        for index in 0..<count where isRemoved(index, batch) && seen.insert(index).inserted {
            guard dropped - left < Self.noted, left > 0 else { continue }
            left -= 1
            entry.rule = context.dropRules[index] ?? context.dropRule
            let (trace, span) =
                batch.signal == .traces
                ? (batch.spans[index].traceID, batch.spans[index].spanID)
                : (batch.logs[index].traceID, batch.logs[index].spanID)
            entry.traceID = DropLedger.hexadecimal(batch.text(trace))
            entry.spanID = DropLedger.hexadecimal(batch.text(span))
            ledger.add(entry)
        }
        guard left > 0 else { return }
        entry.rule = context.dropRule
        (entry.traceID, entry.spanID, entry.count) = ("", "", left)
        ledger.add(entry)
    }

    /// Notes `count` records that a connector handed to nobody; `records` are the first of them.
    func note(_ records: [DroppedRecord], count: Int, by connector: String, rule: String) {
        var entry = DropEntry(
            time: Double(SystemFacts.unixNanoseconds) / 1e9, pipeline: pipeline, processor: connector, rule: rule,
            traceID: "", spanID: "", count: 1)
        let known = records.prefix(count).filter { !$0.traceID.isEmpty || !$0.spanID.isEmpty }
        for record in known {
            entry.traceID = record.traceID.withUnsafeBytes { DropLedger.hexadecimal(Text($0)) }
            entry.spanID = record.spanID.withUnsafeBytes { DropLedger.hexadecimal(Text($0)) }
            ledger.add(entry)
        }
        guard count > known.count else { return }
        (entry.traceID, entry.spanID, entry.count) = ("", "", count - known.count)
        ledger.add(entry)
    }

    private func isRemoved(_ index: Int, _ batch: borrowing RecordBatch) -> Bool {
        batch.signal == .traces ? batch.isRemoved(span: index) : batch.isRemoved(log: index)
    }
}

extension DropLedger {
    fileprivate static func hexadecimal(_ id: Text) -> String {
        var text = ""
        text.reserveCapacity(2 * id.count)
        for byte in id.bytes {
            for digit in [byte >> 4, byte & 15] {
                text.unicodeScalars.append(Unicode.Scalar(digit < 10 ? 0x30 + digit : 0x57 + digit))
            }
        }
        return text
    }
}
