import Configuration
import OTTL
import Pipeline
import Processors
import Telemetry

/// Processors as a file would set them up.
struct Chain {
    let keys: KeyTable
    let normalizer: any Processor
    let redaction: any Processor
    let attributes: any Processor
    let findings: any Processor
    /// The two of the rig's scenario `proc`.
    let renames: any Processor
    let patterns: any Processor
    /// True of all spans of all payloads, so that none of its clauses is passed over.
    let condition: OTTLCondition

    init() throws {
        let metrics = SelfMetrics()
        var build = ProcessorBuild(
            keys: KeyTable.Builder(), metrics: metrics, id: "bench", pipeline: "traces", signal: .traces)
        normalizer = try NormalizeProcessor(options: try Chain.options("{}"), build: &build)
        redaction = RedactionProcessor(
            options: try Chain.options("{allow_all_keys: true, detectors: all}"), build: &build)
        findings = FindingsProcessor(options: try Chain.options("{}"), build: &build)
        attributes = try AttributesProcessor(
            options: try Chain.options(
                """
                actions:
                  - {key: deployment.region, value: eu-1, action: insert}
                  - {key: enduser.id, action: hash}
                  - {key: user_agent.original, action: delete}
                """), build: &build)
        renames = try AttributesProcessor(options: try Chain.options(Chain.renames), build: &build)
        patterns = RedactionProcessor(options: try Chain.options(Chain.patterns), build: &build)
        condition = try OTTLCondition(
            #"attributes["server.port"] >= 443 and attributes["server.address"] != "none" and "#
                + #"attributes["enduser.tier"] == nil"#, context: .span, keys: &build.keys)
        for name in ["url.path", "enduser.id", "renamed", "sluice.bench"] { _ = build.keys.intern(name) }
        keys = build.keys.build()
    }

    private static let renames = """
        actions:
          - {key: gen_ai.provider.name, from_attribute: gen_ai.system, action: insert}
          - {key: gen_ai.system, action: delete}
          - {key: gen_ai.usage.input_tokens, from_attribute: gen_ai.usage.prompt_tokens, action: insert}
          - {key: gen_ai.usage.prompt_tokens, action: delete}
          - {key: gen_ai.usage.output_tokens, from_attribute: gen_ai.usage.completion_tokens, action: insert}
          - {key: gen_ai.usage.completion_tokens, action: delete}
          - {key: deployment.region, value: eu-1, action: insert}
          - {key: user.id, action: hash}
        """

    private static let patterns = #"""
        allow_all_keys: true
        blocked_values:
          - '[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}'
          - '\b[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}\b'
          - '\bsk-[A-Za-z0-9]{20,}\b'
          - '\bghp_[A-Za-z0-9]{30,}\b'
          - '\+1 [0-9]{3} [0-9]{4} [0-9]{3}'
        """#

    private struct BadOptions: Error {
        var problems: [String]
    }

    private static func options<Options: ComponentOptions>(_ text: String) throws -> Options {
        var problems = ConfigProblems()
        let environment = ConfigEnvironment(variable: { _ in nil }) { _ throws(ConfigReadFailure) in
            throw ConfigReadFailure(reason: "no files here")
        }
        let tree = ConfigLoader(environment: environment).load(
            [.text(name: "bench", text)], overrides: [], problems: &problems)
        let options = readOptions(Options.self, node: tree, path: "bench", problems: &problems)
        guard problems.all.isEmpty else { throw BadOptions(problems: problems.all.map(ConfigProblems.headline)) }
        return options
    }
}
