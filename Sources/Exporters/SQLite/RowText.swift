import FoundationEssentials
import OTLP
import Telemetry

/// Turns references and attributes of a batch into column values.
enum RowText {
    /// A text column, NULL when empty.
    static func optional(_ text: Text) -> String? { text.isEmpty ? nil : text.string }

    /// An id column in hex, NULL when there is none.
    static func id(_ text: Text) -> String? { text.isEmpty ? nil : text.hex }

    /// SQLite's integers are signed: times beyond the year 2262 stand at the end of the range.
    static func time(_ nanoseconds: UInt64) -> Int64 { Int64(clamping: nanoseconds) }

    /// What `build` writes, as a string.
    static func json(_ scratch: inout ByteColumn, _ build: (inout ByteColumn) -> Void) -> String {
        scratch.removeAll()
        build(&scratch)
        return scratch.text.string
    }

    /// An attribute or body for a text column: a string as it is, anything else as JSON, NULL when there is no value.
    static func value(
        _ value: AttributeValue, of batch: borrowing RecordBatch, _ scratch: inout ByteColumn
    ) -> String? {
        switch value {
        case .empty, .other: return nil
        case .string(let text): return batch.text(text).string
        default:
            scratch.removeAll()
            ValueJSON.append(value, of: batch, to: &scratch)
            return scratch.text.string
        }
    }

    /// A value for an integer column. Strings count when they are decimal integers, as some senders write them.
    static func integer(_ value: AttributeValue, of batch: borrowing RecordBatch) -> Int64? {
        switch value {
        case .int(let number): number
        case .double(let number): Int64(exactly: number)
        case .string(let text): Int64(batch.text(text).string)
        default: nil
        }
    }

    /// A value for a real column. NaN is NULL in SQLite.
    static func real(_ value: AttributeValue, of batch: borrowing RecordBatch) -> Double? {
        switch value {
        case .int(let number): Double(number)
        case .double(let number): number
        case .string(let text): Double(batch.text(text).string)
        default: nil
        }
    }
}

/// What all records below one scope have in common, as column values.
struct ScopeTexts {
    var serviceName: String?
    var scopeName: String?
    var resource = "{}"
    var scope = "{}"
    /// Hash of the whole resource block, for records without an id of their own.
    var block = Data()
    private var resourceIndex = -1
    private var scopeIndex = -1

    /// Brings the texts to another scope; does nothing when it is the same as before.
    mutating func move(
        to scope: Int, of batch: borrowing RecordBatch, serviceKey: KeyID, hashKey: (UInt64, UInt64)?,
        _ scratch: inout ByteColumn
    ) {
        guard scope != scopeIndex else { return }
        scopeIndex = scope
        let resource = Int(batch.scopes[scope].resource)
        if resource != resourceIndex {
            resourceIndex = resource
            setResource(resource, batch, serviceKey, hashKey, &scratch)
        }
        let record = batch.scopes[scope]
        scopeName = RowText.optional(batch.text(record.name))
        scratch.removeAll()
        scratch.append("{\"name\":")
        JSONText.append(batch.text(record.name), to: &scratch)
        if !record.version.isEmpty {
            scratch.append(",\"version\":")
            JSONText.append(batch.text(record.version), to: &scratch)
        }
        if !record.schemaURL.isEmpty {
            scratch.append(",\"schema_url\":")
            JSONText.append(batch.text(record.schemaURL), to: &scratch)
        }
        if !batch.range(of: record.set).isEmpty {
            scratch.append(",\"attributes\":")
            ValueJSON.appendObject(record.set, of: batch, to: &scratch)
        }
        scratch.append(UInt8(ascii: "}"))
        self.scope = scratch.text.string
    }

    private mutating func setResource(
        _ index: Int, _ batch: borrowing RecordBatch, _ serviceKey: KeyID, _ hashKey: (UInt64, UInt64)?,
        _ scratch: inout ByteColumn
    ) {
        let record = batch.resources[index]
        serviceName = batch.string(serviceKey, in: record.set)?.string
        scratch.removeAll()
        ValueJSON.appendObject(record.set, of: batch, to: &scratch)
        resource = scratch.text.string
        if let hashKey {
            let hash = SipHash128.hash(batch.text(record.raw), key: hashKey)
            block = withUnsafeBytes(of: (hash.0.littleEndian, hash.1.littleEndian)) { Data($0) }
        }
    }
}
