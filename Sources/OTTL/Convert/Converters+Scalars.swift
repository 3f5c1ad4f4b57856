import Crypto
import Glibc
import Telemetry

extension Program {
    /// Converters that make numbers, flags, ids and digests.
    func scalar(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch call.node.function {
        case .len:
            let value = try call.value(0, batch, place, &state)
            if call.node.field.isCount, case .int = value { return value }
            return .int(try length(value, batch))
        case .int: return NumberConversion.int(try call.value(0, batch, place, &state))
        case .double: return NumberConversion.double(try call.value(0, batch, place, &state))
        case .bool: return NumberConversion.bool(try call.value(0, batch, place, &state))
        case .string: return try string(try call.value(0, batch, place, &state), batch, &state)
        case .parseInt:
            let text = try call.text(0, batch, place, &state)
            let base = try call.int(1, batch, place, &state)
            guard let number = NumberConversion.parse(text.string, base: base) else {
                throw EvaluationFailure(.invalidText)
            }
            return .int(number)
        case .log:
            guard case .double(let number) = NumberConversion.double(try call.value(0, batch, place, &state)) else {
                throw EvaluationFailure(.wrongType)
            }
            guard number > 0 else { throw EvaluationFailure(.outOfRange) }
            return .double(Glibc.log(number))
        case .index: return .int(try index(call, batch, place, &state))
        case .hex: return try hex(try call.value(0, batch, place, &state), &state)
        case .spanID: return try identifier(call, 8, batch, place, &state)
        case .traceID: return try identifier(call, 16, batch, place, &state)
        case .murmur3, .murmur3Wide:
            return .string(try murmur(call.node.function, try call.text(0, batch, place, &state), &state))
        case .fnv: return .int(Int64(bitPattern: FNV.hash(try call.text(0, batch, place, &state).bytes)))
        default:
            let text = try call.text(0, batch, place, &state)
            return .string(try Program.digest(call.node.function, text, &state))
        }
    }

    private func length(_ value: Value, _ batch: borrowing RecordBatch) throws(EvaluationFailure) -> Int64 {
        switch value {
        case .string(let text), .bytes(let text): return Int64(text.count)
        case .list(let content):
            var reader = ListReader(content)
            var count: Int64 = 0
            while reader.next() != nil { count += 1 }
            return count
        case .map, .set: return Int64(Members.count(value, batch))
        default: throw EvaluationFailure(.wrongType)
        }
    }

    private func string(
        _ value: Value, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch value {
        case .none, .string: return value
        default:
            let mark = state.scratch.count
            if case .bytes(let text) = value {
                ValueText.appendHex(text, to: &state.scratch)
            } else {
                ValueText.append(value, batch, to: &state.scratch)
            }
            return .string(try state.take(from: mark))
        }
    }

