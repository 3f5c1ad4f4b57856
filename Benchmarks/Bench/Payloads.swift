import OTLP
import Telemetry
import TestSupport

/// One request to measure with, in both encodings.
struct Payload {
    let name: String
    let spans: Int
    let protobuf: [UInt8]
    let json: [UInt8]
    /// Whether it is one whole trace, for the stages that look at those.
    let isTrace: Bool

    init(_ name: String, spans: Int, isTrace: Bool = false, _ protobuf: [UInt8]) {
        self.name = name
        self.isTrace = isTrace
        self.spans = spans
        self.protobuf = protobuf
        var output = ByteColumn()
        protobuf.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: .traces, into: &output) }
        json = [UInt8](output.bytes)
    }

    /// Spans of other dialects, for the normalizer. They have no thresholds yet.
    static func dialects() -> [Payload] {
        var renamed = PayloadMaker(seed: 20_261_129)
        var json = PayloadMaker(seed: 20_261_130)
        var indexed = PayloadMaker(seed: 20_261_131)
        var turns = PayloadMaker(seed: 20_261_132)
        return [
            Payload("renamed50", spans: 50, renamed.request(spans: 50) { $0.renamedSpan($1) }),
            Payload("json50", spans: 50, json.request(spans: 50) { $0.jsonSpan($1) }),
            Payload("indexed50", spans: 50, indexed.request(spans: 50) { $0.indexedSpan($1) }),
            Payload("turns50", spans: 50, turns.request(spans: 50) { $0.turnSpan($1) }),
        ]
    }

    static func all() -> [Payload] {
        var plain = PayloadMaker(seed: 20_261_126)
        var genAI = PayloadMaker(seed: 20_261_127)
        var one = PayloadMaker(seed: 20_261_128)
        var run = AgentPayload(hasContent: true)
        var bare = AgentPayload(hasContent: false)
        return [
            Payload("run51", spans: 51, isTrace: true, run.request(spans: 51)),
            Payload("bare51", spans: 51, isTrace: true, bare.request(spans: 51)),
            Payload("plain100", spans: 100, plain.request(spans: 100) { $0.plainSpan($1) }),
            Payload("genai50", spans: 50, genAI.request(spans: 50) { $0.genAISpan($1) }),
            Payload("one", spans: 1, one.request(spans: 1) { $0.plainSpan($1) }),
        ]
    }
}

/// Makes requests like those of HTTP services and of agents, always the same for a seed: plain spans with ten
/// attributes, GenAI spans with 25 and about 5 KB of text, of which a twenty-fifth holds something to mask.
struct PayloadMaker {
    private var random: SeededRandom
    private let words: [String]

    init(seed: UInt64) {
        random = SeededRandom(seed)
        var random = SeededRandom(seed)
        let syllables = ["ba", "de", "ki", "lo", "mu", "na", "re", "si", "to", "vu", "za", "ing", "er", "con", "st"]
        words = (0..<2_000).map { _ in (0...random.below(3)).map { _ in random.pick(syllables) }.joined() }
    }

    mutating func request(spans: Int, _ span: (inout PayloadMaker, Int) -> [UInt8]) -> [UInt8] {
        let records = (0..<spans).map { span(&self, $0) }
        return WireBytes.request(
            resource: { resource in
                for (key, value) in [
                    ("service.name", "agent-svc-3"), ("service.version", "1.4.2"), ("service.instance.id", "5f3c9a10"),
                    ("host.name", "node-07"), ("deployment.environment.name", "prod"),
                    ("telemetry.sdk.name", "opentelemetry"), ("telemetry.sdk.language", "python"),
                    ("telemetry.sdk.version", "1.38.0"),
                ] { resource.attribute(1, key, value) }
            },
            scope: {
                $0.text(1, "opentelemetry.instrumentation.agent")
                $0.text(2, "0.60.1")
            }, records: records)
    }

    // MARK: Spans

    mutating func plainSpan(_ index: Int) -> [UInt8] {
        var span = head(index, name: random.pick(["GET /v1/orders/{id}", "SELECT orders", "cache.get"]), kind: 2)
        span.attribute(9, "http.request.method", random.pick(["GET", "POST", "PUT"]))
        span.attribute(9, "url.path", "/v1/orders/\(random.below(1_000_000))/items")
        number("http.response.status_code", UInt64(random.pick([200, 201, 404, 500])), &span)
        span.attribute(9, "server.address", "svc-\(random.below(20)).internal.example.com")
        number("server.port", 8_443, &span)
        span.attribute(9, "network.protocol.version", "1.1")
        span.attribute(9, "user_agent.original", "agent-client/2.1 (linux; x86_64) requests/2.32")
        span.attribute(9, "enduser.id", "u-\(100_000 + random.below(900_000))")
        flag("retry", random.chance(percent: 10), &span)
        double("queue.ratio", Double(random.below(1_000)) / 1_000, &span)
        if random.chance(percent: 10) {
            span.message(15) {
                $0.text(2, "upstream timed out")
                $0.number(3, 2)
            }
        }
        span.fixed32(16, 257)
        return span.bytes
    }

