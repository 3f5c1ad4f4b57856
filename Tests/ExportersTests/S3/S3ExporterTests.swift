@testable import Exporters
import Foundation
import Pipeline
import Telemetry
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15))) struct S3ExporterTests {
    private static let credentials = AWSSignature.Credentials(
        accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")

    @Test func `signs the examples of the S3 API reference`() {
        let signature = AWSSignature(credentials: Self.credentials, region: "us-east-1")
        let time = AWSTime(seconds: 1_369_353_600)
        #expect(time.text == "20130524T000000Z")
        let nothing = AWSSignature.hash([])
        let get = AWSSignature.Request(
            method: "GET", path: "/test.txt",
            headers: [
                ("x-amz-date", time.text), ("host", "examplebucket.s3.amazonaws.com"), ("range", "bytes=0-9"),
                ("x-amz-content-sha256", nothing),
            ], payloadHash: nothing)
        #expect(
            signature.authorization(get, time: time).hasSuffix(
                "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature="
                    + "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"))
        let hash = AWSSignature.hash(Array("Welcome to Amazon S3.".utf8))
        let put = AWSSignature.Request(
            method: "PUT", path: AWSSignature.escaped(path: "/test$file.text"),
            headers: [
                ("date", "Fri, 24 May 2013 00:00:00 GMT"), ("host", "examplebucket.s3.amazonaws.com"),
                ("x-amz-content-sha256", hash), ("x-amz-date", time.text),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ], payloadHash: hash)
        #expect(
            signature.authorization(put, time: time).hasSuffix(
                "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"))
    }

    private func exporter(_ url: String, _ more: String = "") async throws -> S3Exporter {
        let read = options(
            S3Options.self,
            """
            s3uploader:
              {endpoint: '\(url)', s3_bucket: bkt, s3_force_path_style: true, s3_prefix: a b, access_key_id: AK,
               secret_access_key: SK\(more)}
            """)
        #expect(read.problems == [])
        let exporter = S3Exporter(options: read.options, build: exporterBuild(), now: { 1_369_353_600 })
        try await exporter.start()
        return exporter
    }

    private func batch(_ start: UInt64 = 1_700_000_000_000_000_000) -> ExportBatch {
        ExportBatch(
            signal: .traces, itemCount: 1, bytes: TestRequest.traces([TestSpan(start: start, end: start + 1)]))
    }

    @Test func `puts the same batch under the same key, partitioned by its own time`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(server.url)
        for _ in 0..<2 { #expect(await exporter.export(batch()) == .delivered) }
        #expect(await exporter.export(batch(0)) == .delivered)
        let lines = server.requests.map(\.line)
        let start = "PUT /bkt/a%20b/year%3D2023/month%3D11/day%3D14/hour%3D22/minute%3D13/traces_"
        #expect(lines[0].hasPrefix(start) && lines[0].hasSuffix(".json HTTP/1.1"), "\(lines)")
        #expect(lines[0] == lines[1])
        #expect(lines[2].contains("year%3D2013"), "without a time, now: \(lines[2])")
        let request = try #require(server.requests.first)
        #expect(request.headers["x-amz-content-sha256"] == AWSSignature.hash(request.body))
        #expect(
            request.headers["authorization"]?.hasPrefix("AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1") == true)
        #expect(String(decoding: request.body, as: UTF8.self).hasPrefix("{\"resourceSpans\""))
    }

    @Test(arguments: [("gzip", "gzip"), ("zstd", "zstd"), ("none", nil)] as [(String, String?)])
    func `an object says how it is compressed`(compression: String, coding: String?) async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(server.url, ", compression: \(compression)")
        #expect(await exporter.export(batch()) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.headers["content-encoding"] == coding)
        #expect(request.headers["content-type"] == "application/json")
        #expect(request.headers["authorization"]?.contains("content-encoding") == false)
    }

    @Test func `equal requests of two deliveries are two objects, and attempts of one are one`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(server.url)
        for number in [1, 1, 2, UInt64.max] {
            var batch = batch()
            batch.number = number
            #expect(await exporter.export(batch) == .delivered)
        }
        let lines = server.requests.map(\.line)
        #expect(lines[0] == lines[1])
        #expect(Set(lines).count == 3)
        #expect(Set(lines.map(\.count)).count == 1, "\(lines)")
        // Equal records of one batch that is cut.
        var two = ExportBatch(signal: .traces, itemCount: 2, bytes: batch().bytes + batch().bytes)
        two.number = 7
        #expect(FrameSplit.halves(of: two, requests: [1, 1]).map(\.batch.number) == [7, 8])
    }

    @Test func `older and lesser options of the Collector are read`() async throws {
        func uploader(_ more: String) -> S3Options {
            let read = options(S3Options.self, "{s3uploader: {s3_bucket: b, \(more)}}")
            #expect(read.problems == [])
            return read.options
        }
        #expect(uploader("s3_partition: hour").partition == "year=%Y/month=%m/day=%d/hour=%H")
        #expect(uploader("s3_partition: minute").partition == uploader("region: r").partition)
        #expect(uploader("s3_partition: hour, s3_partition_format: '%Y'").partition == "%Y")
        #expect(uploader("endpoint: 'minio:9000'").endpoint == "https://minio:9000")
        #expect(uploader("endpoint: 'minio:9000', disable_ssl: true").endpoint == "http://minio:9000")
        #expect(uploader("s3_base_prefix: x, s3_prefix: y").prefix == "x/y")
        #expect(uploader("role_arn: a, retry_mode: standard, retry_max_attempts: 3").accessKey == nil)
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(server.url, ", acl: bucket-owner-full-control")
        #expect(await exporter.export(batch()) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.headers["x-amz-acl"] == "bucket-owner-full-control")
        #expect(request.headers["authorization"]?.contains("SignedHeaders=host;x-amz-acl;") == true)
    }

    @Test func `retries what may pass and refuses what may not`() async throws {
        let server = ScriptedServer { index, _ in .answer(index == 0 ? 503 : 403, body: Array("<Code>No</Code>".utf8)) }
        defer { server.stop() }
        let exporter = try await exporter(server.url)
        guard case .retry = await exporter.export(batch()) else {
            Issue.record("not a retry")
            return
        }
        guard case .permanent(let reason) = await exporter.export(batch()) else {
            Issue.record("not permanent")
            return
        }
        #expect(reason.contains("403") && reason.contains("<Code>No"))
    }

    @Test(arguments: [
        ("{s3uploader: {}}", "required"),
        ("{s3uploader: {s3_bucket: b, s3_prefix: a/../b}}", "no part that is . or .."),
        ("{s3uploader: {s3_bucket: 'a/b'}}", "only lower-case letters"),
        ("{s3uploader: {s3_bucket: b, endpoint: 'http://h/path'}}", "has a path"),
        ("{s3uploader: {s3_bucket: b, access_key_id: a}}", "go together"),
        ("{s3uploader: {s3_bucket: b, s3_partition: day}}", "is minute or hour"),
        ("{s3uploader: {s3_bucket: b, acl: 'a: b'}}", "canned list"),
    ]) func `says what is wrong`(yaml: String, words: String) {
        let problems = options(S3Options.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
    }

    // MARK: Against a real server

    /// moto's server, when PyPI's package `moto[server]` is installed.
    private static let moto: String? = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":")
        .map { "\($0)/moto_server" }.first { FileManager.default.isExecutableFile(atPath: $0) }

    @Test(.enabled(if: moto != nil, "moto_server is not installed")) func `stores objects that a server gives back`()
        async throws
    {
        let port = FreePort.next()
        let process = try ChildProcess(Self.moto ?? "", ["-H", "127.0.0.1", "-p", "\(port)"], errors: .nothing)
        defer { process.signal(SIGKILL) }
        let url = "http://127.0.0.1:\(port)"
        var isUp = false
        for _ in 0..<1_800 where !isUp {
            if case .answered(200, _, _, _) = try await call("PUT", url, "/bkt") { isUp = true }
            if !isUp { try await Task.sleep(for: .milliseconds(100)) }
        }
        try #require(isUp, "moto_server does not answer")
        let exporter = try await exporter(url, ", compression: none")
        let sent = batch()
        #expect(await exporter.export(sent) == .delivered)
        #expect(await exporter.export(sent) == .delivered)
        guard case .answered(200, let list, _, _) = try await call("GET", url, "/bkt", query: "list-type=2") else {
            Issue.record("no list")
            return
        }
        let keys = String(decoding: list, as: UTF8.self).components(separatedBy: "<Key>").dropFirst().map {
            $0.components(separatedBy: "</Key>")[0]
        }
        #expect(keys.count == 1 && keys[0].hasPrefix("a b/year=2023/month=11/"), "\(keys)")
        let path = AWSSignature.escaped(path: "/bkt/" + (keys.first ?? ""))
        guard case .answered(200, let body, _, _) = try await call("GET", url, path) else {
            Issue.record("no object")
            return
        }
        #expect(String(decoding: body, as: UTF8.self).contains("\"spanId\":\"0101010101010101\""))
    }

    private func call(_ method: String, _ url: String, _ path: String, query: String = "") async throws -> HTTPResult {
        let time = AWSTime(seconds: Int(Date().timeIntervalSince1970))
        let hash = AWSSignature.hash([])
        let host = String(url.dropFirst("http://".count))
        let headers = [
            (name: "host", value: host), (name: "x-amz-content-sha256", value: hash),
            (name: "x-amz-date", value: time.text),
        ]
        let signature = AWSSignature(
            credentials: .init(accessKey: "AK", secretKey: "SK"), region: "us-east-1")
        let request = AWSSignature.Request(
            method: method, path: path, query: query.isEmpty ? "" : "list-type=2", headers: headers, payloadHash: hash)
        var target = CurlTargetOptions(url: url + path + (query.isEmpty ? "" : "?\(query)"))
        target.method = method
        target.headers = headers.dropFirst().map { "\($0.name): \($0.value)" }
        target.headers.append("Authorization: \(signature.authorization(request, time: time))")
        return await CurlEngine.shared.post([], to: try CurlTarget(target, engine: .shared))
    }
}
