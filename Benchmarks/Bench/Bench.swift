import Foundation

/// `bench [--only PART]... [--rounds N] [--seconds S] [--runs N] [--check FILE]`: times and heap allocations of the
/// codec and the processors.
///
/// With `--check` it ends with 1 when a stage allocates more than the file of thresholds allows, or is not in it.
@main
struct Bench {
    static func main() throws {
        var measuring = Measuring()
        var thresholds: String?
        var arguments = CommandLine.arguments.dropFirst().makeIterator()
        while let argument = arguments.next() {
            switch (argument, arguments.next()) {
            case ("--only", let part?): measuring.only.append(part)
            case ("--rounds", let count?): measuring.rounds = max(1, Int(count) ?? 7)
            case ("--seconds", let seconds?): measuring.secondsPerRound = Double(seconds) ?? 0.02
            case ("--runs", let count?): measuring.runs = Int(count)
            case ("--check", let file?): thresholds = file
            default:
                print("bench: unknown argument \(argument); see Benchmarks/README.md")
                exit(64)
            }
        }
        let payloads = Payload.all() + (thresholds == nil ? Payload.dialects() : [])
        let results = measuring.run(payloads, Work(try Chain()))
        print("stage                       ns/span      MB/s   allocations/request")
        for result in results {
            let name = result.name.padding(toLength: 24, withPad: " ", startingAt: 0)
            print(
                name
                    + String(
                        format: "%11.1f%10.0f%22.2f", result.nanosecondsPerSpan, result.megabytesPerSecond,
                        result.allocationsPerRequest))
        }
        printRatios(results)
        if let thresholds, !(try passes(results, file: thresholds)) { exit(1) }
    }

    /// How many times as long as our own decoders the peers take.
    private static func printRatios(_ results: [Measurement]) {
        for (own, peer) in [("decode", "protobuf_c"), ("json_in", "json_decoder")] {
            for ours in results where ours.stage == own {
                guard let theirs = results.first(where: { $0.payload == ours.payload && $0.stage == peer }) else {
                    continue
                }
                let ratio = theirs.nanosecondsPerSpan / ours.nanosecondsPerSpan
                print("\(ours.payload): \(peer) takes \(String(format: "%.1f", ratio)) times as long as \(own)")
            }
        }
    }

    /// Compares with lines of name, tab, most allocations per request.
    private static func passes(_ results: [Measurement], file: String) throws -> Bool {
        let text = try String(contentsOfFile: file, encoding: .utf8)
        var limits: [String: Double] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let cells = line.split(separator: "\t")
            if cells.count == 2 { limits[String(cells[0])] = Double(cells[1]) }
        }
        var passes = true
        for result in results where !result.isPeer {
            guard let limit = limits[result.name] else {
                print("bench: \(result.name) has no line in \(file)")
                passes = false
                continue
            }
            if result.allocationsPerRequest > limit {
                print("bench: \(result.name) made \(result.allocationsPerRequest) allocations, more than \(limit)")
                passes = false
            }
        }
        return passes
    }
}
