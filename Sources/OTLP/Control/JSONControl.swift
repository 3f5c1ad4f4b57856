import Telemetry

/// Writes control messages in OTLP/JSON.
enum JSONControl {
    static func exportResponse(signal: Signal, rejected: Int64, message: String) -> [UInt8] {
        guard rejected > 0 || !message.isEmpty else { return Array("{}".utf8) }
        var fields: [Field] = []
        if rejected > 0 { fields.append(Field(rejectedName(of: signal), .quoted(String(rejected)))) }
        if !message.isEmpty { fields.append(Field("errorMessage", .text(message))) }
        return Array(#"{"partialSuccess":"#.utf8) + object(fields) + [UInt8(ascii: "}")]
    }

    static func status(code: Int32, message: String) -> [UInt8] {
        var fields: [Field] = []
        if code != 0 { fields.append(Field("code", .number(String(code)))) }
        if !message.isEmpty { fields.append(Field("message", .text(message))) }
        return object(fields)
    }

    /// A member of an object: a name that needs no escapes, and a value.
    private struct Field {
        enum Value {
            case number(String)
            case quoted(String)
            case text(String)
        }

        let name: StaticString
        let value: Value

        init(_ name: StaticString, _ value: Value) {
            self.name = name
            self.value = value
        }
    }

    private static func rejectedName(of signal: Signal) -> StaticString {
        switch signal {
        case .traces: "rejectedSpans"
        case .logs: "rejectedLogRecords"
        case .metrics: "rejectedDataPoints"
        }
    }

    private static func object(_ fields: [Field]) -> [UInt8] {
        var out: [UInt8] = [UInt8(ascii: "{")]
        for (index, field) in fields.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            out.append(UInt8(ascii: "\""))
            field.name.withUTF8Buffer { out.append(contentsOf: $0) }
            out.append(contentsOf: "\":".utf8)
            switch field.value {
            case .number(let digits): out.append(contentsOf: digits.utf8)
            case .quoted(let digits):
                out.append(UInt8(ascii: "\""))
                out.append(contentsOf: digits.utf8)
                out.append(UInt8(ascii: "\""))
            case .text(let text): append(text, to: &out)
            }
        }
        out.append(UInt8(ascii: "}"))
        return out
    }

    /// A JSON string (RFC 8259, section 7). Ends early, between two characters, where the whole message would reach
    /// the size limit: escapes make a text up to six times as long.
    private static func append(_ text: String, to out: inout [UInt8]) {
        let limit = ControlMessages.sizeMax - ControlMessages.framingMax
        out.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            guard out.count < limit else { break }
            switch scalar {
            case "\"": out.append(contentsOf: #"\""#.utf8)
            case "\\": out.append(contentsOf: #"\\"#.utf8)
            case "\u{08}": out.append(contentsOf: #"\b"#.utf8)
            case "\u{0C}": out.append(contentsOf: #"\f"#.utf8)
            case "\n": out.append(contentsOf: #"\n"#.utf8)
            case "\r": out.append(contentsOf: #"\r"#.utf8)
            case "\t": out.append(contentsOf: #"\t"#.utf8)
            case "\u{00}"..."\u{1F}":
                out.append(contentsOf: scalar.value < 0x10 ? #"\u000"#.utf8 : #"\u00"#.utf8)
                out.append(contentsOf: String(scalar.value, radix: 16).utf8)
            default: out.append(contentsOf: scalar.utf8)
            }
        }
        out.append(UInt8(ascii: "\""))
    }
}
