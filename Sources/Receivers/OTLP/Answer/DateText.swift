import Glibc

/// The value of a Date header (RFC 9110, 5.6.7 and 6.6.1), whose text is made once a second.
package struct DateText {
    /// Since 1970.
    private(set) var second = Int.min
    private var text = ""

    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    package init() {}

    /// The text for a second since 1970, by default the present one.
    package mutating func value(at second: Int = time(nil)) -> String {
        guard second != self.second else { return text }
        self.second = second
        text = Self.text(of: second)
        return text
    }

    /// Like "Sun, 06 Nov 1994 08:49:37 GMT".
    private static func text(of second: Int) -> String {
        var (second, parts) = (second, tm())
        // A time without a calendar date is left out by gmtime_r, which tells so by null.
        guard gmtime_r(&second, &parts) != nil else { return text(of: 0) }
        let day = twoDigits(parts.tm_mday)
        let time = [parts.tm_hour, parts.tm_min, parts.tm_sec].map(twoDigits).joined(separator: ":")
        let year = String(1900 + Int(parts.tm_year))
        return "\(days[Int(parts.tm_wday)]), \(day) \(months[Int(parts.tm_mon)]) \(year) \(time) GMT"
    }

    private static func twoDigits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
