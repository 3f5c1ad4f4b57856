import CAllocationCount
import OTLP
import Telemetry
import TestSupport
import Testing

/// Heap blocks per request once memory has grown to the size of the request. The counter is the thread's own, so tests
/// that run beside these do not show in it.
@Suite struct `A steady load of requests allocates nothing` {
    private static let payload = CorpusPayload.protobuf.filter { $0.signal == .traces }
        .max { $0.bytes.count < $1.bytes.count }

    private struct Workspace: ~Copyable {
        var batch = RecordBatch()
        var output = ByteColumn()
        var transcoded = ByteColumn()
    }

    /// Blocks that `run` asks for, when it has run before.
    private func blocks(
        _ request: [UInt8], _ run: (inout Workspace, Text) throws(DecodeFailure) -> Void
    ) throws -> UInt64 {
        var workspace = Workspace()
        return try request.withUnsafeBytes { bytes in
            for _ in 0..<3 { try run(&workspace, Text(bytes)) }
            let before = sluice_allocation_count()
            for _ in 0..<10 { try run(&workspace, Text(bytes)) }
            return sluice_allocation_count() - before
        }
    }

    @Test func `and the counter counts`() {
        let before = sluice_allocation_count()
        let column = ByteColumn(capacity: 1_000)
        #expect(column.capacity == 1_000)
        #expect(sluice_allocation_count() > before)
    }

    @Test func `when it is decoded, looked at and written as it came`() throws {
        let payload = try #require(Self.payload)
        var seen = 0
        let made = try blocks(payload.bytes) { workspace, text throws(DecodeFailure) in
            _ = try OTLPReader.read(text, signal: .traces, keys: .empty, into: &workspace.batch)
            for span in workspace.batch.spans.indices {
                for index in workspace.batch.range(of: workspace.batch.spans[span].set) {
                    seen += Int(workspace.batch.attributes[index].keyID.value) + 1
                }
            }
            workspace.output.removeAll()
            OTLPWriter.write(workspace.batch, into: &workspace.output)
        }
        #expect(seen > 100)
        #expect(made == 0)
    }

    @Test func `when every span is edited`() throws {
        let payload = try #require(Self.payload)
        let made = try blocks(payload.bytes) { workspace, text throws(DecodeFailure) in
            _ = try OTLPReader.read(text, signal: .traces, keys: .empty, into: &workspace.batch)
            let new = workspace.batch.addText(Text("sluice.test"))
            for span in workspace.batch.spans.indices {
                let set = workspace.batch.spans[span].set
                workspace.batch.append(key: new, .string(new), to: set)
                workspace.batch.setName(new, ofSpan: span)
            }
            workspace.output.removeAll()
            OTLPWriter.write(workspace.batch, into: &workspace.output)
        }
        #expect(made == 0)
    }

    @Test func `when it comes as JSON`() throws {
        let payload = try #require(Self.payload)
        let json = JSONCase.write(payload.bytes, .traces)
        let made = try blocks(json) { workspace, text throws(DecodeFailure) in
            workspace.transcoded.removeAll()
            try OTLPJSONReader.transcode(text, signal: .traces, into: &workspace.transcoded)
            _ = try OTLPReader.read(workspace.transcoded.text, signal: .traces, keys: .empty, into: &workspace.batch)
        }
        #expect(made == 0)
    }
}
