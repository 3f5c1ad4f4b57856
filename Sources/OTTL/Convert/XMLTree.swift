/// An element of an XML document (XML 1.0): enough for telemetry, without entities of its own and DTDs.
struct XMLElement {
    var tag: String
    var attributes: [(key: String, value: String)] = []
    /// Character data in pieces, between the children.
    var texts: [String] = []
    var children: [XMLElement] = []

    /// The character data, trimmed and joined.
    var content: String {
        texts.map { XMLReader.trimmed($0) }.filter { !$0.isEmpty }.joined()
    }
}

/// Reads a document; nil for one that is not well formed. Bounded in depth; without recursion on the input.
struct XMLReader {
    /// Deepest nesting that is read.
    static let depthMax = 128

    private let bytes: [UInt8]
    private var at = 0

    private init(_ text: String) { bytes = Array(text.utf8) }

    /// The root of a document.
    static func root(of text: String) -> XMLElement? {
        var reader = XMLReader(text)
        return reader.document()
    }

    private mutating func document() -> XMLElement? {
        var open: [XMLElement] = []
        var root: XMLElement?
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "<") {
                if skipped() { continue }
                if let data = characterData() {
                    guard !open.isEmpty else { return nil }
                    open[open.count - 1].texts.append(data)
                } else if starts("</") {
                    guard let name = endTag(), let element = open.popLast(), element.tag == name else { return nil }
                    if open.isEmpty { root = element } else { open[open.count - 1].children.append(element) }
                } else {
                    guard root == nil, open.count < Self.depthMax, let (element, isEmpty) = startTag() else {
                        return nil
                    }
                    if !isEmpty {
                        open.append(element)
                    } else if open.isEmpty {
                        root = element
                    } else {
                        open[open.count - 1].children.append(element)
                    }
                }
            } else {
                let start = at
                while at < bytes.count, bytes[at] != UInt8(ascii: "<") { at += 1 }
                guard let text = Self.decoded(bytes[start..<at]) else { return nil }
                if !open.isEmpty {
                    open[open.count - 1].texts.append(text)
                } else if !Self.trimmed(text).isEmpty {
                    return nil
                }
            }
        }
        return open.isEmpty ? root : nil
    }

    private func starts(_ text: StaticString) -> Bool {
        bytes[at...].starts(with: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Passes over a comment, a processing instruction or a declaration.
    private mutating func skipped() -> Bool {
        if starts("<!--") { return pass("-->") }
        if starts("<?") { return pass("?>") }
        return starts("<!") && !starts("<![CDATA[") && pass(">")
    }

    private mutating func pass(_ end: StaticString) -> Bool {
        let mark = Array(UnsafeBufferPointer(start: end.utf8Start, count: end.utf8CodeUnitCount))
        var place = at
        while place + mark.count <= bytes.count {
            if bytes[place..<place + mark.count].elementsEqual(mark) {
                at = place + mark.count
                return true
            }
            place += 1
        }
        // Not closed: what follows is no document.
        at = bytes.count
        return true
    }

    private mutating func characterData() -> String? {
        guard starts("<![CDATA[") else { return nil }
        let start = at + 9
        _ = pass("]]>")
        return String(decoding: bytes[start..<max(start, at - 3)], as: UTF8.self)
    }

    private mutating func endTag() -> String? {
        at += 2
        let name = name()
        skipSpace()
        guard at < bytes.count, bytes[at] == UInt8(ascii: ">"), !name.isEmpty else { return nil }
        at += 1
        return name
    }

    private mutating func startTag() -> (element: XMLElement, isEmpty: Bool)? {
        at += 1
        var element = XMLElement(tag: name())
        guard !element.tag.isEmpty else { return nil }
        while true {
            let before = at
            skipSpace()
            guard at < bytes.count else { return nil }
            if bytes[at] == UInt8(ascii: ">") {
                at += 1
                return (element, false)
            }
            if starts("/>") {
                at += 2
                return (element, true)
            }
            guard before < at, let pair = attribute(), !element.attributes.contains(where: { $0.key == pair.key })
            else {
                return nil
            }
            element.attributes.append(pair)
        }
    }

    private mutating func attribute() -> (key: String, value: String)? {
        let key = name()
        skipSpace()
        guard !key.isEmpty, at < bytes.count, bytes[at] == UInt8(ascii: "=") else { return nil }
        at += 1
        skipSpace()
        guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") || bytes[at] == UInt8(ascii: "'") else { return nil }
        let quote = bytes[at]
        let start = at + 1
        at = start
        while at < bytes.count, bytes[at] != quote, bytes[at] != UInt8(ascii: "<") { at += 1 }
        guard at < bytes.count, bytes[at] == quote, let value = Self.decoded(bytes[start..<at]) else { return nil }
        at += 1
        return (key, value)
    }

    private mutating func name() -> String {
        let start = at
        while at < bytes.count, !Self.isSpace(bytes[at]), !"<>/='\"".utf8.contains(bytes[at]) { at += 1 }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    private mutating func skipSpace() { while at < bytes.count, Self.isSpace(bytes[at]) { at += 1 } }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }

    static func trimmed(_ text: String) -> String {
        let front = text.drop { $0.isWhitespace }
        guard let last = front.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(front[...last])
    }

    private static let entities: [String: String] = ["lt": "<", "gt": ">", "amp": "&", "apos": "'", "quot": "\""]

    /// Text with its references replaced (XML 1.0, section 4.1); nil for one that is not known.
    private static func decoded(_ bytes: ArraySlice<UInt8>) -> String? {
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.contains("&") else { return text }
        var decoded = ""
        var rest = Substring(text)
        while let sign = rest.firstIndex(of: "&") {
            decoded += rest[..<sign]
            guard let end = rest[sign...].firstIndex(of: ";") else { return nil }
            let name = rest[rest.index(after: sign)..<end]
            if let known = entities[String(name)] {
                decoded += known
            } else {
                let isHex = name.hasPrefix("#x")
                guard name.hasPrefix("#"), let number = UInt32(name.dropFirst(isHex ? 2 : 1), radix: isHex ? 16 : 10),
                    let scalar = Unicode.Scalar(number)
                else { return nil }
                decoded.unicodeScalars.append(scalar)
            }
            rest = rest[rest.index(after: end)...]
        }
        return decoded + rest
    }
}
