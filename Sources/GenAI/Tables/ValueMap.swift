package import Telemetry

/// Raw word to current word, from a table. Lookups neither allocate nor hash strings: a small open-addressed table over
/// normalised bytes.
package struct ValueMap: BitwiseCopyable {
    /// What a lookup gives.
    package enum Outcome {
        /// The current word.
        case word(Text)
        /// The table says that the word has no current form.
        case none
        /// The table does not know the word and keeps it.
        case unknown
        /// The table does not know the word and leaves it out.
        case omitted

        /// The current word, if there is one.
        package var text: Text? {
            if case .word(let text) = self { return text }
            return nil
        }
    }

    enum Unmatched: BitwiseCopyable {
        case keep, omit
        case word(Text)
    }

    struct Entry: BitwiseCopyable {
        var key = Text.empty
        /// Empty when the word has no current form.
        var value = Text.empty
        var isUsed = false
    }

    let name: Text
    let folds: Bool
    let squeezes: Bool
    let strip: Text
    let unmatched: Unmatched
    let suffixes: Frozen<(suffix: Text, value: Text)>
    /// Distinct keys by falling length, for prefix and suffix matches.
    let byLength: Frozen<Entry>
    private let slots: Frozen<Entry>
    private let mask: Int
    /// Longest word that is looked up at all.
    private static let longest = 256

    /// `entries` hold normalised keys. The texts and the pool, which keeps the map's memory, must outlive the map.
    init(
        _ pool: TextPool, name: Text, folds: Bool, squeezes: Bool, strip: Text, unmatched: Unmatched,
        suffixes: [(suffix: Text, value: Text)], entries: [(key: Text, value: Text)]
    ) {
        self.name = name
        self.folds = folds
        self.squeezes = squeezes
        self.strip = strip
        self.unmatched = unmatched
        self.suffixes = pool.freeze(suffixes)
        var size = 16
        while size < entries.count * 3 { size *= 2 }
        var slots = [Entry](repeating: Entry(), count: size)
        var kept: [Entry] = []
        for (key, value) in entries {
            var slot = Int(truncatingIfNeeded: ValueMap.hash(key)) & (size - 1)
            while slots[slot].isUsed, !(slots[slot].key == key) { slot = (slot + 1) & (size - 1) }
            if slots[slot].isUsed { continue }
            slots[slot] = Entry(key: key, value: value, isUsed: true)
            kept.append(slots[slot])
        }
        self.slots = pool.freeze(slots)
        mask = size - 1
        byLength = pool.freeze(kept.sorted { $0.key.count > $1.key.count })
    }

    private static func hash(_ text: Text) -> UInt64 {
        let hash = FNV.hash(text.bytes)
        return hash ^ (hash >> 32)
    }

    /// The outcome for a whole word.
    package func lookup(_ word: Text) -> Outcome {
        normalised(word) { key in find(key) ?? suffixMatch(key) ?? fallback }
    }

    /// As `lookup`, but the longest key that is a prefix up to a dot or hyphen counts as well.
    package func lookupPrefix(_ word: Text) -> Outcome {
        normalised(word) { key in
            if let exact = find(key) { return exact }
            var end = key.count
            while end > 0 {
                end -= 1
                guard key[end] == UInt8(ascii: ".") || key[end] == UInt8(ascii: "-") else { continue }
                if let match = find(key[0..<end]) { return match }
            }
            return fallback
        }
    }

    /// The longest key that ends the word.
    package func lookupSuffix(_ word: Text) -> Outcome {
        normalised(word) { key in
            for entry in byLength where key.hasSuffix(entry.key) {
                return entry.value.isEmpty ? .none : .word(entry.value)
            }
            return fallback
        }
    }

    /// Whether the word is one of the table's current words.
    func isCurrent(_ word: Text) -> Bool { byLength.contains { $0.value == word } }

    private var fallback: Outcome {
        switch unmatched {
        case .keep: .unknown
        case .omit: .omitted
        case .word(let text): .word(text)
        }
    }

    private func find(_ key: Text) -> Outcome? {
        if let hit = probe(key) { return hit }
        guard squeezes else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: max(key.count, 1), alignment: 1) { buffer in
            var length = 0
            for index in 0..<key.count {
                let byte = key[index]
                if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") { continue }
                buffer[length] = byte
                length += 1
            }
            return probe(Text(UnsafeRawBufferPointer(start: buffer.baseAddress, count: length)))
        }
    }

    private func probe(_ key: Text) -> Outcome? {
        var slot = Int(truncatingIfNeeded: ValueMap.hash(key)) & mask
        while slots[slot].isUsed {
            if slots[slot].key == key { return slots[slot].value.isEmpty ? Outcome.none : .word(slots[slot].value) }
            slot = (slot + 1) & mask
        }
        return nil
    }

    private func suffixMatch(_ key: Text) -> Outcome? {
        for (suffix, value) in suffixes where key.hasSuffix(suffix) { return .word(value) }
        return nil
    }

    /// Trims, strips the table's prefix and lower-cases, without touching the heap.
    private func normalised(_ word: Text, _ body: (Text) -> Outcome) -> Outcome {
        var start = 0
        var end = word.count
        while start < end, JSONCursor.isSpace(word[start]) { start += 1 }
        while end > start, JSONCursor.isSpace(word[end - 1]) { end -= 1 }
        if !strip.isEmpty, word[start..<end].hasPrefix(strip) { start += strip.count }
        let count = end - start
        guard count > 0, count <= ValueMap.longest else { return count == 0 ? .omitted : fallback }
        guard folds else { return body(word[start..<end]) }
        return withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { buffer in
            for index in 0..<count { buffer[index] = ASCII.lower(word[start + index]) }
            return body(Text(UnsafeRawBufferPointer(buffer)))
        }
    }
}

/// ASCII letters.
enum ASCII {
    @inline(__always)
    static func lower(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }

    /// Equality that ignores ASCII case.
    static func equalsFolded(_ left: Text, _ right: Text) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count where lower(left[index]) != lower(right[index]) { return false }
        return true
    }
}
