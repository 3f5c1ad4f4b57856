import Foundation
import Telemetry
import Testing
import Yams

@testable import GenAI

/// A fixture of Tests/Fixtures/GenAI: spans as an instrumentation writes them, and what the normalizer must make of
/// each. `expect` lists what is new or has another value, `removed` what is gone; everything else must stay.
struct GoldenFile {
    struct Span {
        var input = TestSpan()
        var expect: [(String, TestValue)] = []
        var removed: [String] = []
    }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/GenAI")

    var url: URL
    /// Comment lines at the top.
    var header: [String] = []
    var spans: [Span] = []

    var name: String { url.deletingPathExtension().lastPathComponent }
    var dialect: String { String(name.split(separator: ".")[0]) }

    init(_ url: URL) throws {
        self.url = url
        let text = try String(contentsOf: url, encoding: .utf8)
        header = text.split(separator: "\n").prefix { $0.hasPrefix("#") }.map(String.init)
        let root = try #require(try Yams.compose(yaml: text)?.mapping, "\(url.lastPathComponent)")
        for node in try #require(root["spans"]?.sequence, "\(url.lastPathComponent)") {
            spans.append(try Self.span(#require(node.mapping)))
        }
    }

    /// Spans that real frameworks wrote, shortened.
    static let frameworks = folder.deletingLastPathComponent().appendingPathComponent("Frameworks")

    static func all(in folder: URL = folder) throws -> [GoldenFile] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "yaml" }.sorted { $0.path < $1.path }.map { try GoldenFile($0) }
    }

    private static func span(_ node: Node.Mapping) throws -> Span {
        var span = Span()
        span.input.name = node["name"]?.string ?? "span"
        if let event = node["log"]?.string {
            span.input.name = event
            span.input.isLog = true
        }
        if let body = node["body"] { span.input.body = try value(body) }
        span.input.scope = node["scope"]?.string ?? ""
        span.input.isRoot = node["root"]?.bool ?? false
        span.input.status = UInt64(node["status"]?.int ?? 0)
        span.input.resource = try members(node["resource"])
        span.input.attributes = try members(node["attributes"])
        for event in node["events"]?.sequence ?? [] {
            let mapping = try #require(event.mapping)
            span.input.events.append(
                TestEvent(
                    name: mapping["name"]?.string ?? "", time: UInt64(mapping["time"]?.int ?? 1_500_000_000),
                    attributes: try members(mapping["attributes"])))
        }
        span.expect = try members(node["expect"])
        span.removed = node["removed"]?.sequence?.compactMap(\.string) ?? []
        return span
    }

    private static func members(_ node: Node?) throws -> [(String, TestValue)] {
        try node?.mapping?.map { (try #require($0.key.string), try value($0.value)) } ?? []
    }

    private static func value(_ node: Node) throws -> TestValue {
        if let list = node.sequence { return .array(try list.map(value)) }
        if node.mapping != nil { return .map(try members(node)) }
        let scalar = try #require(node.scalar)
        guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
        if let number = Int64(scalar.string) { return .int(number) }
        if let flag = node.bool, ["true", "false"].contains(scalar.string) { return .bool(flag) }
        if let number = Double(scalar.string) { return .double(number) }
        return .string(scalar.string)
    }

    // MARK: Running

    /// What the normalizer makes of a span, in the form of `expect` and `removed`.
    static func run(_ input: TestSpan, _ bench: Bench) throws -> (changed: [(String, TestValue)], removed: [String]) {
        var before: [String: TestValue] = [:]
        for (key, value) in input.attributes { before[key] = value }
        var after: [(String, TestValue)] = []
        _ = try bench.run(input.request, input.signal) { batch in
            for index in batch.range(of: input.isLog ? batch.logs[0].set : batch.spans[0].set) {
                let record = batch.attributes[index]
                after.append((batch.text(record.key).string, Self.value(record, batch)))
            }
            if input.isLog { return }
            let message = batch.text(batch.spans[0].statusMessage).string
            if !message.isEmpty { after.append(("(status message)", .string(message))) }
            let status = batch.spans[0].statusCode
            if status != Int32(input.status) { after.append(("(status)", .int(Int64(status)))) }
        }
        let changed = after.filter { key, value in before[key].map { text(of: $0) != text(of: value) } ?? true }
        let removed = input.attributes.map(\.0).filter { key in !after.contains { $0.0 == key } }
        return (changed.sorted { $0.0 < $1.0 }, removed)
    }

    private static func value(_ record: AttributeRecord, _ batch: borrowing RecordBatch) -> TestValue {
        switch record.value {
        case .string(let text), .bytes(let text): return .string(batch.text(text).string)
        case .bool(let flag): return .bool(flag)
        case .int(let number): return .int(number)
        case .double(let number): return .double(number)
        case .array(let text), .map(let text):
            var tree = JSONTree()
            let root = tree.read(batch.text(text), isMap: record.kind == .map)
            return value(root, &tree)
        case .empty, .other: return .string("")
        }
    }

    private static func value(_ ref: JSONRef, _ tree: inout JSONTree) -> TestValue {
        var list: [TestValue] = []
        var members: [(String, TestValue)] = []
        switch tree.kind(ref) {
        case .number:
            return Int64(tree.string(ref).string).map { .int($0) } ?? .double(Double(tree.string(ref).string) ?? 0)
        case .yes: return .bool(true)
        case .no: return .bool(false)
        case .array, .object:
            var child = tree.first(ref)
            while child.exists {
                let item = value(child, &tree)
                list.append(item)
                members.append((tree[child].key.string, item))
                child = tree.next(child)
            }
            return tree.isArray(ref) ? .array(list) : .map(members)
        default: return .string(tree.string(ref).string)
        }
    }

    // MARK: Writing

    static func text(of value: TestValue) -> String {
        switch value {
        case .string(let text): return quoted(text)
        case .int(let number): return "\(number)"
        case .double(let number): return "\(number)"
        case .bool(let flag): return "\(flag)"
        case .array(let items): return "[" + items.map { text(of: $0) }.joined(separator: ", ") + "]"
        case .map(let items):
            return "{" + items.map { "\(quoted($0.0)): \(text(of: $0.1))" }.joined(separator: ", ") + "}"
        case .bytes(let bytes): return quoted(String(decoding: bytes, as: UTF8.self))
        case .null: return "null"
        }
    }

    private static func quoted(_ text: String) -> String {
        if text.contains("\n") || text.contains("\t") {
            let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
                .replacing("\n", with: "\\n").replacing("\t", with: "\\t")
            return "\"\(escaped)\""
        }
        return "'" + text.replacing("'", with: "''") + "'"
    }

    /// The file with the expectations that the normalizer meets today.
    func regenerated(_ bench: Bench) throws -> String {
        var lines = header + ["spans:"]
        for span in spans {
            let input = span.input
            lines.append("  - \(input.isLog ? "log" : "name"): \(Self.quoted(input.name))")
            lines.append("    scope: \(Self.quoted(input.scope))")
            if let body = input.body { lines.append("    body: \(Self.text(of: body))") }
            if input.isRoot, !input.isLog { lines.append("    root: true") }
            if input.status != 0 { lines.append("    status: \(input.status)") }
            Self.append(input.resource, "resource", to: &lines)
            Self.append(input.attributes, "attributes", to: &lines)
            if !input.events.isEmpty { lines.append("    events:") }
            for event in input.events {
                lines.append("      - name: \(Self.quoted(event.name))")
                lines.append("        time: \(event.time)")
                if !event.attributes.isEmpty { lines.append("        attributes:") }
                for (key, value) in event.attributes { lines.append("          \(key): \(Self.text(of: value))") }
            }
            let (changed, removed) = try Self.run(input, bench)
            Self.append(changed, "expect", to: &lines)
            if !removed.isEmpty { lines.append("    removed: [\(removed.joined(separator: ", "))]") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func append(_ members: [(String, TestValue)], _ name: String, to lines: inout [String]) {
        guard !members.isEmpty else { return }
        lines.append("    \(name):")
        for (key, value) in members { lines.append("      \(key): \(text(of: value))") }
    }
}
