import CSupport
import Glibc
import Telemetry

/// A JSON number as it stands in the text.
struct NumberText {
    var range: Range<Int>
    var isInteger: Bool
}

extension OTLPJSONReader {
    // MARK: Scalars

    /// One value in its protobuf form, without tag.
    mutating func packedValue(_ field: SchemaField, _ output: inout ByteColumn) throws(DecodeFailure) {
        let (start, count) = (at, output.count)
        do throws(DecodeFailure) { try plainValue(field, &output) } catch {
            guard start < json.count, json[start] == UInt8(ascii: "\""), hasEscape(start + 1) else { throw error }
            (at, output.count) = (start + 1, count)
            try unescaped(.wrongType) { reader throws(DecodeFailure) in
                reader.at = 0
                try reader.plainValue(field, &output)
            }
        }
    }

    private mutating func plainValue(_ field: SchemaField, _ output: inout ByteColumn) throws(DecodeFailure) {
        switch field.form {
        case .bool:
            if peek() == UInt8(ascii: "t") {
                try literal("true")
                output.append(1 as UInt8)
            } else if peek() == UInt8(ascii: "f") {
                try literal("false")
                output.append(0 as UInt8)
            } else {
                throw DecodeFailure(.wrongType, at: at, "true or false is expected")
            }
        case .double: output.append(littleEndian: try double().bitPattern)
        case .int32: output.appendVarint(UInt64(bitPattern: try signed(Int64(Int32.min)...Int64(Int32.max))))
        case .enumeration:
            output.appendVarint(UInt64(bitPattern: try enumeration(field)))
        case .sint32:
            let value = try signed(Int64(Int32.min)...Int64(Int32.max))
            output.appendVarint(UInt64(bitPattern: (value << 1) ^ (value >> 63)) & 0xFFFF_FFFF)
        case .int64: output.appendVarint(UInt64(bitPattern: try signed(Int64.min...Int64.max)))
        case .uint32: output.appendVarint(try unsigned(UInt64(UInt32.max)))
        case .uint64: output.appendVarint(try unsigned(UInt64.max))
        case .fixed32: output.append(littleEndian: UInt32(truncatingIfNeeded: try unsigned(UInt64(UInt32.max))))
        case .fixed64: output.append(littleEndian: try unsigned(UInt64.max))
        case .sfixed64: output.append(littleEndian: try signed(Int64.min...Int64.max))
        case .message, .string, .identifier, .bytes: throw DecodeFailure(.wrongType, at: at)
        }
    }

