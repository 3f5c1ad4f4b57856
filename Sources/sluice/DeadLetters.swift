import ArgumentParser
import Exporters
import Gateway
import Telemetry

/// `sluice dlq`: looks at, sends again and removes what failed for good.
struct DeadLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlq", abstract: "Shows, replays and drops dead letters: batches that failed for good.",
        subcommands: [ListLetters.self, ShowLetter.self, ReplayLetters.self, DropLetters.self],
        defaultSubcommand: ListLetters.self)
}

/// Which letters a command is about.
struct LetterSelection: ParsableArguments {
    @Option(help: "Folder in which the gateway keeps its data.")
    var dataDirectory = LoadedConfiguration.dataDirectory

    @Option(help: "Only letters of this exporter, type/name as in the configuration.")
    var exporter: String?

    static let ambiguous = ValidationError("name the letters (see `sluice dlq list`), or give --all")

    /// Says that there are no letters of those asked for.
    func tellNone() {
        print("no dead letters \(exporter.map { "of \($0) " } ?? "")in \(dataDirectory)")
    }

    /// Ends the command when not all letters may be read, so that nobody takes them for none.
    func requireReadable() throws {
        if let refusal = DeadLetterFolder.refusal(dataDirectory) { throw Exit.failed(refusal) }
    }

    /// The letters, oldest first within each exporter.
    func letters() -> [(folder: DeadLetterFolder, entry: DeadLetterEntry)] {
        DeadLetterFolder.all(dataDirectory).flatMap { folder in
            folder.list().filter { exporter == nil || $0.exporter == exporter }.map { (folder, $0) }
        }
    }

    /// Those of which not even the beginning can be read, so that nobody knows their exporter.
    func damaged() -> [(folder: DeadLetterFolder, id: String, path: String, bytes: Int)] {
        guard exporter == nil else { return [] }
        return DeadLetterFolder.all(dataDirectory).flatMap { folder in
            folder.damaged().map { (folder, $0.id, $0.path, $0.bytes) }
        }
    }

    /// Those with one of the ids, or all. Ends the command when ids are missing.
    func letters(ids: [String], all: Bool) throws -> [(folder: DeadLetterFolder, entry: DeadLetterEntry)] {
        guard all != !ids.isEmpty else { throw Self.ambiguous }
        try requireReadable()
        let found = letters()
        if all {
            if found.isEmpty {
                damaged().isEmpty ? tellNone() : Terminal.error("only damaged letters, see `sluice dlq list`")
            }
            return found
        }
        let unknown = ids.filter { id in !found.contains { $0.entry.id == id } }
        guard unknown.isEmpty else {
            if let broken = damaged().first(where: { unknown.contains($0.id) }) {
                throw Exit.failed(
                    "the letter \(broken.id) is damaged; what is left of it is in \(broken.path), "
                        + "`sluice dlq drop \(broken.id)` removes it")
            }
            throw Exit.failed("there is no letter \(unknown.joined(separator: ", ")) in \(dataDirectory)")
        }
        return found.filter { ids.contains($0.entry.id) }
    }
}

struct ListLetters: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the letters.")
    @OptionGroup var selection: LetterSelection

    func run() throws {
        try selection.requireReadable()
        let letters = selection.letters()
        let damaged = selection.damaged()
        if letters.isEmpty { try Terminal.requireDataDirectory(selection.dataDirectory) }
        for (_, entry) in letters {
            let time = GatewayLogHandler.timestamp(seconds: Int(entry.time / 1_000_000_000))
            let state = entry.isWhole ? "" : "damaged, its request is not whole; "
            print(
                "\(entry.id)  \(time)  \(entry.exporter)  \(entry.itemCount) \(entry.signal.itemName)  "
                    + "\(entry.fileBytes) bytes  \(state)\(entry.cause.rawValue): \(entry.message)")
        }
        for letter in damaged { print("\(letter.id)  damaged  \(letter.bytes) bytes in \(letter.path)") }
        if letters.isEmpty, damaged.isEmpty { selection.tellNone() }
    }
}

struct ShowLetter: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Prints one letter: why it failed, and its request as OTLP JSON.")
    @OptionGroup var selection: LetterSelection

    @Flag(help: "Writes the request's protobuf bytes instead, as they would have been sent.")
    var raw = false

    @Argument(help: "Id of the letter, as `list` prints it.")
    var id: String

    func run() throws {
        for (folder, entry) in try selection.letters(ids: [id], all: false) {
            guard let letter = folder.read(entry.id) else {
                throw Exit.failed("the letter \(entry.id) is damaged")
            }
            if raw {
                Terminal.output(letter.bytes)
                continue
            }
            print("exporter: \(letter.exporter)\npipeline: \(letter.pipeline)\ncause: \(letter.cause.rawValue)")
            print("message: \(letter.message)\n\(letter.signal.itemName): \(letter.itemCount)")
            if !letter.tenant.isEmpty { print("tenant: \(letter.tenant)") }
            print(letter.requestJSON)
        }
    }
}

