import ArgumentParser
import Exporters
import Glibc
import Pipeline
import Telemetry

struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Plays a refund agent, healthy and failing, into a running gateway.",
        discussion: """
            The agent of a web shop looks a customer up, fetches the orders, checks and processes a refund and sends \
            a confirmation. Repeat customers fail without any error: their customer id carries a space and quotes, \
            so the order history comes back empty. The same runs are sent in three dialects.
            """)

    @Option(help: "Base URL of the receiver.")
    var endpoint = "http://127.0.0.1:4318"

    @Option(help: "Healthy runs per dialect.")
    var healthy = 2

    @Option(help: "Failing runs per dialect.")
    var failing = 1

    func validate() throws {
        guard (0...1_000).contains(healthy), (0...1_000).contains(failing), healthy + failing > 0 else {
            throw ValidationError("--healthy and --failing take 0 to 1000, and not both 0")
        }
    }

    func run() async throws {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let runs = DemoPlay.runs(
            healthy: healthy, failing: failing, end: UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec),
            random: { UInt64.random(in: 1...UInt64.max) })
        for run in runs {
            let outcome = await PayloadSender.post(
                Array(run.body.utf8), to: "\(endpoint)/v1/traces", signal: .traces, isJSON: true)
            switch outcome {
            case .delivered: continue
            case .retry(let reason, _) where !reason.hasPrefix("HTTP "):
                throw Exit.noGateway("\(endpoint): \(reason)")
            default:
                Terminal.error("sluice: \(endpoint) does not take run \(run.session): \(Demo.reason(outcome))")
                throw Exit.rejected
            }
        }
        let failed = runs.filter(\.isFailing)
        print("sent \(runs.count.of("run")), \(failed.count) of them fail without an error in any span:")
        for run in failed { print("  \(run.session)  trace \(run.traceID)  (\(run.dialect.rawValue))") }
        guard let first = failed.first else { return }
        print(
            """

            Once the traces are complete (agent_findings waits for late spans), ask what went wrong:
              sluice findings --since 1h
              sluice trace \(first.traceID)
              sluice session \(first.session)
            The empty fetch_order_history is marked, and its cause: a space and quotes in customer_id.
            """)
    }

    private static func reason(_ outcome: ExportOutcome) -> String {
        switch outcome {
        case .delivered, .committed: "accepted"
        case .partial(_, let message), .refused(_, let message, _), .refusedTogether(let message),
            .unprocessed(let message):
            message
        case .retry(let reason, _), .notYet(let reason, _), .tooLarge(let reason), .permanent(let reason): reason
        }
    }
}
