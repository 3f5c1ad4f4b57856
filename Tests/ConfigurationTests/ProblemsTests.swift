import Configuration
import Testing

struct ProblemsTests {
    @Test func `problems print like a compiler's, with the line and a caret`() throws {
        var loaded = load(try fixture("unknown-key.yaml"))
        let body = try #require(loaded.tree["exporters"]?["otlp_http"])
        let read = { (settings: inout Settings) in _ = settings.optionalString("endpoint", "Where to.") }
        readSettings(node: body, path: "exporters.otlp_http", problems: &loaded.problems, read)
        #expect(
            loaded.problems.report() == """
                c.yaml:5:5: error: exporters.otlp_http.endpont: unknown key; did you mean "endpoint"?
                        endpont: …
                        ^

                """)
    }

    @Test func `lines with secrets and control characters are not quoted`() {
        let loaded = options(
            ThingOptions.self,
            """
            key: [hunter2]
            open_token: hunter2
            url: http://u:hunter2@h
            "evil\\e[31m": 1
            headers: {authorization: 1234567}
            """
        ).loaded
        let report = loaded.problems.report()
        #expect(loaded.headlines.count == 5)
        #expect(!report.contains("hunter2") && !report.contains("1234567") && !report.contains("\u{1B}"))
    }

    @Test func `problems are sorted by place, kept once and bounded`() {
        var problems = ConfigProblems()
        problems.warning("later", at: ConfigPlace(file: "a", line: 9, column: 1))
        problems.error("first", at: ConfigPlace(file: "a", line: 2, column: 7))
        problems.error("first", at: ConfigPlace(file: "a", line: 2, column: 7))
        problems.error("before", at: ConfigPlace(file: "a", line: 2, column: 3))
        #expect(problems.all.map(\.message) == ["before", "first", "later"])
        for number in 0..<2 * ConfigProblems.maximum { problems.error("\(number)", at: .nowhere) }
        #expect(problems.all.count == ConfigProblems.maximum && problems.omitted == ConfigProblems.maximum + 3)
        #expect(problems.report().hasSuffix("… and \(problems.omitted) more\n"))
    }

    @Test func `several errors are counted at the end`() {
        var problems = ConfigProblems()
        problems.error("a", at: .nowhere, path: "exporters.x.endpoint")
        problems.warning("b", at: .nowhere)
        #expect(problems.summary == nil)
        problems.error("c", at: .nowhere, path: "exporters.y")
        #expect(problems.summary == "2 errors, 1 warning")
        #expect(problems.hasErrors(at: "exporters.x") && problems.hasErrors(at: "exporters.y"))
        #expect(!problems.hasErrors(at: "exporters.z") && !problems.hasErrors(at: "exporters.x.end"))
        problems.error("d", at: .nowhere, path: "receivers[1]")
        #expect(problems.hasErrors(at: "receivers") && !problems.hasErrors(at: "receiver"))
    }

    @Test func `warnings alone do not stop the start`() {
        var problems = ConfigProblems()
        problems.warning("w", at: .nowhere)
        #expect(!problems.hasErrors && !problems.isEmpty)
    }

    @Test func `long lines are cut around the caret`() {
        let text = "a: [" + String(repeating: "x, ", count: 500) + "{b: c}, !bad y]\n"
        let lines = load(text).problems.report().split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.allSatisfy { $0.count < 130 })
        let caret = lines[2].firstIndex(of: "^") ?? lines[2].startIndex
        let column = lines[2].distance(from: lines[2].startIndex, to: caret)
        #expect(lines[1].dropFirst(column).hasPrefix("!bad"))
    }

    @Test func `suggestions are near or none`() {
        let known = ["endpoint", "otlp_http", "timeout", "a"]
        #expect(Suggestion.nearest(to: "endpiont", among: known) == "endpoint")
        #expect(Suggestion.nearest(to: "otlphttp", among: known) == "otlp_http")
        #expect(Suggestion.nearest(to: "TimeOut", among: known) == "timeout")
        #expect(Suggestion.nearest(to: "verbosity", among: known) == nil)
        #expect(Suggestion.nearest(to: "", among: known) == nil)
        #expect(Suggestion.nearest(to: "ecsattributes", among: ["attributes", "resource"]) == nil)
        #expect(Suggestion.nearest(to: "reciever", among: ["receivers"]) == "receivers")
        #expect(Suggestion.nearest(to: "resourcedetectinons", among: ["resource_detection"]) == "resource_detection")
        #expect(Suggestion.nearest(to: String(repeating: "x", count: 10_000), among: known) == nil)
    }
}
