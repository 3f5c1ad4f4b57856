import Foundation
import Testing

/// Disk that the journals of a gateway take.
@Suite(.serialized, .timeLimit(.minutes(15))) struct JournalSpaceTests {
    @Test func `every journal gives back what is delivered, whoever it belongs to`() async throws {
        let sinks = try TwoSinks()
        defer { sinks.stop() }
        let (first, second) = (sinks.first, sinks.second)
        let gateway = try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            processors: {tail_sampling: {decision_wait: 100ms, policies: [{name: all, type: always_sample}]}}
            exporters:
            \(sinks.exporters)
              fallback:
                exporters: [otlp_http/first, otlp_http/second]
                switch_after: 0s
                retry_interval: 300ms
                sending_queue: {storage: file_storage}
            extensions: {file_storage: {directory: FOLDER/journal, segment_size: 1MiB}}
            service:
              extensions: [file_storage]
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines: {traces: {receivers: [otlp], processors: [tail_sampling], exporters: [fallback]}}
            """)
        first.behave(.status(503))
        try await gateway.start()
        var sent: Set<UInt64> = []
        for number in UInt64(0)..<16 {
            let request = NumberedSpans.request(number * 10 + 1, padding: 100_000)
            #expect(try await gateway.post(request, path: "/v1/traces") == 200)
            sent.formUnion(number * 10 + 1...number * 10 + 10)
        }
        #expect(try await second.wait(for: sent).isEmpty)
        first.behave(.accept)
        #expect(try await first.wait(for: sent).isEmpty)
        // Each of the three journals has had 16 MB.
        var held = try segmentBytes(gateway)
        #expect(held.count == 3, "\(held)")
        for _ in 0..<4_800 where held.values.contains(where: { $0 > 6 << 20 }) {
            try await Task.sleep(for: .milliseconds(25))
            held = try segmentBytes(gateway)
        }
        #expect(held.values.allSatisfy { $0 <= 6 << 20 }, "\(held)")
        #expect(gateway.end(SIGTERM) == 0)
    }

    /// Bytes of segments by journal.
    private func segmentBytes(_ gateway: RunningGateway) throws -> [String: Int] {
        let root = gateway.folder.appending(path: "journal")
        var held: [String: Int] = [:]
        for case let file as URL in FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil) ?? .init()
        where file.pathExtension == "segment" {
            // It may be gone by now.
            let size = try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int
            held[file.deletingLastPathComponent().lastPathComponent, default: 0] += size ?? 0
        }
        return held
    }
}
