import COTLP
import CProtobufC
import Foundation
import Testing

/// The recorded payloads that other tests rely on, read with the C code that is generated from Proto/.
@Suite struct `The recorded payloads` {
    struct Manifest: Decodable {
        struct Capture: Decodable {
            struct Post: Decodable {
                var file: String
                var path: String
                var bytes: Int
            }

            var capture: String
            var counts: [String: Int]
            var posts: [Post]
        }

        var captures: [Capture]
    }

    private static let folder = SchemaTable.root.appending(path: "Tests/Fixtures/Corpus").resolvingSymlinksInPath()

    private func manifest() throws -> Manifest {
        let data = try Data(contentsOf: Self.folder.appending(path: "manifest.json"))
        return try JSONDecoder().decode(Manifest.self, from: data)
    }

    @Test func `are all in the manifest, and all that is in the manifest is there`() throws {
        let captures = try manifest().captures
        var expected: Set<String> = []
        for capture in captures {
            for post in capture.posts {
                let file = Self.folder.appending(path: "\(capture.capture)/\(post.file)")
                #expect(try Data(contentsOf: file).count == post.bytes, "\(capture.capture)/\(post.file)")
                expected.insert("\(capture.capture)/\(post.file.prefix { $0 != "." })")
            }
        }
        let walk = try #require(FileManager.default.enumerator(atPath: Self.folder.path))
        let found = walk.compactMap { $0 as? String }.filter { $0.hasSuffix(".pb") || $0.hasSuffix(".json") }
        let stems = Set(found.filter { $0 != "manifest.json" }.map { String($0.prefix { $0 != "." }) })
        #expect(stems == expected)
        #expect(Set(captures.map { $0.capture.prefix { $0 != "/" } }).count >= 8)
    }

    @Test func `hold as many spans, log records and metrics as the manifest says`() throws {
        var checked = 0
        for capture in try manifest().captures where capture.posts.allSatisfy({ $0.file.hasSuffix(".pb") }) {
            var counts = ["spans": 0, "logs": 0, "metrics": 0]
            for post in capture.posts {
                let data = try Data(contentsOf: Self.folder.appending(path: "\(capture.capture)/\(post.file)"))
                let found = count(in: [UInt8](data), path: post.path)
                let count = try #require(found, "\(capture.capture)/\(post.file)")
                counts[count.name, default: 0] += count.items
                checked += 1
            }
            for (name, items) in counts {
                #expect(items == capture.counts[name], "\(name) of \(capture.capture)")
            }
        }
        #expect(checked > 80)
    }

    private func count(in bytes: [UInt8], path: String) -> (name: String, items: Int)? {
        switch path {
        case "/v1/traces":
            guard let request = otlp__export_trace_service_request__unpack(nil, bytes.count, bytes) else { return nil }
            defer { otlp__export_trace_service_request__free_unpacked(request, nil) }
            let resources = UnsafeBufferPointer(
                start: request.pointee.resource_spans, count: request.pointee.n_resource_spans)
            return ("spans", scopes(of: resources, \.scope_spans, \.n_scope_spans).reduce(0) { $0 + $1.n_spans })
        case "/v1/logs":
            guard let request = otlp__export_logs_service_request__unpack(nil, bytes.count, bytes) else { return nil }
            defer { otlp__export_logs_service_request__free_unpacked(request, nil) }
            let resources = UnsafeBufferPointer(
                start: request.pointee.resource_logs, count: request.pointee.n_resource_logs)
            return ("logs", scopes(of: resources, \.scope_logs, \.n_scope_logs).reduce(0) { $0 + $1.n_log_records })
        case "/v1/metrics":
            guard let request = otlp__export_metrics_service_request__unpack(nil, bytes.count, bytes) else {
                return nil
            }
            defer { otlp__export_metrics_service_request__free_unpacked(request, nil) }
            let resources = UnsafeBufferPointer(
                start: request.pointee.resource_metrics, count: request.pointee.n_resource_metrics)
            return (
                "metrics", scopes(of: resources, \.scope_metrics, \.n_scope_metrics).reduce(0) { $0 + $1.n_metrics }
            )
        default: return nil
        }
    }

    private func scopes<Resource, Scope>(
        of resources: UnsafeBufferPointer<UnsafeMutablePointer<Resource>?>,
        _ scopes: KeyPath<Resource, UnsafeMutablePointer<UnsafeMutablePointer<Scope>?>?>,
        _ count: KeyPath<Resource, Int>
    ) -> [Scope] {
        resources.compactMap { $0?.pointee }.flatMap { resource in
            UnsafeBufferPointer(start: resource[keyPath: scopes], count: resource[keyPath: count])
                .compactMap { $0?.pointee }
        }
    }
}
