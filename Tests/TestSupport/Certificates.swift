import Foundation

/// Certificates of two authorities, made by openssl for one test in a folder of its own.
package final class Certificates: Sendable {
    package let folder: String

    package init() throws {
        folder = NSTemporaryDirectory() + "sluice-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    struct Failure: Error {
        var call: String
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    package func path(_ name: String) -> String { "\(folder)/\(name)" }

    /// Makes an authority: `NAME.pem` and `NAME.key`.
    package func makeAuthority(_ name: String) throws {
        try openssl([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=\(name)", "-keyout", path("\(name).key"), "-out", path("\(name).pem"),
        ])
    }

    /// Makes a certificate for localhost that an authority signed: `NAME.pem` and `NAME.key`.
    package func make(_ name: String, by authority: String) throws {
        let extensions = path("extensions.txt")
        try "subjectAltName=DNS:localhost,IP:127.0.0.1\n".write(toFile: extensions, atomically: true, encoding: .utf8)
        try openssl([
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", "/CN=\(name)", "-keyout", path("\(name).key"), "-out", path("\(name).csr"),
        ])
        try openssl([
            "x509", "-req", "-in", path("\(name).csr"), "-CA", path("\(authority).pem"), "-CAkey",
            path("\(authority).key"), "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out",
            path("\(name).pem"),
        ])
    }

    /// Puts a certificate and its key where a gateway looks for them.
    package func install(_ name: String, as other: String) throws {
        for ending in ["key", "pem"] {
            let data = try Data(contentsOf: URL(filePath: path("\(name).\(ending)")))
            try data.write(to: URL(filePath: path("\(other).\(ending)")), options: .atomic)
        }
    }

    private func openssl(_ arguments: [String]) throws {
        let outcome = try ChildProcess.runBlocking("openssl", arguments)
        guard outcome.status == 0 else {
            throw Failure(call: "openssl \(arguments.joined(separator: " ")): \(outcome.errors)")
        }
    }
}
