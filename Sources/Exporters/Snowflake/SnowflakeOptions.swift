package import Configuration

/// Options of `snowflake`.
package struct SnowflakeOptions: ComponentOptions {
    package var helper: ExporterHelperOptions
    package var account: String
    package var endpoint: String
    package var user: String
    package var privateKey: Secret?
    package var privateKeyFile: String
    package var database: String
    package var schema: String
    package var warehouse: String
    package var role: String
    package var createsSchema: Bool
    package var statementTimeout: Duration
    package var tls: HTTPTLSOptions

    package init(_ settings: inout Settings) {
        // Longer than the 45 s after which the server answers that a statement goes on.
        helper = ExporterHelperOptions(&settings, defaultTimeout: .seconds(60))
        account = settings.requiredString(
            "account", "Account identifier, such as myorg-myaccount or xy12345.eu-central-1.")
        endpoint = settings.string(
            "endpoint", default: "", "URL of the SQL API; by default https://ACCOUNT.snowflakecomputing.com.")
        user = settings.requiredString("user", "User to log in as; it needs an RSA public key (ALTER USER).")
        privateKey = settings.secret("private_key", "The user's RSA private key in PEM form; never printed.")
        privateKeyFile = settings.string(
            "private_key_file", default: "",
            "File of the user's RSA private key in PEM form, not encrypted; read again for each new token.")
        database = settings.requiredString("database", "Database of the tables as SHOW DATABASES prints it.")
        schema = settings.string("schema", default: "PUBLIC", "Schema of the tables as SHOW SCHEMAS prints it.")
        warehouse = settings.string("warehouse", default: "", "Warehouse that runs the statements; the user's default.")
        role = settings.string("role", default: "", "Role to use; by default the user's own.")
        createsSchema = settings.bool(
            "create_schema", default: true, "True creates missing tables and brings older ones up to date.")
        statementTimeout = settings.duration(
            "statement_timeout", default: .seconds(300), in: .seconds(1) ... .seconds(86_400),
            "Time after which a statement that still runs is cancelled and sent again later.")
        tls = settings.group("tls", "How a https endpoint is checked.") { HTTPTLSOptions(&$0) }
        guard !settings.isDescribing else { return }
        check(&settings)
    }

    private func check(_ settings: inout Settings) {
        if (privateKey == nil) == privateKeyFile.isEmpty {
            settings.problem("needs either private_key_file or private_key")
        }
        if !account.utf8.allSatisfy({ Self.isWordByte($0) || $0 == 0x2D || $0 == 0x2E }) {
            settings.problem("may hold letters, digits and - _ . only: write myorg-myaccount", at: "account")
        }
        for (key, name) in [("database", database), ("schema", schema), ("warehouse", warehouse), ("role", role)]
        where !name.isEmpty && !Self.isIdentifier(name) {
            settings.problem("must be letters, digits, _ and $, not beginning with a digit", at: key)
        }
        guard !endpoint.isEmpty else { return }
        do throws(HTTPEndpoint.Fault) {
            let url = try HTTPEndpoint(endpoint)
            if url.path.contains("?") { settings.problem("must have no query", at: "endpoint") }
            url.warnOfPlain(at: "endpoint", &settings)
        } catch { settings.problem(error.message, at: "endpoint") }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        (97...122).contains(byte) || (65...90).contains(byte) || (48...57).contains(byte) || byte == 0x5F
    }

    static func isIdentifier(_ name: String) -> Bool {
        (1...255).contains(name.utf8.count) && name.utf8.allSatisfy { isWordByte($0) || $0 == 0x24 }
            && !(48...57).contains(name.utf8.first ?? 48)
    }

    /// URL in front of `/api/v2/statements`.
    var base: String {
        guard endpoint.isEmpty else { return endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint }
        // Host names have no underscores; the server knows the account by hyphens too.
        let host = account.lowercased().map { $0 == "_" ? "-" : String($0) }.joined()
        return "https://\(host).snowflakecomputing.com"
    }
}
