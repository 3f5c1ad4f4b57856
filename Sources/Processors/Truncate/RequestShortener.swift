import OTLP
package import Telemetry

/// Makes a request smaller by cutting its longest string values, as the `truncate` processor cuts and marks them: for
/// a destination that does not take it as it is.
package enum RequestShortener {
    /// Shorter than this no value is cut.
    private static let leastBytes = 16
    /// What a mark costs besides the key's own bytes.
    private static let markBytes = 40
    /// Values beyond it are left as they are.
    private static let valuesMax = 1 << 16

    /// The request in about `size` bytes; nil when it is no request, or cutting strings does not make it smaller.
    package static func shorten(_ request: [UInt8], signal: Signal, to size: Int) -> [UInt8]? {
        request.withUnsafeBytes { bytes in
            var batch = RecordBatch()
            let keys = KeyTable.Builder().build()
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(bytes), signal: signal, keys: keys, into: &batch)
            } catch {
                return nil
            }
            guard let limit = limit(of: &batch, excess: bytes.count - max(size, 0)) else { return nil }
            let cut = TruncateProcessor.cut(&batch, least: limit, marks: true) { _ in limit }
            guard cut > 0 else { return nil }
            var output = ByteColumn()
            OTLPWriter.write(batch, into: &output)
            return output.count < bytes.count ? [UInt8](output.bytes) : nil
        }
    }

    /// The largest number of bytes to which values may be cut so that `excess` bytes go; nil when there is none.
    private static func limit(of batch: inout RecordBatch, excess: Int) -> Int? {
        var values: [(count: Int, cost: Int)] = []
        StringRewriter.rewrite(&batch, least: leastBytes) { key, value, _ in
            if values.count < valuesMax { values.append((value.count, key.count + markBytes)) }
            return false
        }
        values.sort { $0.count > $1.count }
        var total = -excess
        for (index, value) in values.enumerated() {
            total += value.count - value.cost
            let limit = total / (index + 1)
            let next = index + 1 < values.count ? values[index + 1].count : 0
            // Cutting the longest ones so far is enough.
            if total > 0, limit >= next { return limit >= leastBytes ? limit : nil }
        }
        return nil
    }
}