    mutating func genAISpan(_ index: Int) -> [UInt8] {
        var span = head(index, name: "chat gpt-4.1", kind: 3)
        let isOld = index % 10 == 0
        let model = random.pick(["gpt-4o-mini", "gpt-4.1", "claude-sonnet-4-5"])
        let texts = [
            ("gen_ai.operation.name", "chat"), (isOld ? "gen_ai.system" : "gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", model), ("gen_ai.response.model", model + "-2025-08-07"),
            ("gen_ai.response.id", "chatcmpl-\(random.next())"), ("gen_ai.conversation.id", "conv_\(random.next())"),
            ("gen_ai.agent.name", "planner"), ("gen_ai.agent.id", "asst_\(random.next())"),
            ("gen_ai.output.type", "text"), ("server.address", "api.example.com"), ("user.id", "u-\(index)"),
            ("session.id", "s-\(random.below(1_000))"), ("gen_ai.request.stop", "END"), ("agent.step", "think"),
            ("gen_ai.system_instructions", sentence(300)),
        ]
        for (key, value) in texts { span.attribute(9, key, value) }
        let numbers: [(String, Int)] = [
            (isOld ? "gen_ai.usage.prompt_tokens" : "gen_ai.usage.input_tokens", 900),
            (isOld ? "gen_ai.usage.completion_tokens" : "gen_ai.usage.output_tokens", 300),
            ("gen_ai.request.max_tokens", 4_096), ("server.port", 443), ("agent.depth", 3),
        ]
        for (key, value) in numbers { number(key, UInt64(value), &span) }
        double("gen_ai.request.temperature", 0.2, &span)
        flag("llm.is_streaming", false, &span)
        span.message(9) {
            $0.text(1, "gen_ai.response.finish_reasons")
            $0.message(2) { $0.message(5) { $0.message(1) { $0.text(1, "stop") } } }
        }
        let question = sentence(3_000)
        let answer = sentence(1_500)
        span.attribute(
            9, "gen_ai.input.messages",
            #"[{"role":"user","parts":[{"type":"text","content":"\#(question)"}]}]"#)
        span.attribute(
            9, "gen_ai.output.messages",
            #"[{"role":"assistant","parts":[{"type":"text","content":"\#(answer)"}],"finish_reason":"stop"}]"#)
        span.fixed32(16, 257)
        return span.bytes
    }

    /// A model call of the rig's payload p2: text in JSON with its line breaks escaped.
    mutating func turnSpan(_ index: Int) -> [UInt8] {
        var span = head(index, name: "chat gpt-4.1", kind: 3)
        for (key, value) in [
            ("gen_ai.operation.name", "chat"), ("gen_ai.system", "openai"), ("gen_ai.request.model", "gpt-4.1"),
            ("gen_ai.response.id", "chatcmpl-\(random.next())"), ("gen_ai.conversation.id", "conv_\(random.next())"),
            ("server.address", "api.example.com"), ("user.id", "u-\(index)"),
        ] { span.attribute(9, key, value) }
        for (key, value) in [
            ("gen_ai.usage.prompt_tokens", 900), ("gen_ai.usage.completion_tokens", 300), ("server.port", 443),
        ] { number(key, UInt64(value), &span) }
        let system = turn("system", 300)
        span.attribute(9, "gen_ai.input.messages", "[\(system), \(turn("user", 3_500))]")
        span.attribute(9, "gen_ai.output.messages", "[\(turn("assistant", 1_200))]")
        return span.bytes
    }

    private mutating func turn(_ role: String, _ count: Int) -> String {
        let lines = (0..<max(1, count / 250)).map { _ in sentence(250) }
        let text = lines.joined(separator: #"\n"#)
        return #"{"role": "\#(role)", "parts": [{"type": "text", "content": "\#(text)"}]}"#
    }

    /// 25 attributes and 5 KB of text under OpenInference's names, each of which has one current name; the text is a
    /// chain's, which has none.
    mutating func renamedSpan(_ index: Int) -> [UInt8] {
        var span = scalars(index, kind: "CHAIN")
        span.attribute(9, "input.value", sentence(3_200))
        span.attribute(9, "output.value", sentence(1_800))
        return span.bytes
    }

    /// The same scalars; messages as an OpenAI request and answer in JSON.
    mutating func jsonSpan(_ index: Int) -> [UInt8] {
        var span = scalars(index, kind: "LLM")
        let turns = (0..<6).map { turn in
            #"{"role": "\#(turn % 2 == 0 ? "user" : "assistant")", "content": "\#(sentence(500))"}"#
        }
        span.attribute(
            9, "input.value",
            #"{"model": "gpt-4.1", "messages": [{"role": "system", "content": "\#(sentence(300))"}, "#
                + turns.joined(separator: ", ") + "]}")
        span.attribute(
            9, "output.value",
            #"{"choices": [{"index": 0, "message": {"role": "assistant", "content": "\#(sentence(1_500))"}, "#
                + #""finish_reason": "stop"}]}"#)
        return span.bytes
    }

    /// The same scalars; messages as indexed attributes.
    mutating func indexedSpan(_ index: Int) -> [UInt8] {
        var span = scalars(index, kind: "LLM")
        for turn in 0..<7 {
            let prefix = "llm.input_messages.\(turn).message."
            span.attribute(9, prefix + "role", turn == 0 ? "system" : turn % 2 == 1 ? "user" : "assistant")
            span.attribute(9, prefix + "content", sentence(turn == 0 ? 300 : 500))
        }
        let answer = "llm.output_messages.0.message."
        span.attribute(9, answer + "role", "assistant")
        span.attribute(9, answer + "content", sentence(1_500))
        span.attribute(9, answer + "tool_calls.0.tool_call.id", "call_\(random.next())")
        span.attribute(9, answer + "tool_calls.0.tool_call.function.name", "lookup_order")
        span.attribute(9, answer + "tool_calls.0.tool_call.function.arguments", #"{"order": \#(index)}"#)
        return span.bytes
    }

    private mutating func scalars(_ index: Int, kind: String) -> WireBytes {
        var span = head(index, name: "ChatCompletion", kind: 1)
        let texts = [
            ("openinference.span.kind", kind), ("llm.model_name", "gpt-4.1"), ("llm.provider", "openai"),
            ("llm.system", "openai"), ("session.id", "s-\(random.below(1_000))"), ("user.id", "u-\(index)"),
            ("agent.name", "planner"), ("llm.prompt_template.version", "v7"), ("prompt.id", "planner-main"),
            ("input.mime_type", "application/json"), ("output.mime_type", "application/json"),
            ("server.address", "api.example.com"), ("agent.step", "think"), ("deployment.region", "eu-1"),
        ]
        for (key, value) in texts { span.attribute(9, key, value) }
        for (key, value) in [
            ("llm.token_count.prompt", 900), ("llm.token_count.completion", 300), ("llm.token_count.total", 1_200),
            ("llm.token_count.prompt_details.cache_read", 400), ("llm.token_count.completion_details.reasoning", 90),
            ("agent.depth", 3),
        ] { number(key, UInt64(value), &span) }
        double("llm.cost.total", 0.0123, &span)
        double("llm.cost.prompt", 0.01, &span)
        double("llm.cost.completion", 0.0023, &span)
        return span
    }

    private mutating func head(_ index: Int, name: String, kind: UInt64) -> WireBytes {
        var span = WireBytes()
        span.data(1, [1] + random.bytes(15))
        span.data(2, [1] + random.bytes(7))
        if index % 10 != 0 { span.data(4, [1] + random.bytes(7)) }
        span.text(5, name)
        span.number(6, kind)
        let start = 1_790_000_000_000_000_000 + UInt64(random.below(1_000_000_000))
        span.fixed64(7, start)
        span.fixed64(8, start + UInt64(random.below(90_000_000)))
        return span
    }

    // MARK: Values

    private func number(_ key: String, _ value: UInt64, _ span: inout WireBytes) {
        span.message(9) {
            $0.text(1, key)
            $0.message(2) { $0.number(3, value) }
        }
    }

    private func flag(_ key: String, _ value: Bool, _ span: inout WireBytes) {
        span.message(9) {
            $0.text(1, key)
            $0.message(2) { $0.number(2, value ? 1 : 0) }
        }
    }

    private func double(_ key: String, _ value: Double, _ span: inout WireBytes) {
        span.message(9) {
            $0.text(1, key)
            $0.message(2) { $0.fixed64(4, value.bitPattern) }
        }
    }

    /// About so many bytes of words; now and then something that a detector finds.
    private mutating func sentence(_ count: Int) -> String {
        var text = ""
        while text.utf8.count < count {
            text += (0..<12).map { _ in random.pick(words) }.joined(separator: " ") + ". "
            if random.chance(percent: 4) {
                text += random.pick([
                    "mail \(random.pick(words))@\(random.pick(words)).example.com. ", "card 4111 1111 1111 1111. ",
                    "key sk-proj-\(random.next())\(random.next())abcdef. ",
                    "phone +1 212 555 0\(100 + random.below(900)). ",
                ])
            }
        }
        return text
    }
}
