import ArgumentParser
import Configuration
import Exporters
import Gateway
import Glibc
import Pipeline
import Query
import Telemetry

struct Replay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs recorded telemetry through a configuration, or into a gateway, and prints the findings.",
        discussion: """
            Nothing is sent: the processors run as in the gateway, every trace is complete when the files end. With \
            --before, the same is done with another configuration, and only what differs is printed. With --expect, \
            a file says which findings there must be, no more and no fewer; exit code 5 when there are others. It \
            holds `findings:` with a list of {pattern, span, tier, count}, or lines `PATTERN [SPAN NAME]`. Files are \
            Export requests in protobuf or JSON, or what the file exporter writes, as JSON lines or `format: proto`; \
            what is in protobuf are traces unless the file's name says logs or metrics. One that cannot be read, or \
            that a processor refuses, ends the command with exit code 1. The id of a trace takes it from the database \
            that `sluice trace` reads. With --to, all is sent to a running gateway instead, at most \
            --rate records in a second.
            """)
    @OptionGroup var options: ConfigurationOptions

    @Option(help: "A configuration to compare with.")
    var before: String?

    @Option(help: "File of the expected findings.")
    var expect: String?

    // A negative duration looks like an option.
    @Option(
        parsing: .unconditional,
        help: "Moves all times: now, so that the last record ends now, or by a duration such as 24h or -30m.")
    var shift: String?

    @Option(help: "Base URL of a receiver that all is sent to.")
    var to: String?

    @Option(help: "With --to: most spans, log records and points in a second; 0 for no limit.")
    var rate = 0

    @Option(help: "Database of the traces that are named. Default: that of the configuration's first sqlite exporter.")
    var db: String?

    @Option(help: "Folder of the databases for which the configuration names no other place.")
    var dataDirectory = LoadedConfiguration.dataDirectory

    @Argument(help: "Files with recorded telemetry, or ids of stored traces.")
    var recordings: [String]

    func validate() throws {
        if rate < 0 { throw ValidationError("--rate takes a number of records, not \(rate)") }
        if to != nil && (before != nil || expect != nil) {
            throw ValidationError("--to sends and finds nothing: --before and --expect go without it")
        }
        if let shift, shift != "now", Replay.nanoseconds(shift) == nil {
            throw ValidationError("--shift takes now or a duration such as 24h or -30m, not \(shift)")
        }
        if rate > 0 && to == nil { throw ValidationError("--rate limits what --to sends") }
    }

    func run() async throws {
        var inputs = try Recordings.read(recordings, stored: stored)
        if let shift { inputs = inputs.map(timeShift(shift, inputs).apply) }
        if let to { return try await send(inputs, to) }
        let now = try findings(of: options.load(trial: .chains), inputs)
        if let before {
            let loaded = LoadedConfiguration.load(files: [before], overrides: [])
            if loaded.problems.hasErrors {
                Terminal.error(loaded.problems.report())
                throw Exit.configuration
            }
            let old = try findings(of: loaded, inputs)
            for finding in old where !now.contains(finding) { print("- \(line(finding))") }
            for finding in now where !old.contains(finding) { print("+ \(line(finding))") }
            print("\(old.count.of("finding")) before, \(now.count) now")
        } else {
            for finding in now { print(line(finding)) }
            print(now.count.of("finding"))
        }
        if let expect { try check(now, against: expect) }
    }

    /// The stored trace whose id this is, when there is no file of that name.
    private func stored(_ recording: String) throws -> OfflineInput? {
        guard QueryDatabase.isTraceID(recording), access(recording, F_OK) != 0 else { return nil }
        let database = try QueryDatabase.open(db, of: options, dataDirectory: dataDirectory)
        return try PayloadFile.request(try database.request(recording))
    }

    private func findings(of loaded: LoadedConfiguration, _ inputs: [OfflineInput]) throws -> [FindingRecord] {
        let outputs: [OfflineOutput]
        do { outputs = try OfflineGateway(plan: loaded.plan).accepted(inputs) } catch { throw Exit.failed("\(error)") }
        var found: Set<FindingRecord> = []
        for request in outputs.filter({ $0.signal == .traces }).flatMap(\.requests) {
            found.formUnion(FindingRecord.read(request))
        }
        return found.sorted()
    }

    private func line(_ finding: FindingRecord) -> String {
        let tier = finding.tier.isEmpty ? "" : " (\(finding.tier))"
        return EscapedText.make(
            "\(finding.trace) \(finding.span) \(finding.pattern)\(tier) on \(finding.spanName): \(finding.explanation)")
    }

    /// What a duration, with a minus or without, moves times by.
    private static func nanoseconds(_ text: String) -> Int64? {
        let digits = text.hasPrefix("-") ? String(text.dropFirst()) : text
        guard let (seconds, attoseconds) = DurationText.parse(digits)?.components else { return nil }
        let amount = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        return text.hasPrefix("-") ? -amount : amount
    }

    private func timeShift(_ text: String, _ inputs: [OfflineInput]) -> TimeShift {
        if text == "now" {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            return TimeShift(inputs, to: UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec))
        }
        return TimeShift(amount: Replay.nanoseconds(text) ?? 0)
    }

    private func send(_ inputs: [OfflineInput], _ url: String) async throws {
        var pace = ReplayPace(perSecond: rate)
        let clock = ContinuousClock()
        let start = clock.now
        var sent = 0
        for input in inputs {
            let pause = pace.pause(before: input.recordCount, at: start.duration(to: clock.now))
            if pause > .zero { try await clock.sleep(for: pause) }
            let outcome = await PayloadSender.post(
                input.bytes, to: "\(url)/v1/\(input.signal)", signal: input.signal, isJSON: false)
            switch outcome {
            case .delivered, .partial, .committed: sent += input.recordCount
            case .retry(let reason, _), .permanent(let reason), .tooLarge(let reason), .refused(_, let reason, _),
                .refusedTogether(let reason), .unprocessed(let reason), .notYet(let reason, _):
                Terminal.error("\(url): \(reason)")
                throw Exit.rejected
            }
        }
        print("sent \(sent.of("record")) in \(inputs.count.of("request"))")
    }

    private func check(_ findings: [FindingRecord], against file: String) throws {
        let expected: [ExpectedFinding]
        do { expected = try ExpectedFindings.read(file) } catch { throw Exit.failed("\(error)") }
        let (missing, unexpected) = ExpectedFindings.compare(expected, findings)
        for one in missing { print("missing: \(one.line)") }
        for finding in unexpected { print("unexpected: \(line(finding))") }
        if !missing.isEmpty || !unexpected.isEmpty { throw Exit.expectation }
    }
}

/// When the next request of a replay may leave. A value, told what leaves and what time it is.
struct ReplayPace {
    let perSecond: Int
    private var free = Duration.zero

    init(perSecond: Int) { self.perSecond = perSecond }

    /// How long a request of so many records waits.
    mutating func pause(before records: Int, at time: Duration) -> Duration {
        guard perSecond > 0 else { return .zero }
        let begin = max(free, time)
        free = begin + .seconds(1) * (Double(records) / Double(perSecond))
        return begin - time
    }
}
