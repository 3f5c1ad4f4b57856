import OTLP
import Telemetry

/// A path with places that the data fills: `/var/lib/sluice/{service.name}/{%Y-%m-%d}.jsonl`.
///
/// What fills a place is one part of a path and nothing else: every byte that is no letter, digit, dot, hyphen or
/// underscore, and a dot in front, is written as `%2F`. So no attribute leads out of the folder, and two values never
/// share a file.
package struct PathTemplate: Sendable, Equatable {
    /// Longest value that is written whole; a longer one is cut and gets its hash.
    static let valueMax = 100
    /// Longest name of a file or folder that is written whole, so that there is room in the 255 bytes that systems take
    /// for what closed files have behind it.
    static let nameMax = 200

    enum Piece: Sendable, Equatable {
        case text(String)
        case attribute(String)
        /// A format of strftime.
        case date(String)
    }

    /// Why a text is no template, in words behind the name of the option.
    package struct Fault: Error, Equatable {
        package var message: String
    }

    let pieces: [Piece]

    /// A path without places.
    package init(fixed path: String) { pieces = [.text(path)] }

    /// `starAttribute` takes the place of the one `*` in the text.
    package init(_ text: String, starAttribute: String? = nil) throws(Fault) {
        var text = text
        if let starAttribute {
            let parts = text.split(separator: "*", omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                throw Fault(message: "needs exactly one * for group_by, such as /data/*/traces.jsonl")
            }
            text = parts[0] + "{" + starAttribute + "}" + parts[1]
        }
        var pieces: [Piece] = []
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            guard let close = rest[open...].firstIndex(of: "}") else { throw Fault(message: "has a { without a }") }
            if open > rest.startIndex { pieces.append(.text(String(rest[..<open]))) }
            let name = String(rest[rest.index(after: open)..<close])
            guard !name.isEmpty, !name.contains("{") else {
                throw Fault(message: "has a place without a name: write {service.name} or {%Y-%m-%d}")
            }
            pieces.append(name.contains("%") ? .date(name) : .attribute(name))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { pieces.append(.text(String(rest))) }
        self.pieces = pieces
    }

    package var isFixed: Bool {
        pieces.allSatisfy { if case .text = $0 { true } else { false } }
    }

    /// Whether resources may go into different files.
    var readsResources: Bool {
        pieces.contains { if case .attribute = $0 { true } else { false } }
    }

    /// The path, when there are no places in it.
    package var fixedPath: String {
        pieces.reduce(into: "") { path, piece in if case .text(let text) = piece { path += text } }
    }

    /// The path for a resource, an encoded message, at Unix seconds.
    func path(resource: Text, seconds: Int) -> String {
        let path = pieces.reduce(into: "") { path, piece in
            switch piece {
            case .text(let text): path += text
            case .date(let format): path += Self.date(format, seconds)
            case .attribute(let name): path += Self.safe(Self.value(of: name, in: resource))
            }
        }
        return Self.fitting(readsResources ? Self.unstamped(path) : path)
    }

    /// What fills the places of dates at Unix seconds.
    func dates(_ seconds: Int) -> [String] {
        pieces.compactMap { piece -> String? in
            if case .date(let format) = piece { Self.date(format, seconds) } else { nil }
        }
    }

    /// What fills the place of a date at Unix seconds.
    static func date(_ format: String, _ seconds: Int) -> String { safe(Array(AWSTime.format(seconds, format).utf8)) }

    /// The path without the name of a closed file in it: a sender could otherwise have the files of another one deleted
    /// as being too many.
    private static func unstamped(_ path: String) -> String {
        guard path.utf8.contains(UInt8(ascii: "T")) else { return path }
        let bytes = Array(path.utf8)
        let (shape, time) = (RotationNames.stampShape, RotationNames.placeOfTime)
        var output: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            let start = index - time
            let isStamp =
                byte == UInt8(ascii: "T") && start >= 0 && start + shape.count <= bytes.count
                && RotationNames.isStamp(bytes[start..<start + shape.count])
            output += isStamp ? Array("%54".utf8) : [byte]
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// The path with names cut that no system takes; a cut one keeps its ending and gets its hash.
    private static func fitting(_ path: String) -> String {
        guard path.utf8.count > nameMax else { return path }
        let names = path.split(separator: "/", omittingEmptySubsequences: false)
        return names.map { name -> String in
            guard name.utf8.count > nameMax else { return String(name) }
            let dot = name.lastIndex(of: ".") ?? name.endIndex
            let ending = name[dot...].utf8.count > 16 ? "" : name[dot...]
            let hash = "-\(AWSSignature.hash(Array(name.utf8)).prefix(16))"
            var head = name.dropLast(ending.count)
            while head.utf8.count + hash.utf8.count + ending.utf8.count > nameMax { head = head.dropLast() }
            return head + hash + ending
        }.joined(separator: "/")
    }

    /// The text of an attribute; empty when there is none.
    private static func value(of name: String, in resource: Text) -> [UInt8] {
        var attributes = WireWalker(resource)
        while let attribute = attributes.next() {
            guard attribute.tag == 0x0A else { continue }
            var key = Text.empty
            var value = Text.empty
            var parts = WireWalker(attribute.content)
            while let part = parts.next() {
                if part.tag == 0x0A { key = part.content }
                if part.tag == 0x12 { value = part.content }
            }
            guard key.bytes.elementsEqual(name.utf8) else { continue }
            return text(of: value)
        }
        return []
    }

    /// A string as it is, a number or flag in digits; nothing for the rest.
    private static func text(of value: Text) -> [UInt8] {
        var walker = WireWalker(value)
        while let member = walker.next() {
            switch member.tag {
            case 0x0A: return [UInt8](member.content.bytes)
            case 0x10: return Array((member.number == 0 ? "false" : "true").utf8)
            case 0x18: return Array(String(Int64(bitPattern: member.number)).utf8)
            default: return []
            }
        }
        return []
    }

    static func safe(_ value: [UInt8]) -> String {
        guard !value.isEmpty else { return "unknown" }
        let digits = Array("0123456789ABCDEF".utf8)
        var output: [UInt8] = []
        for (index, byte) in value.prefix(valueMax).enumerated() {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                output.append(byte)
            case UInt8(ascii: ".") where index > 0: output.append(byte)
            default: output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        // Names of files are 255 bytes at most, and an escaped value may be three times as long.
        if value.count > valueMax || output.count > valueMax {
            output = Array(output.prefix(valueMax)) + Array("-\(AWSSignature.hash(value).prefix(16))".utf8)
        }
        return String(decoding: output, as: UTF8.self)
    }
}

/// Cuts a request into one for each file.
enum ResourceGroups {
    /// One file's share of a request: its resources, one after the other, again a request.
    struct Group: Equatable {
        var path: String
        var bytes: [UInt8]
    }

    /// In order of the paths' first records.
    static func split(_ request: [UInt8], _ template: PathTemplate, seconds: Int) -> [Group] {
        guard template.readsResources else {
            return [Group(path: template.path(resource: .empty, seconds: seconds), bytes: request)]
        }
        return request.withUnsafeBytes { raw in
            let text = Text(raw)
            var groups: [Group] = []
            var indexes: [String: Int] = [:]
            var unknown: [UInt8] = []
            var walker = WireWalker(text)
            while let field = walker.next() {
                // What no schema knows goes to each, as long as that does not make much more of it.
                guard field.tag == 0x0A else {
                    unknown += text[field.range].bytes
                    continue
                }
                let path = template.path(resource: resource(of: field), seconds: seconds)
                let index = indexes[path] ?? groups.count
                if index == groups.count {
                    groups.append(Group(path: path, bytes: []))
                    indexes[path] = index
                }
                groups[index].bytes += text[field.range].bytes
            }
            if unknown.isEmpty { return groups }
            let goesToAll = unknown.count * groups.count <= OTLPSplitter.bytesMax(ofParts: request.count)
            for index in groups.indices.prefix(goesToAll ? groups.count : 1) { groups[index].bytes += unknown }
            return groups
        }
    }

    private static func resource(of field: WireWalker.Field) -> Text {
        var walker = WireWalker(field.content)
        while let part = walker.next() { if part.tag == 0x0A { return part.content } }
        return .empty
    }
}
