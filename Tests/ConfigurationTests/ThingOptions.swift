import Configuration

enum Mode: String, Sendable, CaseIterable {
    case fast
    case slow
    case veryCareful = "very_careful"
}

/// Options of each kind, for tests.
struct ThingOptions: ComponentOptions {
    let size: Int
    let name: String
    let isEnabled: Bool
    let ratio: Double
    let tags: [String]
    let retry: Duration?
    let wait: Duration
    let limit: Int
    let mode: Mode
    let key: Secret?
    let headers: [(key: String, value: Secret)]
    let labels: [(key: String, value: String)]
    let open: ConfigValue?
    let depth: Int
    let tls: Bool?
    let rules: [String]

    init(_ settings: inout Settings) {
        size = settings.int("size", default: 10, in: 1...1000, unit: "batches", "How many batches wait.")
        name = settings.string("name", default: "", "Name of the queue.")
        isEnabled = settings.bool("enabled", default: true, "Whether it waits at all.")
        ratio = settings.double("ratio", default: 12.5, in: 0...100, unit: "%", "Share kept.")
        tags = settings.strings("tags", default: ["a"], "Words.")
        retry = settings.optionalDuration("retry", in: .zero ... .seconds(60), "Pause.")
        wait = settings.duration(
            "wait", default: .seconds(5), in: .milliseconds(1) ... .seconds(86_400), "Longest wait.")
        limit = settings.bytes("limit", default: 64 << 20, in: 1...(1 << 30), "Largest body.")
        mode = settings.choice("mode", default: .fast, "How it works | or not.")
        key = settings.secret("key", "What opens the door.")
        headers = settings.secretMap("headers", "What is sent along.")
        labels = settings.stringMap("labels", "Words with values.")
        open = settings.value("open", "Anything.")
        depth = settings.group("nested", "More of it.") { nested in
            let depth = nested.int("depth", default: 1, in: 0...Int.max, "How deep.")
            nested.alias("deep", for: "depth")
            return depth
        }
        tls = settings.optionalGroup("tls", "Encryption.") { $0.bool("insecure", default: false, "Whether it is off.") }
        rules = settings.list("rules", "What to do.") { rule in
            rule.requiredString("action", "The deed.")
        }
        settings.accepted("legacy", "Nothing has needed it since.")
        settings.alias("max_size", for: "size")
        if size > 500, mode == .fast { settings.problem("is too large for the mode fast", at: "size") }
    }
}

/// Options that must be given.
struct RequiredOptions: ComponentOptions {
    let address: String
    let mode: Mode

    init(_ settings: inout Settings) {
        address = settings.requiredString("address", "Where to.")
        mode = settings.requiredChoice("mode", "How.")
    }
}
