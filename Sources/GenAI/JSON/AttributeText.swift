package import Telemetry

/// Attribute values as text, for people.
package enum AttributeText {
    /// Lists and maps as JSON, bytes as their number.
    package static func describe(_ record: AttributeRecord, _ batch: borrowing RecordBatch) -> String {
        switch record.value {
        case .string(let text): return batch.text(text).string
        case .bytes(let text): return "\(text.length) bytes"
        case .bool(let flag): return "\(flag)"
        case .int(let number): return "\(number)"
        case .double(let number): return "\(number)"
        case .array(let text), .map(let text):
            var tree = JSONTree()
            var out = ByteColumn()
            let root = tree.read(batch.text(text), isMap: record.kind == .map)
            tree.write(root, into: &out)
            return out.text.string
        case .empty, .other: return ""
        }
    }
}
