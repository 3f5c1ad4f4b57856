import Configuration
import Exporters
import Journal
import Pipeline
import Testing

@testable import Gateway

/// What a destination has asked for holds for the next configuration too.
@Suite struct DestinationHoldsTests {
    private struct Taker: Exporter {
        let maxConcurrency = 1

        func start() async throws {}
        func export(_ batch: ExportBatch) async -> ExportOutcome { .delivered }
        func shutdown() async {}
    }

    private func plan(_ options: String) throws -> GatewayPlan {
        let text = """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
            exporters: {otlp_http: {\(options)}}
            service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp_http]}}}
            """
        let loaded = LoadedConfiguration.load([.text(name: "test", text)])
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        return loaded.plan
    }

    /// Delivers to the first of two.
    private func fallbackPlan(_ first: String) throws -> GatewayPlan {
        let text = """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
            exporters:
              otlp_http/a: {endpoint: "\(first)"}
              otlp_http/b: {endpoint: "http://127.0.0.1:9"}
              fallback: {exporters: [otlp_http/a, otlp_http/b]}
            service: {pipelines: {traces: {receivers: [otlp], exporters: [fallback]}}}
            """
        let loaded = LoadedConfiguration.load([.text(name: "test", text)])
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        return loaded.plan
    }

    @Test func `a fallback is left alone as long as all that it stands before are the same`() throws {
        let (plan, other) = try (fallbackPlan("http://127.0.0.1:1"), fallbackPlan("http://127.0.0.1:2"))
        var holds = DestinationHolds()
        holds.note([("traces", try worker(plan))], plan, now: .seconds(100))
        let same = try fallbackPlan("http://127.0.0.1:1")
        #expect(holds.left(pipeline: "traces", exporter: "fallback", same, now: .seconds(110)) > .seconds(30))
        #expect(holds.left(pipeline: "traces", exporter: "fallback", other, now: .seconds(110)) == .zero)
    }

    /// A worker of the plan's exporter that is to send nothing for a minute.
    private func worker(_ plan: GatewayPlan) throws -> ExportWorker {
        let exporter = try #require(plan.pipelines.first?.exporters.first)
        var setup = ExportWorkerSetup(
            exporterID: exporter.id, pipelineID: "traces", options: exporter.plan.helper, isDurable: false)
        setup.hold = .seconds(60)
        let cursor = try MemoryJournal().cursor(named: exporter.id)
        return ExportWorker(cursor: cursor, exporter: Taker(), metrics: SelfMetrics(), setup: setup)
    }

    @Test func `the same destination is left alone, another one is not`() throws {
        let plan = try plan("endpoint: \"http://127.0.0.1:1\"")
        let tuned = try self.plan(
            "endpoint: \"http://127.0.0.1:1\", timeout: 7s, sending_queue: {num_consumers: 1}, "
                + "retry_on_failure: {max_interval: 7s}")
        let other = try self.plan("endpoint: \"http://127.0.0.1:2\"")
        let worker = try worker(plan)
        var holds = DestinationHolds()
        holds.note([("traces", worker)], plan, now: .seconds(100))
        func left(_ plan: GatewayPlan, _ pipeline: String = "traces", at now: Duration = .seconds(110)) -> Duration {
            holds.left(pipeline: pipeline, exporter: "otlp_http", plan, now: now)
        }
        #expect(left(plan) > .seconds(30) && left(plan) <= .seconds(50))
        #expect(left(tuned) == left(plan))
        #expect(left(other) == .zero && left(plan, "logs") == .zero)
        #expect(left(plan, at: .seconds(160)) == .zero)
        // It is remembered while another configuration is tried.
        holds.note([], other, now: .seconds(120))
        #expect(left(plan, at: .seconds(120)) > .zero)
        holds.note([], other, now: .seconds(160))
        #expect(left(plan, at: .seconds(120)) == .zero)
    }
}
