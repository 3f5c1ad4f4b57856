import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Receivers

/// TLS with certificates of a test's own.
struct TLSTests {
    private func tls(_ files: Certificates, _ more: String = "") -> String {
        "tls: {cert_file: \(files.path("live.pem")), key_file: \(files.path("live.key"))\(more)}"
    }

    private func makeFiles() throws -> Certificates {
        let files = try Certificates()
        try files.makeAuthority("one")
        try files.make("first", by: "one")
        try files.install("first", as: "live")
        return files
    }

    @Test func `HTTP 2 is chosen by ALPN, over HTTP and gRPC`() async throws {
        let files = try makeFiles()
        let ingest = FakeIngest()
        try await withServer(TestSetup(ingest: ingest, http: [tls(files)], grpc: [tls(files)])) { server in
            let trust = try files.client(trusting: "one", protocols: ["h2"])
            let http = try await H2Client.connect(port: server.port, tls: trust)
            #expect(try await http.request(h2Post("/v1/traces"), Array("{}".utf8)).status == 200)
            let grpc = try await H2Client.connect(port: server.grpcPort, tls: trust)
            let call = h2Post(GRPCCall.path(.logs), type: "application/grpc")
            #expect(try await grpc.request(call, [0, 0, 0, 0, 0]).grpcStatus == 0)
            #expect(ingest.calls.map(\.signal) == [.traces, .logs])
            await http.close()
            await grpc.close()
        }
    }

    @Test func `HTTP 1 is spoken with and without ALPN`() async throws {
        let files = try makeFiles()
        try await withServer(TestSetup(http: [tls(files)])) { server in
            for protocols in [["http/1.1"], []] {
                let configuration = try files.client(trusting: "one", protocols: protocols)
                let text = try await Self.exchange(server.port, configuration, post(headers: ["Connection: close"]))
                #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
        }
    }

    @Test func `plain text on a port with TLS is closed and TLS without the authority is refused by the client`()
        async throws
    {
        let files = try makeFiles()
        try files.makeAuthority("two")
        try await withServer(TestSetup(http: [tls(files)])) { server in
            let client = try server.connect()
            client.send(post())
            #expect(throws: RawClient.Failure.self) { try client.response() }
            await #expect(throws: (any Error).self) {
                try await Self.exchange(server.port, try files.client(trusting: "two"), post())
            }
        }
    }

