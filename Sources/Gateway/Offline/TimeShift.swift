import OTLP
import Telemetry

/// Moves the times of recorded telemetry, so that yesterday's traffic can be played as today's. Spans with their events
/// and log records move, all by the same amount; points of metrics keep theirs.
package struct TimeShift: Sendable {
    /// Nanoseconds to add.
    package var amount: Int64

    package init(amount: Int64) { self.amount = amount }

    /// The shift after which the last record of the inputs lies at `end`, in Unix nanoseconds.
    package init(_ inputs: [OfflineInput], to end: UInt64) {
        var last: UInt64 = 0
        var batch = RecordBatch()
        for input in inputs where input.signal != .metrics {
            input.bytes.withUnsafeBytes { bytes in
                guard (try? OTLPReader.read(Text(bytes), signal: input.signal, keys: .empty, into: &batch)) != nil
                else {
                    return
                }
                for index in batch.spans.indices { last = max(last, batch.spans[index].start, batch.spans[index].end) }
                for index in batch.logs.indices {
                    last = max(last, batch.logs[index].time, batch.logs[index].observedTime)
                }
            }
        }
        amount = last == 0 ? 0 : Int64(bitPattern: end &- last)
    }

    /// The input with its times moved; one that cannot be read stays as it is.
    package func apply(_ input: OfflineInput) -> OfflineInput {
        guard amount != 0, input.signal != .metrics else { return input }
        return input.bytes.withUnsafeBytes { bytes in
            var batch = RecordBatch()
            guard (try? OTLPReader.read(Text(bytes), signal: input.signal, keys: .empty, into: &batch)) != nil else {
                return input
            }
            move(&batch)
            var output = ByteColumn()
            OTLPWriter.write(batch, into: &output)
            return OfflineInput(signal: input.signal, bytes: [UInt8](output.bytes))
        }
    }

    private func move(_ batch: inout RecordBatch) {
        for index in batch.spans.indices {
            batch.changeSpan(index) { span in
                span.start = moved(span.start)
                span.end = moved(span.end)
            }
            for event in batch.spans[index].events.range {
                batch.setTime(moved(batch.events[event].time), ofEvent: event)
            }
        }
        for index in batch.logs.indices {
            batch.changeLog(index) { log in
                log.time = moved(log.time)
                log.observedTime = moved(log.observedTime)
            }
        }
    }

    /// No time, which is 0, stays none; times do not pass their ends.
    private func moved(_ time: UInt64) -> UInt64 {
        guard time != 0 else { return 0 }
        if amount < 0 { return time > amount.magnitude ? time - amount.magnitude : 1 }
        let (sum, isOver) = time.addingReportingOverflow(amount.magnitude)
        return isOver ? .max : sum
    }
}
