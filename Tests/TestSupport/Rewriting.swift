package import OTLP
package import Telemetry

/// Reads a request, changes it, writes it.
package enum Rewriting {
    /// The request after `change`.
    @discardableResult
    package static func rewrite(
        _ request: [UInt8], _ signal: Signal, keys: KeyTable = .empty,
        _ change: (inout RecordBatch) -> Void = { _ in }
    ) throws(DecodeFailure) -> [UInt8] {
        var batch = RecordBatch()
        var output = ByteColumn()
        try read(request, signal, keys: keys, into: &batch) { batch in
            change(&batch)
            OTLPWriter.write(batch, into: &output)
        }
        return [UInt8](output.bytes)
    }

    /// Runs `use` on the records of a request.
    package static func read(
        _ request: [UInt8], _ signal: Signal, keys: KeyTable = .empty, limits: ReadLimits = ReadLimits(),
        into batch: inout RecordBatch, _ use: (inout RecordBatch) -> Void
    ) throws(DecodeFailure) {
        let result: Result<Void, DecodeFailure> = request.withUnsafeBytes { bytes in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(bytes), signal: signal, keys: keys, limits: limits, into: &batch)
            } catch {
                return .failure(error)
            }
            use(&batch)
            return .success(())
        }
        try result.get()
    }
}

extension RecordBatch {
    /// All attribute sets of the batch, by index.
    package var allSets: [SetIndex] { sets.indices.map { SetIndex($0) } }

    /// Keys and values of a set as texts: strings as they are, the others by kind.
    package func summary(_ set: SetIndex) -> [String] {
        range(of: set).map { index in
            let attribute = attributes[index]
            let key = text(attribute.key).string
            switch attribute.value {
            case .string(let reference): return "\(key)=\(text(reference).string)"
            case .int(let number): return "\(key)=\(number)"
            case .bool(let flag): return "\(key)=\(flag)"
            case .double(let number): return "\(key)=\(number)"
            default: return "\(key):\(attribute.kind)"
            }
        }
    }
}
