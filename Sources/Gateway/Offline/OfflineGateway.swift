import OTLP
package import Pipeline
import Synchronization
package import Telemetry

/// A request for an offline run: protobuf bytes.
package struct OfflineInput: Sendable {
    package var signal: Signal
    package var bytes: [UInt8]

    package init(signal: Signal, bytes: [UInt8]) {
        self.signal = signal
        self.bytes = bytes
    }

    /// Spans, log records or points in it; 0 when it cannot be read.
    package var recordCount: Int {
        var batch = RecordBatch()
        return bytes.withUnsafeBytes { bytes in
            let read = try? OTLPReader.read(Text(bytes), signal: signal, keys: .empty, into: &batch)
            return read == nil ? 0 : batch.recordCount
        }
    }
}

/// What one pipeline of an offline run gave its exporters.
package struct OfflineOutput: Sendable {
    /// `signal/name` as in the file.
    package var pipeline: String
    package var signal: Signal
    /// Requests in protobuf, in order.
    package var requests: [[UInt8]] = []
    package var received = 0
    /// Records that processors took out.
    package var filtered = 0
    /// Why requests were refused.
    package var refusals: [String] = []
    /// What exporters with a `process` of their own got, by their ids.
    package var exporters: [String: OfflineOutput] = [:]
}

/// The time of an offline run: that of the records, never going back.
private final class OfflineClock: Sendable {
    private let time = Atomic<UInt64>(1)

    var now: UInt64 { time.load(ordering: .relaxed) }

    func advance(to other: UInt64) { _ = time.max(other, ordering: .relaxed) }
}

