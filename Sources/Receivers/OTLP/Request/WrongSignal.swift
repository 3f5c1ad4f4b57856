import Pipeline
import Telemetry

/// Recognizes a request of one signal that was sent to the path of another.
///
/// Without it such a request would be answered 200: the field numbers of the three requests overlap, and JSON keys that
/// a reader does not know are skipped. Only the first records of protobuf and the first bytes of JSON are looked at, so
/// that the cost is bounded; JSON that begins with another signal's key is gone through whole.
enum WrongSignal {
    /// The signal that a body holds instead of the one asked for, nil when it holds that or nothing can be said.
    static func found(
        in body: UnsafeRawBufferPointer, sentAs signal: Signal, encoding: WireEncoding
    ) -> Signal? {
        switch encoding {
        case .json: otherKey(in: body, sentAs: signal)
        case .protobuf: otherRecord(in: body, sentAs: signal)
        }
    }

    // MARK: JSON

    /// So many bytes are gone through for a first key.
    private static let scanMax = 64 << 10

    /// The signal of the first key of the top object that names one, nil when the signal asked for is named as well:
    /// then the others are names that its readers ignore.
    private static func otherKey(in body: UnsafeRawBufferPointer, sentAs signal: Signal) -> Signal? {
        var place = 0
        skipBlanks(body, &place)
        guard place < body.count, body[place] == UInt8(ascii: "{") else { return nil }
        var other: Signal?
        repeat {
            place += 1
            skipBlanks(body, &place)
            let rest = body[min(place, body.count)...]
            let named = Signal.allCases.first { rest.starts(with: key(of: $0)) }
            if named == signal { return nil }
            other = other ?? named
        } while skipMember(body, &place, end: other == nil ? min(body.count, scanMax) : body.count)
        return other
    }

    private static func key(of signal: Signal) -> String.UTF8View {
        switch signal {
        case .traces: "\"resourceSpans\"".utf8
        case .logs: "\"resourceLogs\"".utf8
        case .metrics: "\"resourceMetrics\"".utf8
        }
    }

    private static func skipBlanks(_ body: UnsafeRawBufferPointer, _ place: inout Int) {
        while place < body.count, [0x20, 0x09, 0x0A, 0x0D].contains(body[place]) { place += 1 }
    }

