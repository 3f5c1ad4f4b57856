import OTTL
import Telemetry
import Testing

/// Rows have the kind, the attributes and the name that the conventions make of them.
@Suite struct SemconvNameTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var kind: String
        var attributes: String
        var name: String
        var testDescription: String { "\(kind) \(attributes)" }

        init(_ kind: String, _ attributes: String, _ name: String) {
            self.kind = kind
            self.attributes = attributes
            self.name = name
        }
    }

    static let rows: [Row] = [
        Row("SERVER", "\"http.request.method\": \"GET\", \"http.route\": \"/a/{id}\"", "GET /a/{id}"),
        Row("SERVER", "\"http.method\": \"GET\", \"url.template\": \"/x\"", "GET"),
        Row("CLIENT", "\"http.request.method\": \"PUT\", \"url.template\": \"/x\"", "PUT /x"),
        Row("SERVER", "\"rpc.system\": \"grpc\", \"rpc.method\": \"m\", \"rpc.service\": \"s\"", "s/m"),
        Row("SERVER", "\"rpc.system\": \"grpc\", \"rpc.service\": \"s\"", "s/*"),
        Row("CLIENT", "\"rpc.system.name\": \"grpc\"", "grpc"),
        Row("CLIENT", "\"db.system\": \"pg\", \"db.query.summary\": \"SELECT t\"", "SELECT t"),
        Row("CLIENT", "\"db.system\": \"pg\", \"db.operation\": \"SELECT\", \"db.name\": \"d\"", "SELECT d"),
        Row(
            "CLIENT", "\"db.system.name\": \"pg\", \"db.namespace\": \"d\", \"db.collection.name\": \"t\"", "d.t"),
        Row(
            "CLIENT", "\"db.system.name\": \"pg\", \"server.address\": \"h\", \"server.port\": 5432", "h:5432"),
        Row("CLIENT", "\"db.system.name\": \"pg\", \"db.operation.name\": \"INSERT\"", "INSERT"),
        Row("CLIENT", "\"db.system.name\": \"pg\"", "pg"),
        Row(
            "PRODUCER",
            "\"messaging.system\": \"kafka\", \"messaging.operation.name\": \"send\", \"messaging.destination.name\": "
                + "\"q\"", "send q"),
        Row(
            "CONSUMER", "\"messaging.system\": \"kafka\", \"messaging.destination.temporary\": true", "(temporary)"),
        Row("CONSUMER", "\"messaging.system\": \"kafka\", \"messaging.operation\": \"receive\"", "receive"),
        Row("CONSUMER", "\"messaging.system\": \"kafka\"", "kafka"),
        Row("INTERNAL", "\"http.request.method\": \"GET\"", "GET /user/7"),
        Row("CLIENT", "\"gen_ai.operation.name\": \"chat\"", "GET /user/7"),
    ]

    @Test(arguments: rows) func `names spans by the conventions`(_ row: Row) throws {
        let statements = [
            "set(attributes, {\(row.attributes)})", "set(kind, SPAN_KIND_\(row.kind))",
            "set_semconv_span_name(\"1.37.0\", \"original\")",
        ]
        let kept = row.name == "GET /user/7" ? "nil" : "\"GET /user/7\""
        let changed = try Lab.run(statements, .span, on: Sample.span)
        let then = "name == \"\(row.name)\" and attributes[\"original\"] == \(kept)"
        #expect(try Lab.holds(then, .span, on: changed), "\(changed)")
    }

    @Test(arguments: [
        ("set_semconv_span_name(\"1.36.0\")", "semconv_version is one of"),
        ("set_semconv_span_name()", "semconv_version is missing"),
    ]) func `other versions are refused`(_ source: String, _ words: String) {
        var keys = KeyTable.Builder()
        do {
            _ = try OTTLStatement(source, context: .span, keys: &keys)
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".contains(words), "\(error)")
        }
    }
}
