import Foundation
import OTLP
import Telemetry
import TestSupport
import Testing

/// OpenTelemetry's own Python messages as a second judge: unlike libprotobuf-c they merge as protobuf asks and know
/// groups.
struct PythonJudgeTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test(.timeLimit(.minutes(15))) func `Python reads every request that we read, and the same behind JSON`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-judge-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var requests = CorpusReplayTests.inputs("protobuf").compactMap { input in
            input.bytes.first.map { (input.name, Signal.allCases[Int($0) % 3], Array(input.bytes.dropFirst())) }
        }
        for signal in Signal.allCases {
            var random = RandomRequests(seed: 7_000 + UInt64(signal.rawValue))
            requests += (0..<100).map { ("random-\($0)", signal, random.next(signal)) }
        }
        var list = ""
        var count = 0
        for (name, signal, request) in requests {
            guard let back = Self.throughJSON(request, signal) else { continue }
            let paths = ["before", "behind"].map { folder.appending(path: "\(count)-\(name).\($0)") }
            try Data(request).write(to: paths[0])
            try Data(back).write(to: paths[1])
            list += "\(signal)\t\(paths[0].path)\t\(paths[1].path)\n"
            count += 1
        }
        let file = folder.appending(path: "list")
        try Data(list.utf8).write(to: file)
        #expect(count > 300)
        let verdict = try Self.judge(file.path)
        #expect(verdict == "judged \(count)\n", "\(verdict)")
    }

    /// The request, read, written as JSON and read again; nil when we refuse it or take only a part.
    private static func throughJSON(_ request: [UInt8], _ signal: Signal) -> [UInt8]? {
        var batch = RecordBatch()
        return request.withUnsafeBytes { bytes -> [UInt8]? in
            var json = ByteColumn()
            var back = ByteColumn()
            do throws(DecodeFailure) {
                let summary = try OTLPReader.read(Text(bytes), signal: signal, keys: .empty, into: &batch)
                guard summary.rejected == 0 else { return nil }
                OTLPJSONWriter.write(Text(bytes), signal: signal, into: &json)
                try OTLPJSONReader.transcode(json.text, signal: signal, into: &back)
            } catch {
                return nil
            }
            return [UInt8](back.bytes)
        }
    }

    private static func judge(_ list: String) throws -> String {
        let clients = try run("/usr/bin/env", ["bash", root.appending(path: "script/python-clients").path])
        let judge = root.appending(path: "Tests/Fixtures/PythonClient/judge.py").path
        return try run(clients.trimmingCharacters(in: .whitespacesAndNewlines), [judge, list])
    }

    private static func run(_ program: String, _ arguments: [String]) throws -> String {
        let outcome = try ChildProcess.runBlocking(program, arguments)
        return outcome.output + (outcome.status == 0 ? "" : outcome.errors)
    }
}
