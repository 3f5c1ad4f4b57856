import Foundation
import OTLP
import Telemetry
import Testing
import Yams

@testable import GenAI

/// What a capture's manifest asks of its spans. The names are columns of docs/dialects.md.
enum Concept: String, CaseIterable {
    case delivered, operation, provider, model, tokens, input, output
    case toolOperation = "tool"
    case toolName = "tool name"
    case arguments, result, agent, retrieval, session
}

/// How one row of a manifest fared in one concept.
enum Verdict: Character, CaseIterable {
    case met = "+"
    /// Nothing in the span, its events or its log records says it.
    case notEmitted = "·"
    case missed = "!"
    /// Met when all requests of the trace come together, as behind a processor that gathers traces.
    case joined = "~"
}

/// Counts per concept, with the places of what was missed.
struct ConceptCounts {
    var counts: [Concept: [Verdict: Int]] = [:]
    var misses: [String] = []

    mutating func add(_ concept: Concept, _ verdict: Verdict, _ place: String) {
        counts[concept, default: [:]][verdict, default: 0] += 1
        if verdict == .missed { misses.append("\(place): \(concept.rawValue)") }
    }

    /// `12/12`, with what the framework did not emit behind a dot.
    func cell(_ concept: Concept) -> String {
        let counts = counts[concept] ?? [:]
        let met = counts[.met] ?? 0
        let missed = counts[.missed] ?? 0
        let silent = counts[.notEmitted] ?? 0
        let joined = counts[.joined] ?? 0
        if met + missed + silent + joined == 0 { return "–" }
        if met + missed + joined == 0 { return "·\(silent)" }
        return "\(met)/\(met + missed + joined)" + (joined > 0 ? " ~\(joined)" : "") + (silent > 0 ? " ·\(silent)" : "")
    }
}

/// Recorded captures with the truth about them.
struct CorpusTruth {
    typealias Entry = [String: Any]

    /// A span, or a log record that belongs to one, before and after.
    struct Seen {
        var attributes: [String: String] = [:]
        /// Everything the emitter wrote on the span and its events, for asking whether something was there at all.
        var raw = ""
        var logs: [[String: String]] = []
        /// As `attributes`, when all requests of the capture are one.
        var whole: [String: String] = [:]
        /// The span of the host application that drove the agent, without any sign of GenAI.
        var isForeign: Bool {
            !attributes.keys.contains { $0.hasPrefix("gen_ai.") || $0.hasPrefix("sluice.genai.") }
        }

        /// The value on the span, else on one of its log records.
        subscript(_ key: String) -> String? {
            attributes[key] ?? logs.lazy.compactMap { $0[key] }.first
        }
        func values(_ key: String) -> [String] { ([attributes] + logs).compactMap { $0[key] } }
    }

    let folder: URL
    let captures: [Entry]

    /// Reads `manifest.json` or, as the recorder writes it, `MANIFEST.yaml`.
    init(_ folder: URL) throws {
        self.folder = folder
        let root: Any?
        if let data = try? Data(contentsOf: folder.appendingPathComponent("manifest.json")) {
            root = try JSONSerialization.jsonObject(with: data)
        } else {
            root = try Yams.load(
                yaml: String(contentsOf: folder.appendingPathComponent("MANIFEST.yaml"), encoding: .utf8))
        }
        captures = try #require((root as? Entry)?["captures"] as? [Entry])
    }

