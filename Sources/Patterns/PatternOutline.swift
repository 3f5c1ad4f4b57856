/// What a part of a pattern takes up in a text: so and so many repetitions of something.
struct OutlineItem {
    /// All bytes that may be in it.
    var set: ByteSet
    var least: Int
    /// Nil when there is no end.
    var most: Int?
    /// Whether each repetition is a single byte of `set`; otherwise `least` and `most` count bytes of whatever order.
    var isByte: Bool
}

/// The parts of a pattern in a row, as far as they can be told without running it.
///
/// It reads the part of PCRE2's syntax that masks of secrets are written in, and knows nothing of a pattern that holds
/// anything else. What it says is a little wider than the pattern: every match consists of these parts, while not all
/// that consists of them matches. Assertions such as `\b` take up nothing.
struct PatternOutline {
    private(set) var items: [OutlineItem] = []

    private struct Unknown: Error {}

    private let bytes: [UInt8]
    private var index = 0
    private var foldsCase = false

    /// Groups inside each other that are read.
    private static let depth = 32

    init?(_ pattern: String) {
        bytes = Array(pattern.utf8)
        do throws(Unknown) {
            readSwitches()
            items = try alternatives(PatternOutline.depth)
            guard index == bytes.count else { return nil }
        } catch { return nil }
    }

    // MARK: Grammar

    /// Switches at the very beginning. Those for lines change no lengths.
    private mutating func readSwitches() {
        guard bytes.starts(with: "(?".utf8) else { return }
        var end = 2
        var folds = false
        while end < bytes.count, "ims".utf8.contains(bytes[end]) {
            if bytes[end] == UInt8(ascii: "i") { folds = true }
            end += 1
        }
        guard end > 2, end < bytes.count, bytes[end] == UInt8(ascii: ")") else { return }
        foldsCase = folds
        index = end + 1
    }

    private var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func take(_ byte: Character) -> Bool {
        guard next == byte.asciiValue else { return false }
        index += 1
        return true
    }

    /// Up to a closing bracket or the end. More than one alternative are no row: only their bytes are known.
    private mutating func alternatives(_ budget: Int) throws(Unknown) -> [OutlineItem] {
        guard budget > 0 else { throw Unknown() }
        let first = try row(budget)
        guard next == 0x7C else { return first }
        var all = PatternOutline.summary(first)
        while take("|") {
            let other = PatternOutline.summary(try row(budget))
            all.set.formUnion(other.set)
            all.least = min(all.least, other.least)
            all.most = PatternOutline.larger(all.most, other.most)
        }
        return [all]
    }

    private mutating func row(_ budget: Int) throws(Unknown) -> [OutlineItem] {
        var found: [OutlineItem] = []
        while let byte = next, byte != 0x7C, byte != 0x29 {
            let part = try atom(budget)
            let (least, most) = try repetitions()
            found += try PatternOutline.repeated(part, least, most)
            guard found.count < 1_000 else { throw Unknown() }
        }
        return found
    }

    /// One thing that may be repeated; nothing for an assertion.
    private mutating func atom(_ budget: Int) throws(Unknown) -> [OutlineItem] {
        guard let byte = next else { throw Unknown() }
        index += 1
        switch byte {
        case UInt8(ascii: "("): return try group(budget)
        case UInt8(ascii: "["): return [one(try characterClass())]
        case UInt8(ascii: "."): return [one(PatternOutline.anything)]
        case UInt8(ascii: "^"), UInt8(ascii: "$"): return []
        case UInt8(ascii: "\\"): return try escape().map { [one($0)] } ?? []
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"): throw Unknown()
        case 0x80...:
            // The Kelvin sign and the long s are also k and s then.
            if foldsCase { throw Unknown() }
            // The rest of the character.
            while let byte = next, byte & 0xC0 == 0x80 { index += 1 }
            return [one(.high)]
        default: return [one(folded(ByteSet([byte])))]
        }
    }

