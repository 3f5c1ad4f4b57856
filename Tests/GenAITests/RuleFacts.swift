import Foundation
import OTLP
import Telemetry
import Testing

@testable import GenAI

/// A line of Tests/Fixtures/GenAI/rules.jsonl: the smallest span or log record to which one rule of the published
/// conventions applies, and what must come of it. `id` is the rule's, with the case behind a slash.
struct RuleFact: Decodable {
    struct Event: Decodable {
        var name: String
        var time: UInt64 = 1_500_000_000
        var attributes: [String: JSONValue] = [:]
    }

    var id: String
    var scope: String?
    var name: String?
    var root: Bool?
    var status: UInt64?
    var resource: [String: JSONValue]?
    var attributes: [String: JSONValue]?
    var events: [Event]?
    /// Event name of a log record; then the attributes are the record's.
    var log: String?
    var body: JSONValue?
    /// Attributes that stay even when originals are removed.
    var keep: [String]?
    /// Attributes that are gone when originals are removed.
    var gone: [String]?
    var expect: [String: Expectation]?
    /// Why this project does something else, in a few words.
    var deviates: String?

    var rule: String { String(id.split(separator: "/")[0]) }

    enum Expectation: Decodable {
        case equal(String)
        case contains([String])
        case json(String)
        case absent

        private enum Key: CodingKey { case contains, json, absent }

        init(from decoder: any Decoder) throws {
            if let text = try? decoder.singleValueContainer().decode(String.self) {
                self = .equal(text)
                return
            }
            let container = try decoder.container(keyedBy: Key.self)
            if let parts = try container.decodeIfPresent([String].self, forKey: .contains) {
                self = .contains(parts)
            } else if container.contains(.absent) {
                self = .absent
            } else {
                self = .json(try container.decode(JSONValue.self, forKey: .json).text)
            }
        }

        func isMet(by value: String?) -> Bool {
            switch self {
            case .equal(let text): value == text
            case .contains(let parts): parts.allSatisfy { value?.contains($0) ?? false }
            case .json(let text): sameJSON(value, text)
            case .absent: value == nil
            }
        }
    }

    static let file = GoldenFile.folder.appendingPathComponent("rules.jsonl")

    static func all() throws -> [RuleFact] {
        let decoder = JSONDecoder()
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map {
            try decoder.decode(RuleFact.self, from: Data($0.utf8))
        }
    }

    /// What is not as it should be; empty when the rule is honoured.
    func misses(_ bench: Bench, removing: Bench) throws -> [String] {
        let result = try run(bench)
        var misses: [String] = []
        for (key, wanted) in (expect ?? [:]).sorted(by: { $0.key < $1.key }) where !wanted.isMet(by: result[key]) {
            misses.append("\(id): \(key) is \(result[key] ?? "absent"), not \(wanted)")
        }
        if keep != nil || gone != nil {
            let left = try run(removing)
            for key in gone ?? [] where left[key] != nil { misses.append("\(id): \(key) is still there") }
            for key in keep ?? [] where left[key] == nil { misses.append("\(id): \(key) is gone") }
        }
        return misses
    }

    private func run(_ bench: Bench) throws -> [String: String] {
        var span = TestSpan()
        span.scope = scope ?? "test"
        span.name = log ?? name ?? "span"
        span.isLog = log != nil
        span.body = body?.value
        span.isRoot = root ?? false
        span.status = status ?? 0
        span.resource = Self.members(resource)
        span.attributes = Self.members(attributes)
        span.events = (events ?? []).map {
            TestEvent(name: $0.name, time: $0.time, attributes: Self.members($0.attributes))
        }
        if span.isLog { return try bench.attributes(span) }
        var result: [String: String] = [:]
        _ = try bench.run(span.request) { batch in
            result = Bench.attributes(of: 0, batch)
            let message = batch.text(batch.spans[0].statusMessage).string
            if !message.isEmpty { result["(status message)"] = message }
            if batch.spans[0].statusCode != 0 { result["(status)"] = "\(batch.spans[0].statusCode)" }
        }
        return result
    }

    private static func members(_ values: [String: JSONValue]?) -> [(String, TestValue)] {
        (values ?? [:]).sorted { $0.key < $1.key }.map { ($0.key, $0.value.value) }
    }
}

extension RuleFact.Event {
    private enum Key: CodingKey { case name, time, attributes }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        name = try container.decode(String.self, forKey: .name)
        time = try container.decodeIfPresent(UInt64.self, forKey: .time) ?? 1_500_000_000
        attributes = try container.decodeIfPresent([String: JSONValue].self, forKey: .attributes) ?? [:]
    }
}

/// Any JSON value of a fixture.
struct JSONValue: Decodable {
    var value: TestValue

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            value = .string("null")
        } else if let flag = try? container.decode(Bool.self) {
            value = .bool(flag)
        } else if let number = try? container.decode(Int64.self) {
            value = .int(number)
        } else if let number = try? container.decode(Double.self) {
            value = .double(number)
        } else if let text = try? container.decode(String.self) {
            value = .string(text)
        } else if let items = try? container.decode([JSONValue].self) {
            value = .array(items.map(\.value))
        } else {
            let members = try container.decode([String: JSONValue].self)
            value = .map(members.sorted { $0.key < $1.key }.map { ($0.key, $0.value.value) })
        }
    }

    var text: String { Self.text(value) }

    private static func text(_ value: TestValue) -> String {
        switch value {
        case .string("null"): "null"
        case .string(let text): "\"" + text + "\""
        case .int(let number): "\(number)"
        case .double(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        case .array(let items): "[" + items.map(text).joined(separator: ",") + "]"
        case .map(let items): "{" + items.map { "\"\($0.0)\":" + text($0.1) }.joined(separator: ",") + "}"
        case .bytes(let bytes): "\(bytes)"
        case .null: "null"
        }
    }
}
