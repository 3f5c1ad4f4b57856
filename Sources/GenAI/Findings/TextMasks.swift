import Telemetry

/// What stands where somebody hid a value.
enum ValueMask {
    /// The same for all values: `****`, `[REDACTED]`, `[REDACTED:EMAIL]`, `<REDACTED>`, `__REDACTED__`.
    case bare
    /// Equal for equal values alone: `[EMAIL:3f9a…]`, `[REDACTED:EMAIL:3f9a…]`.
    case pseudonym

    /// Longest mask in bytes: the longest detector's name and a hash fit well.
    static let bytesMax = 96
    /// Hexadecimal digits of a pseudonym, as `redaction` writes them.
    static let digits = 16
}

/// Masks of `redaction`, of the Collector's processor of that name and of instrumentations that hide content.
extension Text {
    /// The next mask at or behind a place, nil when there is none.
    func nextMask(from first: Int = 0) -> (place: Range<Int>, kind: ValueMask)? {
        var index = first
        while index < count {
            switch self[index] {
            case UInt8(ascii: "*"):
                var end = index
                while end < count, self[end] == UInt8(ascii: "*") { end += 1 }
                if end - index == 4 { return (index..<end, .bare) }
                index = end
            case UInt8(ascii: "["), UInt8(ascii: "<"), UInt8(ascii: "_"):
                if let found = mask(at: index) { return found }
                index += 1
            default: index += 1
            }
        }
        return nil
    }

    private func mask(at start: Int) -> (place: Range<Int>, kind: ValueMask)? {
        let near = self[start..<Swift.min(count, start + ValueMask.bytesMax)]
        if near[0] == UInt8(ascii: "_") {
            let word: StaticString = "__redacted__"
            guard near.beginsWith(word) else { return nil }
            return (start..<start + word.utf8CodeUnitCount, .bare)
        }
        let isSquare = near[0] == UInt8(ascii: "[")
        guard let end = near.firstIndex(of: isSquare ? UInt8(ascii: "]") : UInt8(ascii: ">")) else { return nil }
        let (inner, place) = (near[1..<end], start..<start + end + 1)
        let name = inner.nameOfPseudonym
        if inner.beginsWith("redacted"), inner.count == 8 || !WordCursor.isWord(inner[8]) {
            // Behind the word alone nothing tells values apart.
            return (place, (name?.count ?? 0) > 8 ? .pseudonym : .bare)
        }
        guard isSquare, let name, name.isConstantName else { return nil }
        return (place, .pseudonym)
    }

    /// What stands in front of a colon and the digits of a pseudonym, nil without those.
    private var nameOfPseudonym: Text? {
        let end = count - ValueMask.digits
        guard end > 1, self[end - 1] == UInt8(ascii: ":") else { return nil }
        for index in end..<count where !Text.isHexDigit(self[index]) { return nil }
        return self[0..<end - 1]
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool { isDigit(byte) || (byte >= 0x61 && byte <= 0x66) }

    /// `CREDIT_CARD`
    private var isConstantName: Bool {
        for index in 0..<count {
            let byte = self[index]
            let isUpper = byte >= 0x41 && byte <= 0x5A
            guard isUpper || (index > 0 && (Text.isDigit(byte) || byte == UInt8(ascii: "_"))) else { return false }
        }
        return count > 0
    }

    /// Whether the text is a mask that is the same for all values, and nothing else.
    var isBareMask: Bool {
        let text = trimmed
        if let found = text.nextMask(), found.place == 0..<text.count { return found.kind == .bare }
        guard text.count >= 3 else { return false }
        for index in 0..<text.count where text[index] != UInt8(ascii: "*") { return false }
        return true
    }

    /// Whether the text is a mask of any kind, or the hash that `hash_function` makes of a whole value.
    var isMask: Bool {
        let text = trimmed
        if text.isBareMask { return true }
        if let found = text.nextMask() { return found.place == 0..<text.count }
        switch text.count {
        case 32, 40, 64, 128: break
        default: return false
        }
        for index in 0..<text.count where !Text.isHexDigit(text[index]) { return false }
        return true
    }

    /// Whether a mask of any kind stands in the text.
    var holdsMask: Bool { isBareMask || nextMask() != nil }

    /// Whether a mask that is the same for all values stands in the text: what it was is not known.
    var holdsBareMask: Bool {
        if isBareMask { return true }
        var place = 0
        while let found = nextMask(from: place) {
            if found.kind == .bare { return true }
            place = found.place.upperBound
        }
        return false
    }

    /// Whether a mask is why the text is no JSON: it opens the text, or stands in the place of a value without quotes.
    var isBrokenByMask: Bool {
        var place = 0
        while let found = nextMask(from: place) {
            place = found.place.upperBound
            var before = found.place.lowerBound - 1
            while before >= 0, JSONCursor.isSpace(self[before]) { before -= 1 }
            if before < 0 { return true }
            var after = place
            while after < count, JSONCursor.isSpace(self[after]) { after += 1 }
            guard after < count else { continue }
            switch (self[before], self[after]) {
            case (UInt8(ascii: ":"), UInt8(ascii: ",")), (UInt8(ascii: ":"), UInt8(ascii: "}")),
                (UInt8(ascii: ","), UInt8(ascii: ",")), (UInt8(ascii: ","), UInt8(ascii: "]")),
                (UInt8(ascii: "["), UInt8(ascii: ",")), (UInt8(ascii: "["), UInt8(ascii: "]")):
                return true
            default: continue
            }
        }
        return false
    }
}

extension TraceAnalyzer {
    /// Whether something in a call's arguments was masked, so that nobody knows what is equal to it.
    mutating func isMasked(_ call: ToolCall) -> Bool {
        call.arguments.exists ? holdsBareMask(call.arguments, 0) : call.argumentsText.holdsBareMask
    }

    /// Whether something in a call's result, or in its error, was masked, so that equal ones may have been others.
    mutating func isOutcomeMasked(_ call: ToolCall) -> Bool {
        if isFailing(call) { return call.errorText.holdsBareMask }
        if call.emptiness != .none { return false }
        if call.isResultHidden { return true }
        return call.result.exists ? holdsBareMask(call.result, 0) : call.resultText.holdsBareMask
    }

    private mutating func holdsBareMask(_ ref: JSONRef, _ depth: Int) -> Bool {
        guard depth < 64 else { return false }
        switch tree.kind(ref) {
        case .string: return tree.string(ref).holdsBareMask
        case .array, .object:
            var child = tree.first(ref)
            while child.exists {
                if tree[child].key.holdsBareMask || holdsBareMask(child, depth + 1) { return true }
                child = tree.next(child)
            }
            return false
        default: return false
        }
    }

    /// A signature that no other call has: equal masks are no equal arguments.
    func signature(ofMasked index: Int, _ call: ToolCall) -> UInt64 {
        var hash = ContentHash(seed: 0x53)
        hash.add(call.signature)
        hash.add(call.id)
        hash.add(UInt64(index))
        if call.place >= 0 {
            hash.add(trace.steps[Int(call.place)].id)
            hash.add(trace.steps[Int(call.place)].start)
        }
        return hash.value
    }
}
