import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A current ClickHouse engine on loopback, behind a small HTTP server in Python.
///
/// It needs a Python with the package chdb-core (900 MB): that of `script/chdb`, which `.ci/run` makes, or the one that
/// SLUICE_TEST_CHDB names. Without it its tests do not run.
package final class ClickHouseServer: Sendable {
    package let url: String
    private let folder: URL
    private let server: ServerScript

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static var python: String? {
        if let named = ProcessInfo.processInfo.environment["SLUICE_TEST_CHDB"] { return named }
        let made = root.appending(path: ".build/chdb")
        let isWhole = FileManager.default.fileExists(atPath: made.appending(path: "installed.txt").path)
        return isWhole ? made.appending(path: "bin/python").path : nil
    }

    package static var isExpected: Bool { python != nil }

    package struct Failure: Error {}

    package init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "sluice-clickhouse-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "clickhouse_server.py").path
        server = try ServerScript(Self.python ?? "/nonexistent", [script, folder.path])
        url = "http://127.0.0.1:\(server.port)"
    }

    deinit {
        server.end()
        try? FileManager.default.removeItem(at: folder)
    }

    /// The answer to a statement, or the exception's text.
    package func ask(_ sql: String) async -> String { await ClickHouseQuestion.ask(sql, url: url) }
}

/// Debian's ClickHouse server (18.16) on loopback: its HTTP interface is the real one, though the types and settings of
/// the exporter's schema are younger.
package final class DebianClickHouse: Sendable {
    package static let password = "secret word"
    package let url: String
    private let folder: URL
    private let shell: ChildProcess

    /// A shell ends the server with us, however we end.
    private static let script = """
        "$1" --config-file="$2" < /dev/null &
        server=$!
        read -r _
        kill -9 $server
        wait $server
        """
    private static let program = "/usr/sbin/clickhouse-server"

    /// Whether its tests run: where it is installed, and in CI always, so that its absence fails them.
    package static var isExpected: Bool {
        FileManager.default.isExecutableFile(atPath: program) || ProcessInfo.processInfo.environment["CI"] == "true"
    }

    package init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "sluice-clickhouse-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let port = FreePort.next()
        url = "http://127.0.0.1:\(port)"
        let users = """
            <yandex><profiles><default/></profiles><quotas><default/></quotas><users><default>
            <password>\(Self.password)</password><networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile><quota>default</quota></default></users></yandex>
            """
        let configuration = """
            <yandex><logger><level>warning</level>
            <log>\(folder.path)/log</log><errorlog>\(folder.path)/errors</errorlog>
            </logger><http_port>\(port)</http_port><listen_host>127.0.0.1</listen_host>
            <path>\(folder.path)/data/</path><tmp_path>\(folder.path)/tmp/</tmp_path>
            <mark_cache_size>5368709</mark_cache_size><users_config>\(folder.path)/users.xml</users_config>
            <default_profile>default</default_profile><default_database>default</default_database></yandex>
            """
        try Data(users.utf8).write(to: folder.appending(path: "users.xml"))
        try Data(configuration.utf8).write(to: folder.appending(path: "config.xml"))
        shell = try ChildProcess(
            "/bin/sh", ["-c", Self.script, "sh", Self.program, folder.appending(path: "config.xml").path],
            input: .pipe, errors: .nothing)
    }

    deinit {
        shell.closeInput()
        shell.waitBlocking()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Waits until it answers, at most three minutes.
    package func ready() async throws {
        for _ in 0..<3_600 {
            if await ask("SELECT 1") == "1\n" { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ClickHouseServer.Failure()
    }

    /// The answer to a statement, or the exception's text.
    package func ask(_ sql: String) async -> String {
        let login = ["X-ClickHouse-User": "default", "X-ClickHouse-Key": Self.password]
        return await ClickHouseQuestion.ask(sql, url: url, login)
    }
}

private enum ClickHouseQuestion {
    static func ask(_ sql: String, url: String, _ headers: [String: String] = [:]) async -> String {
        let query = sql.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        guard let url = URL(string: url + "/?query=" + query) else { return "no URL" }
        var request = URLRequest(url: url)
        request.httpMethod = "POST"
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        do {
            return String(decoding: try await URLSession.shared.data(for: request).0, as: UTF8.self)
        } catch { return "\(error)" }
    }
}
