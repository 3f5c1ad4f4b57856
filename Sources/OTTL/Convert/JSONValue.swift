import CSupport
import OTLP
import Telemetry

/// Reads JSON (RFC 8259) into encoded OTLP values in one pass. Numbers become floats, as in the Collector.
struct JSONValue {
    private let text: Text
    private var index = 0

    /// Arrays and objects inside each other; recursion goes as deep.
    static let depthMax = 64

    private init(_ text: Text) { self.text = text }

    static func parse(_ text: Text, _ state: inout EvaluationState) throws(EvaluationFailure) -> Value {
        var reader = JSONValue(text)
        let mark = state.scratch.count
        do throws(EvaluationFailure) {
            try reader.value(&state.scratch, 0)
            reader.skipSpace()
            guard reader.index == text.count else { throw EvaluationFailure(.invalidText) }
        } catch {
            state.scratch.truncate(to: mark)
            throw error
        }
        return Value(encoded: try state.take(from: mark))
    }

    private var byte: UInt8 { index < text.count ? text[index] : 0 }

    private mutating func skipSpace() {
        while index < text.count {
            switch text[index] {
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            default: return
            }
        }
    }

    /// Appends the members of an AnyValue message.
    private mutating func value(_ output: inout ByteColumn, _ depth: Int) throws(EvaluationFailure) {
        guard depth < JSONValue.depthMax else { throw EvaluationFailure(.tooLarge) }
        skipSpace()
        switch byte {
        case UInt8(ascii: "{"): try object(&output, depth)
        case UInt8(ascii: "["): try array(&output, depth)
        case UInt8(ascii: "\""):
            let open = output.beginMessage(tag: 0x0A, guess: 32)
            try string(&output)
            output.endMessage(open)
        case UInt8(ascii: "t"):
            try word("true")
            output.append(0x10)
            output.append(1)
        case UInt8(ascii: "f"):
            try word("false")
            output.append(0x10)
            output.append(0)
        case UInt8(ascii: "n"): try word("null")
        default: try number(&output)
        }
    }

    private mutating func word(_ word: StaticString) throws(EvaluationFailure) {
        guard text[index..<text.count].hasPrefix(word) else { throw EvaluationFailure(.invalidText) }
        index += word.utf8CodeUnitCount
    }

    private mutating func object(_ output: inout ByteColumn, _ depth: Int) throws(EvaluationFailure) {
        let open = output.beginMessage(tag: 0x32, guess: 128)
        index += 1
        skipSpace()
        if byte == UInt8(ascii: "}") {
            index += 1
        } else {
            repeat {
                skipSpace()
                guard byte == UInt8(ascii: "\"") else { throw EvaluationFailure(.invalidText) }
                let member = output.beginMessage(tag: 0x0A, guess: 64)
                let key = output.beginMessage(tag: 0x0A, guess: 16)
                try string(&output)
                output.endMessage(key)
                skipSpace()
                guard byte == UInt8(ascii: ":") else { throw EvaluationFailure(.invalidText) }
                index += 1
                let content = output.beginMessage(tag: 0x12, guess: 32)
                try value(&output, depth + 1)
                output.endMessage(content)
                output.endMessage(member)
            } while try goesOn(UInt8(ascii: "}"))
        }
        output.endMessage(open)
    }

    private mutating func array(_ output: inout ByteColumn, _ depth: Int) throws(EvaluationFailure) {
        let open = output.beginMessage(tag: 0x2A, guess: 128)
        index += 1
        skipSpace()
        if byte == UInt8(ascii: "]") {
            index += 1
        } else {
            repeat {
                let content = output.beginMessage(tag: 0x0A, guess: 32)
                try value(&output, depth + 1)
                output.endMessage(content)
            } while try goesOn(UInt8(ascii: "]"))
        }
        output.endMessage(open)
    }

    /// True behind a comma, false behind the closing bracket.
    private mutating func goesOn(_ close: UInt8) throws(EvaluationFailure) -> Bool {
        skipSpace()
        let next = byte
        index += 1
        if next == UInt8(ascii: ",") { return true }
        if next == close { return false }
        throw EvaluationFailure(.invalidText)
    }

    private mutating func number(_ output: inout ByteColumn) throws(EvaluationFailure) {
        let start = index
        while index < text.count {
            switch text[index] {
            case 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"),
                UInt8(ascii: "E"):
                index += 1
                continue
            default: break
            }
            break
        }
        let digits = text[start..<index]
        guard digits.count > 0, digits.count <= 64, digits[0] == 0x2D || digits[0] &- 0x30 < 10,
            let value = Double(digits.string), value.isFinite
        else { throw EvaluationFailure(.invalidText) }
        output.append(0x21)
        output.append(littleEndian: value.bitPattern)
    }

    // MARK: Strings

    private mutating func string(_ output: inout ByteColumn) throws(EvaluationFailure) {
        index += 1
        let start = text.start.assumingMemoryBound(to: UInt8.self)
        while true {
            let end = sluice_json_plain_end(start, index, text.count)
            guard end < text.count else { throw EvaluationFailure(.invalidText) }
            output.append(text[index..<end])
            index = end
            switch text[end] {
            case UInt8(ascii: "\""):
                index += 1
                return
            case UInt8(ascii: "\\"): try escape(&output)
            default: throw EvaluationFailure(.invalidText)
            }
        }
    }

    private mutating func escape(_ output: inout ByteColumn) throws(EvaluationFailure) {
        let letter = index + 1 < text.count ? text[index + 1] : 0
        index += 2
        switch letter {
        case UInt8(ascii: "n"): output.append(0x0A)
        case UInt8(ascii: "t"): output.append(0x09)
        case UInt8(ascii: "r"): output.append(0x0D)
        case UInt8(ascii: "b"): output.append(0x08)
        case UInt8(ascii: "f"): output.append(0x0C)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(letter)
        case UInt8(ascii: "u"):
            var code = try unit()
            if code & 0xFC00 == 0xD800, byte == UInt8(ascii: "\\"), index + 1 < text.count,
                text[index + 1] == UInt8(ascii: "u")
            {
                let back = index
                index += 2
                let low = try unit()
                if low & 0xFC00 == 0xDC00 {
                    code = 0x10000 + (code & 0x3FF) << 10 | low & 0x3FF
                } else {
                    index = back
                }
            }
            let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
            for unit in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { output.append(unit) }
        default: throw EvaluationFailure(.invalidText)
        }
    }

    private mutating func unit() throws(EvaluationFailure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Lexer.hexDigit(byte) else { throw EvaluationFailure(.invalidText) }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }
}
