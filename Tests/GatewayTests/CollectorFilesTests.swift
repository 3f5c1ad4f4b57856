import Configuration
import Foundation
import Gateway
import OTLP
import Pipeline
import Telemetry
import Testing

/// Configuration files of the Collector with what goes in and what must come out.
@Suite struct CollectorFilesTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/Collector")

    static var cases: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        return names.filter { !$0.contains(".") }.sorted()
    }

    @Test func `there are cases`() { #expect(Self.cases.count >= 24) }

    @Test(arguments: cases) func `loads unchanged and does the same`(_ name: String) throws {
        let folder = Self.root.appending(path: name)
        let loaded = LoadedConfiguration.load(files: [folder.appending(path: "config.yaml").path], overrides: [])
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        var results: [String: [UInt8]] = [:]
        let fed = loaded.plan.pipelines.filter { pipeline in
            pipeline.receivers.contains { name in loaded.plan.receivers.contains { $0.id == name } }
        }
        for pipeline in fed {
            let signal = try #require(Signal.allCases.first { $0.description == pipeline.signal.rawValue })
            let input = try String(
                contentsOf: folder.appending(path: "input.\(signal).json"), encoding: .utf8)
            try Chain(plan: loaded.plan).run(pipeline, signal, try Chain.wire(input, signal), &results)
        }
        let expected = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
            $0.hasPrefix("expected.")
        }
        #expect(!expected.isEmpty)
        for file in expected {
            let pipeline = String(file.dropFirst("expected.".count).dropLast(".json".count))
                .replacing("-", with: "/", maxReplacements: 1)
            let signal = try #require(Signal.allCases.first { pipeline.hasPrefix($0.description) })
            let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
            let wanted = Chain.json(try Chain.wire(text, signal), signal)
            let got = Chain.json(results[pipeline] ?? [], signal)
            #expect(try Chain.tree(got) == Chain.tree(wanted), "\(pipeline) gave\n\(got)\ninstead of\n\(wanted)")
        }
        #expect(results.keys.count == expected.count, "\(results.keys)")
    }
}

/// The chains and connectors of a plan, run one after the other without journals.
private struct Chain {
    let plan: GatewayPlan

    func run(
        _ pipeline: GatewayPlan.PipelinePlan, _ signal: Signal, _ input: [UInt8], _ results: inout [String: [UInt8]]
    ) throws {
        let metrics = SelfMetrics()
        var keys = KeyTable.Builder()
        var steps: [(isTrace: Bool, processor: any Processor)] = []
        for (id, role) in pipeline.steps {
            var build = ProcessorBuild(keys: keys, metrics: metrics, id: id, pipeline: pipeline.id, signal: signal)
            switch role {
            case .step(let make): steps.append((false, try make(&build)))
            case .traceStep(_, let make): steps.append((true, try make(&build)))
            default: continue
            }
            keys = build.keys
        }
        let table = keys.build()
        let first = steps.firstIndex { $0.isTrace } ?? steps.count
        var output = try Chain.apply(steps[..<first].map(\.processor), signal, table, input)
        if first < steps.count {
            let pieces = try Chain.traces(of: output)
            output = []
            for piece in pieces { output += try Chain.apply(steps[first...].map(\.processor), signal, table, piece) }
        }
        if !pipeline.exporters.isEmpty { results[pipeline.id, default: []] += output }
        for connector in pipeline.connectors where !output.isEmpty {
            let build = ConnectorBuild(
                metrics: metrics, id: connector.id, input: pipeline.id, inputSignal: signal,
                outputs: connector.outputs, now: { 0 })
            let batch = ExportBatch(signal: signal, itemCount: 1, bytes: output)
            for delivery in try connector.plan.make(build).connect(batch) {
                let target = connector.outputs[delivery.output]
                let next = try #require(plan.pipelines.first { $0.id == target.pipeline })
                try run(next, target.signal, delivery.bytes, &results)
            }
        }
    }

    private static func apply(
        _ steps: [any Processor], _ signal: Signal, _ keys: KeyTable, _ input: [UInt8]
    ) throws -> [UInt8] {
        var batch = RecordBatch()
        var output = ByteColumn()
        try input.withUnsafeBytes { bytes in
            _ = try OTLPReader.read(Text(bytes), signal: signal, keys: keys, into: &batch)
            var context = ProcessContext()
            for step in steps { try step.process(&batch, &context) }
            if batch.liveCount > 0 { OTLPWriter.write(batch, into: &output) }
        }
        return [UInt8](output.bytes)
    }

    private static func traces(of input: [UInt8]) throws -> [[UInt8]] {
        var batch = RecordBatch()
        var output = ByteColumn()
        return try input.withUnsafeBytes { bytes in
            _ = try OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &batch)
            return TraceSplitter.split(batch, into: &output).map { [UInt8](output.text[$0.bytes].bytes) }
        }
    }

    static func wire(_ json: String, _ signal: Signal) throws -> [UInt8] {
        var output = ByteColumn()
        var json = json
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: signal, into: &output)
        }
        return [UInt8](output.bytes)
    }

    static func json(_ bytes: [UInt8], _ signal: Signal) -> String {
        var output = ByteColumn()
        bytes.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: signal, into: &output) }
        return output.text.string
    }

    /// The document without regard to the order of members.
    static func tree(_ json: String) throws -> NSDictionary {
        try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? NSDictionary)
    }
}
