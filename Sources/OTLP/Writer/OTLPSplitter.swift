package import Telemetry

/// Cuts one encoded request into several with at most so many records each, keeping resources and scopes around them.
package enum OTLPSplitter {
    /// Bytes that the parts of a request may have together. Each repeats what is around its records, which of a hostile
    /// request is most of it.
    package static func bytesMax(ofParts request: Int) -> Int { request * 4 + (32 << 20) }

    /// The parts in order, each with its number of records, for metrics of data points: a metric with more of them than
    /// the limit is in several parts. Metrics without any may be in none. A request that cannot be read, or whose parts
    /// would take too much, is returned whole.
    package static func split(_ bytes: [UInt8], signal: Signal, maxItems: Int) -> [(bytes: [UInt8], items: Int)] {
        var batch = RecordBatch()
        return bytes.withUnsafeBytes { raw in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(raw), signal: signal, keys: .empty, into: &batch)
            } catch {
                return [(bytes, 1)]
            }
            guard maxItems > 0, batch.liveCount > maxItems else { return [(bytes, batch.liveCount)] }
            var parts: [(bytes: [UInt8], items: Int)] = []
            var output = ByteColumn()
            var writer = PieceWriter(batch)
            var left = bytesMax(ofParts: bytes.count)
            for window in windows(batch, maxItems) {
                output.removeAll()
                switch window.records {
                case .records(let range): writer.write(range, of: batch, into: &output)
                case .points(let range): writer.write(points: range, of: batch, into: &output)
                }
                writer.writeUnknown(of: batch, into: &output)
                left -= output.count
                guard left >= 0 else { return [(bytes, batch.liveCount)] }
                parts.append(([UInt8](output.bytes), window.items))
            }
            return parts
        }
    }

    /// The records at these places, each as a request of its own, for metrics data points. Nil when the request cannot
    /// be read, has not that many, or one of them is none that the reader takes, and when they would take too much.
    package static func each(_ places: [Int], of bytes: [UInt8], signal: Signal) -> [[UInt8]]? {
        var batch = RecordBatch()
        return bytes.withUnsafeBytes { raw in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(raw), signal: signal, keys: .empty, into: &batch)
            } catch { return nil }
            var parts: [[UInt8]] = []
            var output = ByteColumn()
            var writer = PieceWriter(batch)
            var left = bytesMax(ofParts: bytes.count)
            for place in places {
                guard place >= 0, place < batch.recordCount else { return nil }
                output.removeAll()
                writer.write(items: CollectionOfOne(place), of: batch, into: &output)
                guard output.count > 0 else { return nil }
                writer.writeUnknown(of: batch, into: &output)
                left -= output.count
                guard left >= 0 else { return nil }
                parts.append([UInt8](output.bytes))
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
            writer.write(items: places.lazy.joined(), of: batch, into: &output)
            writer.writeUnknown(of: batch, into: &output)
            return [UInt8](output.bytes)
        }
    }

    /// What goes into one part, and how many items that are. One without any is no part.
    private struct Window {
        enum Records {
            case records(Range<Int>)
            /// Of one metric.
            case points(Range<Int>)
        }

        var records: Records
        var items: Int
    }

    private static func windows(_ batch: borrowing RecordBatch, _ maxItems: Int) -> [Window] {
        if batch.signal == .metrics { return metricWindows(batch, maxItems) }
        return stride(from: 0, to: batch.recordCount, by: maxItems).compactMap { start in
            let records = start..<min(start + maxItems, batch.recordCount)
            // Those that the reader took out are in no part.
            let items = records.count { !isRemoved($0, batch) }
            return items > 0 ? Window(records: .records(records), items: items) : nil
        }
    }

    /// Between metrics, and inside of one only where it alone has too many points.
    private static func metricWindows(_ batch: borrowing RecordBatch, _ maxItems: Int) -> [Window] {
        var windows: [Window] = []
        var (start, items) = (0, 0)
        func close(before metric: Int) {
            if items > 0 { windows.append(Window(records: .records(start..<metric), items: items)) }
            (start, items) = (metric, 0)
        }
        for metric in batch.metrics.indices {
            // What the reader took out of a metric are its first points.
            let points = batch.metrics[metric].points.range.drop { batch.isRemoved(point: $0) }
            if items > 0 && items + points.count > maxItems { close(before: metric) }
            items += points.count
            guard points.count > maxItems else { continue }
            items = 0
            start = metric + 1
            for first in stride(from: points.startIndex, to: points.endIndex, by: maxItems) {
                let part = first..<min(first + maxItems, points.endIndex)
                windows.append(Window(records: .points(part), items: part.count))
            }
        }
        close(before: batch.metrics.count)
        return windows
    }

    private static func isRemoved(_ record: Int, _ batch: borrowing RecordBatch) -> Bool {
        batch.signal == .traces ? batch.isRemoved(span: record) : batch.isRemoved(log: record)
    }
}
