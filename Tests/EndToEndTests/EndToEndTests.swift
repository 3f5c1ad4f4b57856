import Foundation
import OTLP
import Telemetry
import Testing

/// Spans of OTLP JSON, by span id, in a form that can be compared.
private func spans(ofLines text: String) -> [String: NSDictionary] {
    var result: [String: NSDictionary] = [:]
    for line in text.split(separator: "\n") {
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        for resource in object?["resourceSpans"] as? [[String: Any]] ?? [] {
            for scope in resource["scopeSpans"] as? [[String: Any]] ?? [] {
                for span in scope["spans"] as? [[String: Any]] ?? [] {
                    guard let id = span["spanId"] as? String else { continue }
                    result[id] =
                        [
                            "span": span, "resource": resource["resource"] ?? [:], "scope": scope["scope"] ?? [:],
                        ] as NSDictionary
                }
            }
        }
    }
    return result
}

/// The recorded payloads whose names end like this, in a fixed order.
private func corpusFiles(_ suffix: String) throws -> [URL] {
    let corpus = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/Corpus")
    let names = try FileManager.default.subpathsOfDirectory(atPath: corpus.path)
    return names.filter { $0.hasSuffix(suffix) }.sorted().map { corpus.appending(path: $0) }
}

/// A request with one span for each id.
private func request(_ ids: Range<Int>) -> [UInt8] {
    let spans = ids.map { id in
        """
        {"traceId":"0123456789abcdef0123456789abcdef","spanId":"\(String(format: "%016x", id + 1))","name":"step",\
        "startTimeUnixNano":"1","endTimeUnixNano":"2","attributes":[{"key":"n","value":{"intValue":"\(id)"}}]}
        """
    }
    return [UInt8]("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}".utf8)
}

private let toFile = """
    receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
    exporters:
      file: {path: FOLDER/out.jsonl, flush_interval: 100ms}
    service:
      telemetry:
        metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
      pipelines:
        traces: {receivers: [otlp], exporters: [file]}
    """

private let throughConnector = """
    receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
    processors:
      attributes: {actions: [{key: seen, value: here, action: insert}]}
    connectors: {forward: {}}
    exporters:
      file/in: {path: FOLDER/in.jsonl, flush_interval: 100ms}
      file/out: {path: FOLDER/out.jsonl, flush_interval: 100ms}
    service:
      telemetry:
        metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
      pipelines:
        traces/out: {receivers: [forward], processors: [attributes], exporters: [file/out]}
        traces/in: {receivers: [otlp], exporters: [forward, file/in]}
    """

private let toGateway = """
    receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
    processors: {batch: {timeout: 100ms}}
    exporters: {otlp_http: {endpoint: "http://127.0.0.1:NEXT", compression: CODING}}
    service:
      telemetry:
        metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
      pipelines:
        traces: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}
    """

