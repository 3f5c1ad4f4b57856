/// Tells which names in the folders of a path an exporter may have given. A value that was too long for a name was cut,
/// and is not known here.
struct PathPattern {
    /// One name of the path: a folder's or, the last, the file's.
    struct Name {
        /// The name when there are no places in it.
        let fixed: String?
        private let anyTime: [Element]
        private let now: [Element]

        fileprivate init(_ pieces: [PathTemplate.Piece], seconds: Int) {
            var text = ""
            var (anyTime, now): ([Element], [Element]) = ([], [])
            for piece in pieces {
                switch piece {
                case .text(let part):
                    text += part
                    anyTime.append(.text(Array(part.utf8)))
                    now.append(.text(Array(part.utf8)))
                case .attribute:
                    anyTime.append(.run(.value))
                    now.append(.run(.value))
                case .date(let format):
                    let date = Array(PathTemplate.date(format, seconds).utf8)
                    anyTime += Element.shape(of: date)
                    now.append(.text(date))
                }
            }
            let hasPlaces = pieces.contains { if case .text = $0 { false } else { true } }
            fixed = hasPlaces ? nil : text
            (self.anyTime, self.now) = (anyTime, now)
        }

        /// Whether it is such a name, of whatever date.
        func matches(_ name: String) -> Bool { Element.match(anyTime, name) }

        /// Whether it is such a name with the present date, or without one.
        func isOfNow(_ name: String) -> Bool { Element.match(now, name) }
    }

    /// From the outermost folder to the file; the first one of a path from the root on is empty.
    let names: [Name]

    /// `seconds` is the present time since 1970.
    init(_ template: PathTemplate, seconds: Int) {
        var names: [[PathTemplate.Piece]] = [[]]
        for piece in template.pieces {
            guard case .text(let text) = piece else {
                names[names.count - 1].append(piece)
                continue
            }
            for (index, part) in text.split(separator: "/", omittingEmptySubsequences: false).enumerated() {
                if index > 0 { names.append([]) }
                if !part.isEmpty { names[names.count - 1].append(.text(String(part))) }
            }
        }
        self.names = names.map { Name($0, seconds: seconds) }
    }
}

/// A part of a name.
private enum Element {
    case text([UInt8])
    /// One byte or more of a kind.
    case run(Kind)

    enum Kind {
        case value, digits, letters

        func takes(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): self != .letters
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): self != .digits
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "%"): self == .value
            default: false
            }
        }
    }

    /// What dates look like that are written as this one: numbers and words may be others.
    static func shape(of date: [UInt8]) -> [Element] {
        var elements: [Element] = []
        var last: Kind?
        for byte in date {
            let kind: Kind? = Kind.digits.takes(byte) ? .digits : Kind.letters.takes(byte) ? .letters : nil
            if let kind, kind != last { elements.append(.run(kind)) }
            if kind == nil { elements.append(.text([byte])) }
            last = kind
        }
        return elements
    }

    /// Whether a name is made of these, one after the other.
    static func match(_ elements: [Element], _ name: String) -> Bool {
        let bytes = Array(name.utf8)
        var places = [Bool](repeating: false, count: bytes.count + 1)
        places[0] = true
        for element in elements { places = element.ends(in: bytes, from: places) }
        return places[bytes.count]
    }

    /// Where it may end, by where it may begin: both for each place before a byte and behind the last one.
    private func ends(in bytes: [UInt8], from starts: [Bool]) -> [Bool] {
        var ends = [Bool](repeating: false, count: starts.count)
        switch self {
        case .text(let text):
            for start in starts.indices where starts[start] && bytes[start...].starts(with: text) {
                ends[start + text.count] = true
            }
        case .run(let kind):
            for (place, byte) in bytes.enumerated() where (starts[place] || ends[place]) && kind.takes(byte) {
                ends[place + 1] = true
            }
        }
        return ends
    }
}
