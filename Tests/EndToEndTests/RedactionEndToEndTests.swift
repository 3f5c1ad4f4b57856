import Foundation
import Testing

/// One planted secret of the fixtures of the processors' tests.
private struct Planted {
    var text: String
    var secret: String

    /// The secret as bytes, and as JSON may write it once and twice.
    var forms: [Data] {
        let once = escaped(secret)
        return [secret, once, escaped(once), secret.replacing("/", with: "\\/")].map { Data($0.utf8) }
    }

    static let all: [Planted] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/Redaction/planted.txt")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
            let line = line.replacing("·", with: "").replacing("\\n", with: "\n")
            guard let tab = line.firstIndex(of: "\t"), let open = line.firstIndex(of: "⟦"),
                let close = line.firstIndex(of: "⟧")
            else { return nil }
            let text = line[line.index(after: tab)...].replacing("⟦", with: "").replacing("⟧", with: "")
            return Planted(text: String(text), secret: String(line[line.index(after: open)..<close]))
        }
    }()
}

private func escaped(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
}

/// OTLP JSON with one text at the places where agents put it.
private enum Requests {
    static func traces(_ text: String, _ id: Int) -> [UInt8] {
        let one = escaped(text)
        let message = escaped("[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"\(one)\"}]}]")
        let arguments = escaped("{\"arguments\":\"\(escaped("{\"q\":\"\(one)\"}"))\"}")
        let string = "{\"stringValue\":\"\(one)\"}"
        return Array(
            """
            {"resourceSpans":[{"resource":{"attributes":[{"key":"r","value":\(string)}]},"scopeSpans":[{
            "scope":{"name":"s","attributes":[{"key":"s","value":\(string)}]},"spans":[{
            "traceId":"0123456789abcdef0123456789abcdef","spanId":"\(String(format: "%016x", id + 1))","name":"\(one)",
            "startTimeUnixNano":"1","endTimeUnixNano":"2","status":{"code":2,"message":"\(one)"},"attributes":[
            {"key":"gen_ai.input.messages","value":{"stringValue":"\(message)"}},
            {"key":"gen_ai.tool.call.arguments","value":{"stringValue":"\(arguments)"}},
            {"key":"nested","value":{"kvlistValue":{"values":[
            {"key":"a","value":{"arrayValue":{"values":[\(string)]}}}]}}}],
            "events":[{"timeUnixNano":"1","name":"\(one)","attributes":[{"key":"e","value":\(string)}]}],
            "links":[{"traceId":"0123456789abcdef0123456789abcdef","spanId":"0000000000000001","attributes":[
            {"key":"l","value":\(string)}]}]}]}]}]}
            """.utf8)
    }

    static func logs(_ text: String) -> [UInt8] {
        let string = "{\"stringValue\":\"\(escaped(text))\"}"
        let bodies = [string, "{\"kvlistValue\":{\"values\":[{\"key\":\"b\",\"value\":\(string)}]}}"]
        let records = bodies.map {
            """
            {"timeUnixNano":"1","eventName":"\(escaped(text))","body":\($0),
            "attributes":[{"key":"k","value":\(string)}]}
            """
        }
        return Array(
            "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[\(records.joined(separator: ","))]}]}]}".utf8)
    }

    static func metrics(_ text: String) -> [UInt8] {
        let attribute = "{\"key\":\"k\",\"value\":{\"stringValue\":\"\(escaped(text))\"}}"
        let point = """
            {"timeUnixNano":"1","asInt":"1","attributes":[\(attribute)],
            "exemplars":[{"timeUnixNano":"1","asInt":"1","filteredAttributes":[\(attribute)]}]}
            """
        return Array(
            """
            {"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[\(point)]}}]}]}]}
            """.utf8)
    }

    /// A span whose name, attribute and status message are the text, as protobuf.
    static func protobuf(_ text: String, _ id: Int) -> [UInt8] {
        func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
            var length: [UInt8] = []
            var rest = content.count
            while rest >= 0x80 {
                length.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            return [number << 3 | 2] + length + [UInt8(rest)] + content
        }
        let bytes = Array(text.utf8)
        let own: [UInt8] = [1, 2, 3, 4, 5, 6, UInt8(id >> 8), UInt8(id & 255)]
        let ids = field(1, Array(repeating: 7, count: 16)) + field(2, own)
        let attribute = field(9, field(1, Array("k".utf8)) + field(2, field(1, bytes)))
        let span = ids + field(5, bytes) + attribute + field(15, field(2, bytes))
        return field(1, field(2, field(2, span)))
    }
}

