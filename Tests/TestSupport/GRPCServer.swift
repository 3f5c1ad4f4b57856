import Foundation

/// An OTLP receiver over gRPC on loopback, made of grpcio, in the Python that script/python-clients makes.
package final class GRPCServer: Sendable {
    /// One call as the server saw it.
    package struct Call: Decodable, Sendable {
        package var method: String
        package var metadata: [String: String]
        package var records: Int
        package var behaviour: String
        /// Seconds that the client gave the call.
        package var deadline: Double?
    }

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    package let port: Int
    private let server: ServerScript

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let environment = root.appending(path: ".build/python-clients")

    /// Whether its tests run: where the environment is made, and in CI always, so that its absence fails them.
    package static var isExpected: Bool {
        let made = try? String(contentsOf: environment.appending(path: "installed.txt"), encoding: .utf8)
        return made?.contains("proto-grpc") == true || ProcessInfo.processInfo.environment["CI"] == "true"
    }

    /// A server whose calls end as `behaviours` say, one after the other, and well once these are used up: `ok`,
    /// `partial=N`, `warning=TEXT`, `unavailable=SECONDS`, `exhausted=SECONDS`, `exhausted`, `status=CODE`, `hang`,
    /// `die`. `limit` is the largest message in bytes.
    package init(
        _ behaviours: [String] = [], tls: (certificate: String, key: String)? = nil, limit: Int? = nil
    ) async throws {
        var arguments = [URL(filePath: #filePath).deletingLastPathComponent().appending(path: "grpc_server.py").path]
        if let tls { arguments += ["--tls", tls.certificate, tls.key] }
        if let limit { arguments += ["--limit", String(limit)] }
        server = try ServerScript(Self.environment.appending(path: "bin/python").path, arguments + behaviours)
        port = server.port
    }

    deinit { server.end() }

    /// What came so far.
    package var calls: [Call] {
        server.lines.dropFirst().compactMap { line in
            try? JSONDecoder().decode(Call.self, from: Data(line.utf8))
        }
    }
}
