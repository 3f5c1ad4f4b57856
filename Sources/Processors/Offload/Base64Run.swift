import Telemetry

/// A long run of base64 in a text.
struct Base64Run {
    /// Where the reference goes: the `data:` of a data URI, or the run itself.
    var start: Int
    /// The digits with their padding.
    var range: Range<Int>
    /// A data URI, or the content of a part that says it is a blob.
    var isMedia: Bool

    /// The next run of at least `least` digits at or behind `from`.
    static func next(_ text: Text, from: Int, least: Int) -> Base64Run? {
        let bytes = ByteCursor(text)
        var index = from
        while index + least <= bytes.count {
            // A run that long must cover this place.
            let probe = index + least - 1
            guard isDigit(bytes[probe]) else {
                index = probe + 1
                continue
            }
            var start = probe
            while start > index, isDigit(bytes[start - 1]) { start -= 1 }
            var end = probe + 1
            while isDigit(bytes[end]) { end += 1 }
            let digits = end - start
            while bytes[end] == 0x3D, end - start < digits + 2 { end += 1 }
            guard digits >= least else {
                index = end
                continue
            }
            return Base64Run(bytes, start..<end)
        }
        return nil
    }

    private init(_ bytes: ByteCursor, _ range: Range<Int>) {
        self.range = range
        start = range.lowerBound
        isMedia = false
        if bytes.has(";base64,", at: start - 8) {
            var scheme = start - 8
            let lowest = max(0, start - 128)
            while scheme > lowest, !bytes.has("data:", at: scheme) { scheme -= 1 }
            if bytes.has("data:", at: scheme) {
                start = scheme
                isMedia = true
            }
            return
        }
        // {"type":"blob","mime_type":"image/png","content":"…"}, escaped or not: a word stands close before, in the
        // same object.
        let words: [StaticString] = [
            "blob", "base64", "mime_type", "media_type", "b64_json", "inline_data",
        ]
        let lowest = max(0, start - 200)
        var index = start - 1
        while index > lowest, bytes[index] != 0x7B, !isMedia {
            for word in words where bytes.has(word, at: index) { isMedia = true }
            index -= 1
        }
    }

    @inline(__always)
    private static func isDigit(_ byte: UInt8) -> Bool { ByteClass.base64Value(byte) != nil }

    /// Appends the bytes that base64 stands for; false when it is none.
    static func decode(_ text: Text, to output: inout ByteColumn) -> Bool {
        var bits: UInt32 = 0
        var held: UInt32 = 0
        for byte in text.bytes where byte != 0x3D {
            guard let value = ByteClass.base64Value(byte) else { return false }
            bits = bits << 6 | UInt32(value)
            held += 6
            if held >= 8 {
                held -= 8
                output.append(UInt8(truncatingIfNeeded: bits >> held))
            }
        }
        return held < 6
    }
}
