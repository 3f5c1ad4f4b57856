package import Telemetry

/// Cuts one encoded request into several with at most so many records each, keeping resources and scopes around them.
package enum OTLPSplitter {
    /// The parts in order, each with its record count. Metrics are cut between metrics, never inside one, so a part can
    /// exceed the limit by the points of one metric. A request that cannot be read is returned whole.
    package static func split(_ bytes: [UInt8], signal: Signal, maxItems: Int) -> [(bytes: [UInt8], items: Int)] {
        var batch = RecordBatch()
        return bytes.withUnsafeBytes { raw in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(raw), signal: signal, keys: .empty, into: &batch)
            } catch {
                return [(bytes, 1)]
            }
            guard maxItems > 0, batch.recordCount > maxItems else { return [(bytes, batch.recordCount)] }
            var parts: [(bytes: [UInt8], items: Int)] = []
            var output = ByteColumn()
            var writer = PieceWriter(batch)
            // Those that the reader took out are in no part, and a part of only such is none.
            for window in windows(batch, maxItems) where window.items > 0 || signal == .metrics {
                output.removeAll()
                writer.write(window.records, of: batch, into: &output)
                writer.writeUnknown(of: batch, into: &output)
                parts.append(([UInt8](output.bytes), window.items))
            }
            return parts
        }
    }

    /// A request with only the records at these places, which rise and are apart: for metrics those of points. What is
    /// around none of them stays out. Nil when it cannot be read or has not that many.
    package static func keep(_ places: [Range<Int>], of bytes: [UInt8], signal: Signal) -> [UInt8]? {
        var batch = RecordBatch()
        return bytes.withUnsafeBytes { raw in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(raw), signal: signal, keys: .empty, into: &batch)
            } catch { return nil }
            guard let last = places.last, last.upperBound <= batch.recordCount else { return nil }
            var writer = PieceWriter(batch)
            var output = ByteColumn()
            if signal == .metrics {
                writer.write(points: places.lazy.joined(), of: batch, into: &output)
            } else {
                writer.write(places.lazy.joined(), of: batch, into: &output)
            }
            writer.writeUnknown(of: batch, into: &output)
            return [UInt8](output.bytes)
        }
    }

    private static func windows(_ batch: borrowing RecordBatch, _ maxItems: Int) -> [(records: Range<Int>, items: Int)]
    {
        guard batch.signal == .metrics else {
            return stride(from: 0, to: batch.recordCount, by: maxItems).map { start in
                let records = start..<min(start + maxItems, batch.recordCount)
                return (records, records.count { !isRemoved($0, batch) })
            }
        }
        var result: [(records: Range<Int>, items: Int)] = []
        var start = 0
        var items = 0
        for metric in batch.metrics.indices {
            let points = Int(batch.metrics[metric].points.count)
            if items > 0 && items + points > maxItems {
                result.append((start..<metric, items))
                start = metric
                items = 0
            }
            items += points
        }
        if start < batch.metrics.count { result.append((start..<batch.metrics.count, items)) }
        return result
    }

    private static func isRemoved(_ record: Int, _ batch: borrowing RecordBatch) -> Bool {
        batch.signal == .traces ? batch.isRemoved(span: record) : batch.isRemoved(log: record)
    }
}
