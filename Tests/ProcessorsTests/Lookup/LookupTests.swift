import Configuration
import Foundation
import Pipeline
import Processors
import Telemetry
import Testing

@testable import Processors

/// A file that is gone when the test ends.
private final class TableFile {
    let path: String

    init(_ text: String, _ suffix: String) throws {
        path =
            FileManager.default.temporaryDirectory.appending(
                path: "lookup-\(UUID().uuidString).\(suffix)"
            ).path
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite struct LookupTests {
    private static let owners = """
        agent,team,cost.center,note
        planner,search,4711,"says ""hi"", often"
        writer,content,,
        """

    private func run(
        _ file: TableFile, _ rules: String, _ request: [UInt8], _ signal: Signal = .traces
    ) throws -> DecodedRequest {
        var bench = Bench()
        var build = bench.build(signal)
        let read = options(LookupOptions.self, "{file: '\(file.path)', \(rules)}")
        #expect(read.headlines == [])
        let processor = try LookupProcessor(options: read.options, build: &build)
        return try DecodedRequest(Bench.run(processor, build, request).bytes, signal)
    }

    private func span(_ agent: String, _ more: [(String, String)] = []) -> [UInt8] {
        Wire.traces(span: Wire.strings(9, [("gen_ai.agent.name", agent)] + more))
    }

    @Test func `a CSV row tags the span under the names of its columns`() throws {
        let file = try TableFile(LookupTests.owners, "csv")
        let after = try run(file, "key: gen_ai.agent.name", span("planner")).values(.span)
        #expect(after["team"] == "\"search\"" && after["cost.center"] == "\"4711\"")
        #expect(after["note"] == "\"says \"hi\", often\"" && after.count == 4)
        #expect(
            try run(file, "key: gen_ai.agent.name", span("writer")).keys(.span) == [
                "gen_ai.agent.name", "team",
            ])
        #expect(
            try run(file, "key: gen_ai.agent.name", span("nobody")).keys(.span) == ["gen_ai.agent.name"])
    }

    @Test func `attributes choose and rename columns, column chooses the key`() throws {
        let file = try TableFile(LookupTests.owners, "csv")
        let rules = "key: t, column: team, attributes: {owner.agent: agent}"
        let request = Wire.traces(span: Wire.strings(9, [("t", "content")]))
        #expect(
            try run(file, rules, request).values(.span) == [
                "t": "\"content\"", "owner.agent": "\"writer\"",
            ])
    }

    @Test func `what is there stays unless overwrite says otherwise`() throws {
        let file = try TableFile(LookupTests.owners, "csv")
        let request = span("planner", [("team", "mine")])
        #expect(try run(file, "key: gen_ai.agent.name", request).values(.span)["team"] == "\"mine\"")
        let after = try run(file, "key: gen_ai.agent.name, overwrite: true", request)
        #expect(after.values(.span)["team"] == "\"search\"")
    }

    @Test func `the key may stand on the resource, and the resource may be tagged`() throws {
        let file = try TableFile("shop:\n  team: web\n  tier: 1\n", "yaml")
        let request = Wire.traces(resource: Wire.strings(1, [("service.name", "shop")]), span: [])
        let onSpan = try run(file, "key: service.name", request)
        #expect(
            onSpan.values(.span) == ["team": "\"web\"", "tier": "\"1\""]
                && onSpan.keys(.resource) == ["service.name"])
        let onResource = try run(file, "key: service.name, context: resource", request)
        #expect(onResource.values(.resource)["team"] == "\"web\"" && onResource.keys(.span) == [])
    }

    @Test func `log records and data points are tagged`() throws {
        let file = try TableFile("k,v\na,1\n", "csv")
        let log = try run(file, "key: k", Wire.logs(records: [Wire.strings(6, [("k", "a")])]), .logs)
        #expect(log.values(.log) == ["k": "\"a\"", "v": "\"1\""])
        let point = Wire.field(5, Wire.field(1, Wire.strings(7, [("k", "a")])))
        let metric = Wire.field(1, Wire.field(2, Wire.field(2, Wire.field(1, "m") + point)))
        #expect(
            try run(file, "key: k", metric, .metrics).values(.point) == ["k": "\"a\"", "v": "\"1\""])
    }

    @Test(arguments: [
        ("a,b\n1\n", "csv", "row 2"), ("", "csv", "header"), ("a,b\n1,\"x\n", "csv", "quote"),
        ("a,b\n1,2\n1,3\n", "csv", "twice"),
        ("- a\n", "yaml", ""), ("a: b\n", "yaml", "mapping"), ("a: {b: 1}\na: {b: 2}\n", "yaml", ""),
    ])
    func `a faulty table is a failure that names the fault`(
        text: String, suffix: String, word: String
    ) throws {
        let file = try TableFile(text, suffix)
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(LookupOptions.self, "{file: '\(file.path)', key: k}").options
        let failure = #expect(throws: ProcessorBuildFailure.self) {
            try LookupProcessor(options: read, build: &build)
        }
        #expect(
            failure?.description.contains(word) == true || word.isEmpty, "\(failure?.description ?? "")")
    }

    @Test func `a missing file, column or key is told`() throws {
        var bench = Bench()
        var build = bench.build(.traces)
        let missing = options(LookupOptions.self, "{file: /nowhere/x.csv, key: k}").options
        #expect(throws: ProcessorBuildFailure.self) {
            try LookupProcessor(options: missing, build: &build)
        }
        let file = try TableFile(LookupTests.owners, "csv")
        let column = options(LookupOptions.self, "{file: '\(file.path)', key: k, column: none}").options
        #expect(throws: ProcessorBuildFailure.self) {
            try LookupProcessor(options: column, build: &build)
        }
        #expect(options(LookupOptions.self, "{file: x.txt, key: k}").headlines.count == 1)
        #expect(options(LookupOptions.self, "{file: x.csv}").headlines.count == 1)
    }
}