    private mutating func group(_ budget: Int) throws(Unknown) -> [OutlineItem] {
        var isAssertion = false
        if take("?") {
            switch next {
            case UInt8(ascii: ":"): index += 1
            case UInt8(ascii: "="), UInt8(ascii: "!"):
                index += 1
                isAssertion = true
            case UInt8(ascii: "P"), UInt8(ascii: "<"):
                _ = take("P")
                guard take("<") else { throw Unknown() }
                if take("=") || take("!") { isAssertion = true } else { try groupName() }
            default: throw Unknown()
            }
        } else if next == UInt8(ascii: "*") {
            throw Unknown()
        }
        let inner = try alternatives(budget - 1)
        guard take(")") else { throw Unknown() }
        return isAssertion ? [] : inner
    }

    private mutating func groupName() throws(Unknown) {
        while let byte = next, byte != UInt8(ascii: ">") {
            guard ByteSet.words.contains(byte) else { throw Unknown() }
            index += 1
        }
        guard take(">") else { throw Unknown() }
    }

    private mutating func repetitions() throws(Unknown) -> (least: Int, most: Int?) {
        var found: (Int, Int?) = (1, 1)
        if take("*") {
            found = (0, nil)
        } else if take("+") {
            found = (1, nil)
        } else if take("?") {
            found = (0, 1)
        } else if take("{") {
            let least = try number()
            var most: Int? = least
            if take(",") { most = next == UInt8(ascii: "}") ? nil : try number() }
            guard take("}"), most ?? least >= least else { throw Unknown() }
            found = (least, most)
        } else {
            return found
        }
        // Lazy or possessive: the same lengths.
        if !take("?") { _ = take("+") }
        if let byte = next, "*+?{".utf8.contains(byte) { throw Unknown() }
        return found
    }

    private mutating func number() throws(Unknown) -> Int {
        var value = 0
        let start = index
        while let byte = next, ByteSet.digits.contains(byte), index - start < 5 {
            value = value * 10 + Int(byte - 0x30)
            index += 1
        }
        guard index > start else { throw Unknown() }
        return value
    }

    // MARK: Characters

    private static let anything: ByteSet = {
        var set = ByteSet(0...0x7F)
        set.formUnion(.high)
        return set
    }()

    /// What follows a backslash: a set, or nil for an assertion.
    private mutating func escape() throws(Unknown) -> ByteSet? {
        guard let byte = next else { throw Unknown() }
        switch byte {
        case UInt8(ascii: "b"), UInt8(ascii: "B"), UInt8(ascii: "A"), UInt8(ascii: "z"), UInt8(ascii: "Z"):
            index += 1
            return nil
        default: return try escapedSet()
        }
    }

    private mutating func escapedSet() throws(Unknown) -> ByteSet {
        guard let byte = next else { throw Unknown() }
        index += 1
        switch byte {
        case UInt8(ascii: "d"): return .digits
        case UInt8(ascii: "w"): return .words
        case UInt8(ascii: "s"): return .spaces
        case UInt8(ascii: "D"): return PatternOutline.complement(.digits)
        case UInt8(ascii: "W"): return PatternOutline.complement(.words)
        case UInt8(ascii: "S"): return PatternOutline.complement(.spaces)
        case UInt8(ascii: "n"): return ByteSet([0x0A])
        case UInt8(ascii: "r"): return ByteSet([0x0D])
        case UInt8(ascii: "t"): return ByteSet([0x09])
        // Other letters and digits mean more than one character, references or switches.
        case _ where byte >= 0x80 || ByteSet.words.contains(byte): throw Unknown()
        default: return ByteSet([byte])
        }
    }

    private static func complement(_ set: ByteSet) -> ByteSet {
        var rest = set.asciiComplement()
        rest.formUnion(.high)
        return rest
    }

