import Configuration
import Connectors
import Foundation
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

/// A batch of spans from OTLP/JSON.
func batch(_ spans: [String], service: String = "shop") throws -> ExportBatch {
    var json = """
        {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"\(service)"}}]},\
        "scopeSpans":[{"spans":[\(spans.joined(separator: ","))]}]}]}
        """
    var output = ByteColumn()
    try json.withUTF8 {
        try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
    }
    return ExportBatch(signal: .traces, itemCount: spans.count, bytes: [UInt8](output.bytes))
}

/// A span of so many milliseconds with string and integer attributes.
func span(
    _ name: String, _ milliseconds: Int, kind: Int = 1, status: Int = 0, _ attributes: [String: Any] = [:]
) -> String {
    let list = attributes.sorted { $0.key < $1.key }.map { key, value in
        let text = value is Int ? "{\"intValue\":\(value)}" : "{\"stringValue\":\"\(value)\"}"
        return "{\"key\":\"\(key)\",\"value\":\(text)}"
    }
    return """
        {"traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef","name":"\(name)","kind":\(kind),\
        "status":{"code":\(status)},"startTimeUnixNano":"1000000000",\
        "endTimeUnixNano":"\(1_000_000_000 + milliseconds * 1_000_000)",\
        "attributes":[\(list.joined(separator: ","))]}
        """
}

func read<Options: ComponentOptions>(_ type: Options.Type, _ yaml: String) -> (options: Options, problems: [String]) {
    var problems = ConfigProblems()
    let loader = ConfigLoader(environment: ConfigEnvironment(variable: { _ in nil }, readFile: { _ in [] }))
    let tree = loader.load([.text(name: "test.yaml", yaml)], problems: &problems)
    let options = readOptions(type, node: tree, path: "connectors.test", problems: &problems)
    return (options, problems.all.map(\.message))
}

/// A clock that a test turns.
final class TestClock: Sendable {
    let time = Mutex<UInt64>(1_000)
    var now: UInt64 { time.withLock { $0 } }
    func set(_ value: UInt64) { time.withLock { $0 = value } }
}

func build(_ clock: TestClock = TestClock(), metrics: SelfMetrics = SelfMetrics()) -> ConnectorBuild {
    ConnectorBuild(
        metrics: metrics, id: "test", input: "traces", inputSignal: .traces,
        outputs: [ConnectorOutput(pipeline: "metrics", signal: .metrics)], now: { clock.now })
}

/// A point of a delivery: its metric, its attributes and its fields.
struct Point {
    var metric: String
    var attributes: [String: String]
    var fields: [String: Any]
    var temporality: Int
    var service: String

    func text(_ field: String) -> String { fields[field].map { "\($0)" } ?? "-" }
    func number(_ field: String) -> Double? { (fields[field] as? NSNumber)?.doubleValue ?? Double(text(field)) }
}

/// Reads a delivery through the JSON writer, whose own tests hold it against an oracle.
func points(_ delivery: ConnectorDelivery?) throws -> [Point] {
    let bytes = try #require(delivery).bytes
    var text = ByteColumn()
    bytes.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: .metrics, into: &text) }
    let root = try #require(try JSONSerialization.jsonObject(with: Data(text.bytes)) as? [String: Any])
    func list(_ parent: [String: Any], _ key: String) -> [[String: Any]] { parent[key] as? [[String: Any]] ?? [] }
    func strings(_ attributes: [[String: Any]]) -> [String: String] {
        Dictionary(
            attributes.map { attribute in
                let value = (attribute["value"] as? [String: Any])?.values.first
                return (attribute["key"] as? String ?? "", value.map { "\($0)" } ?? "")
            }, uniquingKeysWith: { $1 })
    }
    var result: [Point] = []
    for resource in list(root, "resourceMetrics") {
        let service = strings(list(resource["resource"] as? [String: Any] ?? [:], "attributes"))["service.name"] ?? ""
        for metric in list(resource, "scopeMetrics").flatMap({ list($0, "metrics") }) {
            let data = (metric["sum"] ?? metric["histogram"] ?? metric["exponentialHistogram"]) as? [String: Any] ?? [:]
            for point in list(data, "dataPoints") {
                result.append(
                    Point(
                        metric: metric["name"] as? String ?? "", attributes: strings(list(point, "attributes")),
                        fields: point, temporality: data["aggregationTemporality"] as? Int ?? 0, service: service))
            }
        }
    }
    return result
}
