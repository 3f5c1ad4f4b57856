package import Configuration
import OTLP
import Telemetry

/// One test of `tests:`: what goes in, and what must come out of which pipeline.
package struct ConfigTest: ComponentOptions {
    /// A span given in short form.
    package struct Span: Sendable {
        var name: String
        var trace: Int
        var parent: String
        var kind: Int
        var failed: Bool
        var milliseconds: Int
        var attributes: [(String, ConfigValue)]
        var resource: [(String, ConfigValue)]
        var scope: String
    }

    package struct Expectation: Sendable {
        var pipeline: String
        var exporter: String
        var count: Int?
        var dropped: Int?
        var span: String
        var attributes: [(String, ConfigValue)]
        var absent: [String]
        var findings: [String]?
        var contains: [String]
        var lacks: [String]
    }

    package var name: String
    package var files: [String]
    package var payload: String
    package var spans: [Span]
    package var expectations: [Expectation]

    package init(_ settings: inout Settings) {
        name = settings.requiredString("name", "What the test states.")
        files = settings.strings(
            "files", default: [], "Recorded requests that go in, relative to the file of the test.")
        payload = settings.string("payload", default: "", "An OTLP/JSON request that goes in.")
        spans = settings.list("spans", "Spans that go in, in short form.") { span in
            Span(
                name: span.requiredString("name", "Name of the span; parents are named by it."),
                trace: span.int("trace", default: 1, in: 1...1_000_000, "Number of its trace."),
                parent: span.string("parent", default: "", "Name of its parent; empty for a root."),
                kind: span.int("kind", default: 1, in: 0...5, "Number of its kind; 1 is internal."),
                failed: span.bool("failed", default: false, "Whether its status is an error."),
                milliseconds: span.int("duration_ms", default: 1, in: 0...86_400_000, unit: "ms", "How long it took."),
                attributes: span.entries("attributes", "Its attributes."),
                resource: span.entries("resource", "Attributes of its resource."),
                scope: span.string("scope", default: "", "Name of its instrumentation scope."))
        }
        expectations = settings.list("expect", "What must come out.") { one in
            Expectation(
                pipeline: one.string("pipeline", default: "", "The pipeline; empty for the first that got something."),
                exporter: one.string(
                    "exporter", default: "",
                    "One of its exporters, behind the processors of its `process`; empty for what all of them get."),
                count: one.optionalInt("count", "Records that reach its exporters."),
                dropped: one.optionalInt("dropped", "Records that its processors take out."),
                span: one.string("span", default: "", "Name of spans of which at least one must be as said here."),
                attributes: one.entries("attributes", "Attributes that it must have, with these values."),
                absent: one.strings("absent", default: [], "Attributes that it must not have."),
                findings: one.optionalStrings("findings", "Exactly the findings that it must have."),
                contains: one.strings("contains", default: [], "Texts that must be somewhere in the output."),
                lacks: one.strings("lacks", default: [], "Texts that must be nowhere in the output."))
        }
    }

    /// The requests that go in. Throws what is wrong with a file or the payload.
    func inputs(folder: String) throws(PayloadFile.Fault) -> [OfflineInput] {
        var inputs: [OfflineInput] = []
        for file in files {
            inputs += try PayloadFile.read(file.hasPrefix("/") ? file : folder + file)
        }
        if !payload.isEmpty { inputs.append(try request(payload, "payload")) }
        if !spans.isEmpty { inputs.append(try request(ShortSpans.json(spans), "spans")) }
        return inputs
    }

    private func request(_ json: String, _ what: String) throws(PayloadFile.Fault) -> OfflineInput {
        do throws(DecodeFailure) { return try PayloadFile.request(Array(json.utf8)) } catch {
            throw PayloadFile.Fault(description: "\(what): \(error.message)")
        }
    }
}

extension Settings {
    /// Entries of a mapping of open form, in order.
    fileprivate mutating func entries(_ key: String, _ sentence: String) -> [(String, ConfigValue)] {
        switch value(key, sentence) {
        case .map(let entries): return entries
        case nil, .null: return []
        default:
            problem("expects a mapping of attributes, such as {gen_ai.operation.name: chat}", at: key)
            return []
        }
    }

    fileprivate mutating func optionalInt(_ key: String, _ sentence: String) -> Int? {
        switch value(key, sentence) {
        case .int(let number) where number >= 0: return number
        case nil, .null: return nil
        default:
            problem("expects a number of records", at: key)
            return nil
        }
    }

    fileprivate mutating func optionalStrings(_ key: String, _ sentence: String) -> [String]? {
        switch value(key, sentence) {
        case .list(let list):
            return list.compactMap { if case .string(let text) = $0 { text } else { nil } }
        case nil, .null: return nil
        default:
            problem("expects a list of names", at: key)
            return nil
        }
    }
}

/// OTLP/JSON of spans in short form.
enum ShortSpans {
    static func json(_ spans: [ConfigTest.Span]) -> String {
        var ids: [String: Int] = [:]
        for (index, span) in spans.enumerated() where ids[span.name] == nil { ids[span.name] = index + 1 }
        let resources = spans.enumerated().map { index, span in
            let parent = ids[span.parent].map { ",\"parentSpanId\":\"\(hex($0, 16))\"" } ?? ""
            let end = 1_700_000_000_000 + span.milliseconds
            return """
                {"resource":{"attributes":\(attributes(span.resource))},"scopeSpans":[{\
                "scope":{"name":\(text(span.scope))},\
                "spans":[{"traceId":"\(hex(span.trace, 32))","spanId":"\(hex(index + 1, 16))"\(parent),\
                "name":\(text(span.name)),"kind":\(span.kind),"status":{"code":\(span.failed ? 2 : 0)},\
                "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"\(end)000000",\
                "attributes":\(attributes(span.attributes))}]}]}
                """
        }
        return "{\"resourceSpans\":[\(resources.joined(separator: ","))]}"
    }

    private static func attributes(_ entries: [(String, ConfigValue)]) -> String {
        "[" + entries.map { "{\"key\":\(text($0.0)),\"value\":\(value($0.1))}" }.joined(separator: ",") + "]"
    }

    private static func value(_ value: ConfigValue) -> String {
        switch value {
        case .null: "{}"
        case .bool(let flag): "{\"boolValue\":\(flag)}"
        case .int(let number): "{\"intValue\":\"\(number)\"}"
        case .double(let number): "{\"doubleValue\":\(number)}"
        case .string(let string): "{\"stringValue\":\(text(string))}"
        case .list(let list):
            "{\"arrayValue\":{\"values\":[\(list.map(self.value).joined(separator: ","))]}}"
        case .map(let entries): "{\"kvlistValue\":{\"values\":\(attributes(entries))}}"
        }
    }

    static func text(_ string: String) -> String {
        var result = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20: result += "\\u" + hex(Int(scalar.value), 4)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private static func hex(_ number: Int, _ width: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
