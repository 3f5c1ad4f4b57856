package import Configuration
import Exporters
import OTLP
import Telemetry

/// Runs the tests of a configuration file and says what was not as expected.
package struct ConfigTestRun {
    package struct Result: Sendable {
        package var name: String
        /// One line per expectation that was not met; none when the test passed.
        package var failures: [String]
    }

    package var results: [Result] = []
    package var problems = ConfigProblems()

    /// Reads `file`, which holds `tests:` beside a configuration or names one with `config:`.
    package init(file: String) {
        let loader = ConfigLoader(environment: SystemFacts.environment)
        let tree = loader.load([.file(file)], problems: &problems)
        let folder = file.contains("/") ? String(file[...(file.lastIndex(of: "/") ?? file.startIndex)]) : ""
        let suite = readSettings(node: tree.only(["config", "tests"]), path: "", problems: &problems) { settings in
            (
                config: settings.string("config", default: "", "The configuration under test; empty for this file."),
                tests: settings.list("tests", "The tests.") { ConfigTest(&$0) }
            )
        }
        if suite.tests.isEmpty {
            problems.error(
                "holds no tests", fix: "add `tests:` with a list of name, spans and expect", at: tree.place,
                path: "tests")
        }
        let path = suite.config.isEmpty ? file : suite.config.hasPrefix("/") ? suite.config : folder + suite.config
        let loaded = LoadedConfiguration.load(files: [path], overrides: [], trial: .chains)
        problems.merge(loaded.problems)
        guard !problems.hasErrors else { return }
        for test in suite.tests {
            results.append(Result(name: test.name, failures: Self.run(test, loaded.plan, folder: folder)))
        }
    }

    private static func run(_ test: ConfigTest, _ plan: GatewayPlan, folder: String) -> [String] {
        let outputs: [OfflineOutput]
        do {
            outputs = try OfflineGateway(plan: plan).run(try test.inputs(folder: folder))
        } catch {
            return ["\(error)"]
        }
        var failures = outputs.flatMap { output in output.refusals.map { "pipeline \(output.pipeline) refused: \($0)" }
        }
        for expectation in test.expectations {
            let output =
                expectation.pipeline.isEmpty
                ? outputs.first { $0.received > 0 } ?? outputs.first
                : outputs.first { $0.pipeline == expectation.pipeline }
            guard let output else {
                failures.append("there is no pipeline \(expectation.pipeline)")
                continue
            }
            guard !expectation.exporter.isEmpty else {
                failures += ExpectationCheck(output: output, place: "pipeline \(output.pipeline)").failures(expectation)
                continue
            }
            let exporters = plan.pipelines.first { $0.id == output.pipeline }?.exporters.map(\.id) ?? []
            guard exporters.contains(expectation.exporter) else {
                failures.append("pipeline \(output.pipeline) has no exporter \(expectation.exporter)")
                continue
            }
            let own = output.exporters[expectation.exporter] ?? output
            failures += own.refusals.map { "exporter \(expectation.exporter) refused: \($0)" }
            failures += ExpectationCheck(output: own, place: "exporter \(expectation.exporter)").failures(expectation)
        }
        return failures
    }
}

extension ConfigNode {
    /// The mapping with only these keys.
    fileprivate func only(_ keys: [String]) -> ConfigNode {
        ConfigNode(.map((map ?? []).filter { keys.contains($0.key) }), place: place)
    }
}

/// Holds one expectation against what a pipeline gave.
private struct ExpectationCheck {
    var output: OfflineOutput
    /// In messages.
    var place: String

