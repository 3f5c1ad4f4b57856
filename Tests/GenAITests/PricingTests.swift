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
            $0[.input] = 1_000
            $0[.cacheRead] = 300
            $0[.cacheWrite] = 100
            $0[.audioInput] = 10
            $0[.output] = 200
            $0[.reasoning] = 50
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
            usage[.input] = 1_000
            usage[.cacheWrite] = 300
            usage[.cacheWriteHour] = 100
        }
        // 700 x 400 + 200 x 500 + 100 x 800 nanodollars; without a price for the hour 300 x 500.
        #expect(try input("m", parts) == 460_000)
        #expect(try input("n", parts) == 430_000)
        // Only the part is told.
        #expect(
            try input("m") {
                $0[.input] = 1_000
                $0[.cacheWriteHour] = 100
            } == 440_000)
        let builtIn = try #require(
            PriceTable.builtIn.price(provider: "anthropic", response: "claude-sonnet-4-5", request: ""))
        #expect(builtIn.base[.cacheWriteHour]?.base == 6_000_000)
    }

    @Test func `the whole input decides the tier, the service its own rates`() throws {
        for text in [Self.litellm, Self.genaiPrices] {
            let price = try #require(try Self.table(text).price(provider: "openai", response: "m", request: ""))
            #expect(price.cost(Self.usage { $0[.input] = 200_000 })?.input == 80_000_000)
            #expect(price.cost(Self.usage { $0[.input] = 200_001 })?.input == 160_000_800)
        }
        let price = try #require(try Self.table(Self.litellm).price(provider: "openai", response: "m", request: ""))
        #expect(price.cost(Self.usage { $0[.input] = 1_000 }, service: "batch")?.input == 200_000)
        #expect(price.cost(Self.usage { $0[.input] = 1_000 }, service: "flex")?.input == 400_000)
    }

    @Test func `names are looked up from exact to dated, never by likeness`() throws {
        let table = try Self.table(Self.litellm)
        func input(_ provider: String, _ response: String, _ request: String = "") -> Int64? {
            table.price(provider: provider, response: response, request: request)?.base[.input]?.base
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
        func input(_ seconds: UInt64) -> Int64? { price.rates(at: seconds * 1_000_000_000)[.input]?.base }
        // 2025-05-31 12:00, 2025-06-01 12:00, 17:00 and 2025-06-02 00:29:59, 00:30.
        #expect(input(1_748_692_800) == 4_000_000)
        #expect(input(1_748_779_200) == 2_000_000)
        #expect(input(1_748_797_200) == 1_000_000)
        #expect(input(1_748_824_199) == 1_000_000)
        #expect(input(1_748_824_200) == 2_000_000)
    }

    @Test func `a history gives its last unconditional price, unreadable clauses are counted`() throws {
        let table = try Self.table(Self.genaiPrices)
        #expect(table.price(provider: "openai", response: "old", request: "")?.base[.input]?.base == 3_000_000)
        #expect(table.skippedClauses == 1)
    }

    @Test func `every unit of a file has its price, and one that is not read is told`() throws {
        let text = """
            [{"id": "openai", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 2,
              "output_mtok": 8, "cache_read_mtok": 1, "cache_write_mtok": 3, "cache_write_1h_mtok": 5,
              "output_reasoning_mtok": 9, "input_audio_mtok": 20, "cache_audio_read_mtok": 10, "input_image_mtok": 4,
              "output_image_mtok": 30, "requests_kcount": 5, "web_searches_kcount": 10}}]}]
            """
        let table = try Self.table(text)
        let price = try #require(table.price(provider: "openai", response: "m", request: ""))
        let usage = Self.usage {
            $0[.input] = 1_000
            $0[.cacheRead] = 300
            $0[.audioInput] = 200
            $0[.audioCacheRead] = 50
            $0[.imageInput] = 100
            $0[.cacheWrite] = 100
            $0[.cacheWriteHour] = 40
            $0[.output] = 200
            $0[.reasoning] = 50
            $0[.imageOutput] = 30
        }
        // Audio 150 x 20 and 50 cached x 10, other cached 250 x 1, images 100 x 4, written 60 x 3 and 40 x 5, the rest
        // 350 x 2; 50 x 9, 30 x 30 and 120 x 8; half a cent for the call.
        let cost = try #require(price.cost(usage))
        #expect(cost == CallCost(input: 5_230_000, output: 2_310_000, call: 5_000_000))
        #expect(table.unreadUnits == ["web_searches_kcount": 1])
        #expect(price.unread == ["web_searches_kcount"])
    }

    @Test func `variants have the prices of a service from their day on`() throws {
        let text = """
            [{"id": "openai", "models": [{"id": "m", "match": {"equals": "m"},
              "prices": {"input_mtok": {"base": 4, "tiers": [{"start": 1000, "price": 8}]}, "output_mtok": 16},
              "price_variants": [{"when": {"service_tier": "default"}, "prices": {}},
                {"when": {"service_tier": "flex"}, "prices": {"input_mtok": 2},
                  "constraint": {"start_date": "2025-06-01"}},
                {"when": {"service_tier": "flex"}, "prices": {"input_mtok": 3, "output_mtok": 9}},
                {"when": {"processing": "batch"},
                  "prices": {"input_mtok": {"base": 1, "tiers": [{"start": 10, "price": 5}]}}},
                {"when": {"route": "eu"}, "prices": {"input_mtok": 7}}]}]}]
            """
        let table = try Self.table(text)
        let price = try #require(table.price(provider: "openai", response: "m", request: ""))
        func input(_ tokens: Int64, _ service: String, _ seconds: UInt64) -> Int64? {
            price.cost(Self.usage { $0[.input] = tokens }, service: service, at: seconds * 1_000_000_000)?.input
        }
        // The days before and after the first of June.
        #expect(input(10, "", 1_748_779_200) == 40_000)
        #expect(input(10, "default", 1_748_779_200) == 40_000)
        #expect(input(10, "flex", 1_748_692_800) == 30_000)
        #expect(input(10, "flex", 1_748_779_200) == 20_000)
        #expect(input(2_000, "flex", 1_748_779_200) == 4_000_000)
        #expect(input(2_000, "", 1_748_779_200) == 16_000_000)
        #expect(input(11, "batch", 1_748_779_200) == 55_000)
        #expect(
            price.cost(Self.usage { $0[.output] = 1 }, service: "flex", at: 1_748_779_200_000_000_000)?.output == 9_000)
        #expect(table.skippedVariants == 1)
    }

    @Test func `LiteLLM's tiers of any length, services of them, ranges and prices of a call are read`() throws {
        let text = """
            {"m": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
              "input_cost_per_token_above_32k_tokens": 3e-6, "input_cost_per_token_flex": 5e-7,
              "input_cost_per_token_above_32k_tokens_flex": 7e-7, "output_cost_per_image_token": 9e-6,
              "cache_creation_input_token_cost": 2e-6, "cache_creation_input_token_cost_above_1hr": 4e-6,
              "cache_creation_input_token_cost_above_1hr_above_32k_tokens": 8e-6, "input_cost_per_request": 0.001,
              "search_context_cost_per_query": {"search_context_size_low": 0.01}, "input_cost_per_pixel": 0},
             "r": {"litellm_provider": "dashscope", "tiered_pricing": [
              {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "range": [0, 100]},
              {"input_cost_per_token": 4e-6, "output_cost_per_token": 8e-6, "range": [100, 1000]}]}}
            """
        let table = try Self.table(text)
        let price = try #require(table.price(provider: "openai", response: "m", request: ""))
        #expect(price.cost(Self.usage { $0[.input] = 10 }) == CallCost(input: 10_000, output: 0, call: 1_000_000))
        #expect(price.cost(Self.usage { $0[.input] = 40_000 })?.input == 120_000_000)
        #expect(price.cost(Self.usage { $0[.input] = 10 }, service: "flex")?.input == 5_000)
        #expect(price.cost(Self.usage { $0[.input] = 40_000 }, service: "flex")?.input == 28_000_000)
        let written = Self.usage {
            $0[.input] = 40_000
            $0[.cacheWriteHour] = 40_000
        }
        #expect(price.cost(written)?.input == 320_000_000)
        #expect(price.unread == ["search_context_cost_per_query"])
        let ranged = try #require(table.price(provider: "dashscope", response: "r", request: ""))
        #expect(ranged.cost(Self.usage { $0[.input] = 100 })?.input == 100_000)
        #expect(ranged.cost(Self.usage { $0[.input] = 101 })?.input == 404_000)
    }

    @Test func `a model with prices in other units alone has no cost, not one of nothing`() throws {
        let text = """
            [{"id": "groq", "models": [{"id": "w", "match": {"equals": "w"}, "prices": {"audio_hours": 0.1}},
              {"id": "c", "match": {"equals": "c"}, "prices": {"requests_kcount": 2}}]}]
            """
        let table = try Self.table(text)
        let hours = try #require(table.price(provider: "groq", response: "w", request: ""))
        #expect(hours.cost(Self.usage { $0[.input] = 5 }) == nil)
        #expect(hours.cost(Self.usage { $0[.input] = 0 }) == nil)
        let call = try #require(table.price(provider: "groq", response: "c", request: ""))
        #expect(call.cost(Self.usage { $0[.input] = 5 })?.total == 2_000_000)
    }

    @Test func `impossible counts and missing prices have no cost`() throws {
        var price = ModelPrice()
        price.base[.input] = UnitPrice(1)
        #expect(price.cost(Self.usage { $0[.output] = 5 }) == nil)
        #expect(price.cost(Self.usage { $0[.input] = -5 }) == nil)
        #expect(price.cost(Self.usage { $0[.input] = .max }) == nil)
        price.base[.input] = UnitPrice(900_000_000_000_000)
        #expect(price.cost(Self.usage { $0[.input] = 1_000_000_000 }) == nil)
        #expect(price.cost(Self.usage { $0[.input] = 0 })?.total == 0)
    }

    @Test(arguments: ["", "[]", "{}", "12", "{\"a\": 1}", "[{\"id\": 1}]", "{\"m\": {\"input_cost_per_token\": -1}}"])
    func `a file without prices is refused`(text: String) {
        #expect(throws: PriceFileProblem.self) { try Self.table(text) }
    }

    @Test func `the built-in table knows its models`() {
        let table = PriceTable.builtIn
        #expect(
            table.price(provider: "openai", response: "gpt-4.1-mini-2025-04-14", request: "")?.base[.input]?.base
                == 400_000)
        #expect(table.price(provider: "anthropic", response: "claude-sonnet-4-5-20250929", request: "") != nil)
        #expect(table.price(provider: "gcp.gemini", response: "gemini-2.5-pro", request: "") != nil)
        #expect(table.price(provider: "openai", response: "gpt-4.1-giant", request: "") == nil)
    }
}
