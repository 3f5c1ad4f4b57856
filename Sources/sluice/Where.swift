import ArgumentParser
import Exporters
import FoundationEssentials
import Gateway
import Pipeline
import Query

struct Where: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells what each exporter has done with a trace.",
        discussion: """
            Looks through the journals and dead letters of the configuration, beside a running gateway too. A journal \
            keeps a request until all exporters are done with it, and some time longer. Whether that was delivered or \
            dropped, and why, the running gateway remembers of its latest requests: \(RecentOutcomes.runsMax) runs of \
            requests that ended alike for each exporter.
            """)
    @OptionGroup var options: ConfigurationOptions

    @Argument(help: "The trace's id; its first digits are enough for one that is in the database.")
    var trace: String

    @Option(help: "Folder of the journals and dead letters for which the configuration names no other place.")
    var dataDirectory = LoadedConfiguration.dataDirectory

    @Option(
        help: """
            Base URL of the metrics listener of a running gateway, which tells why. Default: that of the configuration.
            """
    )
    var endpoint: String?

    @Flag(help: "Prints JSON.")
    var json = false

    func run() async throws {
        let id = try wholeID()
        var answer: Whereabouts.Answer
        let endpoint: String
        do {
            let plan = try options.load(dataDirectory: dataDirectory).plan
            endpoint = self.endpoint ?? Queue.endpoint(of: plan)
            answer = try Whereabouts.find(id, plan, dataDirectory: dataDirectory)
        } catch let error as ExitCode {
            throw error
        } catch {
            throw Exit.failed("\(error)")
        }
        if answer.isEmpty, answer.inMemory.isEmpty { try Terminal.requireDataDirectory(dataDirectory) }
        var isAnswered = false
        if answer.fates.contains(where: { $0.done > 0 && !$0.isGathering }),
            case .success(let body) = await PayloadSender.get(endpoint + "/outcomes"),
            let outcomes = ExporterOutcomes.decode(body)
        {
            answer.tell(outcomes)
            isAnswered = true
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(answer), as: UTF8.self))
        } else {
            await show(answer, endpoint, isAnswered: isAnswered)
        }
        if answer.isEmpty { throw Exit.failure }
    }

    /// The bytes of the id. Of one that is cut, as `sluice findings` prints it, the database tells the rest.
    private func wholeID() throws -> [UInt8] {
        if let id = Whereabouts.traceID(trace) { return id }
        guard QueryDatabase.isTraceID(trace) else {
            throw ValidationError(
                "a trace id has 32 hexadecimal digits; give it or at least its first 4, not \"\(trace)\"")
        }
        do {
            let database = try QueryDatabase.open(nil, of: options, dataDirectory: dataDirectory)
            if let id = Whereabouts.traceID(try database.trace(trace).id) { return id }
        } catch {
            throw Exit.failed("\(trace) is not a whole id, and the database does not tell the rest: \(error)")
        }
        throw Exit.failed("\(trace) is not a whole id, and what the database has for it is none either")
    }

    private func show(_ answer: Whereabouts.Answer, _ endpoint: String, isAnswered: Bool) async {
        var queues: [ExportWorkerStatus] = []
        if answer.fates.contains(where: { $0.waiting > 0 }),
            case .success(let body) = await PayloadSender.get(endpoint + "/queues")
        {
            queues = ExportWorkerStatus.decode(body) ?? []
        }
        for fate in answer.fates {
            let letters = answer.letters.count { $0.exporter == fate.exporter && $0.pipeline == fate.pipeline }
            print(Where.line(fate, letters: letters))
            if letters == 0, fate.hadLetters { print("    its dead letters are gone: replayed, dropped or too old") }
            let queue = queues.first { $0.exporter == fate.exporter && $0.pipeline == fate.pipeline }
            if fate.waiting > 0, let error = queue?.lastError { print("    last error: \(error)") }
        }
        for letter in answer.letters {
            print("\(letter.exporter) of \(letter.pipeline): \(letter.cause): \(letter.message)")
            print("    sluice dlq show \(letter.id)")
        }
        if answer.fates.contains(where: { $0.forgotten > 0 }) {
            let reason =
                isAnswered ? "the gateway at \(endpoint) does not remember" : "no gateway at \(endpoint) answers for"
            print("what is told as \"delivered or dropped\" \(reason)")
        }
        let hasJournals = answer.inMemory.isEmpty || !answer.fates.isEmpty
        if answer.isEmpty, hasJournals {
            print(
                "no journal and no dead letter holds this trace: it never came, a processor left it out, or every "
                    + "exporter is done with it for some time")
        }
        for pipeline in answer.inMemory {
            print("pipeline \(pipeline) keeps its queues in memory: what waits there, or left, is not known")
        }
    }

    private static func line(_ fate: Whereabouts.Fate, letters: Int) -> String {
        var parts: [String] = []
        func add(_ count: Int, _ text: String) {
            if count > 0 { parts.append("\(count) \(count == 1 ? "request" : "requests") \(text)") }
        }
        for (text, count) in fate.outcomes.sorted(by: { $0.key < $1.key }) { add(count, text) }
        let refused = min(letters, fate.forgotten)
        add(fate.forgotten - refused, "delivered or dropped")
        if fate.isGathering { add(fate.done, "gathered and passed on, or sampled away") }
        if refused > 0 { parts.append("\(refused) refused for good") }
        if fate.waiting > 0 { parts.append("\(fate.waiting) waiting") }
        var text = "\(fate.exporter) of \(fate.pipeline): \(parts.joined(separator: ", "))"
        if let newest = fate.newest { text += "; newest record \(GatewayLogHandler.timestamp(seconds: newest))" }
        return text
    }
}

extension Terminal {
    /// Ends with an error when there is no data directory, so that nothing was found because nothing was looked at.
    static func requireDataDirectory(_ path: String) throws {
        if let refusal = PathCheck.refusal(toRead: path) { throw Exit.failed(refusal) }
        guard !FileManager.default.fileExists(atPath: path) else { return }
        throw Exit.failed(
            "there is no data directory \(path): name it with --data-directory, or run this where it lies")
    }
}
