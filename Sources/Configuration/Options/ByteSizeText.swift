/// Byte counts with a unit: `512`, `64MiB`, `4 MB`, `1.5GiB`. Units count 10^3 without and 2^10 with the `i`, in any
/// case of letters.
package enum ByteSizeText {
    private static let unitsByName: [(name: String, bytes: Int64)] = [
        ("b", 1), ("kb", 1_000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("tb", 1_000_000_000_000),
        ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("tib", 1 << 40),
    ]

    /// The byte count, or nil when the text is none or exceeds 2^63 - 1 bytes.
    package static func parse(_ text: String) -> Int? {
        var rest = Substring(text)
        guard let number = DecimalText.take(from: &rest) else { return nil }
        while rest.utf8.first == UInt8(ascii: " ") { rest.removeFirst() }
        let name = rest.lowercased()
        guard let unit = name.isEmpty ? 1 : unitsByName.first(where: { $0.name == name })?.bytes else { return nil }
        return number.scaled(by: unit).flatMap(Int.init(exactly:))
    }

    /// The count in the largest binary unit that divides it, such as `64MiB`; otherwise the bare number.
    package static func format(_ bytes: Int) -> String {
        let units: [(String, Int)] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        for (name, size) in units where bytes != 0 && bytes % size == 0 { return "\(bytes / size)\(name)" }
        return String(bytes)
    }
}
