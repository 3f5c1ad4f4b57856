import OTLP
import Telemetry

/// One finding or evaluation result, as the events on spans tell it.
package struct FindingRecord: Sendable, Hashable, Comparable {
    package var trace: String
    package var span: String
    package var spanName: String
    package var pattern: String
    package var tier: String
    package var explanation: String

    /// All findings of a request of spans, in order of traces, spans and patterns.
    package static func read(_ request: [UInt8]) -> [FindingRecord] {
        var batch = RecordBatch()
        var result: [FindingRecord] = []
        request.withUnsafeBytes { bytes in
            let read = try? OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &batch)
            guard read != nil else { return }
            for event in batch.events.indices where batch.text(batch.events[event].name) == "gen_ai.evaluation.result" {
                let span = batch.spans[Int(batch.events[event].span)]
                let set = batch.events[event].set
                result.append(
                    FindingRecord(
                        trace: batch.text(span.traceID).hexDigits, span: batch.text(span.spanID).hexDigits,
                        spanName: batch.text(span.name).string, pattern: text("gen_ai.evaluation.name", set, batch),
                        tier: text("sluice.finding.tier", set, batch),
                        explanation: text("gen_ai.evaluation.explanation", set, batch)))
            }
        }
        return result.sorted()
    }

    package static func < (left: FindingRecord, right: FindingRecord) -> Bool {
        (left.trace, left.span, left.pattern, left.explanation)
            < (right.trace, right.span, right.pattern, right.explanation)
    }

    private static func text(_ key: StaticString, _ set: SetIndex, _ batch: borrowing RecordBatch) -> String {
        guard let index = batch.find(name: Text(key), in: set), batch.attributes[index].kind == .string else {
            return ""
        }
        return batch.text(batch.attributes[index].text).string
    }
}