    /// Behind the opening bracket.
    private mutating func characterClass() throws(Unknown) -> ByteSet {
        let isNegated = take("^")
        var set = ByteSet()
        var isFirst = true
        while let byte = next, byte != UInt8(ascii: "]") || isFirst {
            isFirst = false
            let low = try classMember()
            if let low = low.single, next == UInt8(ascii: "-"), index + 1 < bytes.count,
                bytes[index + 1] != UInt8(ascii: "]")
            {
                index += 1
                guard let high = try classMember().single, low <= high else { throw Unknown() }
                for byte in low...high { set.insert(byte) }
            } else {
                set.formUnion(low.set)
            }
        }
        guard take("]"), !set.isEmpty else { throw Unknown() }
        set = folded(set)
        return isNegated ? PatternOutline.complement(set) : set
    }

    /// One member of a class; `single` when it can begin a range.
    private mutating func classMember() throws(Unknown) -> (set: ByteSet, single: UInt8?) {
        guard let byte = next else { throw Unknown() }
        index += 1
        switch byte {
        case UInt8(ascii: "\\"):
            // A backspace here.
            if next == UInt8(ascii: "b") { throw Unknown() }
            let set = try escapedSet()
            let members = set.bytes
            return (set, members.count == 1 ? members[0] : nil)
        case UInt8(ascii: "["):
            if let sign = next, ":.=".utf8.contains(sign) { throw Unknown() }
        case 0x80...: throw Unknown()
        default: break
        }
        return (ByteSet([byte]), byte)
    }

    /// With both cases when case does not matter. A K and a long s beyond ASCII are among them.
    private func folded(_ set: ByteSet) -> ByteSet {
        guard foldsCase else { return set }
        var all = set
        for byte in set.bytes where byte < 0x80 && (byte | 0x20) &- 0x61 < 26 { all.insert(byte ^ 0x20) }
        if all.contains(UInt8(ascii: "k")) || all.contains(UInt8(ascii: "s")) { all.formUnion(.high) }
        return all
    }

    private func one(_ set: ByteSet) -> OutlineItem {
        if set.isASCII { return OutlineItem(set: set, least: 1, most: 1, isByte: true) }
        return OutlineItem(set: set, least: 1, most: 4, isByte: false)
    }

    // MARK: Sums

    private static func repeated(
        _ part: [OutlineItem], _ least: Int, _ most: Int?
    ) throws(Unknown) -> [OutlineItem] {
        if least == 1, most == 1 { return part }
        guard let first = part.first else { return [] }
        if part.count == 1, first.isByte, first.least == 1, first.most == 1 {
            return [OutlineItem(set: first.set, least: least, most: most, isByte: true)]
        }
        var rest = summary(part)
        let again = least > 0 ? 1 : 0
        let (fewest, isTooLong) = rest.least.multipliedReportingOverflow(by: least - again)
        guard !isTooLong else { throw Unknown() }
        rest.least = fewest
        rest.most = rest.most.flatMap { size in
            most.flatMap { most in
                let (product, isTooLong) = size.multipliedReportingOverflow(by: most - again)
                return isTooLong ? nil : product
            }
        }
        return (again == 1 ? part : []) + [rest]
    }

    private static func summary(_ items: [OutlineItem]) -> OutlineItem {
        var all = OutlineItem(set: ByteSet(), least: 0, most: 0, isByte: false)
        for item in items {
            all.set.formUnion(item.set)
            all.least = sum(all.least, item.least) ?? all.least
            all.most = sum(all.most, item.most)
        }
        return all
    }

    /// Nil when there is no end, or none that a number holds.
    static func sum(_ left: Int?, _ right: Int?) -> Int? {
        guard let left, let right else { return nil }
        let (sum, isTooLong) = left.addingReportingOverflow(right)
        return isTooLong ? nil : sum
    }

    private static func larger(_ left: Int?, _ right: Int?) -> Int? {
        guard let left, let right else { return nil }
        return max(left, right)
    }
}
