import Configuration
import Gateway
import Testing

/// Exporters that name an authenticator extension.
@Suite struct ExporterAuthenticatorTests {
    private func problems(_ extensions: String, running: String, _ exporter: String = "otlp") -> [String] {
        let text = """
            receivers: {otlp: {protocols: {http: {}}}}
            extensions: \(extensions)
            exporters:
              otlp: {endpoint: "127.0.0.1:4317", tls: {insecure: true}, auth: {authenticator: mine}}
              otlphttp: {endpoint: "http://127.0.0.1:4318", auth: {authenticator: mine}}
            service:
              extensions: \(running)
              pipelines: {traces: {receivers: [otlp], exporters: [\(exporter)]}}
            """.replacing("mine", with: running == "[]" ? "bearertokenauth" : String(running.dropFirst().dropLast()))
        let loaded = LoadedConfiguration.load([.text(name: "t.yaml", text)])
        return loaded.problems.all.filter { $0.severity == .error }.map { $0.message + " | " + ($0.fix ?? "") }
    }

    @Test(arguments: [
        ("{bearertokenauth: {token: abc}}", "[bearertokenauth]"),
        ("{basicauth/vendor: {client_auth: {username: a, password: b}}}", "[basicauth/vendor]"),
        (
            "{oauth2client: {client_id: a, client_secret: b, token_url: 'https://127.0.0.1/t', scopes: [x], "
                + "timeout: 2s, tls: {insecure_skip_verify: true}, endpoint_params: {audience: z}}}", "[oauth2client]"
        ),
        (
            "{headers_setter: {headers: [{key: X-Scope-OrgID, from_context: tenant, default_value: x}]}}",
            "[headers_setter]"
        ),
    ]) func `the Collector's forms load`(extensions: String, running: String) {
        #expect(problems(extensions, running: running) == [])
    }

    @Test func `what cannot work is refused with the fix`() {
        let notRunning = problems("{bearertokenauth: {token: abc}}", running: "[]")
        #expect(notRunning.count == 2 && notRunning[0].contains("add bearertokenauth to service.extensions"))
        let server = problems("{basicauth: {htpasswd: {inline: 'a:b'}}}", running: "[basicauth]")
        #expect(server.count == 2 && server[0].contains("client_auth"), "\(server)")
        let other = problems("{zpages: {}}", running: "[zpages]")
        #expect(other.count == 2 && other[0].contains("no authenticator extension"), "\(other)")
        let circle = problems(
            "{headers_setter: {headers: [{key: a, value: b}], additional_auth: headers_setter}}",
            running: "[headers_setter]")
        #expect(circle.count == 2 && circle[0].contains("leads back"), "\(circle)")
    }
}