    /// Rows by set (the first part of a capture's name).
    func run(_ bench: Bench) throws -> [(set: String, counts: ConceptCounts)] {
        var result: [String: ConceptCounts] = [:]
        for capture in captures {
            let name = try #require(capture["capture"] as? String)
            let set = String(name.split(separator: "/")[0])
            let spans = try spans(capture, bench)
            judge(capture, name, spans, &result[set, default: ConceptCounts()])
        }
        return result.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    // MARK: Reading

    func requests(_ capture: Entry, _ signal: Signal) throws -> [[UInt8]] {
        let name = try #require(capture["capture"] as? String)
        var result: [[UInt8]] = []
        for post in capture["posts"] as? [Entry] ?? [] {
            guard let file = post["file"] as? String, file.contains(".\(signal).") else { continue }
            guard let data = try? Data(contentsOf: folder.appendingPathComponent("\(name)/\(file)")) else { continue }
            guard file.hasSuffix(".json") else {
                result.append([UInt8](data))
                continue
            }
            var out = ByteColumn()
            try [UInt8](data).withUnsafeBytes {
                _ = try OTLPJSONReader.transcode(Text($0), signal: signal, into: &out)
            }
            result.append([UInt8](out.bytes))
        }
        return result
    }

    private static func hex(_ text: Text) -> String {
        text.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    func spans(_ capture: Entry, _ bench: Bench) throws -> [String: Seen] {
        var spans: [String: Seen] = [:]
        for bytes in try requests(capture, .traces) {
            _ = try bench.run(bytes, normalize: false) { batch in
                for index in batch.spans.indices {
                    spans[Self.hex(batch.text(batch.spans[index].spanID))] = Seen(raw: Self.raw(index, batch))
                }
            }
            _ = try bench.run(bytes) { batch in
                for index in batch.spans.indices {
                    spans[Self.hex(batch.text(batch.spans[index].spanID))]?.attributes = Bench.attributes(
                        of: index, batch)
                }
            }
        }
        _ = try bench.run(requests(capture, .traces).flatMap { $0 }) { batch in
            for index in batch.spans.indices {
                spans[Self.hex(batch.text(batch.spans[index].spanID))]?.whole = Bench.attributes(of: index, batch)
            }
        }
        for bytes in try requests(capture, .logs) {
            _ = try bench.run(bytes, .logs) { batch in
                for index in batch.logs.indices {
                    let id = Self.hex(batch.text(batch.logs[index].spanID))
                    spans[id]?.logs.append(Bench.attributes(in: batch.logs[index].set, batch))
                }
            }
        }
        return spans
    }

    private static func raw(_ span: Int, _ batch: borrowing RecordBatch) -> String {
        let record = batch.spans[span]
        var text = batch.text(record.name).string + " " + batch.text(batch.scopes[Int(record.scope)].name).string
        for (key, value) in Bench.attributes(in: record.set, batch) { text += "\n\(key)=\(value)" }
        for event in record.events.range where !(batch.text(batch.events[event].name) == "exception") {
            text += "\n" + batch.text(batch.events[event].name).string
            for (key, value) in Bench.attributes(in: batch.events[event].set, batch) { text += "\n\(key)=\(value)" }
        }
        return text + "\n"
    }

    // MARK: Judging

    private func judge(_ capture: Entry, _ name: String, _ spans: [String: Seen], _ counts: inout ConceptCounts) {
        var asks: [String: [String]] = [:]
        for call in capture["tool_calls"] as? [Entry] ?? [] {
            asks[call["llm_span"] as? String ?? "", default: []].append(call["call_id"] as? String ?? "")
        }
        for call in capture["llm_calls"] as? [Entry] ?? [] {
            judgeCall(call, asks[call["span"] as? String ?? ""] ?? [], name, spans, &counts)
        }
        for call in capture["tool_calls"] as? [Entry] ?? [] { judgeTool(call, name, spans, &counts) }
        for row in capture["agent_spans"] as? [Entry] ?? [] {
            guard let (seen, place) = find(row, name, spans, &counts) else { continue }
            let isMet = seen["gen_ai.operation.name"] == "invoke_agent"
            counts.add(.agent, isMet ? .met : seen.isForeign ? .notEmitted : .missed, place)
        }
        for row in capture["retrievals"] as? [Entry] ?? [] {
            guard let (seen, place) = find(row, name, spans, &counts) else { continue }
            counts.add(.retrieval, seen["gen_ai.operation.name"] == "retrieval" ? .met : .missed, place)
        }
        let session = capture["session"] as? Entry ?? [:]
        guard let id = session["id"] as? String else { return }
        for (span, seen) in spans where Self.isGenAI(seen) && seen.raw.contains(id) {
            counts.add(.session, seen["gen_ai.conversation.id"] == id ? .met : .missed, "\(name) \(span)")
        }
        if !spans.values.contains(where: { Self.isGenAI($0) && $0.raw.contains(id) }) {
            counts.add(.session, .notEmitted, name)
        }
    }

    /// Spans of the host application may carry the session as well, but are none of ours.
    private static func isGenAI(_ seen: Seen) -> Bool { seen["gen_ai.operation.name"] != nil }

    /// The span that stands for a row; a row whose span is not in the capture was not delivered.
    private func find(
        _ row: Entry, _ name: String, _ spans: [String: Seen], _ counts: inout ConceptCounts
    ) -> (Seen, String)? {
        guard let id = row["span"] as? String else {
            counts.add(.delivered, .notEmitted, name)
            return nil
        }
        counts.add(.delivered, spans[id] == nil ? .missed : .met, "\(name) \(id)")
        return spans[id].map { ($0, "\(name) \(id)") }
    }

    private func judgeCall(
        _ call: Entry, _ asks: [String], _ name: String, _ spans: [String: Seen], _ counts: inout ConceptCounts
    ) {
        guard let (seen, place) = find(call, name, spans, &counts) else { return }
        let isChat = ["chat", "generate_content"].contains(seen["gen_ai.operation.name"])
        counts.add(.operation, isChat ? .met : .missed, place)
        let provider = (call["api"] as? String)?.hasPrefix("anthropic") == true ? "anthropic" : "openai"
        let attributes = seen.raw.drop { $0 != "\n" }.lowercased()
        expect(.provider, seen["gen_ai.provider.name"] == provider, attributes.contains(provider))
        // Some emitters tell only which model answered, and the limit of 128 attributes takes the request's first.
        let model = call["request_model"] as? String ?? ""
        let hasRequest = seen.raw.contains("=\(model)\n") || seen.raw.contains("/\(model)\n")
        let isModel = seen["gen_ai.request.model"] == model
        let isResponse = seen["gen_ai.response.model"] == call["response_model"] as? String
        expect(.model, isModel || !hasRequest && isResponse, seen.raw.contains(model))
        guard (call["http_status"] as? Int ?? 200) < 400 else { return }
        let input = "\(call["input_tokens"] ?? "")"
        let output = "\(call["output_tokens"] ?? "")"
        expect(
            .tokens, seen["gen_ai.usage.input_tokens"] == input && seen["gen_ai.usage.output_tokens"] == output,
            Self.holdsNumber(seen.raw, input) && Self.holdsNumber(seen.raw, output))
        let hasContent = seen.raw.contains("\"content\"") || seen.raw.contains(".content=") || !seen.logs.isEmpty
        let asked = seen.values("gen_ai.input.messages").contains {
            Self.messages($0).map { !Self.parts($0, "text").isEmpty } ?? false
        }
        expect(.input, asked, hasContent)
        let tools = (call["asked_tools"] as? [String] ?? []).sorted()
        let answered = seen.values("gen_ai.output.messages").contains {
            Self.messages($0).map { Self.parts($0, "tool_call").compactMap { $0["name"] as? String }.sorted() == tools }
                ?? false
        }
        // Frameworks leave out calls that they cannot parse.
        let isThere = asks.allSatisfy { id in ([seen.raw] + seen.logs.flatMap(\.values)).contains { $0.contains(id) } }
        expect(.output, answered, hasContent && isThere)

        func expect(_ concept: Concept, _ isMet: Bool, _ isThere: Bool) {
            counts.add(concept, isMet ? .met : isThere ? .missed : .notEmitted, place)
        }
    }

    private func judgeTool(_ call: Entry, _ name: String, _ spans: [String: Seen], _ counts: inout ConceptCounts) {
        guard let (seen, place) = find(call, name, spans, &counts) else { return }
        // A call that hands over to another agent may have no span but that agent's own.
        if call["handoff"] as? Bool == true, seen["gen_ai.operation.name"] == "invoke_agent" {
            return counts.add(.toolOperation, .notEmitted, place)
        }
        counts.add(.toolOperation, seen["gen_ai.operation.name"] == "execute_tool" ? .met : .missed, place)
        let tool = call["name"] as? String ?? ""
        // Semantic Kernel has the plugin's name in front.
        let found = seen["gen_ai.tool.name"] ?? ""
        counts.add(.toolName, found == tool || found.hasSuffix("-\(tool)") ? .met : .missed, place)
        let arguments = call["arguments"] as? String ?? ""
        judgeValue(.arguments, arguments, seen, "gen_ai.tool.call.arguments", "input", place, &counts)
        if let result = call["result"] as? String {
            judgeValue(.result, result, seen, "gen_ai.tool.call.result", "result", place, &counts)
        }
    }

    /// A document must be the value itself or, when it is no object, stand under `member`.
    private func judgeValue(
        _ concept: Concept, _ truth: String, _ seen: Seen, _ key: String, _ member: String, _ place: String,
        _ counts: inout ConceptCounts
    ) {
        func isTrue(_ value: String) -> Bool {
            sameJSON(value, truth) || sameJSON(value, "{\"\(member)\": \(truth)}")
                || sameJSON(value, "{\"\(member)\": \(Self.quoted(truth))}")
                // A text that is no JSON stands somewhere inside.
                || Self.leaves(truth).isEmpty && value.contains(Self.quoted(truth).dropFirst().dropLast())
        }
        let leaves = Self.leaves(truth)
        let texts = [seen.raw] + seen.logs.map { $0.values.joined(separator: "\n") }
        let isThere = texts.contains { text in
            leaves.isEmpty ? text.contains(truth) : leaves.allSatisfy { Self.holds(text, $0) }
        }
        let isMet = seen.values(key).contains(where: isTrue)
        let isJoined = seen.whole[key].map(isTrue) ?? false
        counts.add(concept, isMet ? .met : isJoined ? .joined : isThere ? .missed : .notEmitted, place)
    }

    private static func quoted(_ text: String) -> String {
        let data = try? JSONSerialization.data(withJSONObject: [text])
        return data.map { String(decoding: $0, as: UTF8.self) }.map { String($0.dropFirst().dropLast()) } ?? "\"\""
    }

    /// Whether a text holds another one, in plain or with what is no ASCII escaped.
    private static func holds(_ text: String, _ leaf: String) -> Bool {
        if text.contains(leaf) { return true }
        let escaped = leaf.utf16.map { $0 < 128 ? String(UnicodeScalar(UInt8($0))) : String(format: "\\u%04x", $0) }
        return text.contains(escaped.joined())
    }

    /// Texts and member names in a JSON document; a bare value under an unnamed parameter is not the document.
    private static func leaves(_ text: String) -> [String] {
        func walk(_ value: Any) -> [String] {
            switch value {
            case let text as String: return text.isEmpty ? [] : [text]
            case let list as [Any]: return list.flatMap(walk)
            case let object as Entry: return object.flatMap { [$0.key] + walk($0.value) }
            default: return []
            }
        }
        guard let value = try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed) else {
            return []
        }
        return walk(value)
    }

    /// Whether a number stands as a value of its own, not inside a word or sentence.
    private static func holdsNumber(_ text: String, _ number: String) -> Bool {
        ["=\(number)\n", ": \(number),", ": \(number)}", ":\(number),", ":\(number)}"].contains { text.contains($0) }
    }

    /// Messages in the schema's shape, nil for anything else.
    static func messages(_ text: String?) -> [Entry]? {
        guard let text, let list = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [Entry] else {
            return nil
        }
        for message in list {
            guard message["role"] is String, let parts = message["parts"] as? [Entry] else { return nil }
            for part in parts where !(part["type"] is String) { return nil }
        }
        return list
    }

    static func parts(_ list: [Entry], _ type: String) -> [Entry] {
        list.flatMap { $0["parts"] as? [Entry] ?? [] }.filter { $0["type"] as? String == type }
    }
}