/// Runs requests through the pipelines of a plan without sockets, journals and exporters: every trace is complete when
/// the input is over. The same plan and input give the same output.
package struct OfflineGateway {
    private struct Part {
        var id: String
        var first: ProcessorChain
        var whole: ProcessorChain
        var wait: TraceWait?
        var receivers: Set<String>
        var depth: Int
        var connectors: [(connector: any Connector, outputs: [ConnectorOutput])]
        /// Chains of exporters of their own, by exporter.
        var own: [(id: String, chain: ProcessorChain)]
    }

    private var parts: [Part] = []
    private let receivers: Set<String>
    private let keys: KeyTable
    private let workspace = Workspace()
    private let clock = OfflineClock()
    /// The gateway's own metrics of this run.
    package let metrics = SelfMetrics()

    package init(plan: GatewayPlan) throws {
        receivers = Set(plan.receivers.map(\.id))
        var builder = KeyTable.Builder()
        // By signal and id.
        var shared: [String: any Connector] = [:]
        for pipeline in plan.pipelines {
            let (first, whole) = try StepMaker.make(pipeline, metrics: metrics, keys: &builder)
            let signal = pipeline.signal.recorded
            var connectors: [(connector: any Connector, outputs: [ConnectorOutput])] = []
            for (id, made, outputs) in pipeline.connectors {
                let key = "\(signal) \(id)"
                let build = ConnectorBuild(
                    metrics: metrics, id: id, input: made.isShared ? plan.writers(to: id, signal) : pipeline.id,
                    inputSignal: signal, outputs: outputs, now: { [clock] in clock.now })
                let known = made.isShared ? shared[key] : nil
                let connector = try known ?? made.make(build)
                if made.isShared { shared[key] = connector }
                connectors.append((connector, outputs))
            }
            var own: [(id: String, chain: ProcessorChain)] = []
            for (id, steps) in pipeline.ownSteps.sorted(by: { $0.key < $1.key }) where !steps.isEmpty {
                var chained = pipeline
                chained.id = "\(pipeline.id) > \(id)"
                chained.steps = steps
                own.append((id, try StepMaker.make(chained, metrics: metrics, keys: &builder).first))
            }
            parts.append(
                Part(
                    id: pipeline.id, first: first, whole: whole, wait: pipeline.wait,
                    receivers: Set(pipeline.receivers), depth: pipeline.depth, connectors: connectors, own: own))
        }
        keys = builder.build()
    }

    /// The outputs of all pipelines, as `run` gives them; throws what they refused, so that nothing passes for looked
    /// at that was not.
    package func accepted(_ inputs: [OfflineInput]) throws(PayloadFile.Fault) -> [OfflineOutput] {
        let outputs = run(inputs)
        var reasons: [String] = []
        for output in outputs {
            for refusal in output.refusals.map({ "pipeline \(output.pipeline) refused: \($0)" })
            where !reasons.contains(refusal) {
                reasons.append(refusal)
            }
        }
        if reasons.isEmpty { return outputs }
        throw PayloadFile.Fault(description: reasons.joined(separator: "\n"))
    }

    /// The outputs of all pipelines, those in front of connectors first.
    package func run(_ inputs: [OfflineInput]) -> [OfflineOutput] {
        var waiting: [String: [OfflineInput]] = [:]
        for part in parts where !part.receivers.isDisjoint(with: receivers) {
            waiting[part.id] = inputs.filter { $0.signal == part.first.signal }
        }
        var outputs: [OfflineOutput] = []
        for part in parts.sorted(by: { $0.depth < $1.depth }) {
            var output = run(part, waiting[part.id] ?? [])
            for (id, chain) in part.own {
                var own = OfflineOutput(pipeline: part.id, signal: output.signal)
                for request in output.requests { _ = process(request, chain, &own, nil) }
                output.exporters[id] = own
            }
            for (connector, targets) in part.connectors {
                for (request, time) in inOrderOfTime(output.requests, output.signal) {
                    clock.advance(to: time)
                    let batch = ExportBatch(signal: output.signal, itemCount: 1, bytes: request)
                    do throws(ProcessFailure) {
                        for delivery in try connector.connect(batch) {
                            let target = targets[delivery.output]
                            waiting[target.pipeline, default: []].append(
                                OfflineInput(signal: target.signal, bytes: delivery.bytes))
                        }
                        connector.stored()
                    } catch { continue }
                }
            }
            outputs.append(output)
        }
        return outputs
    }

    /// Requests by the time of their last record, which connectors take for the time at which they came in.
    private func inOrderOfTime(_ requests: [[UInt8]], _ signal: Signal) -> [(request: [UInt8], time: UInt64)] {
        let timed = requests.map { request in
            request.withUnsafeBytes { bytes in
                let read = try? OTLPReader.read(Text(bytes), signal: signal, keys: .empty, into: &workspace.batch)
                guard read != nil else { return (request: request, time: UInt64(0)) }
                var time: UInt64 = 0
                for index in workspace.batch.spans.indices { time = max(time, workspace.batch.spans[index].end) }
                for index in workspace.batch.logs.indices { time = max(time, workspace.batch.logs[index].time) }
                return (request: request, time: time)
            }
        }
        return timed.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
            .map(\.element)
    }

    private func run(_ part: Part, _ inputs: [OfflineInput]) -> OfflineOutput {
        var output = OfflineOutput(pipeline: part.id, signal: part.first.signal)
        for input in inputs { _ = process(input.bytes, part.first, &output, nil) }
        guard part.wait != nil else { return output }
        let traces = gather(output.requests)
        output.requests = []
        var held: [(session: String, trace: [UInt8])] = []
        for trace in traces {
            if let session = process(trace, part.whole, &output, GatheredTrace(reason: .root, canHold: canHold(part))) {
                held.append((session, trace))
            }
            for session in workspace.released {
                let released = held.filter { $0.session == session }
                held.removeAll { $0.session == session }
                for (_, trace) in released { decide(trace, part, &output) }
            }
        }
        for (_, trace) in held { decide(trace, part, &output) }
        return output
    }

    private func canHold(_ part: Part) -> Bool { part.wait.map { $0.hold > .zero } ?? false }

    private func decide(_ trace: [UInt8], _ part: Part, _ output: inout OfflineOutput) {
        _ = process(trace, part.whole, &output, GatheredTrace(reason: .root, canHold: false))
    }

    /// Runs one chain; `trace` is nil for the one in front of the processors that look at whole traces. Returns the
    /// session for which the trace is held.
    private func process(
        _ bytes: [UInt8], _ chain: ProcessorChain, _ output: inout OfflineOutput, _ trace: GatheredTrace?
    ) -> String? {
        let isFirst = trace == nil
        let result = bytes.withUnsafeBytes { body in
            var summary = ReadSummary()
            return chain.prepare(
                Text(body), whole: bytes, origin: RequestOrigin(), keys: keys, workspace, &summary, trace: trace)
        }
        switch result {
        case .frame(let frame, let filtered):
            if isFirst { output.received += Int(frame.header.itemCount) + filtered }
            output.filtered += filtered
            output.requests.append(frame.bytes)
            // For processors that remember what went through.
            for action in frame.whenStored { action() }
        case .empty(let filtered, let actions):
            if isFirst { output.received += filtered }
            output.filtered += filtered
            for action in actions { action() }
        case .held(let session): return session
        case .failed(let reply): output.refusals.append(reply.message)
        case .stepFailed(let message): output.refusals.append(message)
        }
        return nil
    }

    /// One request per trace, in order of the trace ids.
    private func gather(_ requests: [[UInt8]]) -> [[UInt8]] {
        var traces: [TraceID: [UInt8]] = [:]
        for request in requests {
            request.withUnsafeBytes { bytes in
                let read = try? OTLPReader.read(
                    Text(bytes), signal: .traces, keys: .empty, into: &workspace.batch)
                guard read != nil else { return }
                var pieces = ByteColumn()
                for piece in TraceSplitter.split(workspace.batch, into: &pieces) {
                    traces[piece.trace, default: []] += [UInt8](pieces.text[piece.bytes].bytes)
                }
            }
        }
        return traces.sorted { $0.key < $1.key }.map(\.value)
    }
}
