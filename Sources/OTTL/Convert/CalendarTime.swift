import OTLP
import Telemetry

/// A moment in UTC by the proleptic Gregorian calendar.
struct CalendarTime {
    var year: Int64
    /// From 1.
    var month: Int64
    var day: Int64
    var hour: Int64
    var minute: Int64
    var second: Int64
    var nanosecond: Int64
    /// 0 is Sunday.
    var weekday: Int64

    init(nanoseconds: Int64) {
        let (seconds, rest) = CalendarTime.floored(nanoseconds, 1_000_000_000)
        let (days, ofDay) = CalendarTime.floored(seconds, 86_400)
        nanosecond = rest
        hour = ofDay / 3_600
        minute = ofDay / 60 % 60
        second = ofDay % 60
        weekday = CalendarTime.floored(days + 4, 7).rest
        // Days since 0000-03-01, in eras of 400 years, so that the leap day is the last of a year.
        let shifted = days + 719_468
        let (era, ofEra) = CalendarTime.floored(shifted, 146_097)
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * ofYear + 2) / 153
        day = ofYear - (153 * part + 2) / 5 + 1
        month = part < 10 ? part + 3 : part - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    private static func floored(_ value: Int64, _ by: Int64) -> (quotient: Int64, rest: Int64) {
        let (quotient, rest) = value.quotientAndRemainder(dividingBy: by)
        return rest < 0 ? (quotient - 1, rest + by) : (quotient, rest)
    }

    /// Days since 1970-01-01.
    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let (era, ofEra) = floored(shiftedYear, 400)
        let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
    }

    static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]
    static let weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

    /// Directives that stand for several others.
    static func expansion(_ directive: Character) -> String? {
        switch directive {
        case "D", "x": "%m/%d/%y"
        case "F": "%Y-%m-%d"
        case "T", "X": "%H:%M:%S"
        case "r": "%I:%M:%S %p"
        case "R": "%H:%M"
        case "c": "%a %b %d %H:%M:%S %Y"
        default: nil
        }
    }

    /// Appends the time by a ctime-like format. An unknown directive is written as it is.
    func append(format: String, to output: inout ByteColumn) {
        var rest = Substring(format)
        while let character = rest.popFirst() {
            guard character == "%", let directive = rest.popFirst() else {
                output.append(string: String(character))
                continue
            }
            append(directive, to: &output)
        }
    }

    private func append(_ directive: Character, to output: inout ByteColumn) {
        if let expansion = CalendarTime.expansion(directive) { return append(format: expansion, to: &output) }
        func number(_ value: Int64, _ width: Int, _ padding: Character = "0") {
            let digits = String(value)
            output.append(string: String(repeating: padding, count: max(0, width - digits.count)) + digits)
        }
        let hour12 = hour % 12 == 0 ? 12 : hour % 12
        switch directive {
        case "Y": number(year, 4)
        case "y": number(year % 100, 2)
        case "m": number(month, 2)
        case "o": number(month, 2, " ")
        case "q": number(month, 1)
        case "b", "h": output.append(string: String(CalendarTime.months[Int(month) - 1].prefix(3)))
        case "B": output.append(string: CalendarTime.months[Int(month) - 1])
        case "d": number(day, 2)
        case "e": number(day, 2, " ")
        case "g": number(day, 1)
        case "a": output.append(string: String(CalendarTime.weekdays[Int(weekday)].prefix(3)))
        case "A": output.append(string: CalendarTime.weekdays[Int(weekday)])
        case "H": number(hour, 2)
        case "I": number(hour12, 2)
        case "l": number(hour12, 1)
        case "p": output.append(hour < 12 ? "AM" : "PM")
        case "P": output.append(hour < 12 ? "am" : "pm")
        case "M": number(minute, 2)
        case "S": number(second, 2)
        case "L": number(nanosecond / 1_000_000, 3)
        case "f": number(nanosecond / 1_000, 6)
        case "s": number(nanosecond, 9)
        case "z": output.append("+0000")
        case "Z": output.append("UTC")
        case "i": output.append("+00")
        case "j": output.append("+00:00")
        case "k": output.append("+00:00:00")
        case "w": output.append("+000000")
        case "n": output.append("\n")
        case "t": output.append("\t")
        case "%": output.append("%")
        default: output.append(string: "%\(directive)")
        }
    }
}

