import Foundation
import Telemetry
import Testing

@testable import GenAI

/// docs/dialects.md is made from the fixtures: `SLUICE_WRITE_DOCS=1 swift test --filter DialectPageTests` writes it.
@Suite struct DialectPageTests {
    private static let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("docs/dialects.md")

    @Test func `the page of dialects is current`() throws {
        let text = try Self.render()
        if ProcessInfo.processInfo.environment["SLUICE_WRITE_DOCS"] != nil {
            try FileManager.default.createDirectory(
                at: Self.page.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: Self.page, atomically: true, encoding: .utf8)
        }
        let current = try String(contentsOf: Self.page, encoding: .utf8)
        #expect(
            current == text, "SLUICE_WRITE_DOCS=1 swift test --filter DialectPageTests writes docs/dialects.md anew")
    }

    @Test func `no rule's concept is missed by its dialect's fixtures`() throws {
        for row in try Self.coverage() {
            for (concept, cell) in row.cells { #expect(cell != "!", "\(row.dialect): \(concept)") }
        }
    }

    // MARK: Fixtures

    /// Columns of the comparison, with the attributes that stand for them.
    private static let columns: [(name: String, attributes: [String])] = [
        ("kind/op", ["gen_ai.operation.name"]),
        ("model+provider", ["gen_ai.request.model", "gen_ai.response.model", "gen_ai.provider.name"]),
        ("messages", ["gen_ai.input.messages", "gen_ai.output.messages"]),
        ("tool call args/result", ["gen_ai.tool.call.arguments", "gen_ai.tool.call.result"]),
        ("tool definitions", ["gen_ai.tool.definitions"]),
        ("tokens", ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"]),
        (
            "cache/reasoning",
            [
                "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens",
                "gen_ai.usage.reasoning.output_tokens",
            ]
        ), ("session", ["gen_ai.conversation.id"]), ("user", ["user.id"]),
        ("documents", ["gen_ai.retrieval.documents"]),
        ("cost", ["gen_ai.usage.cost", "gen_ai.usage.input_cost", "gen_ai.usage.output_cost"]),
        ("first token", ["gen_ai.response.time_to_first_chunk"]), ("finish", ["gen_ai.response.finish_reasons"]),
    ]

    private struct Row {
        var dialect: String
        var cells: [(String, String)]
    }

    private static func coverage() throws -> [Row] {
        let tables = try Tables.shared.get()
        var seen: [String: Set<String>] = [:]
        for file in try GoldenFile.all() {
            for span in file.spans {
                seen[file.dialect, default: []].formUnion(span.expect.map(\.0) + span.input.attributes.map(\.0))
            }
        }
        return tables.layout.dialects.map { dialect in
            let targets = targets(of: dialect, tables.layout)
            let cells = columns.map { column -> (String, String) in
                let rules = Set(column.attributes).intersection(targets)
                if rules.isEmpty { return (column.name, "·") }
                return (column.name, seen[dialect.name.string]?.isDisjoint(with: rules) == false ? "+" : "!")
            }
            return Row(dialect: dialect.name.string, cells: cells)
        }.sorted { $0.dialect < $1.dialect }
    }

    /// Attributes that a dialect's rules can write.
    private static func targets(of dialect: Dialect, _ layout: TableLayout) -> Set<String> {
        var result: Set<String> = []
        func add(_ target: TargetID) {
            if target.exists {
                result.insert(layout.nameTexts[Int(layout.targetNames[Int(target.value)].value)].string)
            }
        }
        for index in dialect.rules {
            var rule = layout.rules[index]
            let isOff = rule.conditions.range.contains {
                if case .never = layout.conditions[$0] { true } else { false }
            }
            while !isOff {
                add(rule.target)
                for sub in rule.subRules.range { add(layout.subRules[sub].target) }
                switch rule.transform {
                case .assemble, .eventChoice: add(layout.known.outputMessages)
                case .parameters(let map):
                    for sub in layout.parameterMaps[Int(map)].range { add(layout.subRules[sub].target) }
                default: break
                }
                guard rule.also >= 0 else { break }
                rule = layout.rules[Int(rule.also)]
            }
        }
        return result
    }

    // MARK: The page

    private static func render() throws -> String {
        var lines = [
            "# Dialects", "",
            "Made by `SLUICE_WRITE_DOCS=1 swift test --filter DialectPageTests` from `Tests/Fixtures`; do not edit.",
            "",
            "## What the normalizer reads", "",
            "From the fixtures of each dialect, minimal and rich (`Tests/Fixtures/GenAI`). `+` the dialect's own names "
                + "for the concept arrive under the current ones; `·` the framework has no own name for it: it uses "
                + "the current name, which is kept, or does not emit it; `!` there is a rule, and no fixture shows it.",
            "",
        ]
        lines.append("| dialect | " + columns.map(\.name).joined(separator: " | ") + " |")
        lines.append("|---|" + columns.map { _ in ":-:" }.joined(separator: "|") + "|")
        for row in try coverage() {
            lines.append("| \(row.dialect) | " + row.cells.map(\.1).joined(separator: " | ") + " |")
        }
        lines += results
        lines += try recordings() + rules() + frameworks()
        lines += [
            "", "## What six other normalizers read", "",
            "C Collector contrib, M MLflow, F Langfuse, W LangWatch, L Laminar, S LangSmith proxy, from reading their "
                + "code in November 2026, not from running them. Upper case: handled as structure; lower case: "
                + "copied as a blob, partly, or only older names; `·` none of the six; `–` not applicable or "
                + "as in the first row.",
            "",
        ]
        lines.append(try String(contentsOf: GoldenFile.folder.appendingPathComponent("others.md"), encoding: .utf8))
        return lines.joined(separator: "\n")
    }

    /// The form of what tools answer.
    private static let results = [
        "", "## What tools answer", "",
        "`gen_ai.tool.call.result` is an object, as the conventions want it, whichever dialect it comes from: JSON in "
            + "a text is parsed, a tool message or another envelope is taken off (its call id and its error go to "
            + "`gen_ai.tool.call.id` and `error.type`), and what is no object in the end, a text, a number or a list, "
            + "becomes `{\"result\": value}`. A value that came under the current name is left as it is, unless its "
            + "dialect is known to write an envelope or a Python literal there (OpenLLMetry, Strands, Semantic "
            + "Kernel).",
        "",
        "The `response` of a `tool_call_response` part may be anything, so it is what the model was given: one block "
            + "of text is its text, one of JSON its value, the Vercel AI SDK's `{type, value}` the value; several "
            + "blocks stay a list. A text stays a text, even where it holds JSON.",
    ]

    /// How many of the conventions' rules are honoured, and the others with the reason.
    private static func rules() throws -> [String] {
        let facts = try RuleFact.all().filter { !$0.rule.hasPrefix("renames") }
        let deviating = facts.filter { $0.deviates != nil }
        let all = Set(facts.map(\.rule)).count
        let honoured = all - Set(deviating.map(\.rule)).count
        var lines = [
            "", "## Rules of the conventions", "",
            "`Tests/Fixtures/GenAI/rules.jsonl` has \(facts.count) cases for the \(all) published rules of 42 "
                + "dialects, each the smallest span or log record that a rule applies to. \(honoured) rules give their "
                + "target; these do not:", "",
        ]
        lines += deviating.map { "- `\($0.id)`: \($0.deviates ?? "")" }
        return lines
    }

    /// Frameworks whose own spans stand in Tests/Fixtures/Frameworks.
    private static func frameworks() throws -> [String] {
        var lines = [
            "", "## Frameworks run against a scripted model", "",
            "Spans and log records that these wrote (`Tests/Fixtures/Frameworks`, shortened), with what becomes of "
                + "them:",
            "",
        ]
        lines += try GoldenFile.all(in: GoldenFile.frameworks).map { file in
            "- \(file.header.first?.dropFirst(2) ?? "") (`\(file.name)`)"
        }
        lines += [
            "",
            "The expectations in these files were written by the normalizer and read. A second check rests on what the "
                + "model was scripted to do and not on the normalizer (`FrameworkTruthTests`): every model call of "
                + "every file has the tokens that the model counted (120 in, 40 of them cached, 30 out), every answer "
                + "is the scripted call of `lookup_order` or the scripted sentence, every run of the tool has its "
                + "arguments and its result. Read a second time by hand, attribute by attribute against the names that "
                + "OpenInference, OpenLIT, FastMCP and Strands document: `dspy`, `crewai_oi`, `mcp`, `oi_anthropic`, "
                + "`openlit`, `openai_agents_oi` and `strands_latest`, and of `llama_index` the spans that prepare a "
                + "chat. What that found: LlamaIndex's "
                + "`_prepare_chat_with_tools` was taken for a model call. Left as the framework writes it: OpenLIT's "
                + "`gen_ai.request.max_tokens` -1 and cost 0 where it knows none, the operation "
                + "`execute_event_loop_cycle` of Strands, which has no current word, and instructions that "
                + "OpenInference has as the first input message.",
        ]
        return lines
    }

    /// The recorded captures against the truth of their driver.
    private static func recordings() throws -> [String] {
        var lines = [
            "", "## Recordings of real frameworks", "",
            "Every row of the recordings' manifests (`Tests/Fixtures/Corpus`) against the span that stands for it: met "
                + "/ asked. `·n` the framework did not emit n of them; `~n` met when the whole trace comes in "
                + "one request or behind a processor that gathers traces; `–` does not occur. Content that a framework "
                + "writes to log records is looked for there.", "",
        ]
        lines.append("| recording | " + Concept.allCases.map(\.rawValue).joined(separator: " | ") + " |")
        lines.append("|---|" + Concept.allCases.map { _ in "--:" }.joined(separator: "|") + "|")
        for (set, counts) in try CorpusTruth(CorpusTests.folder).run(Bench()) {
            lines.append("| \(set) | " + Concept.allCases.map(counts.cell).joined(separator: " | ") + " |")
        }
        return lines
    }
}