/// `Data.range(of:)` is too slow for a search of megabytes for hundreds of texts.
private func contains(_ data: Data, _ text: Data) -> Bool {
    data.withUnsafeBytes { all in
        text.withUnsafeBytes { part in
            guard let start = all.baseAddress, let wanted = part.baseAddress else { return false }
            var from = 0
            while from + part.count <= all.count,
                let hit = memchr(start + from, Int32(part[0]), all.count - part.count - from + 1)
            {
                if memcmp(hit, wanted, part.count) == 0 { return true }
                from = start.distance(to: UnsafeRawPointer(hit)) + 1
            }
            return false
        }
    }
}

/// Every file below a folder that holds one of the secrets in one of its forms.
private func leaks(below folder: URL) throws -> [String] {
    var found: [String] = []
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
    while let file = files?.nextObject() as? URL {
        guard file.lastPathComponent != "config.yaml", let data = try? Data(contentsOf: file), !data.isEmpty else {
            continue
        }
        for planted in Planted.all where planted.forms.contains(where: { contains(data, $0) }) {
            found.append("\(planted.secret) in \(file.lastPathComponent)")
        }
    }
    return found
}

private let receives = """
    receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
    exporters:
      file: {path: FOLDER/out.jsonl, flush_interval: 100ms}
    service:
      telemetry:
        metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
      pipelines:
        traces: {receivers: [otlp], exporters: [file]}
        logs: {receivers: [otlp], exporters: [file]}
        metrics: {receivers: [otlp], exporters: [file]}
    """

private func redacts(to port: Int) -> String {
    """
    receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
    processors:
      gen_ai_normalizer: {}
      redaction: {allow_all_keys: true, detectors: all}
    exporters:
      file: {path: FOLDER/out.jsonl, flush_interval: 100ms}
      sqlite: {path: FOLDER/out.db}
      debug: {}
      otlp_http: {endpoint: "http://127.0.0.1:\(port)"}
    service:
      telemetry:
        metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
      pipelines:
        traces:
          receivers: [otlp]
          processors: [gen_ai_normalizer, redaction]
          exporters: [file, sqlite, debug, otlp_http]
        logs: {receivers: [otlp], processors: [redaction], exporters: [file, sqlite, debug, otlp_http]}
        metrics: {receivers: [otlp], processors: [redaction], exporters: [file, sqlite, debug, otlp_http]}
    """
}

@Suite(.serialized) struct RedactionEndToEndTests {
    private func post(_ gateway: RunningGateway, everySecret ids: Int) async throws {
        for (number, planted) in Planted.all.enumerated() {
            let id = ids + number
            let json = "application/json"
            let text = planted.text
            #expect(try await gateway.post(Requests.traces(text, id), path: "/v1/traces", type: json) == 200)
            #expect(try await gateway.post(Requests.protobuf(text, id), path: "/v1/traces") == 200)
            #expect(try await gateway.post(Requests.logs(text), path: "/v1/logs", type: json) == 200)
            #expect(try await gateway.post(Requests.metrics(text), path: "/v1/metrics", type: json) == 200)
        }
    }

    @Test func `no planted secret reaches a sink or the disk, killed or ended`() async throws {
        let backend = try RunningGateway(receives)
        try await backend.start()
        let gateway = try RunningGateway(redacts(to: backend.port))
        try await gateway.start()
        try await post(gateway, everySecret: 0)
        _ = gateway.end(SIGKILL)
        #expect(try leaks(below: gateway.folder) == [])
        try await gateway.start()
        try await post(gateway, everySecret: 500)
        try await gateway.waitUntilDelivered()
        try await backend.waitUntilDelivered()
        #expect(gateway.end(SIGTERM) == 0)
        #expect(backend.end(SIGTERM) == 0)
        #expect(try leaks(below: gateway.folder) == [])
        #expect(try leaks(below: backend.folder) == [])
        // The data did arrive: masked, at every place, in every sink.
        for file in [gateway, backend].map({ $0.folder.appending(path: "out.jsonl") }) {
            let text = try String(contentsOf: file, encoding: .utf8)
            #expect(text.components(separatedBy: "[REDACTED:").count > Planted.all.count * 30)
        }
        let database = try Data(contentsOf: gateway.folder.appending(path: "out.db"))
        #expect(contains(database, Data("[REDACTED:".utf8)))
    }

    @Test func `the search for leaks finds a leak`() async throws {
        let gateway = try RunningGateway(receives)
        try await gateway.start()
        for planted in Planted.all.prefix(3) {
            let body = Requests.traces(planted.text, 0)
            #expect(try await gateway.post(body, path: "/v1/traces", type: "application/json") == 200)
        }
        _ = gateway.end(SIGKILL)
        #expect(try leaks(below: gateway.folder).count >= 3)
    }
}
