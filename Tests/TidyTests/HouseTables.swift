/// A call that has a better one in this project.
struct BannedCall {
    var text: String
    var instead: String
    /// Where it is banned: beginnings of paths.
    var places: [String]
    /// Files and folders in there that may.
    var except: [String] = []

    func applies(to path: String) -> Bool {
        places.contains { path.hasPrefix($0) } && !except.contains { path.hasPrefix($0) }
    }

    /// Modules that work on each span: without Foundation, which is slow there and large in the binary.
    private static let dataPath = [
        "Sources/Telemetry/", "Sources/OTLP/", "Sources/Patterns/", "Sources/OTTL/", "Sources/Pipeline/",
        "Sources/Journal/",
    ]

    /// Files that give the rest its effects.
    static let effects = ["Sources/Exporters/Helper/WorkerEffects.swift"]

    static let all: [BannedCall] = [
        BannedCall(text: "try!", instead: "throw, or handle the error", places: ["Sources/", "Tests/"]),
        BannedCall(
            text: "fatalError(", instead: "return an error; only the executable may stop the process",
            places: ["Sources/"], except: ["Sources/sluice/"]),
        BannedCall(
            text: "Date()", instead: "take the time from the clock effect, so that a test can set it",
            places: ["Sources/"], except: effects),
        BannedCall(
            text: "Task.sleep", instead: "wait through the effects, so that a test need not wait",
            places: ["Sources/"], except: effects),
        BannedCall(
            text: "UUID()", instead: "take randomness from the effects, so that a seed repeats it",
            places: ["Sources/"], except: effects),
        BannedCall(
            text: "print(", instead: "log it, or return it; only the executable and the debug exporter print",
            places: ["Sources/"], except: ["Sources/sluice/", "Sources/Exporters/Debug"]),
        BannedCall(text: "import Foundation", instead: "use Glibc and the standard library", places: dataPath),
        BannedCall(
            text: "import FoundationEssentials", instead: "use Glibc and the standard library", places: dataPath),
    ]
}

/// Who may import whom. A picture of the layers in ARCHITECTURE.md; Package.swift says the same to the compiler, which
/// does not see the modules of the system.
enum ImportTable {
    /// Parts of the language and the C library.
    static let everywhere: Set<String> = ["Glibc", "Synchronization"]

    static let modules: [String: Set<String>] = [
        "Telemetry": ["CSupport"],
        "OTLP": ["Telemetry", "COTLP", "CProtobufC", "CSupport"],
        "Configuration": ["Yams", "FoundationEssentials"],
        "Pipeline": ["Telemetry", "OTLP", "Configuration"],
        "GenAI": ["Telemetry", "CSupport", "CGenAITables", "Yams", "FoundationEssentials"],
        "Patterns": ["Telemetry", "CPCRE2"],
        "OTTL": ["Patterns", "Telemetry", "OTLP", "Configuration", "CSupport", "Crypto"],
        "Journal": ["Pipeline", "Telemetry", "CSupport"],
        "Processors": [
            "OTTL", "Patterns", "Pipeline", "Telemetry", "OTLP", "Configuration", "GenAI", "CSupport", "Crypto",
            "FoundationEssentials",
        ],
        "Receivers": [
            "Pipeline", "Telemetry", "OTLP", "Configuration", "CCrypt", "CDeflate", "CZstd", "CSnappy", "CLZ4",
            "CSupport",
            "Logging", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOTLS", "NIOSSL", "NIOHTTP2", "NIOHPACK", "Crypto",
            "FoundationEssentials",
        ],
        "Exporters": [
            "Pipeline", "Telemetry", "OTLP", "OTTL", "GenAI", "Configuration", "CCurl", "CDeflate", "CISAL",
            "CPostgres", "CZstd", "CSnappy", "CLZ4", "CSupport", "Crypto", "CryptoExtras", "Logging", "GRDB",
            "GRDBSQLite", "Dispatch",
            "FoundationEssentials",
        ],
        "Connectors": [
            "OTTL", "GenAI", "Exporters", "Pipeline", "Telemetry", "OTLP", "Configuration", "Crypto",
            "FoundationEssentials",
        ],
        "Query": ["Exporters", "Pipeline", "GRDB", "FoundationEssentials"],
        "Gateway": [
            "Receivers", "Processors", "Exporters", "Connectors", "Journal", "Pipeline", "Telemetry", "OTLP",
            "Configuration", "CSupport",
            "GenAI",
            "Logging", "NIOCore", "NIOPosix", "NIOHTTP1", "Foundation", "FoundationEssentials", "Dispatch",
        ],
        "sluice": [
            "Gateway", "Configuration", "Exporters", "Pipeline", "Query", "Telemetry", "Logging", "ArgumentParser",
            "Dispatch", "FoundationEssentials",
        ],
        "TestSupport": [
            "Pipeline", "Telemetry", "OTLP", "Configuration", "Journal", "COTLP", "CProtobufC", "CChildProcess",
            "Testing",
            "Foundation",
        ],
    ]

    private static let leads: Set<Substring> = ["package", "internal", "private", "fileprivate", "public"]
    private static let kinds: Set<Substring> = [
        "struct", "class", "enum", "protocol", "func", "var", "let", "typealias", "actor",
    ]

    /// The module that a line of blanked code imports.
    static func importedModule(in line: String) -> String? {
        var words = line.split(separator: " ")[...]
        words = words.drop { $0.hasPrefix("@") || leads.contains($0) }
        guard words.first == "import" else { return nil }
        words = words.dropFirst().drop { kinds.contains($0) }
        return words.first?.split(separator: ".").first.map(String.init)
    }
}

/// A place where a rule does not hold, and why.
struct RuleException {
    var rule: String
    /// Beginning of the paths that are meant.
    var path: String
    /// Part of the finding's text; empty for all.
    var about = ""
    var reason: String

    func covers(_ finding: Finding, of rule: Rule) -> Bool {
        rule.name == self.rule && finding.path.hasPrefix(path) && (about.isEmpty || finding.message.contains(about))
    }

    static let all: [RuleException] = [
        RuleException(
            rule: "open end", path: "Tests/TidyTests/", reason: "the rule and its canary must name what they look for"),
        RuleException(
            rule: "machine path", path: "Tests/TidyTests/",
            reason: "the rule and its canary must name what they look for"),
    ]
}
