import Foundation
import TestSupport
import Testing

/// SIGKILL while traces are gathered: what had passed on does not pass again, what had not passes.
@Suite(.serialized, .timeLimit(.minutes(15))) struct TraceKillTests {
    private static let configuration = """
        receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT", include_metadata: true}}}}
        processors:
          tail_sampling:
            decision_wait: 600s
            decision_wait_after_root_received: 100ms
            policies: [{name: all, type: always_sample}]
        exporters: {file: {path: "FOLDER/out.jsonl", sending_queue: {batch: {partition: {metadata_keys: [x-k]}}}}}
        service:
          telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}}
          pipelines: {traces: {receivers: [otlp], processors: [tail_sampling], exporters: [file]}}
        """

    /// Traces that come span by span; some are still open at every kill.
    private struct Traffic {
        var random = SeededRandom(41)
        private var open: [(trace: Int, size: Int, left: [Int])] = []
        private var traces = 0
        var sent: Set<String> = []
        /// Spans of traces whose root, the last of them, was sent.
        var due = 0

        /// The next spans, of several traces; nil when none is open and no new ones are asked for.
        mutating func next(beginning count: Int) -> String? {
            for _ in 0..<count {
                traces += 1
                let last = random.below(5)
                open.append((traces, last + 1, Array(0...last)))
            }
            var spans: [String] = []
            for index in open.indices where count == 0 || random.chance(percent: 40) {
                guard let number = open[index].left.popLast() else { continue }
                let name = "\(open[index].trace)/\(number)"
                sent.insert(name)
                if number == 0 { due += open[index].size }
                spans.append(
                    """
                    {"traceId":"\(hex(open[index].trace, 32))","spanId":"\(hex(number + 1, 16))",\
                    \(number == 0 ? "" : "\"parentSpanId\":\"\(hex(1, 16))\",")"name":"\(name)"}
                    """)
            }
            open.removeAll(where: \.left.isEmpty)
            guard count > 0 || !spans.isEmpty else { return nil }
            return "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}"
        }

        private func hex(_ number: Int, _ width: Int) -> String {
            let digits = String(number, radix: 16)
            return String(repeating: "0", count: width - digits.count) + digits
        }
    }

    private func spans(_ gateway: RunningGateway) throws -> [String: Int] {
        let text = try String(contentsOf: gateway.folder.appending(path: "out.jsonl"), encoding: .utf8)
        var counts: [String: Int] = [:]
        for match in text.matches(of: /"name":"(\d+\/\d+)"/) { counts[String(match.1), default: 0] += 1 }
        return counts
    }

    private func post(_ body: String, _ headers: [String: String], to gateway: RunningGateway) async throws -> Int {
        try await gateway.post(Array(body.utf8), path: "/v1/traces", type: "application/json", headers: headers)
    }

    /// A header that is kept lies in the journal before the spans, of which parts are read again.
    @Test(arguments: [[:], ["x-k": "A"]]) func `keeps every span and none twice over five kills`(
        headers: [String: String]
    ) async throws {
        let gateway = try RunningGateway(Self.configuration)
        var traffic = Traffic()
        for _ in 0..<5 {
            try await gateway.start()
            for _ in 0..<25 {
                guard let body = traffic.next(beginning: 4) else { break }
                #expect(try await post(body, headers, to: gateway) == 200)
            }
            // Traces with their root have passed by now, in requests that also hold spans of traces that are open.
            let due = traffic.due
            try await gateway.wait("spans of traces with their root") {
                try spans(gateway).values.reduce(0, +) >= due
            }
            try await gateway.waitUntilSaved()
            #expect(gateway.end(SIGKILL) == 128 + SIGKILL)
        }
        try await gateway.start()
        while let body = traffic.next(beginning: 0) {
            #expect(try await post(body, headers, to: gateway) == 200)
        }
        try await gateway.wait("end of the traces") { try Set(spans(gateway).keys) == traffic.sent }
        #expect(try spans(gateway).values.allSatisfy { $0 == 1 })
        #expect(gateway.end(SIGTERM) == 0)
    }
}
