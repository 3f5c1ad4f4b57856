import OTLP
import Pipeline
import Telemetry

/// The key of the hash that names blocks of logs and points; a database keeps its own, so that no sender can make two
/// blocks collide.
struct BlockKey: Sendable, Equatable {
    var key0: UInt64
    var key1: UInt64

    /// For destinations that cannot keep one.
    static let fixed = BlockKey(key0: 0x736c_7569_6365_2d30, key1: 0x736c_7569_6365_2d31)
}

/// Memory that is kept from request to request.
struct RowScratch: ~Copyable {
    var records = RecordBatch()
    var row = RowBuffer()
    var scope = ScopeCells()
    /// Attributes of the record, by key number: index in the batch, -1 for none.
    var places = Column<Int32>()
    /// Of each attribute of the record, in order, whether a typed column holds it.
    var held = Column<Bool>()
}

/// Turns requests into rows of the schema: the one place that knows which attribute stands in which column.
struct RequestRows: Sendable {
    private let keys: KeyTable
    private let spans: SpanRows
    private let logs: LogRows
    private let points: PointRows

    init() {
        var builder = KeyTable.Builder()
        spans = SpanRows(keys: &builder)
        logs = LogRows(keys: &builder)
        points = PointRows(keys: &builder)
        keys = builder.build()
    }

    /// Hands all rows of the batch to `receiver`. Throws `DecodeFailure` for what is no valid request, and what the
    /// receiver throws.
    func write<Receiver: RowReceiver & ~Copyable>(
        _ batch: ExportBatch, blockKey: BlockKey, _ scratch: inout RowScratch, to receiver: inout Receiver
    ) throws {
        var tenant = batch.tenant
        try tenant.withUTF8 { tenant in
            try batch.bytes.withUnsafeBytes { bytes in
                _ = try OTLPReader.read(Text(bytes), signal: batch.signal, keys: keys, into: &scratch.records)
                scratch.scope.reset(
                    tenant: Text(UnsafeRawBufferPointer(tenant)), blockKey: blockKey,
                    cuts: batch.journaled?.cuts ?? [:], places: batch.rowPlaces)
                switch batch.signal {
                case .traces: try spans.write(&scratch, to: &receiver)
                case .logs: try logs.write(&scratch, to: &receiver)
                case .metrics: try points.write(&scratch, to: &receiver)
                }
            }
        }
    }
}