    /// Place of a text in a text, or of a value in a list; -1 when it is not there.
    private func index(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Int64 {
        let wanted = try call.value(1, batch, place, &state)
        switch (try call.value(0, batch, place, &state), wanted) {
        case (.string(let text), .string(let part)):
            return part.isEmpty ? 0 : text.find(part, from: 0).map { Int64($0) } ?? -1
        case (.list(let content), _):
            var reader = ListReader(content)
            var index: Int64 = 0
            while let item = reader.nextItem() {
                if Comparison.isSame(item.nested, Nested(wanted), batch) { return index }
                index += 1
            }
            return -1
        default: throw EvaluationFailure(.wrongType)
        }
    }

    private func hex(_ value: Value, _ state: inout EvaluationState) throws(EvaluationFailure) -> Value {
        let mark = state.scratch.count
        switch value {
        case .string(let text), .bytes(let text), .identifier(let text): ValueText.appendHex(text, to: &state.scratch)
        case .bool(let flag): state.scratch.append(flag ? "01" : "00")
        case .int(let number): appendHex(UInt64(bitPattern: number), &state.scratch)
        case .double(let number): appendHex(number.bitPattern, &state.scratch)
        default: return .none
        }
        return .string(try state.take(from: mark))
    }

    private func appendHex(_ bits: UInt64, _ output: inout ByteColumn) {
        withUnsafeBytes(of: bits.bigEndian) { ValueText.appendHex(Text($0), to: &output) }
    }

    /// An id from its bytes or its hexadecimal digits.
    private func identifier(
        _ call: Call, _ length: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch try call.value(0, batch, place, &state) {
        case .bytes(let bytes), .identifier(let bytes):
            guard bytes.count == length else { throw EvaluationFailure(.invalidText) }
            return .identifier(bytes)
        case .string(let text):
            guard text.count == length * 2 else { throw EvaluationFailure(.invalidText) }
            let mark = state.scratch.count
            for index in 0..<length {
                guard let high = Lexer.hexDigit(text[index * 2]), let low = Lexer.hexDigit(text[index * 2 + 1]) else {
                    state.scratch.truncate(to: mark)
                    throw EvaluationFailure(.invalidText)
                }
                state.scratch.append(high << 4 | low)
            }
            return .identifier(try state.take(from: mark))
        default: throw EvaluationFailure(.wrongType)
        }
    }

    /// Bytes of the hash from the least significant one, in hexadecimal digits.
    private func murmur(
        _ function: Function, _ text: Text, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        let mark = state.scratch.count
        func append(_ hash: UInt64, _ width: Int) {
            for index in 0..<width {
                ValueText.appendHex(UInt8(truncatingIfNeeded: hash >> UInt64(8 * index)), to: &state.scratch)
            }
        }
        if function == .murmur3 {
            append(UInt64(Murmur3.hash32(text)), 4)
        } else {
            let (low, high) = Murmur3.hash128(text)
            append(low, 8)
            append(high, 8)
        }
        return try state.take(from: mark)
    }

    /// A digest in lower-case hexadecimal digits.
    static func digest(
        _ function: Function, _ text: Text, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        let mark = state.scratch.count
        switch function {
        case .md5: append(Insecure.MD5.self, text, &state.scratch)
        case .sha1: append(Insecure.SHA1.self, text, &state.scratch)
        case .sha256: append(SHA256.self, text, &state.scratch)
        case .sha512: append(SHA512.self, text, &state.scratch)
        default: throw EvaluationFailure(.wrongType)
        }
        return try state.take(from: mark)
    }

    private static func append<Hash: HashFunction>(_ hash: Hash.Type, _ text: Text, _ output: inout ByteColumn) {
        var hash = Hash()
        hash.update(bufferPointer: text.bytes)
        for byte in hash.finalize() { ValueText.appendHex(byte, to: &output) }
    }
}

/// Numbers and flags from other values; what cannot be converted is nil, as in the Collector.
enum NumberConversion {
    static func int(_ value: Value) -> Value {
        switch value {
        case .int: return value
        case .double(let number): return Int64(exactly: number.rounded(.towardZero)).map { .int($0) } ?? .none
        case .bool(let flag): return .int(flag ? 1 : 0)
        case .string(let text):
            guard text.count <= 40 else { return .none }
            return Int64(text.string).map { .int($0) } ?? .none
        default: return .none
        }
    }

    static func double(_ value: Value) -> Value {
        switch value {
        case .double: return value
        case .int(let number): return .double(Double(number))
        case .bool(let flag): return .double(flag ? 1 : 0)
        case .string(let text):
            guard text.count <= 64 else { return .none }
            return Double(text.string).map { .double($0) } ?? .none
        default: return .none
        }
    }

    static func bool(_ value: Value) -> Value {
        switch value {
        case .bool: return value
        case .int(let number): return .bool(number != 0)
        case .double(let number): return .bool(number != 0)
        case .string(let text):
            if ["1", "t", "T", "true", "TRUE", "True"].contains(where: { text == Text($0) }) { return .bool(true) }
            if ["0", "f", "F", "false", "FALSE", "False"].contains(where: { text == Text($0) }) { return .bool(false) }
            return .none
        default: return .none
        }
    }

    /// Go's `strconv.ParseInt`: with base 0 the prefix tells the base, and underscores stand between digits.
    static func parse(_ text: String, base: Int64) -> Int64? {
        guard base == 0 || (2...36).contains(base), text.utf8.count <= 80 else { return nil }
        if base != 0 { return Int64(text, radix: Int(base)) }
        var digits = Substring(text)
        var sign = ""
        if let first = digits.first, first == "-" || first == "+" {
            sign = first == "-" ? "-" : ""
            digits = digits.dropFirst()
        }
        var radix = 10
        let lower = digits.prefix(2).lowercased()
        if let known = ["0b": 2, "0o": 8, "0x": 16][lower] {
            radix = known
            digits = digits.dropFirst(2)
        } else if digits.hasPrefix("0"), digits.count > 1 {
            radix = 8
            digits = digits.dropFirst()
        }
        if digits.hasSuffix("_") || digits.contains("__") { return nil }
        let plain = digits.filter { $0 != "_" }
        guard let first = plain.first, first != "-", first != "+" else { return nil }
        return Int64(sign + plain, radix: radix)
    }
}
