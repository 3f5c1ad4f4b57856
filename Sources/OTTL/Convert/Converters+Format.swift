import Glibc
import Telemetry

extension Program {
    /// `Format`: the verbs of Go's fmt that values have a use for: `%s %v %d %f %e %g %x %X %o %b %c %q %t`, with
    /// flags, width and precision, and `%%`.
    func formatted(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let format = try call.text(0, batch, place, &state)
        var arguments: [Nested] = []
        var reader = ListReader(try call.list(1, batch, place, &state))
        while let item = reader.nextItem() { arguments.append(item.nested) }
        let mark = state.scratch.count
        do throws(EvaluationFailure) {
            try append(format, arguments, batch, &state.scratch)
        } catch {
            state.scratch.truncate(to: mark)
            throw error
        }
        return .string(try state.take(from: mark))
    }

    private func append(
        _ format: Text, _ arguments: [Nested], _ batch: borrowing RecordBatch, _ output: inout ByteColumn
    ) throws(EvaluationFailure) {
        var (at, next) = (0, 0)
        while at < format.count {
            guard format[at] == UInt8(ascii: "%") else {
                output.append(format[at])
                at += 1
                continue
            }
            guard let directive = FormatDirective(format, &at) else { throw EvaluationFailure(.invalidText) }
            if directive.verb == UInt8(ascii: "%") {
                output.append(UInt8(ascii: "%"))
                continue
            }
            guard next < arguments.count else { throw EvaluationFailure(.notFound) }
            var plain = ByteColumn()
            guard directive.append(arguments[next], batch, &plain) else { throw EvaluationFailure(.wrongType) }
            directive.pad(plain.text, &output)
            next += 1
        }
        guard next == arguments.count else { throw EvaluationFailure(.invalidText) }
    }
}

/// One `%…` of a format.
struct FormatDirective {
    private(set) var verb: UInt8 = 0
    private var flags: Set<UInt8> = []
    private var width = 0
    private var precision: Int?
    private static let widthMax = 1_000

    /// Reads the directive at `at`, a percent sign, and moves behind it; nil when it is none.
    init?(_ format: Text, _ at: inout Int) {
        at += 1
        while at < format.count, "+-# 0".utf8.contains(format[at]) {
            flags.insert(format[at])
            at += 1
        }
        width = Self.number(format, &at) ?? 0
        if at < format.count, format[at] == UInt8(ascii: ".") {
            at += 1
            precision = Self.number(format, &at) ?? 0
        }
        guard at < format.count, width <= Self.widthMax, precision ?? 0 <= Self.widthMax else { return nil }
        verb = format[at]
        at += 1
    }

    private static func number(_ format: Text, _ at: inout Int) -> Int? {
        var value: Int?
        while at < format.count, format[at] &- 0x30 < 10 {
            value = min((value ?? 0) * 10 + Int(format[at] &- 0x30), widthMax + 1)
            at += 1
        }
        return value
    }

    /// Writes a value without its padding; false when the verb is not for it.
    func append(_ argument: Nested, _ batch: borrowing RecordBatch, _ output: inout ByteColumn) -> Bool {
        switch (verb, argument.value) {
        case (UInt8(ascii: "v"), .double(let number)): return float(number, verb: UInt8(ascii: "g"), &output)
        case (UInt8(ascii: "s"), .string(let text)), (UInt8(ascii: "v"), .string(let text)):
            output.append(precision.map { text.characters($0) } ?? text)
        case (UInt8(ascii: "q"), .string(let text)): output.append(string: text.string.debugDescription)
        case (UInt8(ascii: "x"), .string(let text)), (UInt8(ascii: "x"), .bytes(let text)):
            ValueText.appendHex(text, to: &output)
        case (UInt8(ascii: "v"), .none): output.append("<nil>")
        case (UInt8(ascii: "v"), _), (UInt8(ascii: "s"), .list), (UInt8(ascii: "s"), .map), (UInt8(ascii: "t"), .bool):
            ValueText.append(argument, batch, to: &output)
        case (UInt8(ascii: "c"), .int(let number)):
            guard let scalar = UInt32(exactly: number).flatMap(Unicode.Scalar.init) else { return false }
            output.append(string: String(Character(scalar)))
        case (_, .int(let number)): return integer(number, &output)
        case (_, .double(let number)): return float(number, verb: verb, &output)
        default: return false
        }
        return true
    }

    private func integer(_ number: Int64, _ output: inout ByteColumn) -> Bool {
        let radix: Int
        switch verb {
        case UInt8(ascii: "d"): radix = 10
        case UInt8(ascii: "x"), UInt8(ascii: "X"): radix = 16
        case UInt8(ascii: "o"): radix = 8
        case UInt8(ascii: "b"): radix = 2
        default: return false
        }
        var digits = String(number.magnitude, radix: radix, uppercase: verb == UInt8(ascii: "X"))
        let sign = number < 0 ? "-" : flags.contains(0x2B) ? "+" : flags.contains(0x20) ? " " : ""
        let prefix = flags.contains(0x23) ? [16: verb == 0x58 ? "0X" : "0x", 8: "0", 2: "0b"][radix] ?? "" : ""
        var least = precision ?? 0
        if flags.contains(0x30), !flags.contains(0x2D), precision == nil {
            least = width - sign.utf8.count - prefix.utf8.count
        }
        if digits.utf8.count < least { digits = String(repeating: "0", count: least - digits.utf8.count) + digits }
        output.append(string: sign + prefix + digits)
        return true
    }

    private func float(_ number: Double, verb: UInt8, _ output: inout ByteColumn) -> Bool {
        guard "feEgG".utf8.contains(verb) else { return false }
        if verb | 0x20 == UInt8(ascii: "g"), precision == nil {
            ValueText.append(.double(number), RecordBatch(), to: &output)
            return true
        }
        let options = String(decoding: flags.filter { "+ #0-".utf8.contains($0) && $0 != 0x2D }, as: UTF8.self)
        let pad = flags.contains(0x30) && !flags.contains(0x2D) ? String(width) : ""
        let format = "%\(options)\(pad).\(precision ?? 6)\(Character(Unicode.Scalar(verb)))"
        var buffer = [CChar](repeating: 0, count: 1_500)
        let count = withVaList([number]) { vsnprintf(&buffer, buffer.count, format, $0) }
        guard count > 0, count < buffer.count else { return false }
        for byte in buffer[..<Int(count)] { output.append(UInt8(bitPattern: byte)) }
        return true
    }

    /// Writes with spaces around to the width, which counts characters.
    func pad(_ text: Text, _ output: inout ByteColumn) {
        let length = text.bytes.count { $0 & 0xC0 != 0x80 }
        let spaces = max(0, width - length)
        if !flags.contains(0x2D) { for _ in 0..<spaces { output.append(0x20 as UInt8) } }
        output.append(text)
        if flags.contains(0x2D) { for _ in 0..<spaces { output.append(0x20 as UInt8) } }
    }
}

extension Text {
    /// The first characters of a text.
    fileprivate func characters(_ count: Int) -> Text {
        var left = count
        for index in 0..<self.count where self[index] & 0xC0 != 0x80 {
            if left == 0 { return self[0..<index] }
            left -= 1
        }
        return self
    }
}