/// Reads a time by a ctime-like format.
struct TimeParser {
    private var text: Substring
    private var year: Int64 = 1970
    private var month: Int64 = 1
    private var day: Int64 = 1
    private var hour: Int64 = 0
    private var minute: Int64 = 0
    private var second: Int64 = 0
    private var nanosecond: Int64 = 0
    private var isAfternoon: Bool?
    /// Seconds east of UTC, when the text says so.
    private var offset: Int64?
    /// An abbreviation in the text, such as EST.
    private var zoneName: String?
    /// Of texts that do not.
    private let zone: ZoneRules

    /// Unix nanoseconds, nil when the text does not have the format or the time does not fit.
    static func nanoseconds(_ text: String, format: String, in zone: ZoneRules = .utc) -> Int64? {
        var parser = TimeParser(text: Substring(text), zone: zone)
        let format = format.contains("%") ? format : GoLayout.format(format)
        guard parser.read(format), parser.text.isEmpty else { return nil }
        return parser.result
    }

    private init(text: Substring, zone: ZoneRules) {
        self.text = text
        self.zone = zone
    }

    private var result: Int64? {
        var hour = hour
        if let isAfternoon { hour = hour % 12 + (isAfternoon ? 12 : 0) }
        guard (1...12).contains(month), (1...31).contains(day), (0...23).contains(hour), (0...59).contains(minute),
            (0...59).contains(second), (0...9_999).contains(year)
        else { return nil }
        let days = CalendarTime.days(year: year, month: month, day: day)
        // A day that the month does not have would name another one.
        let (check, overflow) = (days * 86_400).multipliedReportingOverflow(by: 1_000_000_000)
        if overflow || CalendarTime(nanoseconds: check).month != month { return nil }
        let local = days * 86_400 + hour * 3_600 + minute * 60 + second
        let ahead = offset ?? zoneName.map { zone.offset(named: $0, atLocal: local) ?? TimeParser.offset(named: $0) }
        let seconds = ahead.map { local - $0 } ?? zone.unixSeconds(ofLocal: local)
        let (scaled, tooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = scaled.addingReportingOverflow(nanosecond)
        return tooLarge || carry ? nil : sum
    }

    private mutating func read(_ format: String) -> Bool {
        var rest = Substring(format)
        while let character = rest.popFirst() {
            if TimeParser.isMark(character), TimeParser.beginsFraction(rest) {
                rest.removeFirst(2)
                readFraction()
            } else if character == "%", let directive = rest.popFirst() {
                guard read(directive) else { return false }
            } else {
                guard text.first == character else { return false }
                text.removeFirst()
            }
        }
        return true
    }

    private mutating func read(_ directive: Character) -> Bool {
        if let expansion = CalendarTime.expansion(directive) { return read(expansion) }
        switch directive {
        case "Y": return number(4, into: \.year)
        case "y":
            guard number(2, into: \.year) else { return false }
            year += year < 69 ? 2_000 : 1_900
            return true
        case "m", "o", "q": return number(2, into: \.month)
        case "b", "h": return name(CalendarTime.months.map { String($0.prefix(3)) }) { $0.month = $1 + 1 }
        case "B": return name(CalendarTime.months) { $0.month = $1 + 1 }
        case "a": return name(CalendarTime.weekdays.map { String($0.prefix(3)) }) { _, _ in }
        case "A": return name(CalendarTime.weekdays) { _, _ in }
        case "d", "e", "g": return number(2, into: \.day)
        case "H", "I", "l": return number(2, into: \.hour)
        case "p", "P": return name(["am", "pm"]) { $0.isAfternoon = $1 == 1 }
        case "M": return number(2, into: \.minute)
        case "S":
            guard number(2, into: \.second) else { return false }
            readFraction()
            return true
        case "L": return fraction(3)
        case "f": return fraction(6)
        case "s": return fraction(9)
        case "z", "i", "j", "k", "w": return readZone()
        case "Z": return abbreviation()
        case "n": return literal("\n")
        case "t": return literal("\t")
        case "%": return literal("%")
        default: return false
        }
    }

    private mutating func literal(_ character: Character) -> Bool {
        guard text.first == character else { return false }
        text.removeFirst()
        return true
    }

    private mutating func number(_ digitsMax: Int, into field: WritableKeyPath<TimeParser, Int64>) -> Bool {
        while text.first == " " { text.removeFirst() }
        let digits = text.prefix(digitsMax).prefix { ("0"..."9").contains($0) }
        guard let value = Int64(digits) else { return false }
        text = text.dropFirst(digits.count)
        self[keyPath: field] = value
        return true
    }

    /// Whether a directive says something; other letters are a mistake.
    static func knows(_ directive: Character) -> Bool {
        "YymoqbhBaAdegHIlpPMSLfszijkwZnt%".contains(directive) || CalendarTime.expansion(directive) != nil
    }

    private static func isMark(_ character: Character) -> Bool { character == "." || character == "," }

    private static func beginsFraction(_ format: Substring) -> Bool {
        ["%L", "%f", "%s"].contains { format.hasPrefix($0) }
    }

    /// A point or comma and the fraction behind it, when they are there: behind seconds Go takes a fraction of any
    /// length, or none, whatever the layout asks for. Digits beyond nanoseconds do not count.
    private mutating func readFraction() {
        guard let mark = text.first, TimeParser.isMark(mark) else { return }
        let behind = text.dropFirst()
        guard let first = behind.first, ("0"..."9").contains(first) else { return }
        text = behind
        _ = fraction(9)
        text = text.drop { ("0"..."9").contains($0) }
    }

    /// Up to `digitsMax` digits of a fraction of a second.
    private mutating func fraction(_ digitsMax: Int) -> Bool {
        let digits = text.prefix(digitsMax).prefix { ("0"..."9").contains($0) }
        guard let value = Int64(digits + String(repeating: "0", count: 9 - digits.count)), !digits.isEmpty else {
            return false
        }
        text = text.dropFirst(digits.count)
        nanosecond = value
        return true
    }

    private mutating func name(_ names: [String], _ use: (inout TimeParser, Int64) -> Void) -> Bool {
        for (index, name) in names.enumerated() where text.lowercased().hasPrefix(name.lowercased()) {
            text = text.dropFirst(name.count)
            use(&self, Int64(index))
            return true
        }
        return false
    }

    /// Three to five capitals, or GMT and hours, which Go takes for the name of a zone.
    private mutating func abbreviation() -> Bool {
        var name = text.prefix(5).prefix { ("A"..."Z").contains($0) }
        if name == "GMT", let sign = text.dropFirst(3).first, sign == "+" || sign == "-" {
            name = text.prefix(4 + text.dropFirst(4).prefix(2).prefix { ("0"..."9").contains($0) }.count)
        }
        guard name.count >= 3 || name == "Z" else { return false }
        zoneName = String(name)
        text = text.dropFirst(name.count)
        return true
    }

    /// Abbreviations that the location does not know say nothing, as in Go, but for `GMT+2`.
    private static func offset(named name: String) -> Int64 {
        guard name.hasPrefix("GMT"), let hours = Int64(name.dropFirst(3)) else { return 0 }
        return hours * 3_600
    }

    /// `Z`, `+02`, `+0200`, `+02:00`, with seconds.
    private mutating func readZone() -> Bool {
        if text.first == "Z" {
            text.removeFirst()
            offset = 0
            return true
        }
        guard let sign = text.first, sign == "+" || sign == "-" else { return false }
        text.removeFirst()
        var parts: [Int64] = []
        while parts.count < 3 {
            if !parts.isEmpty, text.first == ":" { text.removeFirst() }
            let digits = text.prefix(2)
            guard digits.count == 2, let value = Int64(digits), value >= 0 else { break }
            parts.append(value)
            text = text.dropFirst(2)
        }
        guard let hours = parts.first else { return false }
        let total = hours * 3_600 + (parts.count > 1 ? parts[1] * 60 : 0) + (parts.count > 2 ? parts[2] : 0)
        offset = sign == "-" ? -total : total
        return true
    }
}

/// Go's layouts, which show the moment Mon Jan 2 15:04:05 2006, as ctime-like formats.
enum GoLayout {
    private static let parts: [(layout: String, format: String)] = [
        ("2006", "%Y"), ("January", "%B"), ("Jan", "%b"), ("Monday", "%A"), ("Mon", "%a"), ("MST", "%Z"),
        ("-07:00", "%j"), ("Z07:00", "%j"), ("-0700", "%z"), ("Z0700", "%z"), (".000000000", ".%s"),
        (".999999999", ".%s"), (".000000", ".%f"), (".999999", ".%f"), (".000", ".%L"), (".999", ".%L"), ("01", "%m"),
        ("02", "%d"), ("_2", "%e"), ("03", "%I"), ("04", "%M"), ("05", "%S"), ("06", "%y"), ("15", "%H"), ("PM", "%p"),
        ("pm", "%P"), ("1", "%q"), ("2", "%g"), ("3", "%l"),
    ]

    static func format(_ layout: String) -> String {
        var rest = Substring(layout)
        var result = ""
        while let first = rest.first {
            if let part = parts.first(where: { rest.hasPrefix($0.layout) }) {
                result += part.format
                rest = rest.dropFirst(part.layout.count)
            } else {
                result.append(first)
                rest = rest.dropFirst()
            }
        }
        return result
    }
}
