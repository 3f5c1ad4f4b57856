/// Finds the known name that a misspelt one most likely meant.
package enum Suggestion {
    /// The nearest of the known names, or nil when none is near enough to be meant.
    ///
    /// Names that differ only in case, `_` and `-` are always near. Otherwise up to a third of the longer name may
    /// differ, at most 2 letters, or 3 of 16 and more: `ecsattributes` is no misspelt `attributes`. The first of
    /// equally near names wins.
    package static func nearest(to name: String, among known: [String]) -> String? {
        let plain = letters(name)
        guard !plain.isEmpty, plain.count <= 64 else { return nil }
        var best: (name: String, distance: Int)?
        for candidate in known {
            let other = letters(candidate)
            if other == plain { return candidate }
            guard other.count <= 64 else { continue }
            let distance = editDistance(plain, other)
            let longer = max(plain.count, other.count)
            let allowed = min(longer < 16 ? 2 : 3, max(1, longer / 3))
            if distance <= allowed, distance < best?.distance ?? Int.max { best = (candidate, distance) }
        }
        return best?.name
    }

    /// The fix for an unknown name: the nearest one, or the list of those known.
    package static func fix(for name: String, among known: [String], noun: String) -> String? {
        if let nearest = nearest(to: name, among: known) { return "did you mean \"\(nearest)\"?" }
        guard !known.isEmpty else { return nil }
        let shown = known.prefix(12).joined(separator: ", ")
        return "known \(noun): \(shown)\(known.count > 12 ? ", …" : "")"
    }

    private static func letters(_ name: String) -> [UInt8] {
        name.utf8.compactMap { byte in
            switch byte {
            case UInt8(ascii: "_"), UInt8(ascii: "-"): nil
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 0x20
            default: byte
            }
        }
    }

    /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
    private static func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            for column in 0..<right.count {
                let replaced = last[column] + (left[row] == right[column] ? 0 : 1)
                var cost = min(replaced, last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}
