import CSupport
import Telemetry

/// Cuts text into words: runs of ASCII letters and digits and of bytes above ASCII; `-`, `_`, `.`, `@`, `+` and `/`
/// belong to a word between two of those, so ids, e-mail addresses and decimal numbers stay whole.
struct WordCursor {
    let text: Text
    /// Whether joined words come out whole or in their parts.
    let joins: Bool
    private var index = 0

    init(_ text: Text, joins: Bool = true) {
        self.text = text
        self.joins = joins
    }

    static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x80...0xFF: true
        default: false
        }
    }

    private static func isJoint(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "@"), UInt8(ascii: "+"),
            UInt8(ascii: "/"):
            true
        default: false
        }
    }

    /// Place of the next word, nil at the end.
    mutating func next() -> Range<Int>? {
        while index < text.count, !WordCursor.isWord(text[index]) { index &+= 1 }
        guard index < text.count else { return nil }
        let start = index
        while index < text.count {
            if WordCursor.isWord(text[index]) {
                index &+= 1
            } else if joins, WordCursor.isJoint(text[index]), index &+ 1 < text.count,
                WordCursor.isWord(text[index &+ 1])
            {
                index &+= 2
            } else {
                break
            }
        }
        return start..<index
    }

    /// Place of the next word that holds a digit, nil when there is none. Words without one are passed over without
    /// being cut out.
    mutating func nextWithDigit() -> Range<Int>? {
        guard let digit = text.firstDigit(from: index) else {
            index = text.count
            return nil
        }
        var start = digit
        while start > index, isInside(start &- 1) { start &-= 1 }
        index = start
        return next()
    }

    /// Passes over all words that begin with none of these pairs of lower-case letters, written one behind the other.
    /// For a cursor that does not join.
    mutating func skip(toWordBeginningWith pairs: StaticString) {
        let bytes = text.start.assumingMemoryBound(to: UInt8.self)
        var place = index
        while place < text.count {
            place = sluice_find_pair(bytes, place, text.count, pairs.utf8Start, pairs.utf8CodeUnitCount / 2)
            if place < text.count, place == 0 || !WordCursor.isWord(text[place &- 1]) { break }
            place &+= 1
        }
        index = min(place, text.count)
    }

    /// Whether the byte in front of one of a word belongs to that word too.
    private func isInside(_ place: Int) -> Bool {
        if WordCursor.isWord(text[place]) { return true }
        return joins && place > index && WordCursor.isJoint(text[place]) && WordCursor.isWord(text[place &- 1])
            && WordCursor.isWord(text[place &+ 1])
    }

    /// The figure that the range just handed out begins, with groups of thousands: `1,299.50`. What was taken is not
    /// handed out again.
    mutating func extend(overGroupsAfter range: Range<Int>) -> Range<Int> {
        var end = range.upperBound
        while end &+ 3 < text.count, text[end] == UInt8(ascii: ","),
            (1...3).allSatisfy({ Text.isDigit(text[end + $0]) })
        {
            var next = end + 4
            // A group has three digits; more are another figure.
            if next < text.count, Text.isDigit(text[next]) { break }
            if next + 1 < text.count, text[next] == UInt8(ascii: "."), Text.isDigit(text[next + 1]) {
                next += 1
                while next < text.count, Text.isDigit(text[next]) { next += 1 }
            }
            end = next
        }
        index = max(index, end)
        return range.lowerBound..<end
    }
}

extension Text {
    /// A hash that figures of one value share, however they are written: `1,299.50` and `1299.5`. Nil for other texts.
    var figureHash: UInt64? {
        var digits = 0
        var points = 0
        for index in 0..<count {
            switch self[index] {
            case 0x30...0x39: digits += 1
            case UInt8(ascii: "."): points += 1
            case UInt8(ascii: ","): continue
            default: return nil
            }
        }
        guard digits > 0, points <= 1 else { return nil }
        var end = count
        if points == 1 {
            while end > 0, self[end - 1] == 0x30 { end -= 1 }
            if end > 0, self[end - 1] == UInt8(ascii: ".") { end -= 1 }
        }
        var hash = ContentHash(seed: 0xF1)
        for index in 0..<end where self[index] != UInt8(ascii: ",") { hash.add(UInt64(self[index])) }
        return hash.value
    }

    static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    var trimmed: Text {
        var start = 0
        var end = count
        while start < end, JSONCursor.isSpace(self[start]) { start += 1 }
        while end > start, JSONCursor.isSpace(self[end - 1]) { end -= 1 }
        return self[start..<end]
    }

    func capped(_ length: Int) -> Text { self[0..<Swift.min(count, length)] }

    /// Whether the text begins with lower-case ASCII `prefix`, case ignored.
    func beginsWith(_ prefix: StaticString) -> Bool {
        let prefix = Text(prefix)
        guard count >= prefix.count else { return false }
        for index in 0..<prefix.count where ASCII.lower(self[index]) != prefix[index] { return false }
        return true
    }

    /// Whether lower-case ASCII `word` stands in the text, case ignored.
    func holds(_ word: StaticString) -> Bool { place(of: Text(word)) != nil }

    /// Place of a text, ASCII case ignored.
    func place(of word: Text, from: Int = 0) -> Int? {
        guard word.count > 0, count - from >= word.count else { return nil }
        let first = ASCII.lower(word[0])
        var index = from
        while index <= count &- word.count {
            if ASCII.lower(self[index]) == first {
                var offset = 1
                while offset < word.count, ASCII.lower(self[index &+ offset]) == ASCII.lower(word[offset]) {
                    offset &+= 1
                }
                if offset == word.count { return index }
            }
            index &+= 1
        }
        return nil
    }

