import ArgumentParser
import Exporters
import Gateway

struct Normalize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what the GenAI normalizer makes of recorded telemetry.",
        discussion: """
            Reads a request in protobuf or OTLP/JSON, or what the file exporter writes, and prints for every GenAI \
            span what the normalizer adds, changes and removes, and the rule of each: the dialect and the line of its \
            table.
            """)

    @Argument(help: "Files with spans or log records.")
    var files: [String]

    @Flag(name: .long, help: "Removes attributes that were carried over, as remove_originals does.")
    var removeOriginals = false

    @Option(name: .long, help: "Version of the conventions: semconv-1.36 ... semconv-1.41, genai-dev.")
    var profile = "genai-dev"

    @Option(name: .long, help: "Longest value that is printed whole, in characters.")
    var width = 120

    func run() throws {
        guard let report = NormalizeReport(removeOriginals: removeOriginals, profile: profile, width: width) else {
            throw ValidationError("there is no profile \"\(profile)\": \(NormalizeReport.profiles)")
        }
        let inputs = try Recordings.read(files)
        do {
            for line in try report.lines(inputs) { print(EscapedText.make(line)) }
        } catch { throw Exit.failed("\(error)") }
    }
}
