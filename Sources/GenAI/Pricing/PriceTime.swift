import Telemetry

/// When a price holds: from a day on, at some hours of every day, or always. All in UTC.
package struct PriceTime: Sendable, Equatable {
    /// Seconds since 1970.
    var from: UInt64 = 0
    /// Seconds of the day; the end may lie before the start, which spans midnight.
    var start: UInt64 = 0
    var end = PriceTime.day

    private static let day: UInt64 = 86_400

    /// Whether it holds at a time in Unix nanoseconds.
    package func holds(_ nanoseconds: UInt64) -> Bool {
        let seconds = nanoseconds / 1_000_000_000
        guard seconds >= from else { return false }
        let hour = seconds % PriceTime.day
        return start <= end ? start <= hour && hour < end : hour >= start || hour < end
    }
}

extension PriceTime {
    /// genai-prices' constraints: `{start_date: "2025-06-01"}` and `{start_time: "16:30:00Z", end_time: "00:30:00Z"}`;
    /// nil for one that cannot be read, which then never holds.
    init?(_ constraint: JSONRef, _ tree: inout JSONTree) {
        guard tree.isObject(constraint) else { return }
        let date = tree.member(constraint, "start_date")
        let start = tree.member(constraint, "start_time")
        let end = tree.member(constraint, "end_time")
        guard date.exists || start.exists && end.exists else { return nil }
        if date.exists {
            guard let seconds = PriceTime.date(tree.string(date)) else { return nil }
            from = seconds
        }
        if start.exists {
            guard let first = PriceTime.clock(tree.string(start)), let last = PriceTime.clock(tree.string(end)) else {
                return nil
            }
            self.start = first
            self.end = last
        }
    }

    private static func date(_ text: Text) -> UInt64? {
        guard text.count == 10 else { return nil }
        var whole = text.string + "T00:00:00Z"
        return whole.withUTF8 { ISOTime.nanoseconds(Text(UnsafeRawBufferPointer($0))) }.map { $0 / 1_000_000_000 }
    }

    /// `HH:MM:SS` with or without a zone, which is UTC.
    private static func clock(_ text: Text) -> UInt64? {
        guard text.count >= 8, text[2] == UInt8(ascii: ":"), text[5] == UInt8(ascii: ":"),
            let hours = Number.integer(text[0..<2]), let minutes = Number.integer(text[3..<5]),
            let seconds = Number.integer(text[6..<8]), (0...24).contains(hours), (0...59).contains(minutes),
            (0...60).contains(seconds)
        else { return nil }
        return UInt64(hours * 3_600 + minutes * 60 + seconds)
    }
}