    /// Goes to the comma behind a member of an object; false when there is none before `end`.
    private static func skipMember(_ body: UnsafeRawBufferPointer, _ place: inout Int, end: Int) -> Bool {
        var depth = 0
        while place < end {
            switch body[place] {
            case UInt8(ascii: "\""):
                place += 1
                while place < end, body[place] != UInt8(ascii: "\"") {
                    place += body[place] == UInt8(ascii: "\\") ? 2 : 1
                }
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return false }
                depth -= 1
            case UInt8(ascii: ",") where depth == 0: return true
            default: break
            }
            place += 1
        }
        return false
    }

    // MARK: Protobuf

    /// How a field is written (protobuf encoding, "Message Structure").
    private enum Form: UInt8 {
        case varint = 0
        case fixed64 = 1
        case delimited = 2
        case fixed32 = 5
    }

    private struct Field {
        var number: UInt64
        var form: Form
        /// Bytes of a delimited field.
        var content: Range<Int>
    }

    /// Fields of a message that are read to tell the signals apart, and records of a scope; more say nothing new.
    private static let fieldsMax = 24
    private static let recordsMax = 8
    /// Fields of the request and its resources that are gone through for a scope with records.
    private static let envelopeFieldsMax = 256

    /// The signal that all of the first records are of, when none of them can be one of the signal asked for. A
    /// record that can is none of our business, however odd it is: refusing it would refuse valid data. Neither is one
    /// in which nothing shows the other signal, since a field in another form is one that the schema does not know.
    private static func otherRecord(in body: UnsafeRawBufferPointer, sentAs signal: Signal) -> Signal? {
        guard let scope = scopeWithRecords(in: body) else { return nil }
        // Most requests are seen to be what they were sent as on their first record, so these are made behind it.
        var others: [Signal]?
        var shown: [Signal] = []
        var place = scope.lowerBound
        var records = 0
        while records < recordsMax, place < scope.upperBound {
            guard let field = next(in: body, scope, &place) else { return nil }
            guard field.number == 2, field.form == .delimited else { continue }
            records += 1
            if allows(field.content, signal, in: body) != false { return nil }
            if signal == .metrics, holdsPoint(field.content, in: body) { return nil }
            let possible = (others ?? Signal.allCases.filter { $0 != signal }).filter {
                allows(field.content, $0, in: body) == true && !hasOddIDs(field.content, $0, in: body)
            }
            others = possible
            shown += possible.filter { shows(field.content, $0, in: body) }
        }
        guard let others, others.count == 1, shown.contains(others[0]) else { return nil }
        return others[0]
    }

    /// The first scope that has a record, nil when it is not among the first fields.
    private static func scopeWithRecords(in body: UnsafeRawBufferPointer) -> Range<Int>? {
        var left = envelopeFieldsMax
        var place = 0
        while left > 0, place < body.count {
            left -= 1
            guard let resource = next(in: body, 0..<body.count, &place) else { return nil }
            guard resource.number == 1, resource.form == .delimited else { continue }
            var inner = resource.content.lowerBound
            while left > 0, inner < resource.content.upperBound {
                left -= 1
                guard let scope = next(in: body, resource.content, &inner) else { return nil }
                guard scope.number == 2, scope.form == .delimited else { continue }
                if hasRecord(scope.content, in: body) { return scope.content }
            }
        }
        return nil
    }

    /// Whether one of a scope's first fields is a record.
    private static func hasRecord(_ scope: Range<Int>, in body: UnsafeRawBufferPointer) -> Bool {
        var hasRecord = false
        _ = eachField(of: scope, in: body) { field in
            hasRecord = hasRecord || (field.number == 2 && field.form == .delimited)
        }
        return hasRecord
    }

    /// Whether a record's first fields may be of this signal, nil when they are damaged.
    private static func allows(_ record: Range<Int>, _ signal: Signal, in body: UnsafeRawBufferPointer) -> Bool? {
        var allows = true
        let isIntact = eachField(of: record, in: body) { field in
            allows = allows && self.allows(field, signal, in: body)
        }
        return isIntact ? allows : nil
    }

    /// True when a record has what records of this signal hardly lack and others hardly have: both ids of a span, time,
    /// severity or trace of a log record, points of a metric. Texts where a metric has its name may as well be ids of a
    /// span that are wrong, which cost that span alone.
    private static func shows(_ record: Range<Int>, _ signal: Signal, in body: UnsafeRawBufferPointer) -> Bool {
        var (first, second) = (false, false)
        _ = eachField(of: record, in: body) { field in
            switch (signal, field.number, field.form) {
            case (.traces, 1, .delimited): first = first || field.content.count == 16
            case (.traces, 2, .delimited): second = second || field.content.count == 8
            case (.logs, 1, .fixed64), (.logs, 11, .fixed64), (.logs, 2, .varint): first = true
            case (.logs, 9, .delimited): first = first || field.content.count == 16
            case (.metrics, _, _): first = first || isPoints(field.number)
            default: break
            }
        }
        return first && (second || signal != .traces)
    }

    /// True when a record holds a metric's data with a point that has a time, whatever else is in them.
    private static func holdsPoint(_ record: Range<Int>, in body: UnsafeRawBufferPointer) -> Bool {
        var holds = false
        _ = eachField(of: record, in: body) { data in
            guard !holds, isPoints(data.number), data.form == .delimited else { return }
            _ = eachField(of: data.content, in: body) { point in
                guard !holds, point.number == 1, point.form == .delimited else { return }
                // Start and end have the same numbers in points of all kinds.
                _ = eachField(of: point.content, in: body) { field in
                    holds = holds || (2...3 ~= field.number && field.form == .fixed64)
                }
            }
        }
        return holds
    }

    /// Fields of a metric that hold its points: gauge, sum, histogram, exponential histogram, summary.
    private static func isPoints(_ number: UInt64) -> Bool { number == 5 || number == 7 || 9...11 ~= number }

    /// True when ids have lengths that a sender of this signal would not have given them.
    private static func hasOddIDs(_ record: Range<Int>, _ signal: Signal, in body: UnsafeRawBufferPointer) -> Bool {
        let first: UInt64 = signal == .logs ? 9 : 1
        var isOdd = false
        guard signal != .metrics else { return false }
        _ = eachField(of: record, in: body) { field in
            let count = field.content.count
            if field.number == first, count != 0, count != 16 { isOdd = true }
            if field.number == first + 1, count != 0, count != 8 { isOdd = true }
        }
        return isOdd
    }

    /// Runs `look` for the first fields of a message; false when they are damaged.
    private static func eachField(
        of message: Range<Int>, in body: UnsafeRawBufferPointer, _ look: (Field) -> Void
    ) -> Bool {
        var place = message.lowerBound
        for _ in 0..<fieldsMax where place < message.upperBound {
            guard let field = next(in: body, message, &place) else { return false }
            look(field)
        }
        return true
    }

    /// True when a record of this signal may have such a field: its number is written in this form and the reader would
    /// take its content, or the number is unknown.
    ///
    /// Spans and metrics write most fields alike. What tells them apart is that a span's ids have their lengths, but
    /// for single spans that are rejected one by one, that a metric's name is text, which ids hardly ever are, and that
    /// a metric's points are in a message.
    private static func allows(_ field: Field, _ signal: Signal, in body: UnsafeRawBufferPointer) -> Bool {
        let expected: Form?
        var isContent = true
        switch signal {
        case .traces:
            switch field.number {
            case 6, 10, 12, 14: expected = .varint
            case 7, 8: expected = .fixed64
            case 16: expected = .fixed32
            case ...15: expected = .delimited
            default: expected = nil
            }
            let count = field.content.count
            if field.number <= 2, count != 0, count != (field.number == 1 ? 16 : 8) { isContent = false }
        case .logs:
            switch field.number {
            case 2, 7: expected = .varint
            case 1, 11: expected = .fixed64
            case 8: expected = .fixed32
            case ...12: expected = .delimited
            default: expected = nil
            }
        case .metrics:
            expected = field.number <= 12 ? .delimited : nil
            switch field.number {
            case 1, 2, 3: isContent = Text(body)[field.content].isValidUTF8
            case let number where isPoints(number): isContent = isData(field.content, in: body)
            default: break
            }
        }
        return expected == nil || (expected == field.form && isContent)
    }

    /// True for a Gauge, Sum, … message: points 1, aggregation temporality 2, is monotonic 3. An empty one is valid.
    private static func isData(_ content: Range<Int>, in body: UnsafeRawBufferPointer) -> Bool {
        var isData = true
        let isIntact = eachField(of: content, in: body) { field in
            switch field.number {
            case 1: isData = isData && field.form == .delimited
            case 2, 3: isData = isData && field.form == .varint
            default: break
            }
        }
        return isIntact && isData
    }

    /// The field at `place`, which moves behind it; nil when it is damaged or a group.
    private static func next(in body: UnsafeRawBufferPointer, _ range: Range<Int>, _ place: inout Int) -> Field? {
        guard let tag = varint(in: body, range, &place), tag >> 3 > 0, let form = Form(rawValue: UInt8(tag & 7))
        else { return nil }
        var length: Int
        switch form {
        case .varint:
            guard varint(in: body, range, &place) != nil else { return nil }
            length = 0
        case .fixed64: length = 8
        case .fixed32: length = 4
        case .delimited:
            guard let told = varint(in: body, range, &place), told <= UInt64(range.upperBound - place) else {
                return nil
            }
            length = Int(told)
        }
        guard length <= range.upperBound - place else { return nil }
        let content = place..<(place + length)
        place += length
        return Field(number: tag >> 3, form: form, content: content)
    }

    private static func varint(in body: UnsafeRawBufferPointer, _ range: Range<Int>, _ place: inout Int) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 70, by: 7) {
            guard place < range.upperBound else { return nil }
            let byte = body[place]
            place += 1
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        return nil
    }
}
