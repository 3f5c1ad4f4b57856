import CPostgres
package import Configuration

/// Options of `postgres`.
package struct PostgresOptions: ComponentOptions {
    package enum Partition: String, CaseIterable, Sendable { case none, day }
    package enum InsertMethod: String, CaseIterable, Sendable { case copy, insert }

    package var helper: ExporterHelperOptions
    /// URI or keyword string for libpq; may hold a password.
    package var datasource: Secret?
    /// Single parameters of libpq, stronger than `datasource`.
    package var parameters: [(key: String, value: String)]
    package var password: Secret?
    package var schema: String
    package var createsSchema: Bool
    package var method: InsertMethod
    package var partition: Partition
    /// Zero keeps everything.
    package var maxAge: Duration
    package var retentionInterval: Duration

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(
            &settings, defaultTimeout: .seconds(30), defaultConsumers: GroupLane.groupMax)
        datasource = settings.secret(
            "datasource",
            "Connection string of libpq: postgresql://user@host1,host2/db?sslmode=verify-full, or host=... dbname=...; "
                + "never printed.")
        parameters = settings.stringMap(
            "parameters",
            "Single parameters of libpq, stronger than datasource: host, port, user, dbname, sslmode, sslrootcert, "
                + "sslcert, sslkey, ...")
        password = settings.secret("password", "The user's password, stronger than datasource; never printed.")
        schema = settings.string("schema", default: "public", "Schema of the tables; created when it is missing.")
        createsSchema = settings.bool(
            "create_schema", default: true, "True creates missing tables and brings older ones up to date.")
        method = settings.choice(
            "insert_method", default: .copy,
            "copy: binary COPY into a temporary table, then one insert; insert: a statement per row, for poolers that "
                + "do not keep temporary tables.")
        partition = settings.choice(
            "partition", default: Partition.none,
            "day: new tables are partitioned by day, and retention drops whole days; none: plain tables.")
        (maxAge, retentionInterval) = settings.group("retention", "What leaves the database by itself.") { retention in
            let age = retention.duration(
                "max_age", default: .zero, in: .zero ... .seconds(3_155_760_000),
                "Older records are deleted; 0 keeps them.")
            let interval = retention.duration(
                "interval", default: .seconds(300), in: .milliseconds(10) ... .seconds(86_400),
                "Time between two looks.")
            return (age, interval)
        }
        guard !settings.isDescribing else { return }
        if datasource == nil && parameters.isEmpty && !settings.isPresent("datasource") {
            settings.problem("needs `datasource`, or `parameters` with at least host and dbname")
        }
        checkParameters(&settings)
        if !Self.isIdentifier(schema) {
            settings.problem(
                "must be 1 to 63 of a-z, 0-9 and _, not beginning with a digit", at: "schema")
        }
    }

    private func checkParameters(_ settings: inout Settings) {
        let known = Self.keywords
        for (key, _) in parameters {
            if ["password", "sslpassword"].contains(key) {
                settings.problem("\(key) would be printed: write it into password or datasource", at: "parameters")
            } else if !known.contains(key) {
                settings.problem("libpq has no parameter \"\(key)\"", at: "parameters")
            }
        }
        // The parser's own message quotes the string, which may hold a password.
        if let datasource, !Self.isValid(datasource.reveal()) {
            settings.problem(
                "is no connection string of libpq: write postgresql://user:password@host:5432/db?sslmode=require, "
                    + "with special characters percent-encoded", at: "datasource")
        }
    }

    static func isIdentifier(_ name: String) -> Bool {
        (1...63).contains(name.utf8.count)
            && name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 95 }
            && !(48...57).contains(name.utf8.first ?? 48)
    }

    /// Parameters that this libpq knows.
    private static var keywords: Set<String> {
        guard let all = PQconndefaults() else { return [] }
        defer { PQconninfoFree(all) }
        var names: Set<String> = []
        var option = all
        while let keyword = option.pointee.keyword {
            names.insert(String(cString: keyword))
            option += 1
        }
        return names
    }

    private static func isValid(_ text: String) -> Bool {
        var message: UnsafeMutablePointer<CChar>?
        let parsed = PQconninfoParse(text, &message)
        defer {
            PQconninfoFree(parsed)
            PQfreemem(message)
        }
        // A bare word is a database name to libpq, but hardly what was meant.
        return parsed != nil && text.contains(where: { $0 == "=" || $0 == ":" })
    }

    /// What is handed to libpq, weakest first: defaults, the connection string, single parameters, the password.
    var connectionParameters: [(key: String, value: String)] {
        var result = [
            ("application_name", "sluice"), ("connect_timeout", "10"), ("target_session_attrs", "read-write"),
            ("keepalives_idle", "30"), ("keepalives_interval", "10"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "30000"),
        ]
        if let datasource { result.append(("dbname", datasource.reveal())) }
        result += parameters.map { ($0.key, $0.value) }
        if let password { result.append(("password", password.reveal())) }
        result.append(("client_encoding", "UTF8"))
        return result
    }
}
