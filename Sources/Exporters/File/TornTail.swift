import Glibc

/// Finds where the last whole record of a file ends, so that what a crash left behind it can be cut off.
enum TornTail {
    /// Size of the file up to its last whole record; nil when the file holds something else, which must not be touched.
    static func goodSize(_ descriptor: Int32, size: Int, format: FileOptions.Format) -> Int? {
        guard size > 0 else { return 0 }
        return format == .json ? lines(descriptor, size) : lengths(descriptor, size)
    }

    private static func lines(_ descriptor: Int32, _ size: Int) -> Int? {
        var first: UInt8 = 0
        guard pread(descriptor, &first, 1, 0) == 1 else { return nil }
        guard first == UInt8(ascii: "{") else {
            // Its first record had a size when the power went, and no data.
            return first == 0 && endOfZeros(descriptor, from: 0, size) == size ? 0 : nil
        }
        return endOfLines(descriptor, size)
    }

    /// Where the zeros end that begin at a place; nil when the file cannot be read.
    private static func endOfZeros(_ descriptor: Int32, from start: Int, _ size: Int) -> Int? {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var at = start
        while at < size {
            let count = pread(descriptor, &chunk, min(chunk.count, size - at), off_t(at))
            guard count > 0 else { return nil }
            if let other = chunk[..<count].firstIndex(where: { $0 != 0 }) { return at + other }
            at += count
        }
        return size
    }

    /// Where the last whole line ends; nil when the file cannot be read.
    static func endOfLines(_ descriptor: Int32, _ size: Int) -> Int? {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var end = size
        while end > 0 {
            let start = max(0, end - chunk.count)
            let count = pread(descriptor, &chunk, end - start, off_t(start))
            guard count == end - start else { return nil }
            if let newline = chunk[..<count].lastIndex(of: UInt8(ascii: "\n")) { return start + newline + 1 }
            end = start
        }
        return 0
    }

    private static func lengths(_ descriptor: Int32, _ size: Int, isStopped: () -> Bool = { false }) -> Int? {
        var at = 0
        var header: [UInt8] = [0, 0, 0, 0]
        while size - at >= 4 {
            guard !isStopped(), pread(descriptor, &header, 4, off_t(at)) == 4 else { return nil }
            let length = header.reduce(0) { $0 << 8 | Int($1) }
            // No request of ours is that large: the file is of another kind.
            if length > 1 << 30 { return nil }
            if length == 0 {
                // Up to the end they are what is left of a record that had a size when the power went, and no data.
                guard let end = endOfZeros(descriptor, from: at, size) else { return nil }
                if end == size { break }
                at += (end - at) & ~3
                continue
            }
            guard length <= size - at - 4 else { break }
            at += 4 + length
        }
        return at
    }
}

extension TornTail {
    /// How a file ends of which only the name says that it is ours.
    enum Left: Equatable {
        case whole
        /// What follows behind so many bytes is a record that was not finished.
        case torn(Int)
        /// It may be somebody else's, and must not be touched.
        case foreign
    }

    /// `isStopped` ends the look at a file of many records, which then counts as somebody else's.
    static func left(
        _ descriptor: Int32, size: Int, format: FileOptions.Format, isStopped: () -> Bool = { false }
    ) -> Left {
        switch format {
        case .json: leftLine(descriptor, size)
        case .proto: leftRecord(descriptor, size, isStopped)
        }
    }

    private static func leftLine(_ descriptor: Int32, _ size: Int) -> Left {
        guard beginsRequest(descriptor, at: 0, size), let end = endOfLines(descriptor, size) else { return .foreign }
        if end == size { return .whole }
        let isTorn =
            endOfZeros(descriptor, from: end, size) == size
            || (beginsRequest(descriptor, at: end, size) && isOpenObject(descriptor, end..<size))
        return isTorn ? .torn(end) : .foreign
    }

    private static func leftRecord(_ descriptor: Int32, _ size: Int, _ isStopped: () -> Bool) -> Left {
        var head: [UInt8] = [0, 0, 0, 0, 0]
        // A length and the tag of the first resource.
        guard pread(descriptor, &head, head.count, 0) == head.count, head[..<4].contains(where: { $0 != 0 }),
            head[4] == 0x0A, let end = lengths(descriptor, size, isStopped: isStopped), end > 0
        else { return .foreign }
        if end == size { return .whole }
        let isTorn = endOfZeros(descriptor, from: end, size) == size || isOpenRecord(descriptor, end..<size)
        return isTorn ? .torn(end) : .foreign
    }

    /// Whether a record stands there whose parts go on to the end of the file. Where one ends and something else
    /// follows, it is the record's length that is damaged, and what follows are whole records.
    private static func isOpenRecord(_ descriptor: Int32, _ range: Range<Int>) -> Bool {
        var at = range.lowerBound + 4
        var head: [UInt8] = [0, 0, 0, 0, 0, 0]
        while at < range.upperBound {
            let count = pread(descriptor, &head, min(head.count, range.upperBound - at), off_t(at))
            // The tag of a resource. Behind a part that reached the disk there may be zeros.
            guard count > 0 else { return false }
            guard head[0] == 0x0A else { return endOfZeros(descriptor, from: at, range.upperBound) == range.upperBound }
            var length = 0
            var place = 1
            while place < count {
                length |= Int(head[place] & 0x7F) << (7 * (place - 1))
                place += 1
                if head[place - 1] < 0x80 { break }
            }
            at += place + length
        }
        return true
    }

    /// How requests begin, as `OTLPJSONWriter` writes them.
    private static let heads = ["Spans", "Logs", "Metrics"].map { Array("{\"resource\($0)\":[".utf8) }

    /// Whether a request stands there, or the beginning of one.
    private static func beginsRequest(_ descriptor: Int32, at place: Int, _ size: Int) -> Bool {
        var bytes = [UInt8](repeating: 0, count: min(24, size - place))
        guard pread(descriptor, &bytes, bytes.count, off_t(place)) == bytes.count else { return false }
        // Behind a part that reached the disk there may be zeros.
        let text = bytes.prefix { $0 != 0 }
        return !text.isEmpty && heads.contains { head in zip(text, head).allSatisfy { $0 == $1 } }
    }

    /// Whether the object that begins there does not end. One that does is a whole request, whoever wrote it.
    private static func isOpenObject(_ descriptor: Int32, _ range: Range<Int>) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var (at, depth, isText, isEscaped) = (range.lowerBound, 0, false, false)
        while at < range.upperBound {
            let count = pread(descriptor, &chunk, min(chunk.count, range.upperBound - at), off_t(at))
            guard count > 0 else { return false }
            for byte in chunk[..<count] {
                switch byte {
                case _ where isEscaped: isEscaped = false
                case UInt8(ascii: "\\") where isText: isEscaped = true
                case UInt8(ascii: "\""): isText.toggle()
                case UInt8(ascii: "{") where !isText: depth += 1
                case UInt8(ascii: "}") where !isText:
                    depth -= 1
                    if depth == 0 { return false }
                default: break
                }
            }
            at += count
        }
        return true
    }
}
