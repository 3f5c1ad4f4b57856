import Configuration
import NIOHTTP1
import OTLP
import Pipeline
import Processors
import Synchronization
import Telemetry

/// Copies of what flows, for whoever looks right now. While nobody does it costs one atomic read per request.
///
/// A tap begins with its first question and ends when it says so, or when nobody has asked for a while. What comes
/// faster than it is asked for is passed over and counted: a tap never holds anything up.
final class TapHub: Sendable {
    private struct Item {
        var pipeline: String
        var signal: Signal
        var bytes: [UInt8]
    }

    private struct Session {
        var pipeline: String?
        var isRaw: Bool
        var lastAsked: Double
        var items: [Item] = []
        var bytes = 0
        var skipped = 0
    }

    private let allowed: TelemetryConfiguration.Tap
    private let active = Atomic<Int>(0)
    private let sessions = Mutex<[String: Session]>([:])
    private let now: @Sendable () -> Double

    private static let sessionsMax = 8
    private static let bytesMax = 2 << 20
    /// Seconds without a question after which a tap ends.
    private static let silence = 10.0
    /// Seconds after which it makes room for another one: programs that look ask several times a second.
    private static let pause = 2.0

    init(
        _ allowed: TelemetryConfiguration.Tap,
        now: @escaping @Sendable () -> Double = { SystemFacts.monotonicSeconds }
    ) {
        self.allowed = allowed
        self.now = now
    }

    // MARK: Data

    /// What a pipeline has stored, behind its processors.
    func offer(_ bytes: [UInt8], of pipeline: String, signal: Signal) {
        guard active.load(ordering: .relaxed) > 0 else { return }
        add(Item(pipeline: pipeline, signal: signal, bytes: bytes), isRaw: false)
    }

    /// What a receiver took for a pipeline, before any processor.
    func offer(raw body: Text, of pipeline: String, signal: Signal) {
        guard active.load(ordering: .relaxed) > 0, allowed == .raw else { return }
        add(Item(pipeline: pipeline, signal: signal, bytes: [UInt8](body.bytes)), isRaw: true)
    }

    private func add(_ item: Item, isRaw: Bool) {
        let now = now()
        sessions.withLock { sessions in
            for (id, session) in sessions {
                if now - session.lastAsked > TapHub.silence {
                    sessions[id] = nil
                    continue
                }
                guard session.isRaw == isRaw, session.pipeline.map({ $0 == item.pipeline }) ?? true else { continue }
                if session.bytes + item.bytes.count > TapHub.bytesMax {
                    sessions[id]?.skipped += 1
                } else {
                    sessions[id]?.items.append(item)
                    sessions[id]?.bytes += item.bytes.count
                }
            }
            active.store(sessions.count, ordering: .relaxed)
        }
    }

    // MARK: Questions

    /// Answers `/tap?id=…&pipeline=…&where=…&raw=1`: one JSON object a line with the pipeline and the request. The last
    /// question has `end=1`, which frees the place of the tap and is answered with nothing.
    func answer(_ request: AdminRequest) -> AdminAnswer {
        guard request.isLocal, allowed != .off else {
            return refusal(.forbidden, "a tap is for this machine only, and not with service.telemetry.tap: off")
        }
        guard let id = request.query["id"], !id.isEmpty, id.utf8.count <= 64 else {
            return refusal(.badRequest, "needs an id of at most 64 bytes")
        }
        if request.query["end"] == "1" {
            end(id)
            return AdminAnswer(status: .ok, contentType: "application/x-ndjson", body: "")
        }
        let isRaw = request.query["raw"] == "1"
        guard !isRaw || allowed == .raw else {
            return refusal(.forbidden, "unredacted data needs service.telemetry.tap: raw")
        }
        var filters: [Signal: TapFilter] = [:]
        if let condition = request.query["where"], !condition.isEmpty {
            switch TapFilter.all(condition) {
            case .success(let made): filters = made
            case .failure(let fault): return refusal(.badRequest, fault.description)
            }
        }
        guard let (items, skipped) = take(id, pipeline: request.query["pipeline"], isRaw: isRaw) else {
            return refusal(.tooManyRequests, "there are \(TapHub.sessionsMax) taps already")
        }
        var output = ByteColumn()
        if skipped > 0 { output.append(string: "{\"skipped\":\(skipped)}\n") }
        for item in items { TapHub.write(item, filters, to: &output) }
        return AdminAnswer(status: .ok, contentType: "application/x-ndjson", body: output.text.string)
    }

