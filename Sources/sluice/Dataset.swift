import ArgumentParser
import Exporters
import Gateway
import Telemetry

struct Dataset: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Builds, compares and counts datasets of agents' runs.",
        subcommands: [BuildDataset.self, CompareDatasets.self, CountDataset.self])

    /// Reads examples, or ends the command.
    static func read(_ path: String) throws -> [DatasetRecord] {
        do { return try DatasetFiles.read(path) } catch { throw Exit.failed("\(error)") }
    }
}

struct BuildDataset: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build", abstract: "Makes the next version of a dataset.",
        discussion: """
            Sources are files of the `dataset` exporter in the format jsonl, versions built before, or recorded \
            telemetry, which runs through the configuration as in `sluice replay`. Every example is in the result \
            once. A version is a folder v1, v2 … with a file per split and a manifest; what people wrote under \
            `expected` in the version before is carried over. When nothing differs, there is no new version.
            """)
    @OptionGroup var options: ConfigurationOptions

    @Option(help: "Folder of the versions.")
    var output: String

    @Option(help: "jsonl, openai_evals or csv; only jsonl can be read again.")
    var format = "jsonl"

    @Option(help: "Shares of the splits; sessions are never divided.")
    var splits = "train=0.8,validation=0.1,test=0.1"

    @Option(help: "Only examples with this finding. Repeatable.")
    var finding: [String] = []

    @Option(
        help: "For telemetry: an OTTL condition on spans of traces to take, instead of those with findings. Repeatable."
    )
    var condition: [String] = []

    @Argument(help: "Files of examples or of recorded telemetry.")
    var sources: [String]

    func run() throws {
        guard let format = DatasetFormat(rawValue: format) else {
            throw ValidationError("--format takes jsonl, openai_evals or csv, not \(format)")
        }
        guard let splits = DatasetSplits(text: splits) else {
            throw ValidationError("--splits takes names and shares that add up to 1, such as train=0.8,test=0.2")
        }
        var records: [DatasetRecord] = []
        var telemetry: [String] = []
        for source in sources {
            if DatasetFiles.holdsExamples(source) {
                records += try Dataset.read(source)
            } else {
                telemetry.append(source)
            }
        }
        if !telemetry.isEmpty { records += try examples(telemetry, splits) }
        if !finding.isEmpty {
            records = records.filter { record in record.findings.contains { finding.contains($0.name) } }
        }
        let manifest: DatasetManifest?
        do {
            manifest = try DatasetFiles.build(
                records, into: output, splits: splits, format: format,
                sources: sources.map { $0.split(separator: "/").last.map(String.init) ?? $0 })
        } catch {
            throw Exit.failed("\(error)")
        }
        guard let manifest else { return print("nothing differs from the newest version in \(output)") }
        print("\(output)/\(manifest.name): \(manifest.records.of("example")), version \(manifest.version)")
        for name in manifest.splits.keys.sorted() { print("  \(name): \(manifest.splits[name]?.records ?? 0)") }
    }

    private func examples(_ files: [String], _ splits: DatasetSplits) throws -> [DatasetRecord] {
        do {
            let inputs = try Recordings.read(files)
            var reader = try DatasetReader(DatasetSelection(findings: finding, conditions: condition), splits: splits)
            var records: [DatasetRecord] = []
            let outputs = try OfflineGateway(plan: options.load().plan).accepted(inputs)
            for output in outputs where output.signal == .traces {
                for request in output.requests { records += reader.records(request) ?? [] }
            }
            return records
        } catch let code as ExitCode { throw code } catch {
            throw Exit.failed("\(error)")
        }
    }
}

struct CompareDatasets: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Says what is different between two versions or files of examples.",
        discussion: "Exit code 5 when they differ.")

    @Argument(help: "The older one: a version's folder, or a file in the format jsonl.")
    var old: String

    @Argument(help: "The newer one.")
    var new: String

    func run() throws {
        let difference = DatasetFiles.difference(try Dataset.read(old), try Dataset.read(new))
        for record in difference.removed { print("- \(line(record))") }
        for record in difference.added { print("+ \(line(record))") }
        for (record, what) in difference.changed { print("~ \(line(record)): \(what.joined(separator: ", "))") }
        print(
            "\(difference.added.count) added, \(difference.removed.count) removed, \(difference.changed.count) changed")
        if !difference.isEmpty { throw Exit.expectation }
    }

    private func line(_ record: DatasetRecord) -> String {
        let names = Set(record.findings.map(\.name)).sorted().joined(separator: " ")
        return EscapedText.make("\(record.id) \(record.split) \(record.agent) \(names)")
    }
}

struct CountDataset: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stats", abstract: "Counts the examples of a dataset.")

    @Argument(help: "A folder of versions, one version, or a file in the format jsonl.")
    var path: String

    func run() throws {
        let records = try Dataset.read(path)
        let summary = DatasetFiles.summary(records)
        print("examples: \(summary.records), with an expected answer: \(summary.expected)")
        func list(_ title: String, _ counts: [String: Int]) {
            guard !counts.isEmpty else { return }
            print("\(title):")
            for (name, count) in counts.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
                print(EscapedText.make("  \(count)  \(name.isEmpty ? "(none)" : name)"))
            }
        }
        list("splits", summary.splits.mapValues(\.records))
        list("findings", summary.findings)
        list("agents", summary.agents)
        let calls = records.flatMap(\.toolNames)
        list("tool calls", Dictionary(calls.map { ($0, 1) }, uniquingKeysWith: +))
    }
}
