import ArgumentParser
import Exporters
import Gateway

struct Drops: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows which spans and log records were dropped last, and by which rule.",
        discussion: "Asks the running gateway's metrics listener, which remembers the last 10000.")

    @Option(help: "Base URL of the metrics listener of a running gateway.")
    var endpoint = "http://127.0.0.1:8888"

    @Option(help: "Only records of this trace.")
    var trace: String?

    @Option(help: "Only what this processor dropped, such as filter/health.")
    var processor: String?

    @Option(help: "Only this pipeline, such as traces/agents.")
    var pipeline: String?

    @Option(help: "How many of the last entries to show.")
    var limit = 100

    @Flag(help: "Prints JSON.")
    var json = false

    func run() async throws {
        let all: [DropEntry]
        switch await PayloadSender.get(endpoint + "/drops") {
        case .success(let body):
            guard let decoded = DropLedger.decode(body) else {
                throw Exit.failed("\(endpoint)/drops is not the metrics listener of a gateway")
            }
            all = decoded
        case .failure(let failure) where failure.isRefusal: throw Exit.failed("\(failure)")
        case .failure(let failure): throw Exit.noGateway("\(failure)")
        }
        let wanted = all.filter { entry in
            (trace == nil || entry.traceID == trace?.lowercased()) && (processor == nil || entry.processor == processor)
                && (pipeline == nil || entry.pipeline == pipeline)
        }
        let shown = Array(wanted.suffix(max(0, limit)))
        if json { return print(DropLedger.encode(shown), terminator: "") }
        if shown.isEmpty { return print("nothing was dropped") }
        for entry in shown { print(Drops.describe(entry)) }
    }

    private static func describe(_ entry: DropEntry) -> String {
        let seconds = Int(entry.time) % 86_400
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        var text = "\(two(seconds / 3_600)):\(two(seconds / 60 % 60)):\(two(seconds % 60))Z "
        if entry.count > 1 {
            text += "\(entry.count) more records"
        } else {
            text += entry.traceID.isEmpty ? "a record" : "trace \(entry.traceID)"
            if !entry.spanID.isEmpty { text += " span \(entry.spanID)" }
        }
        text += ": \(entry.processor)"
        if !entry.rule.isEmpty { text += " (\(entry.rule))" }
        return text + " in \(entry.pipeline)"
    }
}
