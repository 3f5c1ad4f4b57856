import ArgumentParser
import Exporters
import Glibc
import Pipeline
import Telemetry

struct Send: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Posts recorded OTLP payloads to an endpoint.",
        discussion: """
            The signal is read from the file's name (traces, logs, metrics), the encoding from its ending (.json is \
            JSON, all else protobuf).
            """)

    @Option(help: "Base URL of the receiver.")
    var endpoint = "http://127.0.0.1:4318"

    @Argument(help: "Files that hold one Export request each.")
    var files: [String]

    func run() async throws {
        var failures = 0
        var unread = 0
        for file in files {
            guard let bytes = Send.read(file) else {
                Terminal.error("\(file): \(String(cString: strerror(errno)))")
                unread += 1
                continue
            }
            let name = file.split(separator: "/").last.map(String.init) ?? file
            let signal = Signal.allCases.first { name.contains($0.description) } ?? .traces
            let outcome = await PayloadSender.post(
                bytes, to: "\(endpoint)/v1/\(signal)", signal: signal, isJSON: name.hasSuffix(".json"))
            switch outcome {
            case .delivered, .committed: print("\(file): accepted")
            case .refused(let records, let message, _):
                Terminal.error("\(file): \(records.count) records refused: \(message)")
                failures += 1
            case .partial(let rejected, let message):
                Terminal.error("\(file): \(rejected) records rejected: \(message)")
                failures += 1
            case .retry(let reason, _), .notYet(let reason, _), .tooLarge(let reason), .permanent(let reason),
                .refusedTogether(let reason), .unprocessed(let reason):
                Terminal.error("\(file): \(reason)")
                failures += 1
            }
        }
        if failures > 0 { throw Exit.rejected }
        if unread > 0 { throw Exit.failure }
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return ferror(file) == 0 ? bytes : nil }
            bytes += chunk[..<count]
        }
    }
}
