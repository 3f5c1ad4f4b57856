import Telemetry
import Testing

@testable import GenAI

@Suite struct PricingTests {
    private static func table(_ text: String) throws -> PriceTable {
        var text = text
        return try text.withUTF8 { try PriceFile.read(Text(UnsafeRawBufferPointer($0))) }
    }

    private static let litellm = """
        {"sample_spec": {"input_cost_per_token": 1, "litellm_provider": "one of these"},
         "m": {"litellm_provider": "openai", "input_cost_per_token": 4e-07, "output_cost_per_token": 1.6e-06,
            "cache_read_input_token_cost": 1e-07, "cache_creation_input_token_cost": 5e-07,
            "output_cost_per_reasoning_token": 2e-06, "input_cost_per_audio_token": 1e-05,
            "input_cost_per_token_above_200k_tokens": 8e-07, "input_cost_per_token_batches": 2e-07,
            "output_cost_per_token_batches": 8e-07},
         "azure/m": {"litellm_provider": "azure", "input_cost_per_token": 5e-07, "output_cost_per_token": 2e-06},
         "free": {"litellm_provider": "openai", "mode": "chat"}}
        """

    private static let genaiPrices = """
        [{"id": "openai", "models": [
            {"id": "m", "match": {"or": [{"equals": "m"}, {"starts_with": "m-mini-"}]},
             "prices": {"input_mtok": {"base": 0.4, "tiers": [{"start": 200000, "price": 0.8}]}, "output_mtok": 1.6,
                "cache_read_mtok": 0.1}},
            {"id": "old", "match": {"regex": "^old"}, "prices": [
                {"constraint": {"start_date": "2024-01-01"}, "prices": {"input_mtok": 3}},
                {"constraint": {"start_time": "00:30:00Z"}, "prices": {"input_mtok": 1}}]}]}]
        """

    private static func usage(_ change: (inout TokenUsage) -> Void) -> TokenUsage {
        var usage = TokenUsage()
        change(&usage)
        return usage
    }

    @Test func `a call costs its tokens, the cached and reasoning ones at their own price`() throws {
        let price = try #require(try Self.table(Self.litellm).price(provider: "openai", response: "m", request: ""))
        let usage = Self.usage {
            $0.input = 1_000
            $0.cacheRead = 300
            $0.cacheWrite = 100
            $0.audioInput = 10
            $0.output = 200
            $0.reasoning = 50
        }
        let cost = try #require(price.cost(usage))
        // 590 x 400 + 300 x 100 + 100 x 500 + 10 x 10000; 150 x 1600 + 50 x 2000, in nanodollars.
        #expect(cost == CallCost(input: 416_000, output: 340_000))
        #expect(CallCost.dollars(cost.total) == 0.000756)
    }

