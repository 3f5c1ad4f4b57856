import ArgumentParser
import Exporters
import Telemetry

struct Presets: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the vendor presets of otlp_http, with the defaults that each sets.")

    @Argument(help: "Only these presets.")
    var names: [String] = []

    func run() throws {
        for name in names where VendorPreset.named(name) == nil {
            throw Exit.failed("there is no preset \(name); `sluice presets` lists them all")
        }
        for preset in VendorPreset.all where names.isEmpty || names.contains(preset.name) {
            print(Presets.describe(preset))
        }
    }

    private static func describe(_ preset: VendorPreset) -> String {
        var lines = ["\(preset.name): \(preset.product)"]
        func add(_ name: String, _ value: String) {
            if !value.isEmpty { lines.append("    \(name.padding(to: 14))\(value)") }
        }
        for url in preset.templates { add("url", url) }
        if preset.templates.isEmpty { add("url", "give endpoint") }
        if preset.templates.contains(where: { $0.contains("{region}") }) { add("region", preset.region ?? "required") }
        add("signals", preset.signals.map { "\($0)" }.joined(separator: ", "))
        add("credential", preset.credentialText)
        for header in preset.requiredHeaders { add("header", "\(header.name): \(header.sentence) (required)") }
        for header in preset.fixedHeaders { add("header", "\(header.name): \(header.value)") }
        add("encoding", preset.encodings.map(\.rawValue).joined(separator: ", "))
        add("compression", preset.compression.rawValue)
        add("largest", preset.requestBodyMax.map { "\($0) bytes" } ?? "")
        add("retry", preset.retryOn.map { $0.map(String.init).joined(separator: ", ") } ?? "429, 502, 503, 504")
        add("oldest", preset.maxAge.map { "\($0.components.seconds / 60) minutes" } ?? "")
        add("dialect", preset.dialect)
        add("ai_only", preset.aiOnly ? "true" : "false")
        add("note", preset.note)
        add("source", preset.source)
        return lines.joined(separator: "\n")
    }
}
