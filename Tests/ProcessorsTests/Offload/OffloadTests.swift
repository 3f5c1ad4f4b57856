import Configuration
import Crypto
import Foundation
import Pipeline
import Processors
import Telemetry
import Testing

@testable import Processors

/// A folder that is gone when the test ends.
private final class Folder {
    let url = FileManager.default.temporaryDirectory.appending(path: "offload-\(UUID().uuidString)")
    var path: String { url.path }

    /// Content by name relative to the folder.
    var files: [String: Data] {
        var found: [String: Data] = [:]
        let all = FileManager.default.enumerator(atPath: path)
        while let name = all?.nextObject() as? String {
            if let data = try? Data(contentsOf: url.appending(path: name)) { found[name] = data }
        }
        return found
    }

    deinit { try? FileManager.default.removeItem(at: url) }
}

@Suite struct OffloadTests {
    private func run(_ folder: Folder, _ rules: String, _ request: [UInt8]) throws -> DecodedRequest {
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(OffloadOptions.self, "{directory: '\(folder.path)/store', \(rules)}")
        #expect(read.headlines == [])
        let processor = try OffloadProcessor(options: read.options, build: &build)
        return try DecodedRequest(Bench.run(processor, build, request).bytes, .traces)
    }

    private func name(_ data: Data) -> String {
        let hash = SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
        return "store/\(hash.prefix(2))/\(hash.dropFirst(2))"
    }

    @Test func `a large text is stored once and leaves its beginning and a reference`() throws {
        let folder = Folder()
        let long = String(repeating: "All work and no play. ", count: 100)
        let request = Wire.traces(span: Wire.strings(9, [("a", long), ("b", long), ("c", "short")]))
        let after = try run(folder, "min_bytes: 1KiB, preview: 8", request).values(.span)
        let file = name(Data(long.utf8))
        #expect(after["a"] == "\"All work [offloaded 2200 bytes: file://\(folder.path)/\(file)]\"")
        #expect(after["b"] == after["a"] && after["c"] == "\"short\"")
        #expect(folder.files == [file: Data(long.utf8)])
        let mode = try FileManager.default.attributesOfItem(atPath: folder.path + "/" + file)[
            .posixPermissions]
        #expect((mode as? Int) == 0o600)
    }

    @Test func `media in messages is stored decoded and the JSON stays JSON`() throws {
        let folder = Folder()
        let image = Data((0..<3_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        let base64 = image.base64EncodedString()
        let messages = """
            [{"role":"user","parts":[{"type":"blob","mime_type":"image/png","content":"\(base64)"},\
            {"type":"text","content":"see data:image/png;base64,\(base64) there"}]}]
            """
        let request = Wire.traces(span: Wire.strings(9, [("gen_ai.input.messages", messages)]))
        let after = try run(folder, "media_min_bytes: 1KiB, uri_prefix: 'sluice:sha256/'", request)
            .values(.span)
        #expect(folder.files == [name(image): image])
        let text = try #require(after["gen_ai.input.messages"]).dropFirst().dropLast()
        let list = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
        let parts = try #require(list[0]["parts"] as? [[String: String]])
        let uri = "sluice:sha256/" + name(image).dropFirst(6).replacing("/", with: "")
        #expect(parts[0] == ["type": "blob", "mime_type": "image/png", "content": uri])
        #expect(parts[1]["content"] == "see \(uri) there")
    }

    @Test func `large JSON stays JSON, nested values are offloaded too`() throws {
        let folder = Folder()
        let json = "{\"rows\":[" + (0..<500).map(String.init).joined(separator: ",") + "]}"
        let request = Wire.traces(
            span: Wire.attributes(
                9, [("a", Wire.string(json)), ("m", Wire.map([("k", Wire.string(json))]))]))
        let after = try run(folder, "min_bytes: 1KiB, uri_prefix: 'cas:'", request).values(.span)
        let text = try #require(after["a"]).dropFirst().dropLast()
        let list = try #require(
            JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: [String: Any]]])
        #expect(list[0]["offloaded"]?["bytes"] as? Int == json.utf8.count)
        #expect(after["m"]?.hasPrefix("map 1") == true)
        #expect(Array(folder.files.values) == [Data(json.utf8)])
    }

    @Test func `long words that are no media stay`() throws {
        let folder = Folder()
        let word = String(repeating: "abcdefgh", count: 200)
        let request = Wire.traces(
            span: Wire.strings(9, [("a", "x \(word) y"), ("b", "data:text/plain,\(word)")]))
        let after = try run(folder, "media_min_bytes: 1KiB", request).values(.span)
        #expect(
            after["a"] == "\"x \(word) y\"" && after["b"] == "\"data:text/plain,\(word)\""
                && folder.files.isEmpty)
    }

    @Test func `a value that cannot be stored stays`() throws {
        let folder = Folder()
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(OffloadOptions.self, "{directory: '\(folder.path)/store', min_bytes: 1KiB}")
            .options
        let processor = try OffloadProcessor(options: read, build: &build)
        // A file where the folder of the hash has to be.
        let long = String(repeating: "x", count: 2_000)
        let place = folder.path + "/" + name(Data(long.utf8)).prefix(8)
        try Data("in the way".utf8).write(to: URL(filePath: place))
        let request = Wire.traces(span: Wire.strings(9, [("a", long)]))
        #expect(try Bench.run(processor, build, request).bytes == request)
        #expect(bench.metrics.series.first { $0.name == "sluice_offload_failures_total" }?.read() == 1)
    }

    @Test func `a folder that cannot be made is a failure`() {
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(OffloadOptions.self, "{directory: /proc/none/x}").options
        #expect(throws: ProcessorBuildFailure.self) {
            try OffloadProcessor(options: read, build: &build)
        }
    }
}
