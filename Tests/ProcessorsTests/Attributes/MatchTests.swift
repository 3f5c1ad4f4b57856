import Configuration
import Pipeline
@testable import Processors
import Telemetry
import Testing

/// Whether a processor with this `include` touches the record; `exclude` must say the opposite.
private func touches(_ match: String, _ request: [UInt8], _ signal: Signal = .traces) throws -> Bool {
    func run(_ word: String) throws -> Bool {
        var bench = Bench()
        var build = bench.build(signal)
        let read = options(
            AttributesOptions.self, "{\(word): \(match), actions: [{key: hit, value: 1, action: insert}]}"
        )
        #expect(read.headlines == [])
        let processor = try AttributesProcessor(options: read.options, build: &build)
        return try Bench.run(processor, build, request).bytes != request
    }
    let included = try run("include")
    #expect(try run("exclude") != included)
    return included
}

/// Every match property of the Collector's `include` and `exclude`.
@Suite struct MatchTests {
    private let span = Wire.traces(
        resource: Wire.strings(1, [("service.name", "shop-api"), ("env", "prod")]),
        scope: Wire.field(1, "lib.http") + Wire.field(2, "1.2"),
        span: Wire.field(5, "GET /cart") + [0x30, 3]
            + Wire.attributes(9, [("a", Wire.string("x1")), ("n", Wire.int(5)), ("t", Wire.bool(true))]))

    @Test(arguments: [
        ("{match_type: strict, services: [other, shop-api]}", true),
        ("{match_type: strict, services: [shop]}", false),
        ("{match_type: regexp, services: ['^shop-.*']}", true),
        ("{match_type: regexp, services: ['^api']}", false),
        ("{match_type: strict, span_names: ['GET /cart']}", true),
        ("{match_type: strict, span_names: [GET]}", false),
        ("{match_type: regexp, span_names: ['^GET']}", true),
        ("{match_type: regexp, span_names: ['^POST']}", false),
        ("{match_type: strict, span_kinds: [SPAN_KIND_CLIENT]}", true),
        ("{match_type: strict, span_kinds: [SPAN_KIND_SERVER]}", false),
        ("{match_type: regexp, span_kinds: ['CLIENT|SERVER']}", true),
        ("{match_type: strict, attributes: [{key: a}]}", true),
        ("{match_type: strict, attributes: [{key: b}]}", false),
        ("{match_type: strict, attributes: [{key: a, value: x1}]}", true),
        ("{match_type: strict, attributes: [{key: a, value: x}]}", false),
        ("{match_type: regexp, attributes: [{key: a, value: 'x[0-9]'}]}", true),
        ("{match_type: regexp, attributes: [{key: n, value: '^5$'}]}", true),
        ("{match_type: regexp, attributes: [{key: n, value: '6'}]}", false),
        ("{match_type: regexp, attributes: [{key: t, value: 'tr.e'}]}", true),
        ("{match_type: strict, attributes: [{key: n, value: 5}]}", true),
        ("{match_type: strict, attributes: [{key: n, value: \"5\"}]}", false),
        ("{match_type: strict, attributes: [{key: t, value: true}]}", true),
        ("{match_type: strict, attributes: [{key: a}, {key: b}]}", false),
        ("{match_type: strict, resources: [{key: env, value: prod}]}", true),
        ("{match_type: strict, resources: [{key: env, value: dev}]}", false),
        ("{match_type: strict, libraries: [{name: lib.http}]}", true),
        ("{match_type: strict, libraries: [{name: lib.http, version: '1.2'}]}", true),
        ("{match_type: strict, libraries: [{name: lib.http, version: '1.3'}]}", false),
        ("{match_type: regexp, libraries: [{name: 'lib\\..*'}]}", true),
        (
            "{match_type: strict, services: [shop-api], span_names: ['GET /cart'], attributes: [{key: a}]}",
            true
        ),
        ("{match_type: strict, services: [shop-api], span_names: [other]}", false),
    ])
    func `spans`(match: String, isHit: Bool) throws {
        #expect(try touches(match, span) == isHit)
    }