    private func take(_ id: String, pipeline: String?, isRaw: Bool) -> (items: [Item], skipped: Int)? {
        let now = now()
        return sessions.withLock { sessions in
            for (other, session) in sessions where now - session.lastAsked > TapHub.silence { sessions[other] = nil }
            if sessions[id] == nil, sessions.count >= TapHub.sessionsMax {
                guard let oldest = sessions.min(by: { $0.value.lastAsked < $1.value.lastAsked }),
                    now - oldest.value.lastAsked > TapHub.pause
                else { return nil }
                sessions[oldest.key] = nil
            }
            let old = sessions[id]
            sessions[id] = Session(pipeline: pipeline, isRaw: isRaw, lastAsked: now)
            active.store(sessions.count, ordering: .relaxed)
            return (old?.items ?? [], old?.skipped ?? 0)
        }
    }

    private func end(_ id: String) {
        sessions.withLock { sessions in
            sessions[id] = nil
            active.store(sessions.count, ordering: .relaxed)
        }
    }

    private static func write(_ item: Item, _ filters: [Signal: TapFilter], to output: inout ByteColumn) {
        var bytes = item.bytes
        if !filters.isEmpty {
            guard let kept = filters[item.signal]?.kept(of: bytes) else { return }
            bytes = kept
        }
        output.append(string: "{\"pipeline\":\"\(item.pipeline)\",\"request\":")
        bytes.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: item.signal, into: &output) }
        output.append(string: "}\n")
    }

    private func refusal(_ status: HTTPResponseStatus, _ reason: String) -> AdminAnswer {
        AdminAnswer(status: status, contentType: "text/plain; charset=utf-8", body: reason + "\n")
    }
}

/// Lets through the records of requests for which a condition holds.
struct TapFilter {
    struct Fault: Error, CustomStringConvertible {
        var description: String
    }

    private let chain: ProcessorChain
    private let keys: KeyTable
    private let workspace = Workspace()

    /// The filters of all signals for which the condition can be read: of spans, log records and data points.
    static func all(_ condition: String) -> Result<[Signal: TapFilter], Fault> {
        var filters: [Signal: TapFilter] = [:]
        var faults: [String] = []
        for (signal, group, context) in [
            (Signal.traces, "traces", "span"), (.logs, "logs", "log_record"), (.metrics, "metrics", "datapoint"),
        ] {
            do { filters[signal] = try TapFilter(condition, signal, group, context) } catch {
                faults.append("\(context): \(error)")
            }
        }
        return filters.isEmpty ? .failure(Fault(description: faults.joined(separator: "\n"))) : .success(filters)
    }

    /// What does not hold is filtered out, and what cannot be asked as well.
    private init(_ condition: String, _ signal: Signal, _ group: String, _ context: String) throws {
        func node(_ content: ConfigNode.Content) -> ConfigNode { ConfigNode(content, place: .nowhere) }
        func map(_ key: String, _ value: ConfigNode) -> ConfigNode {
            node(.map([ConfigNode.Entry(key: key, keyPlace: .nowhere, value: value)]))
        }
        let text = "not (\(condition))"
        let scalar = node(.scalar(ConfigScalar(text: text, value: .string, isPlain: false)))
        var problems = ConfigProblems()
        let options = readOptions(
            FilterOptions.self, node: map(group, map(context, node(.list([scalar])))), path: "where",
            problems: &problems)
        if let problem = problems.all.first { throw Fault(description: problem.message) }
        var build = ProcessorBuild(
            keys: KeyTable.Builder(), metrics: SelfMetrics(), id: "where", pipeline: "tap", signal: signal)
        let filter = try FilterProcessor(options: options, build: &build)
        chain = ProcessorChain(signal: signal, steps: [filter])
        keys = build.keys.build()
    }

    /// The request with the records for which the condition holds, nil when there is none.
    func kept(of bytes: [UInt8]) -> [UInt8]? {
        bytes.withUnsafeBytes { bytes in
            var summary = ReadSummary()
            let result = chain.prepare(Text(bytes), origin: RequestOrigin(), keys: keys, workspace, &summary)
            if case .frame(let frame, _) = result { return frame.bytes }
            return nil
        }
    }
}
