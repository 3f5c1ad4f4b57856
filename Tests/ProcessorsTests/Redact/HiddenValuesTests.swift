import Configuration
import Pipeline
import Processors
import Telemetry
import Testing

/// Protobuf that says a value twice: readers differ in which one they take, so none may hold a secret.
@Suite struct HiddenValuesTests {
    private func run(_ request: [UInt8], _ signal: Signal, _ rules: String) throws -> [UInt8] {
        var bench = Bench()
        var build = bench.build(signal)
        let (options, headlines) = options(RedactionOptions.self, rules)
        #expect(headlines == [])
        return try Bench.run(RedactionProcessor(options: options, build: &build), build, request).bytes
    }

    private static let mail = "write to jo@example.com"
    private static let all = "{allow_all_keys: true, detectors: all}"

    /// Values whose last member is clean and hides one that is not.
    static let values: [[UInt8]] = {
        let secret = Wire.string(mail)
        return [
            secret + Wire.array([Wire.int(1)]), secret + Wire.string("clean"), secret + Wire.int(7),
            secret + Wire.map([("a", Wire.bool(true))]), Wire.array([secret]) + Wire.string("clean"),
            Wire.array([secret]) + Wire.array([Wire.int(1)]), Wire.map([("a", secret)]) + Wire.double(1),
            Wire.bytes(Array(mail.utf8)) + Wire.bool(true), Wire.map([("a", secret)]) + Wire.map([]),
            secret + Wire.bytes([1, 2]),
        ]
    }()

    @Test(arguments: values) func `an attribute with several values keeps the last one only`(_ value: [UInt8]) throws {
        let places: [(Signal, [UInt8])] = [
            (.traces, Wire.traces(span: Wire.attributes(9, [("k", value)]))),
            (.traces, Wire.traces(resource: Wire.attributes(1, [("k", value)]), span: [])),
            (.traces, Wire.traces(scope: Wire.attributes(3, [("k", value)]), span: [])),
            (.traces, Wire.traces(span: Wire.field(11, Wire.attributes(3, [("k", value)])))),
            (.traces, Wire.traces(span: Wire.field(13, Wire.attributes(4, [("k", value)])))),
            (.logs, Wire.logs(records: [Wire.attributes(6, [("k", value)])])),
            (.logs, Wire.logs(records: [Wire.field(5, value)])),
            (.logs, Wire.logs(records: [Wire.field(5, Wire.string(Self.mail)) + Wire.field(5, Wire.int(1))])),
            (.traces, Wire.traces(span: Wire.attributes(9, [("k", Wire.array([value]))]))),
            (.traces, Wire.traces(span: Wire.attributes(9, [("k", Wire.map([("m", value)]))]))),
            (.logs, Wire.logs(records: [Wire.field(5, Wire.map([("m", Wire.array([value]))]))])),
        ]
        for (signal, request) in places {
            #expect(try !run(request, signal, Self.all).contains("jo@example.com"))
        }
    }

    @Test(
        arguments: [
            // A field number that AnyValue has, with a type that it does not have: nobody's value.
            [0x0D, 1, 2, 3, 4], [0x08, 5], [0x12, 2, 0x61, 0x62], [0x39, 1, 2, 3, 4, 5, 6, 7, 8], [0x33, 0x34],
        ] as [[UInt8]]) func `a field of another type than the schema's hides nothing`(unknown: [UInt8]) throws
    {
        let known: [[UInt8]] = [
            [0x40, 5], Wire.string("clean"), Wire.int(7), Wire.bool(false), Wire.array([Wire.int(1)]), [],
        ]
        for value in known {
            for value in [value + unknown, unknown + value] {
                let span = Wire.traces(span: Wire.attributes(9, [("k", value)]))
                #expect(try run(span, .traces, Self.all) == span)
                let log = Wire.logs(records: [Wire.field(5, value)])
                #expect(try run(log, .logs, Self.all) == log)
            }
        }
    }

    @Test(arguments: values) func `an allowed value does not shield what it hides`(_ value: [UInt8]) throws {
        let request = Wire.traces(span: Wire.attributes(9, [("k", value)]))
        let rules = "{allow_all_keys: true, detectors: all, allowed_values: [clean]}"
        #expect(try !run(request, .traces, rules).contains("jo@example.com"))
    }