@Suite(.serialized) struct EndToEndTests {
    @Test func `writes recorded JSON requests to the file span for span`() async throws {
        let gateway = try RunningGateway(toFile)
        try await gateway.start()
        var sent = ""
        for file in try corpusFiles(".traces.json") {
            let body = try Data(contentsOf: file)
            #expect(try await gateway.post([UInt8](body), path: "/v1/traces", type: "application/json") == 200)
            sent += String(decoding: body, as: UTF8.self).replacingOccurrences(of: "\n", with: " ") + "\n"
        }
        try await gateway.waitUntilDelivered()
        #expect(gateway.end(SIGTERM) == 0)
        let expected = spans(ofLines: sent)
        let text = try String(contentsOf: gateway.folder.appending(path: "out.jsonl"), encoding: .utf8)
        let delivered = spans(ofLines: text)
        #expect(expected.count > 20)
        #expect(Set(expected.keys) == Set(delivered.keys))
        for (id, span) in expected { #expect(delivered[id] == span, "span \(id)") }
    }

    @Test func `loses no span that was answered 200 when it is killed under load`() async throws {
        let gateway = try RunningGateway(toFile)
        var accepted: Set<Int> = []
        for round in 0..<3 {
            try await gateway.start()
            let stored = SharedCount()
            let killer = Task {
                for _ in 0..<12_000 where stored.value < 40 {
                    try await Task.sleep(for: .milliseconds(10))
                }
                try await Task.sleep(for: .milliseconds(200 + 150 * round))
                return gateway.end(SIGKILL)
            }
            accepted.formUnion(
                try await withThrowingTaskGroup(of: [Int].self) { group in
                    for client in 0..<4 {
                        group.addTask {
                            var mine: [Int] = []
                            for step in 0..<2_000 {
                                let first = ((round * 4 + client) * 2_000 + step) * 10
                                let status = try await gateway.post(
                                    request(first..<first + 10), path: "/v1/traces", type: "application/json")
                                if status != 200 { break }
                                stored.add(10)
                                mine.append(contentsOf: first..<first + 10)
                            }
                            return mine
                        }
                    }
                    return try await group.reduce(into: []) { $0 += $1 }
                })
            _ = try await killer.value
        }
        try await gateway.start()
        try await gateway.waitUntilDelivered()
        #expect(gateway.end(SIGTERM) == 0)
        let text = try String(contentsOf: gateway.folder.appending(path: "out.jsonl"), encoding: .utf8)
        let delivered = Set(spans(ofLines: text).keys)
        let lost = accepted.filter { !delivered.contains(String(format: "%016x", $0 + 1)) }
        #expect(accepted.count > 100)
        #expect(lost.isEmpty, "\(lost.count) of \(accepted.count) accepted spans are missing")
    }

    @Test func `counts so that received equals delivered and dropped and held`() async throws {
        let gateway = try RunningGateway(toFile)
        try await gateway.start()
        for batch in 0..<20 {
            let body = request(batch * 50..<(batch + 1) * 50)
            #expect(try await gateway.post(body, path: "/v1/traces", type: "application/json") == 200)
        }
        #expect(try await gateway.post([0xFF, 0xFF], path: "/v1/traces") == 400)
        try await gateway.waitUntilDelivered()
        let received = try await gateway.metric("otelcol_receiver_accepted_spans")
        let sent = try await gateway.metric("otelcol_exporter_sent_spans")
        let dropped = try await gateway.metric("sluice_exporter_dropped_items_total")
        #expect(received == 1_000 && sent + dropped == received)
        #expect(gateway.end(SIGTERM) == 0)
    }

    @Test func `hands a pipeline's data to another through a connector, and all of it at a shutdown`() async throws {
        let gateway = try RunningGateway(throughConnector)
        gateway.arguments = ["--shutdown-timeout", "100"]
        try await gateway.start()
        for batch in 0..<30 {
            let body = request(batch * 10..<(batch + 1) * 10)
            #expect(try await gateway.post(body, path: "/v1/traces", type: "application/json") == 200)
        }
        #expect(gateway.end(SIGTERM) == 0)
        for (name, marked) in [("in", 0), ("out", 300)] {
            let text = try String(contentsOf: gateway.folder.appending(path: "\(name).jsonl"), encoding: .utf8)
            #expect(spans(ofLines: text).count == 300, "\(name)")
            #expect(text.components(separatedBy: "\"seen\"").count - 1 == marked, "\(name)")
        }
    }

    @Test(arguments: ["gzip", "zstd", "snappy", "x-snappy-framed", "lz4", "zlib", "deflate", "none"])
    func `sends recorded protobuf requests to another gateway span for span`(compression: String) async throws {
        let last = try RunningGateway(toFile)
        try await last.start()
        let first = try RunningGateway(
            toGateway.replacingOccurrences(of: "NEXT", with: String(last.port))
                .replacingOccurrences(of: "CODING", with: compression))
        try await first.start()
        var expected: [String: NSDictionary] = [:]
        let isUsual = compression == "gzip"
        for file in try corpusFiles(".traces.pb").prefix(isUsual ? .max : 5) {
            let body = [UInt8](try Data(contentsOf: file))
            #expect(try await first.post(body, path: "/v1/traces") == 200)
            var text = ByteColumn()
            body.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: .traces, into: &text) }
            expected.merge(spans(ofLines: String(decoding: text.bytes, as: UTF8.self))) { $1 }
        }
        try await first.waitUntilDelivered()
        #expect(first.end(SIGTERM) == 0)
        try await last.waitUntilDelivered()
        #expect(last.end(SIGTERM) == 0)
        let delivered = spans(
            ofLines: try String(contentsOf: last.folder.appending(path: "out.jsonl"), encoding: .utf8))
        #expect(expected.count > (isUsual ? 500 : 5))
        #expect(Set(expected.keys) == Set(delivered.keys))
        for (id, span) in expected { #expect(delivered[id] == span, "span \(id)") }
    }

    @Test func `keeps all it writes below the data directory that it is given`() async throws {
        let gateway = try RunningGateway(toFile)
        try await gateway.start()
        #expect(gateway.end(SIGTERM) == 0)
        let journal = gateway.folder.appending(path: "data/journal/traces")
        #expect(FileManager.default.fileExists(atPath: journal.path))
    }

    @Test func `what cannot be passed on of a request that is taken is told in its answer`() async throws {
        let signals = ["metrics", "logs"].map { "    \($0): {receivers: [otlp], exporters: [file]}" }
        let gateway = try RunningGateway(toFile + "\n" + signals.joined(separator: "\n"))
        try await gateway.start()
        let connection = try #require(LoopbackConnection(port: gateway.port))
        func told(_ json: String, _ path: String) -> String? {
            connection.post(Array(json.utf8), path: path, type: "application/json") == 200 ? connection.lastBody : nil
        }
        let bare = "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"a\"},{\"gauge\":{}}]}]}]}"
        let answer = try #require(told(bare, "/v1/metrics"))
        #expect(answer.contains("2 metrics have no data point") && !answer.contains("rejectedDataPoints"))
        #expect(told("{\"resourceMetrics\":[{\"scopeMetrics\":[{}]}]}", "/v1/metrics") == "{}")
        let log =
            "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"traceId\":\"AAA=\",\"body\":{\"intValue\":7}}]}]}]}"
        #expect(told(log, "/v1/logs")?.contains("hex") == true)
        try await gateway.waitUntilDelivered()
        let written = try String(contentsOf: gateway.folder.appending(path: "out.jsonl"), encoding: .utf8)
        #expect(written.contains("\"intValue\":\"7\"") && !written.contains("traceId"))
        #expect(gateway.end(SIGTERM) == 0)
    }
}
