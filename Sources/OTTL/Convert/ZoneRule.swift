import Telemetry

/// How clocks change every year, as POSIX writes it in TZ: `EST5EDT,M3.2.0,M11.1.0`.
struct ZoneRule: Sendable, Equatable {
    /// A day of the year and the second of that day.
    private struct Moment: Sendable, Equatable {
        enum Day: Sendable, Equatable {
            /// From 1, without the leap day.
            case julian(Int64)
            /// From 0, with it.
            case ordinal(Int64)
            /// The nth weekday of a month; 5 is the last one.
            case weekday(month: Int64, week: Int64, day: Int64)
        }

        var day: Day
        var second: Int64 = 7_200
    }

    private var standard: Int64 = 0
    private var summer: (offset: Int64, start: Moment, end: Moment)?

    static func == (one: ZoneRule, other: ZoneRule) -> Bool {
        one.standard == other.standard && one.summer?.offset == other.summer?.offset
            && one.summer?.start == other.summer?.start && one.summer?.end == other.summer?.end
    }

    /// Nil for what has not this form.
    init?(_ text: String) {
        var reader = Reader(rest: Substring(text))
        guard reader.name(), let west = reader.time() else { return nil }
        standard = -west
        if reader.rest.isEmpty { return }
        guard reader.name() else { return nil }
        var offset = standard + 3_600
        if let first = reader.rest.first, first != "," {
            guard let given = reader.time() else { return nil }
            offset = -given
        }
        guard reader.take(","), let start = reader.moment(), reader.take(","), let end = reader.moment(),
            reader.rest.isEmpty
        else { return nil }
        summer = (offset, start, end)
    }

    /// Seconds ahead of UTC at a moment in Unix seconds.
    func offset(at time: Int64) -> Int64 {
        guard let summer else { return standard }
        // Within the range of Unix nanoseconds, where the calendar works; later years repeat the last one's rule.
        let clamped = min(max(time, -9_000_000_000), 9_000_000_000)
        let year = CalendarTime(nanoseconds: (clamped + standard) * 1_000_000_000).year
        let start = ZoneRule.seconds(summer.start, year) - standard
        let end = ZoneRule.seconds(summer.end, year) - summer.offset
        let isSummer = start < end ? time >= start && time < end : time >= start || time < end
        return isSummer ? summer.offset : standard
    }

    /// Seconds since 1970 on the zone's clocks.
    private static func seconds(_ moment: Moment, _ year: Int64) -> Int64 {
        let days: Int64
        switch moment.day {
        case .julian(let day):
            let first = CalendarTime.days(year: year, month: 1, day: 1)
            let isLeap = CalendarTime.days(year: year + 1, month: 1, day: 1) - first == 366
            days = first + day - 1 + (isLeap && day >= 60 ? 1 : 0)
        case .ordinal(let day): days = CalendarTime.days(year: year, month: 1, day: 1) + day
        case .weekday(let month, let week, let day):
            let first = CalendarTime.days(year: year, month: month, day: 1)
            let next =
                month == 12
                ? CalendarTime.days(year: year + 1, month: 1, day: 1)
                : CalendarTime.days(year: year, month: month + 1, day: 1)
            // 1970-01-01 was a Thursday.
            let weekday = ((first + 4) % 7 + 7) % 7
            var found = first + (day - weekday + 7) % 7 + (week - 1) * 7
            while found >= next { found -= 7 }
            days = found
        }
        return days * 86_400 + moment.second
    }

    private struct Reader {
        var rest: Substring

        mutating func take(_ character: Character) -> Bool {
            guard rest.first == character else { return false }
            rest.removeFirst()
            return true
        }

        /// Letters, or anything between `<` and `>`.
        mutating func name() -> Bool {
            if take("<") {
                rest = rest.drop { $0 != ">" }
                return take(">")
            }
            let letters = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(letters.count)
            return letters.count >= 3
        }

        mutating func number(_ range: ClosedRange<Int64>) -> Int64? {
            let digits = rest.prefix { ("0"..."9").contains($0) }
            guard digits.count <= 4, let value = Int64(digits), range.contains(value) else { return nil }
            rest = rest.dropFirst(digits.count)
            return value
        }

        /// `[+-]hh[:mm[:ss]]` in seconds.
        mutating func time() -> Int64? {
            let isNegative = rest.first == "-"
            if isNegative || rest.first == "+" { rest.removeFirst() }
            guard let hours = number(0...167) else { return nil }
            var seconds = hours * 3_600
            for unit in [60, 1] as [Int64] where take(":") {
                guard let value = number(0...59) else { return nil }
                seconds += value * unit
            }
            return isNegative ? -seconds : seconds
        }

        mutating func moment() -> Moment? {
            var moment: Moment
            if take("M") {
                guard let month = number(1...12), take("."), let week = number(1...5), take("."),
                    let day = number(0...6)
                else { return nil }
                moment = Moment(day: .weekday(month: month, week: week, day: day))
            } else if take("J") {
                guard let day = number(1...365) else { return nil }
                moment = Moment(day: .julian(day))
            } else {
                guard let day = number(0...365) else { return nil }
                moment = Moment(day: .ordinal(day))
            }
            if take("/") {
                guard let second = time() else { return nil }
                moment.second = second
            }
            return moment
        }
    }
}
