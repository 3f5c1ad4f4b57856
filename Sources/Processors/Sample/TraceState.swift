import Telemetry

/// The W3C `tracestate` of a span with its OpenTelemetry member read: `ot=th:…;rv:…;…,vendor=…`.
///
/// Reads in place; only `write` copies. Anything that breaks the grammar or its limits makes the whole unusable.
struct TraceState {
    /// Explicit randomness, 14 hexadecimal digits.
    private(set) var randomness: UInt64?
    /// Threshold that an earlier sampler applied.
    private(set) var threshold: SamplingThreshold?
    private var randomnessText = Range<Int>(uncheckedBounds: (0, 0))
    private var thresholdText = Range<Int>(uncheckedBounds: (0, 0))
    private var openTelemetry = Range<Int>(uncheckedBounds: (0, 0))
    private let bytes: ByteCursor
    private let text: Text
    private var writesThreshold: SamplingThreshold?
    private var dropsThreshold = false
    private var writesRandomness: UInt64?

    /// Most bytes of a tracestate, members in it, bytes of the `ot` value.
    static let lengthLimit = 1_024
    static let memberLimit = 32
    static let openTelemetryLimit = 256

    /// Nil when the text is no tracestate.
    init?(_ text: Text) {
        self.text = text
        bytes = ByteCursor(text)
        guard text.count <= TraceState.lengthLimit else { return nil }
        var index = 0
        var members = 0
        while index < text.count {
            let comma = text.firstIndex(of: 0x2C, from: index) ?? text.count
            let member = trimmed(index..<comma)
            index = comma + 1
            if member.isEmpty { continue }
            members += 1
            guard members <= TraceState.memberLimit, isMember(member) else { return nil }
            guard bytes.has("ot=", at: member.lowerBound) else { continue }
            openTelemetry = member.lowerBound + 3..<member.upperBound
            guard readOpenTelemetry() else { return nil }
        }
    }

    // MARK: Changing

    /// Records a new threshold, unless an earlier sampler's is higher: probability may fall, never rise.
    mutating func update(_ new: SamplingThreshold) {
        if let threshold, !dropsThreshold, new < threshold { return }
        writesThreshold = new
    }

    mutating func clearThreshold() {
        dropsThreshold = true
        threshold = nil
    }

    mutating func setRandomness(_ value: UInt64) { writesRandomness = value }

    /// Appends the tracestate: the OpenTelemetry member in front, the others in their order.
    func write(to output: inout ByteColumn) {
        let start = output.count
        output.append("ot=")
        let content = output.count
        func separate(_ output: inout ByteColumn) {
            if output.count > content { output.append(0x3B as UInt8) }
        }
        if let writesRandomness {
            output.append("rv:")
            output.appendHex(writesRandomness, digits: SamplingThreshold.digits)
        } else if !randomnessText.isEmpty {
            output.append("rv:")
            output.append(text[randomnessText])
        }
        if let writesThreshold {
            separate(&output)
            output.append("th:")
            output.append(threshold: writesThreshold)
        } else if !thresholdText.isEmpty, !dropsThreshold {
            separate(&output)
            output.append("th:")
            output.append(text[thresholdText])
        }
        eachPair { key, pair in
            if bytes.has("rv:", at: key) || bytes.has("th:", at: key) { return true }
            separate(&output)
            output.append(text[pair])
            return true
        }
        if output.count == content { output.truncate(to: start) }
        var index = 0
        while index < text.count {
            let comma = text.firstIndex(of: 0x2C, from: index) ?? text.count
            let member = trimmed(index..<comma)
            index = comma + 1
            if member.isEmpty || bytes.has("ot=", at: member.lowerBound) { continue }
            if output.count > start { output.append(0x2C as UInt8) }
            output.append(text[member])
        }
    }

    // MARK: Reading

    private mutating func readOpenTelemetry() -> Bool {
        guard openTelemetry.count <= TraceState.openTelemetryLimit else { return false }
        var newRandomness: Range<Int>?
        var newThreshold: Range<Int>?
        let isGood = eachPair { key, pair in
            var colon = key
            while colon < pair.upperBound, bytes[colon] != 0x3A { colon += 1 }
            guard colon > key, colon < pair.upperBound, isLower(bytes[key]) else { return false }
            for index in key..<colon where !isLower(bytes[index]) && !bytes.isDigit(index) { return false }
            for index in colon + 1..<pair.upperBound {
                let byte = bytes[index]
                guard ByteClass.isWord(byte) || byte == 0x2E || byte == 0x2D else { return false }
            }
            if bytes.has("rv:", at: key) { newRandomness = colon + 1..<pair.upperBound }
            if bytes.has("th:", at: key) { newThreshold = colon + 1..<pair.upperBound }
            return true
        }
        guard isGood else { return false }
        if let newRandomness {
            guard newRandomness.count == SamplingThreshold.digits, let value = hex(newRandomness) else { return false }
            randomnessText = newRandomness
            randomness = value
        }
        if let newThreshold {
            guard let value = TraceState.threshold(text[newThreshold]) else { return false }
            thresholdText = newThreshold
            threshold = value
        }
        return true
    }

