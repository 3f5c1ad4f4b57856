import Telemetry

/// A string with its escapes resolved, and where each byte came from.
final class DecodedText {
    var bytes = ByteColumn()
    /// For each byte, and for the end, the offset in the value that is being redacted.
    var origins = Column<UInt32>()

    func shrink() {
        if bytes.capacity > RedactionState.keptBytes { bytes = ByteColumn() }
        if origins.footprint > 4 * RedactionState.keptBytes { origins = Column() }
    }

    /// Takes in `range` of a view with its escapes resolved: those of `markup`, or those of JSON. `outer`
    /// holds the view's own origins, nil when the view is part of the value itself.
    func decode(_ view: TextRedaction.View, _ range: Range<Int>, outer: DecodedText?, _ markup: Markup?) {
        let source: UnsafePointer<UInt32>?
        if let outer {
            precondition(view.base >= 0 && view.base + range.upperBound < outer.origins.count, "origins out of range")
            source = UnsafePointer(outer.origins.base + view.base)
        } else {
            source = nil
        }
        // One access to each member for the whole string: the runtime checks every single one.
        let from = Origins(base: view.base, source: source)
        if let markup {
            DecodedText.decode(view.text, range, markup, from, &bytes, &origins)
        } else {
            DecodedText.decode(view.text, range, from, &bytes, &origins)
        }
    }

    /// Where the bytes of a view are in the value: from `base` on in order, or as `source` says.
    private struct Origins {
        let base: Int
        let source: UnsafePointer<UInt32>?

        subscript(index: Int) -> UInt32 {
            if let source { return source[index] }
            return UInt32(truncatingIfNeeded: base &+ index)
        }

        func copy(_ range: Range<Int>, to target: UnsafeMutablePointer<UInt32>) {
            if let source { return target.update(from: source + range.lowerBound, count: range.count) }
            var value = UInt32(truncatingIfNeeded: base &+ range.lowerBound)
            for index in 0..<range.count {
                target[index] = value
                value &+= 1
            }
        }
    }

    private static func decode(
        _ text: Text, _ range: Range<Int>, _ source: Origins, _ bytes: inout ByteColumn,
        _ origins: inout Column<UInt32>
    ) {
        bytes.removeAll()
        origins.removeAll()
        // No escape is shorter than what it stands for, so nothing grows below.
        bytes.reserve(range.count)
        if origins.capacity <= range.count { origins = Column(capacity: range.count + 1) }
        let part = text[range]
        let cursor = ByteCursor(text)
        var index = range.lowerBound
        while index < range.upperBound {
            let plainEnd = part.firstIndex(of: 0x5C, from: index - range.lowerBound).map { $0 + range.lowerBound }
            let run = index..<(plainEnd ?? range.upperBound)
            bytes.append(text[run])
            source.copy(run, to: origins.base + origins.count)
            origins.count &+= run.count
            index = run.upperBound
            guard index < range.upperBound else { break }
            let before = bytes.count
            let next = JSONTokens.decode(cursor, index, range.upperBound, &bytes)
            let origin = source[index]
            for _ in before..<bytes.count { origins.append(origin) }
            index = next
        }
        origins.append(source[range.upperBound])
    }

    private static func decode(
        _ text: Text, _ range: Range<Int>, _ markup: Markup, _ source: Origins, _ bytes: inout ByteColumn,
        _ origins: inout Column<UInt32>
    ) {
        bytes.removeAll()
        origins.removeAll()
        bytes.reserve(range.count)
        if origins.capacity <= range.count { origins = Column(capacity: range.count + 1) }
        let cursor = ByteCursor(text)
        var index = range.lowerBound
        while index < range.upperBound {
            let before = bytes.count
            let next = markup.decode(cursor, index, range.upperBound, &bytes)
            let origin = source[index]
            for _ in before..<bytes.count { origins.append(origin) }
            index = next
        }
        origins.append(source[range.upperBound])
    }
}
