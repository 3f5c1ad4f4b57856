import Telemetry
import Testing

@testable import GenAI

/// What is set for one dialect holds for its rules alone.
@Suite struct SourceOptionTests {
    private let phoenix: [(String, TestValue)] = [
        ("openinference.span.kind", "LLM"), ("llm.model_name", "gpt-4.1"), ("mine", "m"),
    ]
    private let loop: [(String, TestValue)] = [
        ("llm.request.type", "chat"), ("gen_ai.usage.prompt_tokens", 10), ("mine", "m"),
    ]

    private func run(
        _ attributes: [(String, TestValue)], _ change: (inout NormalizerOptions) -> Void
    ) throws -> [String: String] {
        var options = NormalizerOptions()
        change(&options)
        let bench = try Bench(options)
        var found: [String: String] = [:]
        let once = try bench.run(TestSpan(attributes: attributes).request) { found = Bench.attributes(of: 0, $0) }
        #expect(try bench.run(once) == once)
        return found
    }

    @Test func `originals of one dialect go, those of another one stay`() throws {
        let change = { (options: inout NormalizerOptions) in
            options.sourceOptions["openinference", default: SourceOptions()].removeOriginals = true
        }
        let first = try run(phoenix, change)
        #expect(first["llm.model_name"] == nil && first["gen_ai.request.model"] == "gpt-4.1")
        let second = try run(loop, change)
        #expect(second["gen_ai.usage.prompt_tokens"] == "10" && second["gen_ai.usage.input_tokens"] == "10")
    }

    @Test func `originals go but for one dialect`() throws {
        let change = { (options: inout NormalizerOptions) in
            options.removeOriginals = true
            options.sourceOptions["openinference", default: SourceOptions()].removeOriginals = false
        }
        #expect(try run(phoenix, change)["llm.model_name"] == "gpt-4.1")
        #expect(try run(loop, change)["gen_ai.usage.prompt_tokens"] == nil)
    }

    @Test func `values of one dialect replace what is there`() throws {
        let change = { (options: inout NormalizerOptions) in
            options.sourceOptions["openinference", default: SourceOptions()].overwrite = true
        }
        let first = try run(
            phoenix + [("llm.token_count.prompt", 3), ("gen_ai.usage.input_tokens", 7)], change)
        #expect(first["gen_ai.usage.input_tokens"] == "3")
        let second = try run(loop + [("gen_ai.usage.input_tokens", 7)], change)
        #expect(second["gen_ai.usage.input_tokens"] == "7")
    }

    @Test func `a mapping of one dialect is for its spans`() throws {
        let change = { (options: inout NormalizerOptions) in
            options.sourceMappings = [
                SourceMapping(
                    from: "mine", to: "gen_ai.agent.name", source: "openinference", dialects: ["openinference"])
            ]
            options.sourceOptions["openinference", default: SourceOptions()].removeOriginals = true
        }
        let first = try run(phoenix, change)
        #expect(first["gen_ai.agent.name"] == "m" && first["mine"] == nil)
        let second = try run(loop, change)
        #expect(second["gen_ai.agent.name"] == nil && second["mine"] == "m")
    }

    @Test func `mappings that belong to no dialect have settings of their own`() throws {
        let found = try run(loop) { options in
            options.sourceMappings = [
                SourceMapping(from: "mine", to: "gen_ai.agent.name", source: "custom", dialects: [])
            ]
            options.sourceOptions["custom", default: SourceOptions()].removeOriginals = true
        }
        #expect(found["gen_ai.agent.name"] == "m" && found["mine"] == nil)
        #expect(found["gen_ai.usage.prompt_tokens"] == "10")
    }
}
