import Configuration
import OTLP
import Pipeline
import Processors
import Telemetry

/// Options and requests written as YAML and OTLP/JSON.
enum RuleBench {
    /// Reads a component's options; `headlines` are the problems.
    static func options<Options: ComponentOptions>(
        _ type: Options.Type, _ yaml: String
    ) -> (options: Options, headlines: [String]) {
        var problems = ConfigProblems()
        let world = ConfigEnvironment(variable: { _ in nil }) { _ throws(ConfigReadFailure) in
            throw ConfigReadFailure(reason: "no such file")
        }
        let tree = ConfigLoader(environment: world).load(
            [.text(name: "c.yaml", yaml)], overrides: [], problems: &problems)
        let options = readOptions(type, node: tree, path: "x", problems: &problems)
        return (options, problems.all.map(ConfigProblems.headline))
    }

    static func request(_ json: String, _ signal: Signal = .traces) throws -> [UInt8] {
        var wire = ByteColumn()
        var text = json
        try text.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: signal, into: &wire)
        }
        return Array(wire.bytes)
    }

    static func json(_ bytes: [UInt8], _ signal: Signal = .traces) -> String {
        var output = ByteColumn()
        bytes.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: signal, into: &output) }
        return output.text.string
    }

    /// A span in short form.
    static func span(
        _ id: String, parent: String = "", trace: String = "0102030405060708090a0b0c0d0e0f10", name: String = "s",
        start: Int = 1, end: Int = 2, status: Int = 0, flags: Int = 0, state: String = "",
        attributes: [(String, String)] = [], events: [String] = []
    ) -> String {
        let pairs = attributes.map { "{\"key\":\"\($0.0)\",\"value\":\($0.1)}" }.joined(separator: ",")
        return """
            {"traceId":"\(trace)","spanId":"\(id)","parentSpanId":"\(parent)","name":"\(name)","flags":\(flags),
             "traceState":"\(state)","startTimeUnixNano":"\(start)","endTimeUnixNano":"\(end)",
             "status":{"code":\(status)},"attributes":[\(pairs)],"events":[\(events.joined(separator: ","))]}
            """
    }

    static func traces(_ spans: [String], resource: [(String, String)] = []) -> String {
        let pairs = resource.map { "{\"key\":\"\($0.0)\",\"value\":\($0.1)}" }.joined(separator: ",")
        return """
            {"resourceSpans":[{"resource":{"attributes":[\(pairs)]},"scopeSpans":[{"scope":{"name":"lib"},"spans":[
            \(spans.joined(separator: ","))]}]}]}
            """
    }
}