    func failures(_ expectation: ConfigTest.Expectation) -> [String] {
        var failures: [String] = []
        let left = output.received - output.filtered
        if let count = expectation.count, count != left {
            failures.append("\(place): \(left) records came out, expected \(count)")
        }
        if let dropped = expectation.dropped, dropped != output.filtered {
            failures.append("\(place): \(output.filtered) records were taken out, expected \(dropped)")
        }
        let text = expectation.contains.isEmpty && expectation.lacks.isEmpty ? "" : json
        for wanted in expectation.contains where !text.contains(wanted) {
            failures.append("\(place): nothing holds \"\(wanted)\"")
        }
        for unwanted in expectation.lacks where text.contains(unwanted) {
            failures.append("\(place): something holds \"\(unwanted)\"")
        }
        if !expectation.span.isEmpty { failures += spanFailures(expectation) }
        return failures
    }

    private func spanFailures(_ expectation: ConfigTest.Expectation) -> [String] {
        var best: [String]?
        var names: [String] = []
        for request in output.requests {
            var batch = RecordBatch()
            request.withUnsafeBytes { bytes in
                guard (try? OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &batch)) != nil else {
                    return
                }
                for index in batch.spans.indices {
                    let name = batch.text(batch.spans[index].name).string
                    names.append(name)
                    guard name == expectation.span else { continue }
                    let differences = differences(expectation, batch.spans[index], batch)
                    if differences.count < best?.count ?? Int.max { best = differences }
                }
            }
        }
        guard let best else {
            let known = Set(names).sorted().prefix(10).joined(separator: ", ")
            return ["\(place): there is no span \"\(expectation.span)\"; there are: \(known)"]
        }
        return best.map { "\(place), span \(expectation.span): \($0)" }
    }

    private func differences(
        _ expectation: ConfigTest.Expectation, _ span: SpanRecord, _ batch: borrowing RecordBatch
    ) -> [String] {
        var result: [String] = []
        for (key, value) in expectation.attributes {
            let expected = Self.words(value)
            guard let actual = attribute(key, span.set, batch) else {
                result.append("\(key) is missing, expected \(expected)")
                continue
            }
            if actual != expected { result.append("\(key) is \(actual), expected \(expected)") }
        }
        for key in expectation.absent {
            if let actual = attribute(key, span.set, batch) { result.append("\(key) is \(actual), expected none") }
        }
        if let findings = expectation.findings {
            let actual = self.findings(span, batch)
            if actual != findings.sorted() {
                result.append(
                    "the findings are \(actual.isEmpty ? "none" : actual.joined(separator: ", ")), expected "
                        + (findings.isEmpty ? "none" : findings.sorted().joined(separator: ", ")))
            }
        }
        return result
    }

    private func findings(_ span: SpanRecord, _ batch: borrowing RecordBatch) -> [String] {
        var names: [String] = []
        for event in span.events.range where batch.text(batch.events[event].name) == "gen_ai.evaluation.result" {
            names.append(attribute("gen_ai.evaluation.name", batch.events[event].set, batch) ?? "")
        }
        return names.sorted()
    }

    private func attribute(_ key: String, _ set: SetIndex, _ batch: borrowing RecordBatch) -> String? {
        for index in batch.range(of: set) where batch.text(batch.attributes[index].key).string == key {
            let value = batch.attributes[index].value
            if case .string(let text) = value { return batch.text(text).string }
            var output = ByteColumn()
            ValueJSON.append(value, of: batch, to: &output)
            return output.text.string
        }
        return nil
    }

    private static func words(_ value: ConfigValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): String(flag)
        case .int(let number): String(number)
        case .double(let number): String(number)
        case .string(let text): text
        case .list(let list): "[" + list.map(nested).joined(separator: ",") + "]"
        case .map(let entries):
            "{" + entries.map { ShortSpans.text($0.0) + ":" + nested($0.1) }.joined(separator: ",") + "}"
        }
    }

    private static func nested(_ value: ConfigValue) -> String {
        if case .string(let text) = value { return ShortSpans.text(text) }
        return words(value)
    }

    /// All requests as OTLP/JSON, one per line.
    private var json: String {
        var text = ByteColumn()
        for request in output.requests {
            request.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: output.signal, into: &text) }
            text.append(UInt8(ascii: "\n"))
        }
        return text.text.string
    }
}