    /// Calls `body` with the start and range of each `key:value` of the OpenTelemetry member until it says false.
    @discardableResult
    private func eachPair(_ body: (Int, Range<Int>) -> Bool) -> Bool {
        var index = openTelemetry.lowerBound
        guard !openTelemetry.isEmpty else { return openTelemetry.lowerBound == 0 }
        while index <= openTelemetry.upperBound {
            var end = index
            while end < openTelemetry.upperBound, bytes[end] != 0x3B { end += 1 }
            if !body(index, index..<end) { return false }
            index = end + 1
        }
        return true
    }

    /// A threshold of 1 to 14 hexadecimal digits, the missing ones zero.
    static func threshold(_ text: Text) -> SamplingThreshold? {
        guard text.count >= 1, text.count <= SamplingThreshold.digits else { return nil }
        var value: UInt64 = 0
        for index in 0..<SamplingThreshold.digits {
            var digit: UInt8 = 0
            if index < text.count {
                guard let read = ByteClass.hexValue(text[index]) else { return nil }
                digit = read
            }
            value = value << 4 | UInt64(digit)
        }
        return SamplingThreshold(value)
    }

    /// Explicit randomness: exactly 14 hexadecimal digits.
    static func randomness(_ text: Text) -> UInt64? {
        guard text.count == SamplingThreshold.digits else { return nil }
        return threshold(text)?.value
    }

    private func hex(_ range: Range<Int>) -> UInt64? { TraceState.randomness(text[range]) }

    private func trimmed(_ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        return start..<end
    }

    private func isMember(_ range: Range<Int>) -> Bool {
        var equals = range.lowerBound
        while equals < range.upperBound, bytes[equals] != 0x3D { equals += 1 }
        guard equals > range.lowerBound, equals < range.upperBound else { return false }
        return isKey(range.lowerBound..<equals) && isValue(equals + 1..<range.upperBound)
    }

    private func isKey(_ range: Range<Int>) -> Bool {
        guard range.count <= 256 else { return false }
        var at: Int?
        for index in range {
            let byte = bytes[index]
            if byte == 0x40, at == nil, index > range.lowerBound {
                at = index
                continue
            }
            guard isLower(byte) || bytes.isDigit(index) || byte == 0x5F || byte == 0x2D || byte == 0x2A || byte == 0x2F
            else { return false }
        }
        if let at {
            return at - range.lowerBound <= 241 && range.upperBound - at - 1 <= 14 && isLower(bytes[at + 1])
                && (isLower(bytes[range.lowerBound]) || bytes.isDigit(range.lowerBound))
        }
        return isLower(bytes[range.lowerBound])
    }

    private func isValue(_ range: Range<Int>) -> Bool {
        guard !range.isEmpty, range.count <= 256, bytes[range.upperBound - 1] != 0x20 else { return false }
        for index in range {
            let byte = bytes[index]
            if byte < 0x20 || byte > 0x7E || byte == 0x2C || byte == 0x3D { return false }
        }
        return true
    }

    @inline(__always)
    private func isLower(_ byte: UInt8) -> Bool { byte &- 0x61 < 26 }
}

extension ByteColumn {
    /// The lowest `digits` hexadecimal digits of a number, in lower case.
    mutating func appendHex(_ value: UInt64, digits: Int) {
        var shift = 4 * digits
        while shift > 0 {
            shift -= 4
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(shift)) & 15
            append(digit < 10 ? 0x30 &+ digit : 0x57 &+ digit)
        }
    }

    /// A threshold without its trailing zeros; 0 is `0`.
    mutating func append(threshold: SamplingThreshold) {
        guard threshold.value > 0 else { return append(0x30 as UInt8) }
        let zeros = min(threshold.value.trailingZeroBitCount / 4, SamplingThreshold.digits - 1)
        appendHex(threshold.value >> UInt64(4 * zeros), digits: SamplingThreshold.digits - zeros)
    }
}