    private let log = Wire.logs(
        resource: Wire.strings(1, [("service.name", "shop-api")]),
        records: [[0x10, 9] + Wire.field(3, "Info") + Wire.field(5, Wire.string("user logged in"))])

    @Test(arguments: [
        ("{match_type: strict, log_bodies: ['user logged in']}", true),
        ("{match_type: strict, log_bodies: ['user']}", false),
        ("{match_type: regexp, log_bodies: ['^user']}", true),
        ("{match_type: strict, log_severity_texts: [Info, Warn]}", true),
        ("{match_type: strict, log_severity_texts: [info]}", false),
        ("{match_type: regexp, log_severity_texts: ['(?i)info']}", true),
        ("{match_type: strict, log_severity_number: {min: 9}}", true),
        ("{match_type: strict, log_severity_number: {min: 13}}", false),
        ("{match_type: strict, resources: [{key: service.name, value: shop-api}]}", true),
    ])
    func `log records`(match: String, isHit: Bool) throws {
        #expect(try touches(match, log, .logs) == isHit)
    }

    @Test func `records without a severity match when asked`() throws {
        let plain = Wire.logs(records: [Wire.field(5, Wire.string("x"))])
        #expect(try !touches("{match_type: strict, log_severity_number: {min: 1}}", plain, .logs))
        #expect(
            try touches(
                "{match_type: strict, log_severity_number: {min: 1, match_undefined: true}}", plain, .logs))
    }

    @Test func `metrics by name and resource`() throws {
        let point = Wire.field(5, Wire.field(1, Wire.strings(7, [("k", "v")])))
        let request = Wire.field(
            1, Wire.field(2, Wire.field(2, Wire.field(1, "gen_ai.tokens") + point)))
        #expect(try touches("{match_type: strict, metric_names: [gen_ai.tokens]}", request, .metrics))
        #expect(try !touches("{match_type: regexp, metric_names: ['^http']}", request, .metrics))
    }

    @Test(arguments: [
        ("{match_type: strict, log_bodies: [x]}", Signal.traces),
        ("{match_type: strict, span_names: [x]}", .logs),
        ("{match_type: strict, metric_names: [x]}", .traces),
        ("{match_type: strict, attributes: [{key: a}]}", .metrics),
    ])
    func `a condition that the signal does not have is a failure`(match: String, signal: Signal) {
        var bench = Bench()
        var build = bench.build(signal)
        let read = options(
            AttributesOptions.self, "{include: \(match), actions: [{key: k, action: delete}]}"
        ).options
        #expect(throws: ProcessorBuildFailure.self) {
            try AttributesProcessor(options: read, build: &build)
        }
    }

    @Test func `one pattern that needs backtracking is warned of too`() {
        for text in [
            "{include: {match_type: regexp, services: ['(?=x)xy']}, actions: [{key: k, action: delete}]}",
            "{actions: [{pattern: '(?=x)xy', action: delete}]}",
        ] {
            let headlines = options(AttributesOptions.self, text).headlines
            #expect(headlines.count == 1 && headlines[0].contains("needs backtracking"), "\(headlines)")
        }
    }

    @Test(arguments: [
        "{services: [x]}", "{match_type: strict}", "{match_type: regexp, services: ['(']}",
        "{match_type: glob, services: [x]}",
        "{match_type: strict, service: [x]}",
    ])
    func `a faulty match is a problem`(match: String) {
        let text = "{include: \(match), actions: [{key: k, action: delete}]}"
        #expect(options(AttributesOptions.self, text).headlines.count >= 1)
    }
}

@Suite struct MatchTextTests {
    @Test(arguments: [
        (500.0, "500"), (0.5, "0.5"), (-1.25, "-1.25"), (1e16, "10000000000000000"), (1.5e20, "150000000000000000000"),
        (1e-7, "0.0000001"), (-1.5e-6, "-0.0000015"), (1.25e17, "125000000000000000"),
    ])
    func `a number is matched as its shortest digits, without an exponent`(number: Double, text: String) {
        #expect(RecordMatch.text(of: number) == text)
    }
}