    /// Hash of letters, digits and bytes above ASCII, case ignored: `ORD-88213`, `ord_88213` and `"Ord 88213"` are one.
    var looseHash: UInt64 {
        var hash = ContentHash(seed: 0x6C)
        var word: UInt64 = 0
        var used: UInt64 = 0
        for index in 0..<count where WordCursor.isWord(self[index]) {
            word = word << 8 | UInt64(ASCII.lower(self[index]))
            used &+= 1
            if used & 7 == 0 {
                hash.add(word)
                word = 0
            }
        }
        hash.add(word ^ used << 56)
        return hash.value
    }

    /// Hash of the letters alone, so that errors that differ in numbers, ids and quotes are one. At most 256 bytes
    /// count. Words with digits are left out, and what stands in quotes.
    var errorHash: UInt64 {
        var hash = ContentHash(seed: 0xE7)
        let text = trimmed.capped(256)
        var words = WordCursor(text, joins: true)
        while let range = words.next() {
            let word = text[range]
            if word.hasDigit || (range.lowerBound > 0 && Text.isQuote(text[range.lowerBound - 1])) { continue }
            hash.add(word.looseHash)
        }
        return hash.value
    }

    static func isQuote(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") || byte == UInt8(ascii: "`")
    }

    var hasDigit: Bool { firstDigit(from: 0) != nil }

    /// Place of the first ASCII digit, eight bytes at a time.
    func firstDigit(from first: Int) -> Int? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var index = first
        while count &- index >= 8 {
            let word = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            // A digit's difference to "0" is 9 at most: its high bit stays clear, also when 0x76 is added.
            let offsets = word ^ (ones &* 0x30)
            let others = ((offsets & (ones &* 0x7F)) &+ (ones &* 0x76)) | offsets
            let digits = ~others & (ones &* 0x80)
            if digits != 0 { return index &+ digits.trailingZeroBitCount / 8 }
            index &+= 8
        }
        while index < count {
            if Text.isDigit(self[index]) { return index }
            index &+= 1
        }
        return nil
    }

    var hasLetter: Bool {
        for index in 0..<count {
            let byte = ASCII.lower(self[index])
            if (byte >= 0x61 && byte <= 0x7A) || byte >= 0x80 { return true }
        }
        return false
    }

    /// Whether the word looks like an id or an exact figure: digits with letters or joints, or three digits and more.
    var isIdentifier: Bool {
        guard count >= 3, count <= 64 else { return false }
        let signs = signs
        return signs.digits >= 3 || (signs.digits >= 1 && count >= 4 && signs.hasLetter) || signs.hasInnerAt
    }

    /// Whether the word is an id of letters and digits, whose spelling can be lost: no address, no mere figure.
    var isMixedIdentifier: Bool {
        guard count >= 3, count <= 64 else { return false }
        let signs = signs
        return signs.hasLetter && (signs.digits >= 3 || (signs.digits >= 1 && count >= 4)) && !signs.hasAt
    }

    /// What the bytes of a word are.
    private var signs: (digits: Int, hasLetter: Bool, hasAt: Bool, hasInnerAt: Bool) {
        var (digits, hasLetter, at) = (0, false, -1)
        for index in 0..<count {
            let byte = self[index]
            if Text.isDigit(byte) {
                digits &+= 1
            } else if byte >= 0x80 || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) {
                hasLetter = true
            } else if byte == UInt8(ascii: "@"), at < 0 {
                at = index
            }
        }
        return (digits, hasLetter, at >= 0, at > 0)
    }

    /// Whether a byte ends a sentence of prose.
    static func endsSentence(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "?"), UInt8(ascii: ";"), 0x0A: true
        default: false
        }
    }

    static func endsClause(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ",") || endsSentence(byte) }
}

/// A small set of hashes in one column. Sorted before it is asked.
struct HashSet: ~Copyable {
    private var hashes = Column<UInt64>()

    var count: Int { hashes.count }

    mutating func removeAll() { hashes.removeAll() }

    mutating func insert(_ hash: UInt64) { hashes.append(hash) }

    /// Puts the hashes in order and drops doubles.
    mutating func seal() {
        var buffer = UnsafeMutableBufferPointer(start: hashes.base, count: hashes.count)
        buffer.sort()
        var kept = 0
        for index in 0..<hashes.count where kept == 0 || hashes[index] != hashes[kept - 1] {
            hashes[kept] = hashes[index]
            kept += 1
        }
        hashes.truncate(to: kept)
    }

    /// Only after `seal`.
    func contains(_ hash: UInt64) -> Bool {
        var low = 0
        var high = hashes.count
        while low < high {
            let middle = (low + high) / 2
            if hashes[middle] < hash { low = middle + 1 } else { high = middle }
        }
        return low < hashes.count && hashes[low] == hash
    }

    /// Common share of two sealed sets: |A and B| / |A or B|; 1 when both are empty.
    static func similarity(_ left: borrowing HashSet, _ right: borrowing HashSet) -> Double {
        var common = 0
        for index in 0..<left.hashes.count where right.contains(left.hashes[index]) { common += 1 }
        let all = left.count + right.count - common
        return all == 0 ? 1 : Double(common) / Double(all)
    }
}
