import OTLP
import Telemetry

/// Attributes of a written request by owner, as text, for tests that look at results.
struct DecodedRequest {
    /// Key and value of each attribute of the first owner of this kind, in order.
    private(set) var sets: [OwnerKind: [(key: String, value: String)]] = [:]
    private(set) var body = ""
    private(set) var names: [String] = []
    private(set) var traceStates: [String] = []

    init(_ bytes: [UInt8], _ signal: Signal) throws {
        var batch = RecordBatch()
        var failure: DecodeFailure?
        bytes.withUnsafeBytes { input in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(input), signal: signal, keys: .empty, into: &batch)
                read(batch)
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private mutating func read(_ batch: borrowing RecordBatch) {
        for index in batch.sets.indices {
            let set = batch.sets[index]
            guard sets[set.kind] == nil else { continue }
            sets[set.kind] = set.attributes.range.map { place in
                let attribute = batch.attributes[place]
                return (batch.text(attribute.key).string, DecodedRequest.text(attribute.value, batch))
            }
        }
        for index in batch.spans.indices {
            names.append(batch.text(batch.spans[index].name).string)
            traceStates.append(batch.text(batch.spans[index].traceState).string)
        }
        if batch.logs.count > 0 { body = DecodedRequest.text(batch.logs[0].body, batch) }
    }

    /// Values of the first owner of a kind by key; the last wins.
    func values(_ kind: OwnerKind) -> [String: String] {
        Dictionary(sets[kind] ?? [], uniquingKeysWith: { $1 })
    }

    func keys(_ kind: OwnerKind) -> [String] { (sets[kind] ?? []).map(\.key) }

    /// Strings in quotes, so that they differ from numbers.
    static func text(_ value: AttributeValue, _ batch: borrowing RecordBatch) -> String {
        switch value {
        case .empty: "empty"
        case .other: "other"
        case .string(let text): "\"\(batch.text(text).string)\""
        case .bool(let flag): "\(flag)"
        case .int(let number): "\(number)"
        case .double(let number): "\(number)d"
        case .array(let text): "array \(batch.text(text).count)"
        case .map(let text): "map \(batch.text(text).count)"
        case .bytes(let text): "bytes \(batch.text(text).string)"
        }
    }
}
