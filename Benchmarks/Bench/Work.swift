import OTLP
import OTTL
import Pipeline
import Telemetry

/// What is measured: the stages of a request's way, each on memory that is reused as in the gateway.
final class Work {
    private var batch = RecordBatch()
    private var output = ByteColumn()
    private var transcoded = ByteColumn()
    private var state = EvaluationState()
    private let chain: Chain
    private let peers = Peers()
    private let renamed: KeyID
    private let appended: KeyID
    /// Keeps results alive.
    private(set) var sink = 0

    init(_ chain: Chain) {
        self.chain = chain
        renamed = chain.keys.id(of: Text("renamed"))
        appended = chain.keys.id(of: Text("sluice.bench"))
    }

    struct Stage: Sendable {
        var name: String
        var isJSON = false
        /// Measured on whole traces too.
        var looksAtTraces = false
        /// Another library's work, which has no threshold.
        var isPeer = false
        var run: @Sendable (Work, UnsafeRawBufferPointer) -> Void
    }

    static let stages = [
        Stage(name: "decode") { $0.decode($1) },
        Stage(name: "touch", looksAtTraces: true) {
            $0.decode($1)
            $0.touch()
            $0.encode()
        },
        Stage(name: "edit") {
            $0.decode($1)
            $0.edit()
            $0.encode()
        },
        Stage(name: "ottl") {
            $0.decode($1)
            $0.ask()
        },
        Stage(name: "normalizer") { $0.process($1, [$0.chain.normalizer]) },
        Stage(name: "redaction") { $0.process($1, [$0.chain.redaction]) },
        Stage(name: "findings", looksAtTraces: true) { $0.process($1, [$0.chain.findings]) },
        Stage(name: "attributes") { $0.process($1, [$0.chain.attributes]) },
        Stage(name: "patterns") { $0.process($1, [$0.chain.patterns]) },
        Stage(name: "renames") { $0.process($1, [$0.chain.renames]) },
        Stage(name: "proc") { $0.process($1, [$0.chain.renames, $0.chain.patterns]) },
        Stage(name: "chain") { $0.process($1, [$0.chain.normalizer, $0.chain.redaction, $0.chain.attributes]) },
        Stage(name: "json_in", isJSON: true) { $0.decodeJSON($1) },
        Stage(name: "json_out") { $0.writeJSON($1) },
        Stage(name: "protobuf_c", isPeer: true) { $0.sink &+= $0.peers.protobufC($1) },
        Stage(name: "json_decoder", isJSON: true, isPeer: true) { $0.sink &+= $0.peers.jsonDecoder($1) },
    ]

    private func decode(_ bytes: UnsafeRawBufferPointer) {
        do throws(DecodeFailure) {
            sink &+= try OTLPReader.read(Text(bytes), signal: .traces, keys: chain.keys, into: &batch).rejected
        } catch {
            sink = -1
        }
    }

    /// Looks at the number of every attribute's key.
    private func touch() {
        for span in batch.spans.indices {
            for index in batch.range(of: batch.spans[span].set) { sink &+= Int(batch.attributes[index].keyID.value) }
        }
    }

    /// Asks the condition about every span.
    private func ask() {
        for span in batch.spans.indices {
            state.beginRecord()
            do throws(OTTLFailure) {
                if try chain.condition.isTrue(batch, at: Place(span: span, batch), &state) { sink &+= 1 }
            } catch {
                sink = -1
            }
        }
    }

    /// Per span: one attribute renamed, one appended, one text replaced.
    private func edit() {
        let mask = batch.addText(Text("****"))
        for span in batch.spans.indices {
            let set = batch.spans[span].set
            let range = batch.range(of: set)
            batch.rename(at: range.lowerBound, to: renamed, in: set)
            batch.setValue(.string(mask), at: range.lowerBound + 1, in: set)
            batch.append(appended, .int(7), to: set)
        }
    }

    private func encode() {
        output.removeAll()
        OTLPWriter.write(batch, into: &output)
        sink &+= output.count
    }

    private func process(_ bytes: UnsafeRawBufferPointer, _ steps: [any Processor]) {
        decode(bytes)
        var context = ProcessContext()
        for step in steps {
            do throws(ProcessFailure) { try step.process(&batch, &context) } catch { sink = -1 }
        }
        encode()
    }

    private func decodeJSON(_ bytes: UnsafeRawBufferPointer) {
        transcoded.removeAll()
        do throws(DecodeFailure) {
            try OTLPJSONReader.transcode(Text(bytes), signal: .traces, into: &transcoded)
        } catch {
            sink = -1
        }
        decode(transcoded.bytes)
    }

    private func writeJSON(_ bytes: UnsafeRawBufferPointer) {
        output.removeAll()
        OTLPJSONWriter.write(Text(bytes), signal: .traces, into: &output)
        sink &+= output.count
    }
}
