import Exporters
import Glibc

/// Numbers and texts as people read them.
enum ShownText {
    /// UTC with milliseconds: `2026-11-26 10:15:00.123`.
    static func time(nanoseconds: Int64) -> String {
        var milliseconds = nanoseconds / 1_000_000
        if nanoseconds % 1_000_000 < 0 { milliseconds -= 1 }
        var seconds = time_t(milliseconds / 1_000)
        if milliseconds % 1_000 < 0 { seconds -= 1 }
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ value: Int, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let date = [(Int(parts.tm_year) + 1_900, 4), (Int(parts.tm_mon) + 1, 2), (Int(parts.tm_mday), 2)]
        let clock = [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)]
        let fraction = Int(milliseconds - Int64(seconds) * 1_000)
        return date.map { digits($0.0, $0.1) }.joined(separator: "-") + " "
            + clock.map { digits($0, 2) }.joined(separator: ":") + "." + digits(fraction, 3)
    }

    /// `250 µs`, `12 ms`, `1.5 s`, `3 m 20 s`.
    static func duration(milliseconds: Double) -> String {
        guard milliseconds.isFinite, milliseconds.magnitude < 1e12 else { return "\(milliseconds) ms" }
        switch milliseconds {
        case ..<1: return "\(Int((milliseconds * 1_000).rounded())) µs"
        case ..<1_000: return "\(Int(milliseconds.rounded())) ms"
        case ..<60_000: return decimal(milliseconds / 1_000, 2) + " s"
        default:
            let seconds = Int((milliseconds / 1_000).rounded())
            return "\(seconds / 60) m \(seconds % 60) s"
        }
    }

    /// At most `digits` decimals, no zeros at the end.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, value.magnitude < 1e12 else { return "\(value)" }
        let factor = (0..<digits).reduce(1.0) { factor, _ in factor * 10 }
        let scaled = Int64((value.magnitude * factor).rounded())
        let whole = scaled / Int64(factor)
        var fraction = String(scaled % Int64(factor))
        fraction = String(repeating: "0", count: digits - fraction.count) + fraction
        while fraction.last == "0" { fraction.removeLast() }
        let sign = value < 0 && scaled > 0 ? "-" : ""
        return sign + String(whole) + (fraction.isEmpty ? "" : "." + fraction)
    }

    /// Fit for a terminal: control characters escaped, cut to `limit` characters.
    static func safe(_ text: String, limit: Int) -> String { EscapedText.make(text, limit: limit) }
}
