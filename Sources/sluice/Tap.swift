import ArgumentParser
import Exporters
import Gateway

struct Tap: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what flows through a running gateway, as OTLP JSON lines.",
        discussion: """
            Shows what pipelines store, behind their redaction. What comes faster than it can be shown is passed over \
            and counted; the gateway never waits for a tap.
            """)

    @Option(help: "Base URL of the metrics listener of a running gateway.")
    var endpoint = "http://127.0.0.1:8888"

    @Option(help: "Only this pipeline, such as traces/agents.")
    var pipeline: String?

    @Option(name: .customLong("where"), help: "OTTL condition on spans, log records or data points.")
    var condition: String?

    @Flag(help: "Shows what receivers take, before any redaction; needs service.telemetry.tap: raw.")
    var raw = false

    @Option(help: "Ends after so many lines; 0 goes on until it is stopped.")
    var limit = 0

    @Option(help: "Ends after so many seconds; 0 goes on until it is stopped.")
    var seconds = 0

    func run() async throws {
        let tap = endpoint + "/tap?id=" + String(UInt64.random(in: 0 ... .max), radix: 16)
        try await show(tap)
        // Its place is free at once.
        _ = await PayloadSender.get(tap + "&end=1")
    }

    private func show(_ tap: String) async throws {
        var url = tap
        if let pipeline { url += "&pipeline=" + Tap.encoded(pipeline) }
        if let condition { url += "&where=" + Tap.encoded(condition) }
        if raw { url += "&raw=1" }
        var shown = 0
        let effects = WorkerEffects.system()
        let start = effects.now()
        while seconds == 0 || effects.now() - start < .seconds(seconds) {
            switch await PayloadSender.get(url) {
            case .failure(let failure) where failure.isRefusal:
                throw Exit.failed("\(failure)")
            case .failure(let failure):
                throw Exit.noGateway("\(failure)")
            case .success(let body):
                for line in body.split(separator: 0x0A) {
                    Terminal.output(Array(line) + [0x0A])
                    if Terminal.isOutputGone { return }
                    shown += 1
                    if limit > 0, shown >= limit { return }
                }
            }
            try await effects.sleep(.milliseconds(250))
        }
    }

    /// Bytes that are no letter, digit or `-._~` as percent signs with two digits.
    private static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                result += "%" + (hex.count < 2 ? "0" : "") + hex
            }
        }
        return result
    }
}
