import Foundation
import OTLP
import Telemetry
import Testing

@testable import GenAI

/// What a backend's dialect says of a span is what the span said: rendering and normalizing again changes nothing.
@Suite struct RoundTripTests {
    /// What must come back. Messages may lose members that are null.
    private static let names: Set<String> = [
        "gen_ai.operation.name", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
        "gen_ai.tool.definitions", "gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result", "gen_ai.agent.name", "gen_ai.conversation.id", "gen_ai.request.model",
        "gen_ai.response.model", "gen_ai.response.finish_reasons", "gen_ai.retrieval.documents",
        "gen_ai.retrieval.query.text", "user.id",
    ]

    private static func mustReturn(_ name: String) -> Bool {
        names.contains(name) || name.hasPrefix("gen_ai.usage.")
    }

    /// Every request that was recorded, and every golden span as a request of its own.
    static let requests: [(name: String, bytes: [UInt8])] = {
        var result: [(name: String, bytes: [UInt8])] = []
        if let corpus = try? CorpusTruth(CorpusTests.folder) {
            for capture in corpus.captures {
                for bytes in (try? corpus.requests(capture, .traces)) ?? [] {
                    result.append((capture["capture"] as? String ?? "", bytes))
                }
            }
        }
        let recordings = RecordingTests.folder
        for folder in ["", "traces/"] {
            let files = try? FileManager.default.contentsOfDirectory(
                at: recordings.appendingPathComponent(folder), includingPropertiesForKeys: nil)
            for file in (files ?? []).sorted(by: { $0.path < $1.path }) where file.pathExtension == "json" {
                let name = folder + file.lastPathComponent
                guard let (bytes, signal) = try? RecordingTests.request(name), signal == .traces else { continue }
                result.append((name, bytes))
            }
        }
        for folder in [GoldenFile.folder, GoldenFile.frameworks] {
            for file in (try? GoldenFile.all(in: folder)) ?? [] {
                for span in file.spans where !span.input.isLog {
                    result.append(("\(file.name) \(span.input.name)", span.input.request))
                }
            }
        }
        return result
    }()

    private struct Seen {
        var name: String
        var attributes: [String: String]
    }

    private static func spans(_ bytes: [UInt8], _ bench: Bench, normalize: Bool) throws -> [Seen] {
        var result: [Seen] = []
        _ = try bench.run(bytes, normalize: normalize) { batch in
            for span in batch.spans.indices {
                result.append(
                    Seen(
                        name: batch.text(batch.spans[span].name).string,
                        attributes: Bench.attributes(of: span, batch)))
            }
        }
        return result
    }

    private static func render(_ dialect: ExportDialect, _ bytes: [UInt8]) throws -> [UInt8] {
        var renderer = DialectRenderer(dialect)
        var batch = RecordBatch(keys: renderer.keys)
        return try bytes.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: renderer.keys, into: &batch)
            _ = renderer.render(&batch)
            var out = ByteColumn()
            OTLPWriter.write(batch, into: &out)
            return [UInt8](out.bytes)
        }
    }

    /// The same words, or equal documents; a member that is null says as much as none.
    private static func isSame(_ left: String?, _ right: String?) -> Bool {
        if left == right { return true }
        guard let one = plainDocument(left), let two = plainDocument(right) else { return false }
        return one == two
    }

    @Test(arguments: ExportDialect.allCases)
    func `every span comes back as it was`(dialect: ExportDialect) throws {
        let bench = try Bench()
        var compared = 0
        for request in Self.requests {
            let normal = try bench.run(request.bytes)
            let before = try Self.spans(normal, bench, normalize: false)
            let after = try Self.spans(Self.render(dialect, normal), bench, normalize: true)
            for (old, new) in zip(before, after) {
                for (name, value) in old.attributes where Self.mustReturn(name) {
                    compared += 1
                    let back = new.attributes[name]
                    #expect(
                        Self.isSame(value, back),
                        "\(request.name), \(old.name), \(name): \(value.prefix(300)) became \(back?.prefix(300) ?? "")")
                }
            }
        }
        #expect(compared > 3_000, "\(compared) values")
    }
}
