package import Configuration
import OTTL

/// Which traces become examples.
package struct DatasetSelection: Sendable {
    /// Names of findings or evaluations; all when empty.
    package var findings: [String]
    package var tiers: [String]
    /// OTTL conditions; a trace is taken when one holds on one of its spans. With conditions, findings do not matter.
    package var conditions: [String]

    package init(findings: [String] = [], tiers: [String] = ["tag", "alert"], conditions: [String] = []) {
        self.findings = findings
        self.tiers = tiers
        self.conditions = conditions
    }

    init(_ settings: inout Settings) {
        findings = settings.strings(
            "findings", default: [], "Names of findings or evaluations that make a trace an example; all when empty.")
        tiers = settings.strings(
            "tiers", default: ["tag", "alert"], "Tiers of the findings that do: hint, tag, alert.")
        conditions = settings.strings(
            "conditions", default: [],
            "OTTL conditions on spans; a trace with a span that meets one is taken, whatever its findings are.")
        for tier in tiers where !["hint", "tag", "alert"].contains(tier) {
            settings.problem("\"\(tier)\" is no tier: hint, tag or alert", at: "tiers")
        }
        for condition in conditions { settings.check(condition: condition, .span, at: "conditions") }
    }
}

/// Options of `dataset`.
package struct DatasetOptions: ComponentOptions {
    package var helper: ExporterHelperOptions
    package var path: String
    package var format: DatasetFormat
    package var select: DatasetSelection
    package var splits: DatasetSplits
    package var maxValueBytes: Int
    package var rotation: RotationOptions?

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings)
        path = settings.requiredString(
            "path",
            "File that examples are added to; made with mode 0600, since it holds prompts. Relative paths lie in "
                + "the data directory.")
        format = settings.choice(
            "format", default: DatasetFormat.jsonl,
            "jsonl holds everything and can be read by sluice dataset; openai_evals and csv are for other tools.")
        select = settings.group("select", "Which traces become examples: those with findings.") {
            DatasetSelection(&$0)
        }
        maxValueBytes = settings.bytes(
            "max_value_bytes", default: 1 << 20, in: 1 << 10...16 << 20,
            "Longest attribute that is taken over; longer ones are missing in the example.")
        rotation = settings.optionalGroup("rotation", "Starts a new file when the current one is full.") {
            RotationOptions(&$0)
        }
        if settings.isPresent("dataset_url") || settings.isPresent("api_key") {
            settings.problem(
                "this exporter writes examples to a file; SentinelOne's, which the Collector has under the same name, "
                    + "is not here: send to it from a Collector behind `otlp`")
        }
        let value = settings.value(
            "splits",
            "Shares of the splits by name, adding up to 1; sessions are never divided. By default train 0.8, "
                + "validation 0.1, test 0.1.")
        splits = DatasetOptions.splits(value) ?? .usual
        if let value, value != .null, DatasetOptions.splits(value) == nil {
            settings.problem(
                "expects names and shares that add up to 1, such as {train: 0.8, test: 0.2}", at: "splits")
        }
    }

    private static func splits(_ value: ConfigValue?) -> DatasetSplits? {
        guard case .map(let members)? = value else { return nil }
        var shares: [(name: String, share: Double)] = []
        for (name, share) in members {
            switch share {
            case .int(let number): shares.append((name, Double(number)))
            case .double(let number): shares.append((name, number))
            default: return nil
            }
        }
        let splits = DatasetSplits(shares)
        return splits.isValid ? splits : nil
    }
}
