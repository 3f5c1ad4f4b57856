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
            for window in windows(batch, maxItems) {
                output.removeAll()
                OTLPWriter.write(batch, window: window.records, into: &output)
                if output.count > 0 { parts.append(([UInt8](output.bytes), window.items)) }
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
            let count = batch.recordCount
            guard let first = places.first, let last = places.last, last.upperBound <= count else { return nil }
            let window = window(batch, around: first.lowerBound..<last.upperBound)
            let starts = [0] + places.map(\.upperBound)
            let ends = places.map(\.lowerBound) + [count]
            for (start, end) in zip(starts, ends) where start < end {
                for index in start..<end { remove(index, from: &batch) }
            }
            var output = ByteColumn()
            OTLPWriter.write(batch, window: window, into: &output)
            return [UInt8](output.bytes)
        }
    }

    /// The records of a batch that hold these items: for metrics those of points.
    private static func window(_ batch: borrowing RecordBatch, around items: Range<Int>) -> Range<Int> {
        guard batch.signal == .metrics else { return items }
        var start = 0
        var window: Range<Int>?
        for metric in batch.metrics.indices {
            let points = start..<start + Int(batch.metrics[metric].points.count)
            start = points.upperBound
            if points.overlaps(items) { window = (window?.lowerBound ?? metric)..<metric + 1 }
        }
        return window ?? 0..<0
    }

    private static func remove(_ index: Int, from batch: inout RecordBatch) {
        switch batch.signal {
        case .traces: batch.removeSpan(index)
        case .logs: batch.removeLog(index)
        case .metrics: batch.removePoint(index)
        }
    }

    private static func windows(_ batch: borrowing RecordBatch, _ maxItems: Int) -> [(records: Range<Int>, items: Int)]
    {
        guard batch.signal == .metrics else {
            return stride(from: 0, to: batch.recordCount, by: maxItems).map { start in
                let end = min(start + maxItems, batch.recordCount)
                return (start..<end, end - start)
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
}