    @Test func `a value or key that comes as several fields keeps the last one only`() throws {
        let secret = Wire.string(Self.mail)
        let members = [
            Wire.field(1, "k") + Wire.field(2, secret) + Wire.field(2, Wire.int(1)),
            Wire.field(1, Self.mail) + Wire.field(1, "k") + Wire.field(2, Wire.int(1)),
        ]
        for member in members {
            let after = try run(Wire.traces(span: Wire.field(9, member)), .traces, Self.all)
            #expect(!after.contains("jo@example.com"))
            #expect(after.contains("\u{18}\u{01}"))
        }
    }

    @Test func `what stays behind a hidden key or value is as it came`() throws {
        let index: [UInt8] = [0x40, 5]
        let key = Wire.field(1, "k")
        let (empty, indexed) = (Wire.field(2, [UInt8]()), Wire.field(2, index))
        let hidden = Wire.field(1, Self.mail)
        let members: [(came: [UInt8], left: [UInt8])] = [
            (hidden + key + empty, key + empty), (hidden + key + indexed, key + indexed),
            (key + Wire.field(2, Wire.string(Self.mail) + index), key + indexed),
        ]
        for (came, left) in members {
            let after = try run(Wire.traces(span: Wire.field(9, came)), .traces, Self.all)
            #expect(after == Wire.traces(span: Wire.field(9, left)))
        }
        let log = Wire.logs(records: [Wire.field(5, Wire.string(Self.mail) + index)])
        #expect(try run(log, .logs, Self.all) == Wire.logs(records: [Wire.field(5, index)]))
    }

    /// Requests with a field that comes twice, the first time with a secret.
    private static let texts: [(what: String, signal: Signal, request: [UInt8])] = {
        func twice(_ number: Int) -> [UInt8] { Wire.field(number, mail) + Wire.field(number, "clean") }
        func metric(_ fields: [UInt8]) -> [UInt8] { Wire.logs(records: [fields + Wire.field(5, Wire.field(1, []))]) }
        let container = Wire.field(2, Wire.field(2, [])) + twice(3)
        return [
            ("span name", .traces, Wire.traces(span: twice(5))), ("trace state", .traces, Wire.traces(span: twice(3))),
            ("status", .traces, Wire.traces(span: Wire.field(15, twice(2)))),
            (
                "statuses", .traces,
                Wire.traces(span: Wire.field(15, Wire.field(2, mail)) + Wire.field(15, Wire.field(2, "clean")))
            ),
            ("event", .traces, Wire.traces(span: Wire.field(11, twice(2)))),
            ("link", .traces, Wire.traces(span: Wire.field(13, twice(3)))),
            ("scope name", .traces, Wire.traces(scope: twice(1), span: [])),
            ("scope version", .traces, Wire.traces(scope: twice(2), span: [])),
            ("schema of a scope", .logs, Wire.field(1, Wire.field(2, Wire.field(2, Wire.field(12, "e")) + twice(3)))),
            ("schema of a resource", .logs, Wire.field(1, container)),
            ("severity", .logs, Wire.logs(records: [twice(3)])), ("log event", .logs, Wire.logs(records: [twice(12)])),
            ("metric name", .metrics, metric(twice(1))), ("description", .metrics, metric(twice(2))),
            ("unit", .metrics, metric(twice(3))),
        ]
    }()

    @Test(arguments: texts.indices) func `a text that comes twice keeps the last one only`(index: Int) throws {
        let (what, signal, request) = Self.texts[index]
        let after = try run(request, signal, Self.all)
        #expect(!after.contains("jo@example.com") && after.contains("clean"), "\(what)")
        // What is not in the request is not added.
        #expect(after.count < request.count, "\(what)")
    }

    @Test func `the corpus has at least 40 shapes of secrets and as many look-alikes`() {
        #expect(SecretCorpus.plants.count >= 40)
        #expect(SecretCorpus.lookalikes.count >= SecretCorpus.plants.count)
    }
}
