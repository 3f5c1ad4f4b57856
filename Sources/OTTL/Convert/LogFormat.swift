/// A value that is read from a log line, before it is encoded.
indirect enum LogValue: Equatable {
    case text(String)
    case int(Int64)
    case list([LogValue])
    case map([Member])

    struct Member: Equatable {
        var key: String
        var value: LogValue

        init(_ key: String, _ value: LogValue) {
            self.key = key
            self.value = value
        }

        init(_ key: String, _ text: String) { self.init(key, .text(text)) }
    }
}

/// Formats of log lines that the Collector's transform processor reads. Nil for a line that has not the form.
enum LogFormat {
    // MARK: HTTP access

    /// Common Log Format: `host rfc931 user [date] "request" status bytes`; combined has `"referer" "user-agent"` too.
    static func access(_ line: String, isCombined: Bool) -> LogValue? {
        var reader = Reader(line)
        guard let host = reader.word(), let name = reader.word(), let user = reader.word(),
            let date = reader.bracketed(), let request = reader.quoted(), let status = reader.word().flatMap(whole),
            let size = reader.word()
        else { return nil }
        var members = [
            LogValue.Member("clf.remote_host", host), LogValue.Member("clf.rfc931", name),
            LogValue.Member("clf.auth_user", user), LogValue.Member("clf.timestamp", date),
            LogValue.Member("clf.request", request),
        ]
        let parts = request.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 3, parts.allSatisfy({ !$0.isEmpty }) {
            for (key, part) in zip(["clf.method", "clf.request_uri", "clf.protocol"], parts) {
                members.append(LogValue.Member(key, part))
            }
        }
        members.append(LogValue.Member("clf.status", .int(status)))
        if size != "-" {
            guard let bytes = whole(size) else { return nil }
            members.append(LogValue.Member("clf.bytes", .int(bytes)))
        }
        if isCombined {
            guard let referer = reader.quoted(), let agent = reader.quoted() else { return nil }
            members += [LogValue.Member("clf.referer", referer), LogValue.Member("clf.user_agent", agent)]
        }
        return reader.isAtEnd ? .map(members) : nil
    }

    private static func whole(_ text: String) -> Int64? {
        text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } ? Int64(text) : nil
    }

    // MARK: Security events

    /// `CEF:version|vendor|product|version|class|name|severity|key=value …`; what is before `CEF:` does not count.
    static func commonEvent(_ line: String) -> LogValue? {
        guard let body = line.part(behind: "CEF:") else { return nil }
        let (fields, rest) = header(body, count: 7, unescapes: true)
        guard fields.count == 7, let version = whole(fields[0]) else { return nil }
        let names = ["device_vendor", "device_product", "device_version", "device_event_class_id", "name", "severity"]
        var members = [LogValue.Member("cef.version", .int(version))]
        for (name, field) in zip(names, fields.dropFirst()) { members.append(LogValue.Member("cef.\(name)", field)) }
        members.append(LogValue.Member("cef.extensions", .map(extensions(rest))))
        return .map(members)
    }

    /// Fields that end with a bar, and what is behind the last one. `\|` and `\\` stand for themselves.
    private static func header(_ text: Substring, count: Int, unescapes: Bool) -> (fields: [String], rest: Substring) {
        var fields: [String] = []
        var field = ""
        var rest = text
        while fields.count < count, let character = rest.popFirst() {
            if unescapes, character == "\\", let next = rest.first, next == "|" || next == "\\" {
                field.append(next)
                rest.removeFirst()
            } else if character == "|" {
                fields.append(field)
                field = ""
            } else {
                field.append(character)
            }
        }
        // The last field may end with the line.
        if fields.count == count - 1, rest.isEmpty, !field.isEmpty { fields.append(field) }
        return (fields, rest)
    }

    /// `key=value` pairs; a value ends where the next key begins, so it may hold spaces.
    private static func extensions(_ text: Substring) -> [LogValue.Member] {
        let bytes = Array(text.utf8)
        var keys: [(start: Int, equals: Int)] = []
        for (index, byte) in bytes.enumerated() where byte == 0x3D && (index == 0 || bytes[index - 1] != 0x5C) {
            var start = index
            while start > 0, isKey(bytes[start - 1]) { start -= 1 }
            guard start < index, start == 0 || bytes[start - 1] == 0x20 else { continue }
            keys.append((start, index))
        }
        return keys.enumerated().map { number, key in
            var end = number + 1 < keys.count ? keys[number + 1].start : bytes.count
            while end > key.equals + 1, bytes[end - 1] == 0x20 { end -= 1 }
            let value = String(decoding: bytes[(key.equals + 1)..<end], as: UTF8.self)
            return LogValue.Member(
                String(decoding: bytes[key.start..<key.equals], as: UTF8.self),
                Escapes.resolved(value, ["\\": "\\", "=": "=", "n": "\n", "r": "\r"]))
        }
    }

    private static func isKey(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2E, 0x2D, 0x5B, 0x5D: true
        default: false
        }
    }

    /// `LEEF:1.0|vendor|product|version|event|…` with tabs, or 2.0 with a delimiter as the next field.
    static func extendedEvent(_ line: String) -> LogValue? {
        guard let body = line.part(behind: "LEEF:") else { return nil }
        let (fields, afterHeader) = header(body, count: 5, unescapes: false)
        guard fields.count == 5, fields[0] == "1.0" || fields[0] == "2.0" else { return nil }
        var (rest, delimiter) = (afterHeader, Character("\t"))
        if fields[0] == "2.0", let bar = rest.firstIndex(of: "|"), !rest[..<bar].contains("=") {
            let named = rest[..<bar]
            rest = rest[rest.index(after: bar)...]
            if named.lowercased().hasPrefix("0x") {
                guard let code = UInt8(named.dropFirst(2), radix: 16), code < 0x80 else { return nil }
                delimiter = Character(Unicode.Scalar(code))
            } else if let only = named.first {
                guard named.count == 1 else { return nil }
                delimiter = only
            }
        }
        var pairs: [LogValue.Member] = []
        for pair in rest.split(separator: delimiter) {
            guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else { continue }
            let key = String(pair[..<equals])
            pairs.removeAll { $0.key == key }
            pairs.append(LogValue.Member(key, String(pair[pair.index(after: equals)...])))
        }
        let names = ["leef.version", "leef.vendor", "leef.product.name", "leef.product.version", "leef.event.id"]
        let head = zip(names, fields).map { LogValue.Member($0, $1) }
        return .map(head + [LogValue.Member("leef.attributes", .map(pairs))])
    }

    // MARK: W3C extended log

    /// A block with directives (`#Fields: …`) and lines of values.
    static func extendedLog(_ block: String) -> LogValue? {
        let directives = [
            "version": "elf.version", "software": "elf.software", "date": "elf.date", "start-date": "elf.start_date",
            "end-date": "elf.end_date", "remark": "elf.remark",
        ]
        var members: [LogValue.Member] = []
        var fields: [String] = []
        var entries: [LogValue] = []
        for line in block.split(whereSeparator: \.isNewline) {
            guard line.hasPrefix("#") else {
                let values = Reader.values(of: String(line))
                if fields.isEmpty || values.isEmpty { continue }
                entries.append(
                    .map(
                        fields.enumerated().map { LogValue.Member($1, $0 < values.count ? values[$0] : "-") }))
                continue
            }
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[line.index(after: line.startIndex)..<colon].lowercased()
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            if name == "fields" {
                fields = value.split(separator: " ").map(String.init)
            } else if let key = directives[name] {
                members.removeAll { $0.key == key }
                members.append(LogValue.Member(key, String(value)))
            }
        }
        guard members.contains(where: { $0.key == "elf.version" && $0.value != .text("") }) else { return nil }
        members.append(LogValue.Member("elf.fields", .list(fields.map { .text($0) })))
        members.append(LogValue.Member("elf.entries", .list(entries)))
        return .map(members)
    }
}

