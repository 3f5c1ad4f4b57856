import Foundation

/// A server on loopback that speaks HTTP/1.1 and HTTP/2 over TLS and takes every request, in python3 without libraries.
package final class HTTPVersionsServer: Sendable {
    package let port: Int
    private let server: ServerScript

    package init(certificate: String, key: String) throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
        server = try ServerScript(
            "python3", [folder.appending(path: "http_versions_server.py").path, certificate, key])
        port = server.port
    }

    deinit { server.end() }

    /// The requests so far in their order, each as its version and the number of its connection: `HTTP/2 1`.
    package var requests: [String] { server.lines.dropFirst().map(String.init) }
}