    @Test func `a client without the right certificate gets nothing`() async throws {
        let files = try makeFiles()
        try files.makeAuthority("two")
        try files.make("friend", by: "one")
        try files.make("stranger", by: "two")
        let ingest = FakeIngest()
        let more = ", client_ca_file: \(files.path("one.pem"))"
        try await withServer(TestSetup(ingest: ingest, http: [tls(files, more)])) { server in
            for name in [nil, "stranger"] {
                let configuration = try files.client(trusting: "one", showing: name)
                let text = try? await Self.exchange(server.port, configuration, post(headers: ["Connection: close"]))
                #expect(text?.contains("200 OK") != true)
            }
            #expect(ingest.calls.isEmpty)
            let friend = try files.client(trusting: "one", showing: "friend")
            let text = try await Self.exchange(server.port, friend, post(headers: ["Connection: close"]))
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test func `versions outside the range are refused`() async throws {
        let files = try makeFiles()
        try await withServer(TestSetup(http: [tls(files, ", min_version: \"1.3\"")])) { server in
            var configuration = try files.client(trusting: "one")
            configuration.maximumTLSVersion = .tlsv12
            await #expect(throws: (any Error).self) {
                try await Self.exchange(server.port, configuration, post(headers: ["Connection: close"]))
            }
            configuration.maximumTLSVersion = .tlsv13
            let text = try await Self.exchange(server.port, configuration, post(headers: ["Connection: close"]))
            #expect(text.hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test func `a certificate that changed serves new connections and open ones go on`() async throws {
        let files = try makeFiles()
        try files.makeAuthority("two")
        try files.make("second", by: "two")
        try await withServer(TestSetup(http: [tls(files, ", reload_interval: 1ms")])) { server in
            let old = try await H2Client.connect(
                port: server.port, tls: try files.client(trusting: "one", protocols: ["h2"]))
            #expect(try await old.request(h2Post("/v1/traces")).status == 200)
            try files.install("second", as: "live")
            let two = try files.client(trusting: "two")
            let text = try await Self.exchange(server.port, two, post(headers: ["Connection: close"]))
            #expect(text.hasPrefix("HTTP/1.1 200"))
            #expect(try await old.request(h2Post("/v1/traces")).status == 200)
            // A broken file leaves in force what was read last.
            try Data("no certificate".utf8).write(to: URL(filePath: files.path("live.pem")), options: .atomic)
            let again = try await Self.exchange(server.port, two, post(headers: ["Connection: close"]))
            #expect(again.hasPrefix("HTTP/1.1 200"))
            await old.close()
        }
    }

    private func contexts(_ group: String) throws -> TLSContexts {
        let (options, problems) = try options("protocols: {http: {\(group)}}")
        #expect(problems.isEmpty)
        return try TLSContexts(
            try #require(options.http?.tls), protocols: ["h2"], id: "otlp", log: quietLogger())
    }

    @Test func `the authorities of senders are watched without an interval for the other files`() throws {
        let files = try makeFiles()
        try files.makeAuthority("two")
        try files.install("one", as: "authority")
        let options = [
            ("", false), (", client_ca_file_reload: true", true),
            (", reload_interval: 5s, client_ca_file_reload: true", true),
        ]
        for (more, isWatched) in options {
            let contexts = try contexts(tls(files, ", client_ca_file: \(files.path("authority.pem"))\(more)"))
            let start = NIODeadline.now()
            let first = contexts.current(now: start)
            // The certificate itself is not read again, so it may be gone.
            try FileManager.default.removeItem(atPath: files.path("live.pem"))
            try files.install("two", as: "authority")
            #expect(contexts.current(now: start + .seconds(1)) === first)
            let second = contexts.current(now: start + .seconds(6))
            #expect((second !== first) == isWatched)
            #expect(contexts.current(now: start + .seconds(12)) === second)
            try files.install("first", as: "live")
            try files.install("one", as: "authority")
        }
    }

    @Test func `certificate and key may stand in the file itself`() async throws {
        let files = try makeFiles()
        func indented(_ name: String) throws -> String {
            try String(contentsOfFile: files.path(name), encoding: .utf8).split(separator: "\n")
                .map { "        \($0)\n" }.joined()
        }
        let yaml =
            try "protocols:\n  http:\n    endpoint: 127.0.0.1:0\n    tls:\n      cert_pem: |\n"
            + indented("live.pem") + "      key_pem: |\n" + indented("live.key")
        let (receiver, _) = try makeReceiver(yaml)
        let port = try await receiver.start().http.first?.port ?? 0
        let configuration = try files.client(trusting: "one")
        let text = try await Self.exchange(port, configuration, post(headers: ["Connection: close"]))
        #expect(text.hasPrefix("HTTP/1.1 200"))
        await receiver.shutdown(deadline: .zero)
    }

    @Test func `files that cannot be used are told before anything is served`() async throws {
        let files = try makeFiles()
        try files.make("other", by: "one")
        let faults = [
            ("{cert_file: /nowhere.pem, key_file: \(files.path("live.key"))}", "/nowhere.pem cannot be read"),
            ("{cert_file: \(files.path("live.key")), key_file: \(files.path("live.key"))}", "holds no certificate"),
            (
                "{cert_file: \(files.path("live.pem")), key_file: \(files.path("live.pem"))}",
                "no unencrypted private key"
            ),
            ("{cert_file: \(files.path("live.pem")), key_file: \(files.path("other.key"))}", "do not belong together"),
        ]
        for (group, reason) in faults {
            let (receiver, _) = try makeReceiver("protocols: {http: {endpoint: 127.0.0.1:0, tls: \(group)}}")
            let failure = await #expect(throws: ReceiverStartFailure.self) { try await receiver.start() }
            #expect(failure?.description.contains(reason) == true, "\(failure?.description ?? "")")
            await receiver.shutdown(deadline: .zero)
        }
    }

    /// What comes back on a TLS connection until it is closed.
    private static func exchange(
        _ port: Int, _ configuration: TLSConfiguration, _ bytes: [UInt8]
    ) async throws
        -> String
    {
        let context = try NIOSSLContext(configuration: configuration)
        let done = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: String.self)
        let channel = try await NIOClient.connect(port: port) { channel in
            try channel.pipeline.syncOperations.addHandlers([
                NIOSSLClientHandler(context: context, serverHostname: "localhost"), TextGatherer(done: done),
            ])
        }
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        let text = try await done.futureResult.soon("no end of the answer")
        try? await channel.close()
        return text
    }
}
