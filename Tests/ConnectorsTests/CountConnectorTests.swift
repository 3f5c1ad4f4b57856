import Connectors
import Pipeline
import Telemetry
import Testing

@Suite struct CountConnectorTests {
    private func connector(_ yaml: String) throws -> CountConnector {
        let (options, problems) = read(CountOptions.self, yaml)
        try #require(problems == [], "\(problems)")
        return try CountConnector(options: options, build: build())
    }

    private let spans = [
        span("x", 1, ["env": "prod"]), span("y", 1, ["env": "prod"]), span("z", 1, ["env": "dev"]), span("w", 1),
    ]

    @Test func `counts spans by default`() throws {
        let found = try points(try connector("{}").connect(batch(spans)).first)
        #expect(found.map(\.metric) == ["trace.span.count"])
        #expect(found.first?.text("asInt") == "4" && found.first?.temporality == 1 && found.first?.service == "shop")
    }

    @Test func `counts what conditions and attributes ask for`() throws {
        let connector = try self.connector(
            """
            spans:
              by.env:
                description: spans by environment
                attributes: [{key: env}]
              named:
                conditions: ['name == "x"', 'name == "w"']
                attributes: [{key: env, default_value: none}]
            """)
        let found = try points(try connector.connect(batch(spans)).first)
        let shown = found.map { "\($0.metric) \($0.attributes["env"] ?? "-") \($0.text("asInt"))" }.sorted()
        #expect(shown == ["by.env dev 1", "by.env prod 2", "named none 1", "named prod 1"])
        // Deltas: the same again.
        #expect(try points(try connector.connect(batch(spans)).first).count == 4)
    }

    @Test(arguments: [
        ("spans: {a: {conditons: []}}", "did you mean conditions?"), ("spans: [a]", "expects a mapping"),
        ("spans: {a: {conditions: ['nam == 1']}}", "did you mean name?"),
    ]) func `faults of the file are told`(_ yaml: String, _ words: String) {
        let problems = read(CountOptions.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
    }
}
