import CPostgres
import Pipeline

/// What PostgreSQL or the way to it refused. The server's detail stays out: it quotes values of the row. What it says
/// of the data may do so too, and is told as its words.
struct PostgresFailure: Error, Equatable {
    enum Kind: Equatable {
        /// This very data can never be stored.
        case refusedRow
        /// May work later on the same connection.
        case passing
        /// The connection is of no more use.
        case connection
    }

    var kind: Kind
    /// SQLSTATE, empty when the failure came up on this side.
    var code = ""
    var message: String

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// From a failed result.
    init(_ result: OpaquePointer?, _ connection: OpaquePointer?) {
        if let result, let state = sluice_pq_sqlstate(result) {
            code = String(cString: state)
            let words = sluice_pq_message(result).map { String(cString: $0) } ?? "no message"
            kind = Self.kind(code)
            let text = EscapedText.make(words, limit: 200)
            let told = Self.kind(code) == .refusedRow ? ", \(QuotedWords.quote(text))" : ": \(text)"
            message = "PostgreSQL \(code)\(told)\(Self.advice(code))"
        } else {
            kind = .connection
            message = Self.words(connection)
        }
        if PQstatus(connection) == CONNECTION_BAD { kind = .connection }
    }

    /// libpq's last message: hosts and reasons, never a password.
    static func words(_ connection: OpaquePointer?) -> String {
        let words = PQerrorMessage(connection).map { String(cString: $0) } ?? ""
        var lines = words.split(separator: "\n").map(String.init)
        if lines.isEmpty { lines = ["the connection broke"] }
        return EscapedText.make(lines.joined(separator: "; "), limit: 400)
    }

    /// By the class of the SQLSTATE (PostgreSQL manual, appendix A).
    static func kind(_ code: String) -> Kind {
        switch code.prefix(2) {
        // Data exception, constraint, check option, limits of the program, raised by a trigger, cardinality.
        case "22", "23", "44", "54", "P0", "21": return .refusedRow
        case "08": return .connection
        default: break
        }
        // Shutdown, crash, starting up; the server has become a standby.
        if code.hasPrefix("57P") || code == "25006" { return .connection }
        return .passing
    }

    /// What helps when tables or columns are missing, unless they are being made.
    static let schemaAdvice = "; run `sluice sql migrate`, or set create_schema: true"

    private static func advice(_ code: String) -> String {
        switch code {
        case "42P01", "42703", "3F000": schemaAdvice
        case "42501": "; grant the user INSERT and SELECT on the tables, CREATE on the schema"
        case "25006": "; this server is read-only, name the primary too in host"
        case "53100": "; free space on the server's disk"
        case "57014": "; the statement took longer than timeout"
        default: ""
        }
    }
}
