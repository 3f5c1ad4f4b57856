import Pipeline
import Telemetry

/// Recognizes a request of one signal that was sent to the path of another.
///
/// Without it such a request would be answered 200: the field numbers of the three requests overlap, and JSON keys that
/// a reader does not know are skipped. Only the first record is looked at, so the cost does not grow with the request.
enum WrongSignal {
    /// The signal that a body holds instead of the one asked for, nil when it holds that or nothing can be said.
    static func found(
        in body: UnsafeRawBufferPointer, sentAs signal: Signal, encoding: WireEncoding
    ) -> Signal? {
        switch encoding {
        case .json: firstKey(of: body).flatMap { $0 == signal ? nil : $0 }
        case .protobuf: otherRecord(in: body, sentAs: signal)
        }
    }

    // MARK: JSON

    /// The signal that the first key of the top object names.
    private static func firstKey(of body: UnsafeRawBufferPointer) -> Signal? {
        var place = 0
        func skipBlanks() {
            while place < body.count, [0x20, 0x09, 0x0A, 0x0D].contains(body[place]) { place += 1 }
        }
        skipBlanks()
        guard place < body.count, body[place] == UInt8(ascii: "{") else { return nil }
        place += 1
        skipBlanks()
        let rest = body[min(place, body.count)...]
        return Signal.allCases.first { signal in
            switch signal {
            case .traces: rest.starts(with: "\"resourceSpans\"".utf8)
            case .logs: rest.starts(with: "\"resourceLogs\"".utf8)
            case .metrics: rest.starts(with: "\"resourceMetrics\"".utf8)
            }
        }
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

    /// Fields of a record that are read to tell the signals apart; more say nothing new.
    private static let fieldsMax = 24

    private static func otherRecord(in body: UnsafeRawBufferPointer, sentAs signal: Signal) -> Signal? {
        guard let resource = first(1, in: body, 0..<body.count), let scope = first(2, in: body, resource),
            let record = first(2, in: body, scope)
        else { return nil }
        // As good as always; only what does not fit is worth comparing with the others.
        if fits(record, signal, in: body) != false { return nil }
        let others = Signal.allCases.filter { $0 != signal && fits(record, $0, in: body) == true }
        return others.count == 1 ? others[0] : nil
    }

    /// Whether a record's first fields may be of this signal, nil when they are damaged.
    private static func fits(_ record: Range<Int>, _ signal: Signal, in body: UnsafeRawBufferPointer) -> Bool? {
        var place = record.lowerBound
        var fits = true
        for _ in 0..<fieldsMax {
            guard place < record.upperBound else { break }
            guard let field = next(in: body, record, &place) else { return nil }
            fits = fits && matches(field, signal, in: body)
        }
        return fits
    }

    /// True when a record of this signal may have such a field: its number is written in this form, or is unknown.
    ///
    /// Spans and metrics write most fields alike. What tells them apart are the lengths of ids, and that a metric's
    /// points are a message whose first field is number 1.
    private static func matches(_ field: Field, _ signal: Signal, in body: UnsafeRawBufferPointer) -> Bool {
        let expected: Form?
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
            if field.number <= 2, count != 0, count != (field.number == 1 ? 16 : 8) { return false }
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
            case 5, 7, 9, 10, 11:
                guard let first = field.content.first, body[first] == 0x0A else { return false }
            default: break
            }
        }
        return expected == nil || expected == field.form
    }

    /// The content of the first delimited field of that number.
    private static func first(_ number: UInt64, in body: UnsafeRawBufferPointer, _ range: Range<Int>) -> Range<Int>? {
        var place = range.lowerBound
        for _ in 0..<fieldsMax {
            guard place < range.upperBound, let field = next(in: body, range, &place) else { return nil }
            if field.number == number, field.form == .delimited { return field.content }
        }
        return nil
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