extension LogFormat {
    /// Words between spaces, texts in brackets or quotes.
    private struct Reader {
        private var rest: Substring

        init(_ line: String) { rest = Substring(line) }

        var isAtEnd: Bool { rest.allSatisfy(\.isWhitespace) }

        mutating func word() -> String? {
            rest = rest.drop { $0 == " " }
            let word = rest.prefix { $0 != " " }
            rest = rest.dropFirst(word.count)
            return word.isEmpty ? nil : String(word)
        }

        mutating func bracketed() -> String? {
            rest = rest.drop { $0 == " " }
            guard rest.first == "[", let end = rest.firstIndex(of: "]") else { return nil }
            defer { rest = rest[rest.index(after: end)...] }
            return String(rest[rest.index(after: rest.startIndex)..<end])
        }

        /// As Apache and nginx write: `\"`, `\\`, `\xhh` and the controls of C.
        mutating func quoted() -> String? {
            rest = rest.drop { $0 == " " }
            guard rest.popFirst() == "\"" else { return nil }
            var raw = ""
            while let character = rest.popFirst() {
                if character == "\"" {
                    return Escapes.resolved(
                        raw,
                        [
                            "\"": "\"", "\\": "\\", "n": "\n", "t": "\t", "r": "\r", "b": "\u{8}", "f": "\u{C}",
                            "v": "\u{B}",
                        ], hexadecimal: true)
                }
                raw.append(character)
                if character == "\\", let next = rest.popFirst() { raw.append(next) }
            }
            return nil
        }

        /// Values of a line; those in quotes may hold spaces, and two quotes stand for one.
        static func values(of line: String) -> [String] {
            var values: [String] = []
            var rest = Substring(line)
            while true {
                rest = rest.drop { $0 == " " || $0 == "\t" }
                guard let first = rest.first else { return values }
                if first != "\"" {
                    let word = rest.prefix { $0 != " " && $0 != "\t" }
                    values.append(String(word))
                    rest = rest.dropFirst(word.count)
                    continue
                }
                rest.removeFirst()
                var value = ""
                while let character = rest.popFirst() {
                    if character == "\"" {
                        guard rest.first == "\"" else { break }
                        rest.removeFirst()
                    }
                    value.append(character)
                }
                values.append(value)
            }
        }
    }

    /// Backslashes and what they stand for; others stay as they are.
    private enum Escapes {
        static func resolved(
            _ text: String, _ known: [Character: Character], hexadecimal: Bool = false
        ) -> String {
            guard text.contains("\\") else { return text }
            var bytes: [UInt8] = []
            var rest = Substring(text)
            while let character = rest.popFirst() {
                guard character == "\\", let next = rest.first else {
                    bytes += String(character).utf8
                    continue
                }
                if let meant = known[next] {
                    bytes += String(meant).utf8
                    rest.removeFirst()
                } else if hexadecimal, next == "x", let byte = UInt8(rest.dropFirst().prefix(2), radix: 16) {
                    bytes.append(byte)
                    rest = rest.dropFirst(3)
                } else {
                    bytes.append(UInt8(ascii: "\\"))
                }
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}

extension String {
    /// What is behind the first occurrence of a mark.
    fileprivate func part(behind mark: String) -> Substring? {
        var rest = Substring(self)
        while let at = rest.firstIndex(of: mark.first ?? " ") {
            rest = rest[at...]
            if rest.hasPrefix(mark) { return rest.dropFirst(mark.count) }
            rest.removeFirst()
        }
        return nil
    }
}
