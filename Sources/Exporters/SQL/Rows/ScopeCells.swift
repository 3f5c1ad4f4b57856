import OTLP
import Pipeline
import Telemetry

/// What all records below one scope have in common.
struct ScopeCells: ~Copyable {
    private(set) var serviceName = Text.empty
    private(set) var scopeName = Text.empty
    private(set) var tenant = Text.empty
    /// Hash of the whole resource block, for records without an id of their own.
    private var block: (UInt64, UInt64) = (0, 0)
    /// Place of the next record in its block.
    private var position: Int64 = 0
    /// Where the records have stood before, see `ExportBatch.rowPlaces`, and which of them is next.
    private var places: [RowPlace] = []
    private var nextPlace = 0
    private var resourceJSON = ByteColumn()
    private var scopeJSON = ByteColumn()
    private var resourceIndex = -1
    private var scopeIndex = -1
    private var blockKey = BlockKey.fixed
    /// By place in the batch, see `JournaledRecords.cuts`.
    private var cuts: [Int: UInt64] = [:]

    var resource: Text { resourceJSON.text }
    var scope: Text { scopeJSON.text }

    /// Begins another request. `tenant` must stay where it is until the next one.
    mutating func reset(tenant: Text, blockKey: BlockKey, cuts: [Int: UInt64], places: [RowPlace]) {
        self.places = places
        nextPlace = 0
        self.tenant = tenant
        self.blockKey = blockKey
        self.cuts = cuts
        resourceIndex = -1
        scopeIndex = -1
    }

    /// What the next record that has no id is known by.
    mutating func appendPlace(to row: inout RowBuffer) {
        if nextPlace < places.count {
            let (first, second) = places[nextPlace].words
            row.bytes(first, second)
            row.integer(places[nextPlace].position)
            nextPlace += 1
            return
        }
        row.bytes(block.0, block.1)
        row.integer(position)
        position += 1
    }

    /// Goes to another scope; does nothing when it is the same as before. `block` is the place of the record in the
    /// batch, for those that are known by their block.
    mutating func move(to scope: Int, of batch: borrowing RecordBatch, serviceKey: KeyID, block place: Int?) {
        guard scope != scopeIndex else { return }
        scopeIndex = scope
        let record = batch.scopes[scope]
        let resource = Int(record.resource)
        if resource != resourceIndex {
            resourceIndex = resource
            position = 0
            let owner = batch.resources[resource]
            serviceName = batch.string(serviceKey, in: owner.set) ?? .empty
            resourceJSON.removeAll()
            ValueJSON.appendObject(owner.set, of: batch, to: &resourceJSON)
            if let place {
                let cut = cuts.isEmpty ? 0 : cuts[place] ?? 0
                block = SipHash128.hash(batch.text(owner.raw), key: (blockKey.key0, blockKey.key1 &+ cut))
            }
        }
        scopeName = batch.text(record.name)
        scopeJSON.removeAll()
        scopeJSON.append("{\"name\":")
        JSONText.append(scopeName, to: &scopeJSON)
        if !record.version.isEmpty {
            scopeJSON.append(",\"version\":")
            JSONText.append(batch.text(record.version), to: &scopeJSON)
        }
        if !record.schemaURL.isEmpty {
            scopeJSON.append(",\"schema_url\":")
            JSONText.append(batch.text(record.schemaURL), to: &scopeJSON)
        }
        if !batch.range(of: record.set).isEmpty {
            scopeJSON.append(",\"attributes\":")
            ValueJSON.appendObject(record.set, of: batch, to: &scopeJSON)
        }
        scopeJSON.append(UInt8(ascii: "}"))
    }
}

extension RowPlace {
    /// The block's two words, little-endian.
    var words: (UInt64, UInt64) {
        func word(_ at: Int) -> UInt64 {
            (0..<8).reduce(0) { $0 | UInt64(at + $1 < block.count ? block[at + $1] : 0) << UInt64(8 * $1) }
        }
        return (word(0), word(8))
    }
}

extension RowBuffer {
    /// An attribute or body as text: a string as it is, anything else as JSON, NULL when there is no value.
    mutating func text(_ value: AttributeValue, of batch: borrowing RecordBatch) {
        switch value {
        case .empty, .other: null()
        case .string(let text): self.text(batch.text(text))
        default:
            let start = mark
            ValueJSON.append(value, of: batch, to: &bytes)
            end(.text, from: start)
        }
    }

    /// The attributes of a set as a JSON object.
    mutating func attributes(
        _ set: SetIndex, of batch: borrowing RecordBatch, leavingOut isLeftOut: (Int) -> Bool = { _ in false }
    ) {
        let start = mark
        ValueJSON.appendObject(set, of: batch, to: &bytes, leavingOut: isLeftOut)
        end(.json, from: start)
    }
}

/// Attribute values as numbers of typed columns.
enum ColumnNumber {
    /// Strings count when they are decimal integers, as some senders write them.
    static func integer(_ value: AttributeValue, of batch: borrowing RecordBatch) -> Int64? {
        switch value {
        case .int(let number): number
        case .double(let number): Int64(exactly: number)
        case .string(let text): Int64(batch.text(text).string)
        default: nil
        }
    }

    static func real(_ value: AttributeValue, of batch: borrowing RecordBatch) -> Double? {
        switch value {
        case .int(let number): Double(number)
        case .double(let number): number
        case .string(let text): Double(batch.text(text).string)
        default: nil
        }
    }
}
