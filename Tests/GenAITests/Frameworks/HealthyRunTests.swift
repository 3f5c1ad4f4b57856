import Telemetry
import TestSupport
import Testing

@testable import GenAI

/// Healthy runs made at random: whatever they hold, nobody may be woken.
@Suite struct HealthyRunTests {
    /// Parts of healthy runs. `~` stands for a number that differs from call to call.
    static let parts: [[AgentRun.Call]] = [
        [
            AgentRuns.call(
                "search_flights", #"{"from":"JFK","to":"SEA","date":"2026-05-~"}"#, #"[{"flight":"HAT~","price":~}]"#)
        ],
        [
            AgentRuns.call(
                "get_user", #"{"user_id":"mia_li_~"}"#, #"{"name":"Mia Li","membership":"gold","flights":[]}"#)
        ],
        [AgentRuns.call("calculate", #"{"expression":"~ * 2 + 7"}"#, "~")],
        [AgentRuns.call("is_eligible", #"{"order_id":"ORD-~"}"#, "false")],
        [AgentRuns.call("count_messages", #"{"folder":"inbox-~"}"#, "0")],
        [AgentRuns.call("run_tests", #"{"path":"Tests/Case~.swift"}"#, #"{"passed":~,"failed":0,"failures":[]}"#)],
        [AgentRuns.call("lint", #"{"path":"src/a~.ts"}"#, "No errors found.")],
        [
            AgentRuns.call(
                "read_file", #"{"path":"src/a~.ts","limit":200}"#, "import x from 'y'; // error handling of ~")
        ],
        [AgentRuns.call("write_file", #"{"path":"src/a~.ts","content":"// todo: none ~"}"#, "null")],
        [AgentRuns.call("translate", #"{"text":"No results ~","to":"de"}"#, "Keine Ergebnisse ~")],
        [AgentRuns.call("execute_sql", #"{"query":"UPDATE t SET a = ~ WHERE id = ~"}"#, #"{"rows_affected":1}"#)],
        [AgentRuns.call("get_weather", #"{"city":"Rome","day":~}"#, #"{"temperature":~,"unit":"C"}"#)],
        (0..<4).map { _ in
            AgentRuns.call(
                "send_email", #"{"to":"u~@example.com","body":"The meeting moved to Friday, see you."}"#,
                #"{"sent":true}"#)
        },
        [
            AgentRuns.call("get_build", #"{"id":"b-~"}"#, #"{"status":"queued"}"#),
            AgentRuns.call(
                "fetch_page", #"{"url":"https://example.com/~"}"#, "<html>404 pages explained, ~ of them</html>"),
        ],
        [
            AgentRuns.call(
                "create_ticket", #"{"title":"Broken lamp ~","priority":"high"}"#, #"{"id":"T-~","errors":[]}"#)
        ],
        [AgentRuns.call("check_inventory", #"{"sku":"SKU-~"}"#, #"{"sku":"SKU-~","in_stock":false,"quantity":0}"#)],
    ]

    static func run(_ random: inout SeededRandom) -> AgentRun {
        var number = 100
        func filled(_ text: String) -> String {
            var result = ""
            for character in text {
                guard character == "~" else {
                    result.append(character)
                    continue
                }
                number += 7
                result += "\(number)"
            }
            return result
        }
        var turns: [[AgentRun.Call]] = []
        var names: [String] = []
        for _ in 0..<Int.random(in: 1...9, using: &random) {
            let part = parts.randomElement(using: &random) ?? []
            turns.append(
                part.map { call in
                    var call = call
                    call.arguments = filled(call.arguments)
                    call.result = call.result.map(filled)
                    if !names.contains(call.tool) { names.append(call.tool) }
                    return call
                })
        }
        var run = AgentRuns.run(turns, user: "Please take care of case 4711 for Ms Keller.", "I took care of it.")
        run.tools = names.map { AgentRun.Tool(name: $0, description: "Does what it says.") }
        return run
    }

    @Test(arguments: 0..<60) func `a random healthy run has no finding above a hint`(_ seed: Int) throws {
        var random = SeededRandom(UInt64(seed))
        let run = Self.run(&random)
        let runner = try FindingsCorpusTests.Runner()
        for shape in FrameworkShape.all {
            let found = try FrameworkFindingsTests.look(at: run, in: shape, using: runner)
            let seen = FrameworkFindingsTests.loud(found)
            #expect(seen.isEmpty, "seed \(seed), \(shape.name): \(seen)")
        }
    }

    @Test func `a transfer to a person is no handoff between agents`() throws {
        var run = AgentRuns.run(
            [
                [
                    AgentRuns.call(
                        "transfer_to_human_agents", #"{"summary":"The user wants help."}"#, "Transfer successful")
                ]
            ],
            user: "Change reservation ZFA04Y for Mia Li to flight HAT083 on May 20.", "A colleague will help you.")
        run.tools = [AgentRun.Tool(name: "transfer_to_human_agents", properties: [("summary", "string")])]
        for shape in FrameworkShape.all {
            let seen = FrameworkFindingsTests.loud(try FrameworkFindingsTests.look(at: run, in: shape))
            #expect(seen.isEmpty, "\(shape.name): \(seen)")
        }
    }
}
