package import Configuration
import Glibc
package import Logging
package import Pipeline

/// The gateway's log: one line per record on standard error, as text or as JSON. Control characters of values are
/// escaped, so that telemetry cannot forge lines or move a terminal's cursor. Words of destinations are left out but at
/// debug level, see `QuotedWords`. Logging never blocks, see `LogWriter`.
package struct GatewayLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level
    package var isJSON: Bool
    private let writer: LogWriter
    private let now: @Sendable () -> String

    package init(
        level: Logger.Level, isJSON: Bool, writer: LogWriter = .standardError,
        now: @escaping @Sendable () -> String = GatewayLogHandler.timestamp
    ) {
        logLevel = level
        self.isJSON = isJSON
        self.writer = writer
        self.now = now
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        write(event.level, "\(event.message)", metadata.merging(event.metadata ?? [:]) { $1 })
    }

    private func write(_ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata) {
        let message = logLevel > .debug ? QuotedWords.leaveOut(message) : message
        let (isJSON, now) = (isJSON, now)
        writer.write(Self.line(level, message, metadata, isJSON: isJSON, now: now)) { lost in
            Self.line(
                .warning, "\(lost) lines of the log were lost: nobody read it", [:], isJSON: isJSON, now: now)
        }
    }

    /// One line with its end.
    private static func line(
        _ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata, isJSON: Bool, now: () -> String
    ) -> [UInt8] {
        let fields = metadata.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") }
        var line: String
        if isJSON {
            line = "{\"ts\":\"\(now())\",\"level\":\"\(level)\",\"msg\":\(GatewayLogHandler.quote(message))"
            for (key, value) in fields {
                line += ",\(GatewayLogHandler.quote(key)):\(GatewayLogHandler.quote(value))"
            }
            line += "}\n"
        } else {
            line = "\(now())\t\(level)\t\(GatewayLogHandler.escape(message))"
            for (key, value) in fields { line += "\t\(key)=\(GatewayLogHandler.escape(value))" }
            line += "\n"
        }
        return Array(line.utf8)
    }

    private static func quote(_ text: String) -> String { "\"\(escape(text, quotes: true))\"" }

    private static func escape(_ text: String, quotes: Bool = false) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(4_000) {
            switch scalar {
            case "\"" where quotes: result += "\\\""
            case "\\" where quotes: result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default:
                if scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format {
                    let hex = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: max(0, 4 - hex.count)) + hex
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result
    }

    /// Now as RFC 3339 in UTC with milliseconds.
    @Sendable
    package static func timestamp() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return timestamp(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
    }

    /// A Unix time as RFC 3339 in UTC with milliseconds.
    package static func timestamp(seconds: Int, milliseconds: Int = 0) -> String {
        var seconds = seconds
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func pad(_ number: Int, _ width: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let date = "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2))"
        let clock = "\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
        return "\(date)T\(clock).\(pad(milliseconds, 3))Z"
    }
}

extension Logger {
    /// The gateway's logger as `service.telemetry.logs` asks for it.
    package static func gateway(_ telemetry: TelemetryConfiguration) -> Logger {
        let level: Logger.Level =
            switch telemetry.logLevel {
            case .debug: .debug
            case .info: .info
            case .warn: .warning
            case .error, .dpanic, .panic, .fatal: .error
            }
        let isJSON = telemetry.logEncoding == .json
        return Logger(label: "sluice") { _ in GatewayLogHandler(level: level, isJSON: isJSON) }
    }

    /// A line of a component, at its own level.
    package func line(_ level: Pipeline.LogLevel, _ message: String) {
        switch level {
        case .debug: debug("\(message)")
        case .info: info("\(message)")
        case .warn: warning("\(message)")
        case .error: error("\(message)")
        }
    }
}
