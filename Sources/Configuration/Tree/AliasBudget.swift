/// Refuses texts whose aliases could expand without bound, before a parser resolves any of them, and texts whose keys
/// are mappings inside mappings, since the parser hashes every such key again at every level.
///
/// The scan takes more for anchors and aliases than are any, and every anchor's content for larger than it is: from
/// the anchor to the first alias of its name, or to the last one where the name is given twice. So what passes is
/// safe, and what a hand would write passes.
enum AliasBudget {
    /// How many bytes the aliases of one text may stand for.
    static let expandedBytesMaximum = 4 << 20
    /// How deep aliases may refer to anchors whose content holds aliases.
    static let chainMaximum = 4

    /// How many keys may be written in the explicit form `? key`.
    static let explicitKeysMaximum = 64

    /// True when more places look like an explicit key than are allowed.
    static func hasTooManyExplicitKeys(in text: String) -> Bool {
        var previous = UInt8(ascii: "\n")
        var isAfterStart = false
        var found = 0
        for byte in text.utf8 {
            if isAfterStart, byte <= 0x20 { found += 1 }
            isAfterStart = byte == UInt8(ascii: "?") && (previous <= 0x20 || "[{,-?".utf8.contains(previous))
            previous = byte
        }
        return found > explicitKeysMaximum
    }

    /// The line of the first alias beyond the budget, from 1, or nil when all is well.
    static func firstExcess(in text: String) -> Int? {
        let bytes = Array(text.utf8)
        let marks = scan(bytes)
        var anchors: [ArraySlice<UInt8>: Anchor] = [:]
        for mark in marks where mark.isAnchor {
            anchors[mark.name, default: Anchor(first: mark.offset)].count += 1
        }
        guard !anchors.isEmpty else { return nil }
        var aliases: [Weighed] = []
        var total = 0
        for mark in marks where !mark.isAnchor {
            guard var anchor = anchors[mark.name], anchor.first < mark.offset else { continue }
            if anchor.weight == nil || anchor.count > 1 {
                let inside = aliases.drop { $0.offset < anchor.first }
                let weight = inside.reduce(mark.offset - anchor.first) { saturating($0, $1.weight) }
                anchor.weight = weight
                anchor.chain = 1 + (inside.map(\.chain).max() ?? 0)
                anchors[mark.name] = anchor
            }
            let weight = anchor.weight ?? 0
            total = saturating(total, weight)
            if total > expandedBytesMaximum || anchor.chain > chainMaximum || aliases.count >= 2_000 {
                return 1 + bytes[..<mark.offset].count { $0 == 0x0A }
            }
            aliases.append(Weighed(offset: mark.offset, weight: weight, chain: anchor.chain))
        }
        return nil
    }

    private struct Anchor {
        var first: Int
        var count = 0
        var weight: Int?
        var chain = 0
    }

    private struct Weighed {
        var offset: Int
        var weight: Int
        var chain: Int
    }

    private struct Found {
        var name: ArraySlice<UInt8>
        var offset: Int
        var isAnchor: Bool
    }

    private static func scan(_ bytes: [UInt8]) -> [Found] {
        var found: [Found] = []
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            guard byte == UInt8(ascii: "&") || byte == UInt8(ascii: "*") else {
                index += 1
                continue
            }
            let start = index + 1
            var end = start
            while end < bytes.count, isNameByte(bytes[end]) { end += 1 }
            if end > start {
                found.append(Found(name: bytes[start..<end], offset: index, isAnchor: byte == UInt8(ascii: "&")))
            }
            index = end
        }
        return found
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func saturating(_ left: Int, _ right: Int) -> Int {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? Int.max : sum
    }
}