    @Test func `cached tokens that are kept for an hour have a price of their own`() throws {
        let text = """
            {"m": {"litellm_provider": "anthropic", "input_cost_per_token": 4e-7, "output_cost_per_token": 1e-6,
              "cache_creation_input_token_cost": 5e-7, "cache_creation_input_token_cost_above_1hr": 8e-7},
             "n": {"litellm_provider": "anthropic", "input_cost_per_token": 4e-7, "output_cost_per_token": 1e-6,
              "cache_creation_input_token_cost": 5e-7}}
            """
        func input(_ model: String, _ change: (inout TokenUsage) -> Void) throws -> Int64? {
            let price = try #require(try Self.table(text).price(provider: "anthropic", response: model, request: ""))
            return price.cost(Self.usage(change))?.input
        }
        func parts(_ usage: inout TokenUsage) {
            usage.input = 1_000
            usage.cacheWrite = 300
            usage.cacheWriteHour = 100
        }
        // 700 x 400 + 200 x 500 + 100 x 800 nanodollars; without a price for the hour 300 x 500.
        #expect(try input("m", parts) == 460_000)
        #expect(try input("n", parts) == 430_000)
        // Only the part is told.
        #expect(
            try input("m") {
                $0.input = 1_000
                $0.cacheWriteHour = 100
            } == 440_000)
        let builtIn = try #require(
            PriceTable.builtIn.price(provider: "anthropic", response: "claude-sonnet-4-5", request: ""))
        #expect(builtIn.base.cacheWriteHour == 6_000_000)
    }

    @Test func `the whole input decides the tier, the service its own rates`() throws {
        for text in [Self.litellm, Self.genaiPrices] {
            let price = try #require(try Self.table(text).price(provider: "openai", response: "m", request: ""))
            #expect(price.cost(Self.usage { $0.input = 200_000 })?.input == 80_000_000)
            #expect(price.cost(Self.usage { $0.input = 200_001 })?.input == 160_000_800)
        }
        let price = try #require(try Self.table(Self.litellm).price(provider: "openai", response: "m", request: ""))
        #expect(price.cost(Self.usage { $0.input = 1_000 }, service: .batch)?.input == 200_000)
        #expect(price.cost(Self.usage { $0.input = 1_000 }, service: .flex)?.input == 400_000)
    }

    @Test func `names are looked up from exact to dated, never by likeness`() throws {
        let table = try Self.table(Self.litellm)
        func input(_ provider: String, _ response: String, _ request: String = "") -> Int64? {
            table.price(provider: provider, response: response, request: request)?.base.input
        }
        #expect(input("azure.ai.openai", "m") == 500_000)
        #expect(input("openai", "m") == 400_000)
        #expect(input("", "M") == 400_000)
        #expect(input("openai", "unknown", "m") == 400_000)
        #expect(input("openai", "m-2025-04-14") == 400_000)
        #expect(input("azure.ai.openai", "m@20250414") == 500_000)
        #expect(input("openai", "m:latest") == 400_000)
        #expect(input("openai", "m-large") == nil)
        #expect(input("openai", "m-4") == nil)
        #expect(input("openai", "free") == nil)
        #expect(input("openai", "sample_spec") == nil)
        #expect(try Self.table(Self.genaiPrices).price(provider: "openai", response: "m-mini-x", request: "") != nil)
    }

    @Test func `a price holds from its day on and at its hours`() throws {
        let text = """
            [{"id": "deepseek", "models": [{"id": "d", "match": {"and": [{"contains": "d"}, {"ends_with": "chat"}]},
              "prices": [
                {"prices": {"input_mtok": 4}},
                {"constraint": {"start_date": "2025-06-01"}, "prices": {"input_mtok": 2}},
                {"constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"}, "prices": {"input_mtok": 1}}]}]}]
            """
        let price = try #require(try Self.table(text).price(provider: "deepseek", response: "d-chat", request: ""))
        func input(_ seconds: UInt64) -> Int64? { price.at(seconds * 1_000_000_000).base.input }
        // 2025-05-31 12:00, 2025-06-01 12:00, 17:00 and 2025-06-02 00:29:59, 00:30.
        #expect(input(1_748_692_800) == 4_000_000)
        #expect(input(1_748_779_200) == 2_000_000)
        #expect(input(1_748_797_200) == 1_000_000)
        #expect(input(1_748_824_199) == 1_000_000)
        #expect(input(1_748_824_200) == 2_000_000)
    }

    @Test func `a history gives its last unconditional price, unreadable clauses are counted`() throws {
        let table = try Self.table(Self.genaiPrices)
        #expect(table.price(provider: "openai", response: "old", request: "")?.base.input == 3_000_000)
        #expect(table.skippedClauses == 1)
    }

    @Test func `impossible counts and missing prices have no cost`() throws {
        var price = ModelPrice()
        price.base.input = 1
        #expect(price.cost(Self.usage { $0.output = 5 }) == nil)
        #expect(price.cost(Self.usage { $0.input = -5 }) == nil)
        #expect(price.cost(Self.usage { $0.input = .max }) == nil)
        price.base.input = 900_000_000_000_000
        #expect(price.cost(Self.usage { $0.input = 1_000_000_000 }) == nil)
        #expect(price.cost(Self.usage { $0.input = 0 })?.total == 0)
    }

    @Test(arguments: ["", "[]", "{}", "12", "{\"a\": 1}", "[{\"id\": 1}]", "{\"m\": {\"input_cost_per_token\": -1}}"])
    func `a file without prices is refused`(text: String) {
        #expect(throws: PriceFileProblem.self) { try Self.table(text) }
    }

    @Test func `the built-in table knows its models`() {
        let table = PriceTable.builtIn
        #expect(
            table.price(provider: "openai", response: "gpt-4.1-mini-2025-04-14", request: "")?.base.input == 400_000)
        #expect(table.price(provider: "anthropic", response: "claude-sonnet-4-5-20250929", request: "") != nil)
        #expect(table.price(provider: "gcp.gemini", response: "gemini-2.5-pro", request: "") != nil)
        #expect(table.price(provider: "openai", response: "gpt-4.1-giant", request: "") == nil)
    }
}
