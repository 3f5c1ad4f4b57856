import ArgumentParser
import Configuration
import Gateway
import Telemetry

struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs recorded telemetry through a configuration and prints the findings.",
        discussion: """
            Nothing is sent: the processors run as in the gateway, every trace is complete when the files end. With \
            --before, the same is done with another configuration, and only what differs is printed. With --expect, \
            a file of lines `PATTERN [SPAN NAME]` says which findings there must be, no more and no fewer; exit code 5 \
            when there are others. Files are Export requests in protobuf or JSON, or JSON lines of the file exporter.
            """)
    @OptionGroup var options: ConfigurationOptions

    @Option(help: "A configuration to compare with.")
    var before: String?

    @Option(help: "File of the expected findings.")
    var expect: String?

    @Argument(help: "Files with recorded telemetry.")
    var files: [String]

    func run() throws {
        var inputs: [OfflineInput] = []
        for file in files {
            do { inputs += try PayloadFile.read(file) } catch {
                Terminal.error("\(error)")
                throw Exit.rejected
            }
        }
        let now = try findings(of: options.load(), inputs)
        if let before {
            let loaded = LoadedConfiguration.load(files: [before], overrides: [])
            if loaded.problems.hasErrors {
                Terminal.error(loaded.problems.report())
                throw Exit.configuration
            }
            let old = try findings(of: loaded, inputs)
            for finding in old where !now.contains(finding) { print("- \(line(finding))") }
            for finding in now where !old.contains(finding) { print("+ \(line(finding))") }
            print("\(old.count) findings before, \(now.count) now")
        } else {
            for finding in now { print(line(finding)) }
            print("\(now.count) findings")
        }
        if let expect { try check(now, against: expect) }
    }

    private func findings(of loaded: LoadedConfiguration, _ inputs: [OfflineInput]) throws -> [FindingRecord] {
        let gateway: OfflineGateway
        do { gateway = try OfflineGateway(plan: loaded.plan) } catch {
            Terminal.error("sluice: \(error)")
            throw Exit.start
        }
        var found: Set<FindingRecord> = []
        for output in gateway.run(inputs) where output.signal == .traces {
            for refusal in output.refusals { Terminal.error("pipeline \(output.pipeline) refused: \(refusal)") }
            for request in output.requests { found.formUnion(FindingRecord.read(request)) }
        }
        return found.sorted()
    }

    private func line(_ finding: FindingRecord) -> String {
        let tier = finding.tier.isEmpty ? "" : " (\(finding.tier))"
        return TerminalText.escaped(
            "\(finding.trace) \(finding.span) \(finding.pattern)\(tier) on \(finding.spanName): \(finding.explanation)")
    }

    private func check(_ findings: [FindingRecord], against file: String) throws {
        let expected: [String]
        do { expected = try ExpectedFindings.read(file) } catch {
            Terminal.error("\(error)")
            throw Exit.rejected
        }
        let (missing, unexpected) = ExpectedFindings.compare(expected, findings)
        for line in missing { print("missing: \(line)") }
        for finding in unexpected { print("unexpected: \(line(finding))") }
        if !missing.isEmpty || !unexpected.isEmpty { throw Exit.expectation }
    }
}

/// Text from telemetry on a terminal: control characters are shown, not obeyed.
enum TerminalText {
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            if isControl {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