struct ReplayLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Sends letters to their exporters again; those that are taken are removed.",
        discussion: """
            Letters that are too large are sent in halves; of one that is taken in part the rest stays. What a backend \
            rejects in a partial success is not sent again.

            Uses the exporters of the given configuration, without their queues. Those that write files, and fallbacks \
            with one of them, need the gateway stopped: a file has one writer.

            A letter of a connector goes through the processors of the pipeline that did not take it, as they are in \
            the given configuration, to all exporters of that pipeline. Letters of those that do not take it, as it \
            came out of the processors, take its place. One whose pipeline gathers whole traces, turns cumulative \
            points into deltas or writes to another connector is not replayed: `show --raw` and `sluice send` bring \
            it to a receiver. Exit code 4: some failed again.
            """)
    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var selection: LetterSelection

    @Flag(help: "All letters.")
    var all = false

    @Argument(help: "Ids of letters, as `list` prints them.")
    var ids: [String] = []

    func run() async throws {
        guard let lock = ReplayLock(dataDirectory: selection.dataDirectory) else {
            throw Exit.failed(
                "another `sluice dlq replay` is sending the letters of \(selection.dataDirectory): wait until it has "
                    + "ended"
            )
        }
        defer { withExtendedLifetime(lock) {} }
        let letters = try selection.letters(ids: ids, all: all)
        let loaded = try options.load(dataDirectory: selection.dataDirectory)
        let replay = LetterReplay(plan: loaded.plan, dataDirectory: selection.dataDirectory)
        var failures = 0
        for (folder, entry) in letters {
            let outcome = if let letter = folder.read(entry.id) { await replay.send(letter) } else { damaged }
            if !settle(entry, outcome, folder) { failures += 1 }
        }
        await replay.end()
        if failures > 0 { throw Exit.rejected }
    }

    private var damaged: LetterOutcome { .failed("damaged") }

    /// Removes what is done and tells it. Whether all of it was taken.
    private func settle(_ entry: DeadLetterEntry, _ outcome: LetterOutcome, _ folder: DeadLetterFolder) -> Bool {
        let items = "of \(entry.itemCount) \(entry.signal.itemName)"
        switch outcome {
        case .done(0, let message):
            folder.remove(entry.id)
            print("\(entry.id): delivered\(message.isEmpty ? "" : ", with a warning: \(message)")")
            return true
        case .done(let rejected, let message):
            folder.remove(entry.id)
            let reason = message.isEmpty ? "" : ": \(message)"
            Terminal.error("\(entry.id): delivered, but \(rejected) \(items) were rejected and are lost\(reason)")
        case .filtered(let message):
            folder.remove(entry.id)
            print("\(entry.id): nothing to deliver: \(message)")
            return true
        case .left(let letters, let message):
            let failure = folder.replace(entry.id, with: letters)
            let fate = failure.map {
                "these cannot be written, so that the whole letter stays and another replay sends all of it: \($0)"
            }
            let left = Self.left(letters, entry)
            Terminal.error("\(entry.id): \(left) stay: \(message)\(fate.map { "; \($0)" } ?? "")")
        case .failed(let reason): Terminal.error("\(entry.id): \(reason)")
        }
        return false
    }

    /// How many records are left; of a connector's letter, for each exporter.
    private static func left(_ letters: [DeadLetter], _ entry: DeadLetterEntry) -> String {
        let counts = Dictionary(grouping: letters, by: \.exporter).mapValues { $0.reduce(0) { $0 + $1.itemCount } }
        let items = entry.signal.itemName
        if let count = counts[entry.exporter] { return "\(count) of \(entry.itemCount) \(items)" }
        return counts.sorted { $0.key < $1.key }.map { "\($0.value) \(items) for \($0.key)" }.joined(separator: ", ")
    }
}

struct DropLetters: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "drop", abstract: "Removes letters for good.")
    @OptionGroup var selection: LetterSelection

    @Flag(help: "All letters.")
    var all = false

    @Argument(help: "Ids of letters, as `list` prints them.")
    var ids: [String] = []

    func run() throws {
        guard all != !ids.isEmpty else { throw LetterSelection.ambiguous }
        try selection.requireReadable()
        let damaged = selection.damaged().filter { all || ids.contains($0.id) }
        let rest = ids.filter { id in !damaged.contains { $0.id == id } }
        var letters = damaged.map { ($0.folder, $0.id) }
        if damaged.isEmpty || !rest.isEmpty || all && !selection.letters().isEmpty {
            letters += try selection.letters(ids: rest, all: all).map { ($0.folder, $0.entry.id) }
        }
        for (folder, id) in letters where folder.remove(id) { print("\(id): dropped") }
        // With what a replay that was killed has left of them.
        _ = ReplayLock(dataDirectory: selection.dataDirectory)
    }
}