    /// The extent of a JSON number, checked against JSON's grammar.
    mutating func number() throws(DecodeFailure) -> NumberText {
        let start = at
        _ = take(UInt8(ascii: "-"))
        let first = peek()
        guard first >= 0x30 && first <= 0x39 else { throw DecodeFailure(.wrongType, at: start, "a number is expected") }
        at += 1
        if first != 0x30 { digits() }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            guard digits() > 0 else { throw DecodeFailure(.syntax, at: at, "digits are expected behind the point") }
        }
        if peek() | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            at += 1
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard digits() > 0 else { throw DecodeFailure(.syntax, at: at, "an exponent is expected") }
        }
        return NumberText(range: start..<at, isInteger: isInteger)
    }

    @discardableResult
    private mutating func digits() -> Int {
        let start = at
        while at < json.count, json[at] >= 0x30, json[at] <= 0x39 { at &+= 1 }
        return at - start
    }

    /// A number that may stand in quotes.
    private mutating func quotedNumber() throws(DecodeFailure) -> NumberText {
        guard take(UInt8(ascii: "\"")) else { return try number() }
        let found = try number()
        try expect(UInt8(ascii: "\""), "a decimal number and its closing quote are expected", .wrongType)
        return found
    }

    private mutating func signed(_ bounds: ClosedRange<Int64>) throws(DecodeFailure) -> Int64 {
        let start = at
        if let (value, end) = plainNumber(at), value <= UInt64(bounds.upperBound) {
            at = end
            return Int64(value)
        }
        let found = try quotedNumber()
        let isNegative = json[found.range.lowerBound] == UInt8(ascii: "-")
        let magnitude = try self.magnitude(found)
        let value: Int64
        if isNegative {
            guard magnitude <= UInt64(Int64.max) + 1 else { throw DecodeFailure(.outOfRange, at: start) }
            value = Int64(truncatingIfNeeded: 0 &- magnitude)
        } else {
            guard magnitude <= UInt64(Int64.max) else { throw DecodeFailure(.outOfRange, at: start) }
            value = Int64(magnitude)
        }
        guard bounds.contains(value) else { throw DecodeFailure(.outOfRange, at: start) }
        return value
    }

    private mutating func unsigned(_ limit: UInt64) throws(DecodeFailure) -> UInt64 {
        let start = at
        if let (value, end) = plainNumber(at), value <= limit {
            at = end
            return value
        }
        let found = try quotedNumber()
        let value = try magnitude(found)
        let isNegative = json[found.range.lowerBound] == UInt8(ascii: "-")
        guard value <= limit, !isNegative || value == 0 else { throw DecodeFailure(.outOfRange, at: start) }
        return value
    }

    /// An integer in its usual spelling, and where it ends: 1 to 19 digits without sign or leading zero, in quotes or
    /// not. A longer one, or one with a point or an exponent, is for the general way.
    @inline(__always)
    func plainNumber(_ start: Int) -> (value: UInt64, end: Int)? {
        guard start < json.count else { return nil }
        let isQuoted = json[start] == UInt8(ascii: "\"")
        let first = isQuoted ? start &+ 1 : start
        var value: UInt64 = 0
        let digits = json.start.assumingMemoryBound(to: UInt8.self) + first
        let end = first &+ sluice_digits(digits, json.count &- first, &value)
        guard end > first, end < json.count, json[first] != 0x30 || end == first &+ 1 else { return nil }
        switch json[end] {
        case UInt8(ascii: "\""): return isQuoted ? (value, end &+ 1) : nil
        case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), 0x20, 0x0A, 0x0D, 0x09:
            return isQuoted ? nil : (value, end)
        default: return nil
        }
    }

    /// A double in its usual spelling, not in quotes, and where it ends.
    @inline(__always)
    func plainDouble(_ start: Int) -> (value: Double, end: Int)? {
        var value = 0.0
        let text = json.start.assumingMemoryBound(to: UInt8.self) + start
        let count = sluice_json_double(text, json.count &- start, &value)
        return count > 0 ? (value, start &+ count) : nil
    }

    /// The absolute value of a number that must be integral, whatever its spelling (`1e3`, `5.0`).
    private func magnitude(_ found: NumberText) throws(DecodeFailure) -> UInt64 {
        var index = found.range.lowerBound
        if json[index] == UInt8(ascii: "-") { index += 1 }
        if found.isInteger {
            var value: UInt64 = 0
            while index < found.range.upperBound {
                let (scaled, first) = value.multipliedReportingOverflow(by: 10)
                let (sum, second) = scaled.addingReportingOverflow(UInt64(json[index] &- 0x30))
                if first || second { throw DecodeFailure(.outOfRange, at: index) }
                value = sum
                index += 1
            }
            return value
        }
        return try integralMagnitude(found)
    }

    /// The same for spellings with a point or an exponent, exactly: no way through a double.
    private func integralMagnitude(_ found: NumberText) throws(DecodeFailure) -> UInt64 {
        let failure = DecodeFailure(.outOfRange, at: found.range.lowerBound, "an integer is expected")
        var digits = 0
        var digitsBeforePoint: Int?
        var end = found.range.lowerBound
        while end < found.range.upperBound, json[end] | 0x20 != UInt8(ascii: "e") {
            if json[end] == UInt8(ascii: ".") { digitsBeforePoint = digits }
            if json[end] >= 0x30 { digits += 1 }
            end += 1
        }
        // Exponents are not counted beyond that.
        guard digits < Self.exponentMax else { throw failure }
        // How many digits stand before the point once the exponent is applied.
        let integral = (digitsBeforePoint ?? digits) + exponent(from: end, to: found.range.upperBound)
        var value: UInt64 = 0
        var position = 0
        for index in found.range.lowerBound..<end where json[index] >= 0x30 {
            let digit = UInt64(json[index] &- 0x30)
            if position < integral {
                value = try shifted(value, adding: digit, failure)
            } else if digit != 0 {
                throw failure
            }
            position += 1
        }
        while value != 0 && position < integral {
            value = try shifted(value, adding: 0, failure)
            position += 1
        }
        return value
    }

    private func shifted(
        _ value: UInt64, adding digit: UInt64, _ failure: DecodeFailure
    ) throws(DecodeFailure) -> UInt64 {
        let (scaled, first) = value.multipliedReportingOverflow(by: 10)
        let (sum, second) = scaled.addingReportingOverflow(digit)
        if first || second { throw failure }
        return sum
    }

    private static let exponentMax = 1_000_000

    /// The exponent of a number, zero when it has none, at most `exponentMax` either way.
    private func exponent(from start: Int, to end: Int) -> Int {
        var index = start + 1
        guard index < end else { return 0 }
        let isNegative = json[index] == UInt8(ascii: "-")
        if isNegative || json[index] == UInt8(ascii: "+") { index += 1 }
        var value = 0
        while index < end {
            value = min(value * 10 + Int(json[index] &- 0x30), Self.exponentMax)
            index += 1
        }
        return isNegative ? -value : value
    }

    /// OTLP/JSON writes enums as integers of any value. Names, which protobuf's own JSON mapping writes, are taken too.
    private mutating func enumeration(_ field: SchemaField) throws(DecodeFailure) -> Int64 {
        guard peek() == UInt8(ascii: "\""), at + 1 < json.count, json[at + 1] >= UInt8(ascii: "A") else {
            return try signed(Int64(Int32.min)...Int64(Int32.max))
        }
        let start = at
        at += 1
        _ = try skipString()
        guard let value = schema.value(ofEnum: field.message, named: json[start + 1..<at - 1]) else {
            throw DecodeFailure(.wrongType, at: start, "unknown enum name; OTLP/JSON writes enums as integers")
        }
        return Int64(value)
    }

    private mutating func double() throws(DecodeFailure) -> Double {
        if let (value, end) = plainDouble(at) {
            at = end
            return value
        }
        guard peek() == UInt8(ascii: "\"") else { return try parse(try number().range) }
        let rest = json[at..<json.count]
        for (word, value) in [
            ("\"NaN\"" as StaticString, Double.nan), ("\"Infinity\"", Double.infinity),
            ("\"-Infinity\"", -Double.infinity),
        ] where rest.hasPrefix(word) {
            at += word.utf8CodeUnitCount
            return value
        }
        return try parse(try quotedNumber().range)
    }

    /// strtod on a terminated copy; JSON's grammar was checked, and the C locale is never changed.
    private func parse(_ range: Range<Int>) throws(DecodeFailure) -> Double {
        guard range.count <= 8_192 else { throw DecodeFailure(.outOfRange, at: range.lowerBound) }
        let source = json[range]
        let value = withUnsafeTemporaryAllocation(of: CChar.self, capacity: range.count + 1) { copy in
            guard let base = copy.baseAddress else { return Double.nan }
            memcpy(base, source.start, source.count)
            copy[source.count] = 0
            return strtod(base, nil)
        }
        guard value.isFinite else { throw DecodeFailure(.outOfRange, at: range.lowerBound) }
        return value
    }

    // MARK: Escapes where hardly anybody writes them

    /// Whether the rest of the string at `start` has an escape.
    private func hasEscape(_ start: Int) -> Bool {
        let end = sluice_json_plain_end(json.start.assumingMemoryBound(to: UInt8.self), start, json.count)
        return end < json.count && json[end] == UInt8(ascii: "\\")
    }

    /// Reads the rest of a string, without its escapes when it has any.
    private mutating func withoutEscapes(
        _ reason: DecodeFailure.Reason, _ read: (inout OTLPJSONReader) throws(DecodeFailure) -> Void
    ) throws(DecodeFailure) {
        if hasEscape(at) { try unescaped(reason, read) } else { try read(&self) }
    }

    /// Reads the rest of a string as what its escapes stand for: some encoders write every `/` as `\/`. `read` finds
    /// the reader behind the opening quote; `reason` is told when it does not take all of the string.
    @inline(never)
    private mutating func unescaped(
        _ reason: DecodeFailure.Reason, _ read: (inout OTLPJSONReader) throws(DecodeFailure) -> Void
    ) throws(DecodeFailure) {
        let start = at
        var plain = ByteColumn()
        plain.append(UInt8(ascii: "\""))
        try unescape(&plain)
        plain.append(UInt8(ascii: "\""))
        var reader = OTLPJSONReader(json: plain.text, signal: signal)
        reader.at = 1
        do throws(DecodeFailure) { try read(&reader) } catch {
            // What is no syntax in there is none of the JSON's.
            let isSyntax = error.reason == .syntax || error.reason == .truncated
            throw DecodeFailure(isSyntax ? reason : error.reason, at: start, error.detail)
        }
        guard reader.at == plain.count else { throw DecodeFailure(reason, at: start) }
    }

    // MARK: Text and binary

    /// A string, id or bytes field with its tag.
    mutating func text(
        _ field: SchemaField, keepsEmpty: Bool, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        guard take(UInt8(ascii: "\"")) else { throw DecodeFailure(.wrongType, at: at, "a string is expected") }
        let tag = field.number << 3 | 2
        if field.form == .identifier && usualIdentifier(tag, &output) { return }
        let start = at
        let end = sluice_json_plain_end(json.start.assumingMemoryBound(to: UInt8.self), at, json.count)
        guard end < json.count else { throw DecodeFailure(.truncated, at: end, "a string is not closed") }
        if field.form == .string && json[end] == UInt8(ascii: "\"") {
            at = end + 1
            if end > start || keepsEmpty { output.appendField(tag: tag, json[start..<end]) }
            return
        }
        let open = output.beginMessage(tag: tag, guess: field.form == .string ? max(end - start, 200) : 16)
        switch field.form {
        case .identifier: try identifier(&output)
        case .bytes: try base64(&output)
        default: try unescape(&output)
        }
        if output.count == open.start + open.width && !keepsEmpty {
            output.abandonMessage(open, tag: tag)
        } else {
            output.endMessage(open)
        }
    }

    /// An id of up to 16 bytes with its closing quote; its opening quote was read. Anything else, right or wrong, is
    /// left as it stands.
    @inline(__always)
    private mutating func usualIdentifier(_ tag: UInt32, _ output: inout ByteColumn) -> Bool {
        output.appendVarint(UInt64(tag))
        output.reserve(17)
        let room = output.base + (output.count &+ 1)
        let count = sluice_hex_decode(json.start + at, min(json.count &- at, 32), room)
        let end = at &+ 2 &* count
        guard count > 0, end < json.count, json[end] == UInt8(ascii: "\"") else {
            output.truncate(to: output.count &- WireSize.varint(UInt64(tag)))
            return false
        }
        output.append(UInt8(truncatingIfNeeded: count))
        output.count &+= count
        at = end &+ 1
        return true
    }

    /// An id. In a log record one that is not hex is left out: OTLP asks to keep the record, as one that is not tied to
    /// a trace.
    private mutating func identifier(_ output: inout ByteColumn) throws(DecodeFailure) {
        let start = at
        let from = output.count
        do throws(DecodeFailure) { try hex(&output) } catch {
            guard signal == .logs, error.reason == .badIdentifier else { throw error }
            output.truncate(to: from)
            at = start
            _ = try skipString()
            if warning.isEmpty { warning = "log records were kept without their ids: \(error.message)" }
        }
    }

    /// An id in hex of either case. One of an odd number of digits has no bytes; it becomes an id of a length that is
    /// as wrong, so that it costs its record alone and not the whole batch.
    private mutating func hex(_ output: inout ByteColumn) throws(DecodeFailure) {
        try withoutEscapes(.badIdentifier) { reader throws(DecodeFailure) in try reader.plainHex(&output) }
    }

    private mutating func plainHex(_ output: inout ByteColumn) throws(DecodeFailure) {
        let start = at
        let from = output.count
        while let high = Hex.value(peek()) {
            at += 1
            let low = Hex.value(peek())
            if low != nil { at += 1 }
            output.append(high << 4 | (low ?? 0))
        }
        let count = output.count - from
        if (at - start) % 2 != 0, count == 8 || count == 16 { output.truncate(to: output.count - 1) }
        guard take(UInt8(ascii: "\"")) else { throw DecodeFailure(.badIdentifier, at: start) }
    }

    /// Base64 of either alphabet, padding optional. Returns behind the closing quote.
    private mutating func base64(_ output: inout ByteColumn) throws(DecodeFailure) {
        try withoutEscapes(.wrongType) { reader throws(DecodeFailure) in try reader.plainBase64(&output) }
    }

    private mutating func plainBase64(_ output: inout ByteColumn) throws(DecodeFailure) {
        let start = at
        var bits: UInt32 = 0
        var held = 0
        while let digit = Base64.value(peek()) {
            bits = bits << 6 | UInt32(digit)
            held += 6
            at += 1
            if held >= 8 {
                held -= 8
                output.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
            }
        }
        let end = at
        while take(UInt8(ascii: "=")) {}
        let isPadded = at == end || (at - end <= 2 && (at - start) % 4 == 0)
        guard held != 6, isPadded, take(UInt8(ascii: "\"")) else {
            throw DecodeFailure(.wrongType, at: at, "base64 is expected")
        }
    }

    /// Fields that an earlier hop did not know: taken over when they are well-formed. Fields that the schema knows are
    /// left out, since they must not replace what stands under their names; anything else is a name like others that
    /// nobody knows.
    mutating func unknownFields(
        of message: Int, depth: Int, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        let start = at
        var fields = ByteColumn()
        guard take(UInt8(ascii: "\"")), readsBase64(&fields) else {
            at = start
            return try skipValue(depth: depth)
        }
        let from = output.count
        var hint = schema.messages[message].fields.lowerBound
        var cursor = WireCursor(fields.text)
        while let field = cursor.nextField() {
            if schema.find(tag: field.tag, in: message, hint: &hint) == nil { output.append(fields.text[field.whole]) }
        }
        if !cursor.isAtEnd { output.truncate(to: from) }
    }

    private mutating func readsBase64(_ output: inout ByteColumn) -> Bool {
        do throws(DecodeFailure) { try base64(&output) } catch { return false }
        return true
    }
}

/// Hex digits.
enum Hex {
    @inline(__always)
    static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte &- 0x30
        case 0x41...0x46: byte &- 0x37
        case 0x61...0x66: byte &- 0x57
        default: nil
        }
    }

    @inline(__always)
    static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 &+ value : 0x57 &+ value }
}

/// Base64 digits; both alphabets are read, the standard one is written.
enum Base64 {
    @inline(__always)
    static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x41...0x5A: byte &- 0x41
        case 0x61...0x7A: byte &- 0x47
        case 0x30...0x39: byte &+ 4
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }

    static func append(_ bytes: Text, to output: inout ByteColumn) {
        let digits = Text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var index = 0
        while index < bytes.count {
            let left = min(3, bytes.count - index)
            var group: UInt32 = 0
            for step in 0..<3 { group = group << 8 | (step < left ? UInt32(bytes[index + step]) : 0) }
            for step in 0..<4 {
                let digit = digits[Int(group >> UInt32(18 - 6 * step) & 63)]
                output.append(step <= left ? digit : UInt8(ascii: "="))
            }
            index += 3
        }
    }
}
