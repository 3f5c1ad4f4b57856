@testable import Connectors
import Exporters
import Foundation
import OTLP
import Pipeline
import Synchronization
import Telemetry
import TestSupport
import Testing

/// A model on loopback: answers each request from a script, one connection at a time per thread, and closes.
private final class ScriptedModel: Sendable {
    private final class Calls: Sendable {
        let state = Mutex<(bodies: [String], open: Int, most: Int)>(([], 0, 0))
    }

    private let calls = Calls()
    private let listener: LoopbackListener

    init(_ script: @escaping @Sendable (Int) -> (status: Int, content: String)) throws {
        listener = try LoopbackListener { [calls] in ScriptedModel.serve($0, calls, script) }
    }

    var port: Int { listener.port }
    var bodies: [String] { calls.state.withLock { $0.bodies } }
    var mostAtOnce: Int { calls.state.withLock { $0.most } }
    func stop() { listener.stop() }

    private static func serve(
        _ connection: Int32, _ calls: Calls, _ script: @Sendable (Int) -> (status: Int, content: String)
    ) {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var needed = Int.max
        while bytes.count < needed {
            let count = read(connection, &chunk, chunk.count)
            guard count > 0 else { return }
            bytes += chunk[..<count]
            let text = String(decoding: bytes, as: UTF8.self)
            if needed == .max, let end = text.range(of: "\r\n\r\n"),
                let header = text.range(of: "content-length: ", options: .caseInsensitive),
                let length = Int(text[header.upperBound...].prefix { $0.isNumber })
            {
                needed = text[..<end.upperBound].utf8.count + length
            }
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let index = calls.state.withLock { state in
            state.open += 1
            state.most = max(state.most, state.open)
            state.bodies.append(String(text[text.range(of: "\r\n\r\n")!.upperBound...]))
            return state.bodies.count - 1
        }
        let (status, content) = script(index)
        calls.state.withLock { $0.open -= 1 }
        let quoted = String(decoding: (try? JSONEncoder().encode(content)) ?? Data(), as: UTF8.self)
        let body = """
            {"choices":[{"message":{"role":"assistant","content":\(quoted)}}],\
            "usage":{"prompt_tokens":1000,"completion_tokens":100}}
            """
        let head =
            "HTTP/1.1 \(status) x\r\ncontent-type: application/json\r\nconnection: close\r\n"
            + "content-length: \(body.utf8.count)\r\n\r\n"
        _ = Array((head + body).utf8).withUnsafeBytes { write(connection, $0.baseAddress, $0.count) }
    }
}

private let good = #"{"score": 0.9, "label": "pass", "explanation": "fine"}"#
private let bad = #"{"score": 0.1, "label": "fail", "explanation": "step 1 came back empty"}"#

@Suite(.timeLimit(.minutes(15))) struct JudgeTests {
    private func told(_ connector: JudgeConnector, _ numbers: ClosedRange<Int>) async throws -> [String] {
        let deliveries = try await connector.connectWaiting(runs(numbers))
        return try told(deliveries)
    }

    private func connector(
        _ model: ScriptedModel, _ more: String, key: String = "k", now: UInt64 = 2_000_000_000, folder: String? = nil
    ) throws -> JudgeConnector {
        let (options, problems) = read(
            JudgeOptions.self, "endpoint: 'http://127.0.0.1:\(model.port)/v1'\napi_key: '\(key)'\nmodel: m\n" + more)
        try #require(problems == [], "\(problems)")
        let build = ConnectorBuild(
            metrics: SelfMetrics(), id: "judge", input: "traces", inputSignal: .traces,
            outputs: [ConnectorOutput(pipeline: "logs", signal: .logs)], now: { now },
            dataDirectory: folder)
        let effects = WorkerEffects(now: { .zero }, sleep: { _ in }, random: { 0.5 })
        let connector = try JudgeConnector(options: options, build: build, engine: CurlEngine(), effects: effects)
        try connector.start()
        return connector
    }

    /// A run per number, with a request, a call, a result and an answer.
    private func runs(_ numbers: ClosedRange<Int>) throws -> ExportBatch {
        try batch(
            numbers.flatMap { number -> [String] in
                let input = #"[{"role":"user","parts":[{"type":"text","content":"refund \#(number)"}]}]"#
                let output = #"[{"role":"assistant","parts":[{"type":"text","content":"done"}]}]"#
                func escaped(_ text: String) -> String { text.replacingOccurrences(of: "\"", with: "\\\"") }
                let trace = String(format: "%032x", number)
                return [
                    span(
                        "chat", 1,
                        [
                            "gen_ai.operation.name": "chat", "gen_ai.input.messages": escaped(input),
                            "gen_ai.output.messages": escaped(output), "gen_ai.conversation.id": "s\(number)",
                        ]),
                    span(
                        "tool", 1,
                        [
                            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "fetch",
                            "gen_ai.tool.call.result": "[]",
                        ]
                    ).replacingOccurrences(
                        of: "\"spanId\":\"0123456789abcdef\"", with: "\"spanId\":\"cccccccccccccccc\""),
                ].map { $0.replacingOccurrences(of: "0123456789abcdef0123456789abcdef", with: trace) }
            })
    }

    /// Name, label, score and tier of each record.
    private func told(_ deliveries: [ConnectorDelivery]) throws -> [String] {
        try deliveries.flatMap { delivery -> [String] in
            var batch = RecordBatch()
            return try delivery.bytes.withUnsafeBytes { raw in
                _ = try OTLPReader.read(Text(raw), signal: .logs, keys: .empty, into: &batch)
                return batch.logs.indices.map { index in
                    let log = batch.logs[index]
                    func text(_ key: StaticString) -> String {
                        guard let place = batch.find(name: Text(key), in: log.set) else { return "-" }
                        switch batch.attributes[place].value {
                        case .string(let text): return batch.text(text).string
                        case .double(let number): return "\(number)"
                        default: return "?"
                        }
                    }
                    let last = batch.text(log.traceID).bytes.last ?? 0
                    return "\(batch.text(log.eventName).string) \(last) \(text("gen_ai.evaluation.name")) "
                        + "\(text("gen_ai.evaluation.score.label")) \(text("gen_ai.evaluation.score.value")) "
                        + "\(text("sluice.finding.tier"))"
                }
            }
        }
    }

    @Test func `asks about runs and makes results of the answers`() async throws {
        let model = try ScriptedModel { _ in (200, bad) }
        defer { model.stop() }
        let connector = try connector(
            model, "judges: [{template: task_success, sampling_percentage: 100, tier: alert}]")
        let found = try await told(connector, 1...1)
        #expect(found == ["gen_ai.evaluation.result 1 task_success fail 0.1 alert"])
        let body = try #require(model.bodies.first)
        #expect(body.contains("\"model\":\"m\"") && body.contains("\"temperature\":0"))
        #expect(body.contains("\"response_format\":{\"type\":\"json_object\"}"))
        for part in ["refund 1", "1. call fetch", "result: []", "ANSWER\\ndone", "Did the agent do what"] {
            #expect(body.contains(part), "\(part) is not in \(body)")
        }
    }

    @Test func `equal runs are asked about once`() async throws {
        let model = try ScriptedModel { _ in (200, good) }
        defer { model.stop() }
        let connector = try connector(model, "judges: [{sampling_percentage: 100}]")
        let first = try await told(connector, 1...1)
        #expect(first == ["gen_ai.evaluation.result 1 task_success pass 0.9 -"])
        let second = try await told(connector, 1...1)
        #expect(second == first && model.bodies.count == 1)
    }

    @Test func `judgements outlive a restart, and a torn file`() async throws {
        let model = try ScriptedModel { _ in (200, good) }
        defer { model.stop() }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("judge-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let yaml = "cache_size: 4\njudges: [{sampling_percentage: 100}]"
        let first = try await told(connector(model, yaml, folder: folder), 1...3)
        #expect(model.bodies.count == 3)
        let files = try FileManager.default.contentsOfDirectory(atPath: folder + "/judge")
        let file = folder + "/judge/" + (try #require(files.first))
        let handle = try #require(FileHandle(forWritingAtPath: file))
        handle.seekToEndOfFile()
        handle.write(Data(#"{"hash": 5, "sco"#.utf8))
        try handle.close()
        let second = try await told(connector(model, yaml, folder: folder), 1...3)
        #expect(second == first && model.bodies.count == 3)
        _ = try await told(connector(model, yaml, folder: folder), 4...20)
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").count
        #expect(lines <= 9, "the file is bounded: \(lines) lines")
    }

    @Test func `a call is judged by itself at level span, on its own span`() async throws {
        let model = try ScriptedModel { _ in (200, bad) }
        defer { model.stop() }
        let rule = """
            judges: [{template: tool_selection, level: span, sampling_percentage: 100, \
            filter: 'attributes["gen_ai.tool.name"] == "fetch"'}]
            """
        let deliveries = try await connector(model, rule).connectWaiting(runs(1...1))
        #expect(try told(deliveries) == ["gen_ai.evaluation.result 1 tool_selection fail 0.1 tag"])
        #expect(deliveries.allSatisfy { delivery in delivery.bytes.withUnsafeBytes { $0.contains(0xCC) } })
        #expect(model.bodies.first?.contains("ONE STEP OF A RUN") == true)
    }

    @Test func `a session is judged with its earlier runs`() async throws {
        let model = try ScriptedModel { _ in (200, good) }
        defer { model.stop() }
        let connector = try connector(model, "judges: [{level: session, sampling_percentage: 100}]")
        func run(_ number: Int) throws -> ExportBatch {
            let input = #"[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"wish \#(number)\"}]}]"#
            let one = span(
                "chat", 1,
                [
                    "gen_ai.operation.name": "chat", "gen_ai.input.messages": input, "gen_ai.conversation.id": "s",
                ])
            let trace = String(format: "%032x", number)
            return try batch([one.replacingOccurrences(of: "0123456789abcdef0123456789abcdef", with: trace)])
        }
        for number in [1, 2, 2] { _ = try await connector.connectWaiting(run(number)) }
        #expect(model.bodies.count == 2, "the same batch again asks nothing new")
        #expect(model.bodies[0].contains("wish 1") && !model.bodies[0].contains("EARLIER RUN"))
        #expect(model.bodies[1].contains("EARLIER RUN 1 OF THE SESSION") && model.bodies[1].contains("wish 1"))
    }

    @Test(arguments: JudgeTemplate.allCases) func `every template asks its question and takes the answer`(
        _ template: JudgeTemplate
    ) async throws {
        let model = try ScriptedModel { _ in (200, good) }
        defer { model.stop() }
        let connector = try connector(
            model, "judges: [{template: \(template.rawValue), sampling_percentage: 100}]")
        let found = try await told(connector, 1...1)
        #expect(found == ["gen_ai.evaluation.result 1 \(template.rawValue) pass 0.9 -"])
        let body = try #require(model.bodies.first)
        #expect(body.contains(template.question.prefix(30)))
    }

    @Test func `what is no judgement is asked again, then given up`() async throws {
        let script = ["I think so", #"{"score": 2}"#, "```json\n\(good)\n```", "no", "no", "no"]
        let model = try ScriptedModel { (200, script[min($0, script.count - 1)]) }
        defer { model.stop() }
        let connector = try connector(model, "max_attempts: 3\njudges: [{sampling_percentage: 100}]")
        let first = try await told(connector, 1...1)
        #expect(first.count == 1 && model.bodies.count == 3)
        let second = try await told(connector, 2...2)
        #expect(second.isEmpty && model.bodies.count == 6)
    }

    @Test func `keeps to its concurrency, requests and costs`() async throws {
        let model = try ScriptedModel { _ in
            usleep(20_000)
            return (200, good)
        }
        defer { model.stop() }
        let yaml = "max_concurrency: 2\nmax_requests_per_hour: 5\njudges: [{sampling_percentage: 100}]"
        let capped = try connector(model, yaml)
        let five = try await told(capped, 1...9)
        #expect(five.count == 5)
        #expect(model.bodies.count == 5 && model.mostAtOnce <= 2)
        let costly = try connector(
            model, "max_concurrency: 1\ninput_price: 1000\nmax_cost_per_hour: 2.5\njudges: [{sampling_percentage: 100}]"
        )
        let three = try await told(costly, 11...19)
        #expect(three.count == 3)
    }

    @Test func `passing faults are tried again, a wrong key is final`() async throws {
        let model = try ScriptedModel { $0 < 2 ? (503, "") : $0 == 2 ? (200, good) : (401, "") }
        defer { model.stop() }
        let connector = try connector(model, "judges: [{sampling_percentage: 100}]")
        let first = try await told(connector, 1...1)
        #expect(first.count == 1 && model.bodies.count == 3)
        let second = try await told(connector, 2...2)
        #expect(second.isEmpty && model.bodies.count == 4)
    }

    @Test func `without a key, out of the sample, too late or without content nothing is asked`() async throws {
        let model = try ScriptedModel { _ in (200, good) }
        defer { model.stop() }
        let all = "judges: [{sampling_percentage: 100}]"
        let filtered = "judges: [{sampling_percentage: 100, filter: 'name == \"other\"'}]"
        var told = try await self.told(connector(model, all, key: ""), 1...1)
        told += try await self.told(connector(model, "judges: [{sampling_percentage: 0}]"), 1...1)
        told += try await self.told(connector(model, filtered), 1...1)
        told += try await self.told(connector(model, "max_lag: 1s\n" + all, now: 5_000_000_000), 1...1)
        let bare = try batch([span("chat", 1, ["gen_ai.operation.name": "chat"])])
        told += try await self.told(connector(model, all).connectWaiting(bare))
        told += try self.told(connector(model, all).connect(runs(1...1)))
        #expect(told.isEmpty)
        #expect(model.bodies.isEmpty)
    }

    @Test(arguments: [
        ("{}", "required"), ("model: m", "at least one judge"),
        ("{model: m, judges: [{prompt: x}]}", "required with a prompt"),
        ("{model: m, max_cost_per_hour: 1, judges: [{}]}", "input_price"),
        ("{model: m, judges: [{}, {}]}", "two judges"),
        ("{model: m, judges: [{filter: 'nam == 1'}]}", "did you mean"),
        ("{model: m, endpoint: 'http://gpu.example/v1', judges: [{}]}", "go to gpu.example unencrypted"),
        ("{model: m, endpoint: gpu.example, judges: [{}]}", "needs a scheme"),
    ]) func `faults of the file are told`(_ yaml: String, _ words: String) {
        let problems = read(JudgeOptions.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
    }
}
