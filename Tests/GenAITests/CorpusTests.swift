import Foundation
import OTLP
import Telemetry
import Testing

@testable import GenAI

/// The truth of the recorded captures, as their driver knew it, held against what the normalizer makes of the payloads.
@Suite struct CorpusTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/Corpus")

    typealias Entry = [String: Any]

    /// One span after normalizing.
    struct Seen {
        var attributes: [String: String]
        var isRoot: Bool
    }

    private static func captures() throws -> [Entry] {
        let data = try Data(contentsOf: folder.appendingPathComponent("manifest.json"))
        let root = try #require(try JSONSerialization.jsonObject(with: data) as? Entry)
        return try #require(root["captures"] as? [Entry])
    }

    private static func hex(_ text: Text) -> String {
        text.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Protobuf bytes of each trace post of a capture; JSON posts are transcoded.
    private static func requests(_ capture: Entry) throws -> [[UInt8]] {
        let name = try #require(capture["capture"] as? String)
        var result: [[UInt8]] = []
        for post in capture["posts"] as? [Entry] ?? [] {
            guard let file = post["file"] as? String, file.contains(".traces.") else { continue }
            guard let data = try? Data(contentsOf: folder.appendingPathComponent("\(name)/\(file)")) else { continue }
            guard file.hasSuffix(".json") else {
                result.append([UInt8](data))
                continue
            }
            var out = ByteColumn()
            try [UInt8](data).withUnsafeBytes {
                _ = try OTLPJSONReader.transcode(Text($0), signal: .traces, into: &out)
            }
            result.append([UInt8](out.bytes))
        }
        return result
    }

    private static func spans(_ capture: Entry, _ bench: Bench) throws -> [String: Seen] {
        var spans: [String: Seen] = [:]
        for bytes in try requests(capture) {
            _ = try bench.run(bytes) { batch in
                for index in batch.spans.indices {
                    spans[hex(batch.text(batch.spans[index].spanID))] = Seen(
                        attributes: Bench.attributes(of: index, batch), isRoot: batch.spans[index].parentID.isEmpty)
                }
            }
        }
        return spans
    }

    /// Messages in the schema's shape, nil for anything else.
    private static func messages(_ text: String?) -> [Entry]? {
        guard let text, let list = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [Entry] else {
            return nil
        }
        for message in list {
            guard message["role"] is String, let parts = message["parts"] as? [Entry] else { return nil }
            for part in parts where !(part["type"] is String) { return nil }
        }
        return list
    }

    private static func parts(_ list: [Entry], _ type: String) -> [Entry] {
        list.flatMap { $0["parts"] as? [Entry] ?? [] }.filter { $0["type"] as? String == type }
    }

    @Test func `LLM calls carry operation, provider, model, tokens and messages`() throws {
        let bench = try Bench()
        var checked = 0
        for capture in try Self.captures() {
            let name = try #require(capture["capture"] as? String)
            let spans = try Self.spans(capture, bench)
            let provider = name.hasPrefix("anthropic") ? "anthropic" : "openai"
            // Content of this instrumentation travels in log records.
            let hasContent = !name.hasPrefix("otel_openai_v2")
            for call in capture["llm_calls"] as? [Entry] ?? [] {
                guard let id = call["span"] as? String, let seen = spans[id] else { continue }
                let attributes = seen.attributes
                checked += 1
                #expect(["chat", "generate_content"].contains(attributes["gen_ai.operation.name"]), "\(name) \(id)")
                #expect(attributes["gen_ai.provider.name"] == provider, "\(name) \(id)")
                #expect(attributes["gen_ai.request.model"] == call["request_model"] as? String, "\(name) \(id)")
                guard (call["http_status"] as? Int ?? 200) < 400 else { continue }
                for (key, field) in [("input", "input_tokens"), ("output", "output_tokens")] {
                    let expected = (call[field] as? Int).map(String.init)
                    #expect(attributes["gen_ai.usage.\(key)_tokens"] == expected, "\(name) \(id)")
                }
                if hasContent { Self.check(attributes, call, "\(name) \(id)") }
            }
        }
        #expect(checked > 200)
    }

    private static func check(_ attributes: [String: String], _ call: Entry, _ place: String) {
        guard let input = messages(attributes["gen_ai.input.messages"]) else {
            Issue.record("no input messages: \(place)")
            return
        }
        #expect(!parts(input, "text").isEmpty, "\(place)")
        guard let output = messages(attributes["gen_ai.output.messages"]) else {
            Issue.record("no output messages: \(place)")
            return
        }
        let asked = (call["asked_tools"] as? [String] ?? []).sorted()
        #expect(parts(output, "tool_call").compactMap { $0["name"] as? String }.sorted() == asked, "\(place)")
    }

    @Test func `tool calls carry name, arguments and result`() throws {
        let bench = try Bench()
        var checked = 0
        for capture in try Self.captures() {
            let name = try #require(capture["capture"] as? String)
            let spans = try Self.spans(capture, bench)
            for call in capture["tool_calls"] as? [Entry] ?? [] {
                guard let id = call["span"] as? String, let attributes = spans[id]?.attributes else { continue }
                checked += 1
                #expect(attributes["gen_ai.operation.name"] == "execute_tool", "\(name) \(id)")
                #expect(attributes["gen_ai.tool.name"] == call["name"] as? String, "\(name) \(id)")
                let arguments = call["arguments"] as? String
                // The LangChain instrumentor drops the name of a single parameter; the value must still be there.
                let single = attributes["gen_ai.tool.call.arguments"].flatMap(Self.singleInput)
                if name.hasPrefix("oi_langgraph"), let single {
                    #expect(Self.holds(arguments, single), "\(name) \(id)")
                } else {
                    #expect(sameJSON(attributes["gen_ai.tool.call.arguments"], arguments), "\(name) \(id)")
                }
                if let id = attributes["gen_ai.tool.call.id"] { #expect(id == call["call_id"] as? String) }
                guard let result = call["result"] as? String else { continue }
                let seen = attributes["gen_ai.tool.call.result"]
                #expect(
                    sameJSON(seen, result) || sameJSON(seen, #"{"result": \#(result)}"#)
                        || sameJSON(seen, #"{"result": "\#(result)"}"#), "\(name) \(id)")
            }
        }
        #expect(checked > 100)
    }

    private static func singleInput(_ text: String) -> String? {
        guard let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? Entry, object.count == 1 else {
            return nil
        }
        return object["input"] as? String
    }

    /// Whether an object of one member has this value.
    private static func holds(_ arguments: String?, _ value: String) -> Bool {
        guard let arguments, let object = try? JSONSerialization.jsonObject(with: Data(arguments.utf8)) as? Entry else {
            return false
        }
        return object.count == 1 && object.values.contains { $0 as? String == value }
    }

    @Test func `sessions become conversations`() throws {
        let bench = try Bench()
        for capture in try Self.captures() {
            let name = try #require(capture["capture"] as? String)
            let session = capture["session"] as? Entry ?? [:]
            let keys = (session["attributes"] as? [String: Any] ?? [:]).keys.filter { !$0.hasPrefix("log:") }
            // The host application's own span has no GenAI mark there, so its session id is not a conversation.
            guard !keys.isEmpty, !name.hasPrefix("litellm"), let id = session["id"] as? String else { continue }
            let spans = try Self.spans(capture, bench)
            #expect(spans.values.contains { $0.attributes["gen_ai.conversation.id"] == id }, "\(name)")
        }
    }

    @Test func `only true LLM spans count as inference`() throws {
        let bench = try Bench()
        for capture in try Self.captures() {
            let name = try #require(capture["capture"] as? String)
            var truth: Set<String> = []
            for call in capture["llm_calls"] as? [Entry] ?? [] {
                if let id = call["span"] as? String { truth.insert(id) }
                truth.formUnion(call["also"] as? [String] ?? [])
            }
            for (id, seen) in try Self.spans(capture, bench) where seen.attributes["gen_ai.operation.name"] == "chat" {
                #expect(truth.contains(id), "\(name) \(id)")
            }
        }
    }

    @Test(arguments: [false, true]) func `a second run changes nothing`(removeOriginals: Bool) throws {
        var options = NormalizerOptions()
        options.removeOriginals = removeOriginals
        let bench = try Bench(options)
        for capture in try Self.captures() {
            for request in try Self.requests(capture) {
                let once = try bench.run(request)
                let twice = try bench.run(once)
                #expect(twice == once, "\(capture["capture"] ?? "")")
                #expect(bench.normalizer.changedSpans == 0)
            }
        }
    }
}
