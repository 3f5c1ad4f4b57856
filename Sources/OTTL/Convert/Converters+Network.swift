import Crypto
import Glibc
import Telemetry

extension Program {
    /// Converters about addresses.
    func network(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch call.node.function {
        case .isInCIDR: return .bool(try isInCIDR(call, batch, place, &state))
        case .communityID: return .string(try communityID(call, batch, place, &state))
        default: return try url(try call.text(0, batch, place, &state), batch, &state)
        }
    }

    private func isInCIDR(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Bool {
        guard let address = IPAddress(try call.text(0, batch, place, &state).string) else {
            throw EvaluationFailure(.invalidText)
        }
        var reader = ListReader(try call.list(1, batch, place, &state))
        var isInside = false
        while let item = reader.next() {
            guard case .string(let text) = item else { throw EvaluationFailure(.wrongType) }
            let parts = text.string.split(separator: "/", maxSplits: 1)
            guard parts.count == 2, let network = IPAddress(String(parts[0])), let bits = Int(parts[1]),
                (0...network.bytes.count * 8).contains(bits)
            else { throw EvaluationFailure(.invalidText) }
            isInside = isInside || address.isInside(network, bits: bits)
        }
        return isInside
    }

    // MARK: Community ID

    private static let protocols: [String: UInt8] = [
        "ICMP": 1, "TCP": 6, "UDP": 17, "RSVP": 46, "ICMP6": 58, "SCTP": 132,
    ]

    /// Version 1 of the Community ID flow hash: both directions of a flow give the same text.
    private func communityID(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        let ends = [
            (try call.text(0, batch, place, &state).string, try call.int(1, batch, place, &state)),
            (try call.text(2, batch, place, &state).string, try call.int(3, batch, place, &state)),
        ]
        let name = try call.text(4, otherwise: "TCP", batch, place, &state).string
        let seed = try call.isGiven(5) ? call.int(5, batch, place, &state) : 0
        var flow: [[UInt8]] = []
        for (text, port) in ends {
            guard let address = IPAddress(text), let port = UInt16(exactly: port) else {
                throw EvaluationFailure(.invalidText)
            }
            flow.append(address.bytes + [UInt8(port >> 8), UInt8(port & 0xFF)])
        }
        guard let kind = Self.protocols[name.uppercased()], let seed = UInt16(exactly: seed),
            flow[0].count == flow[1].count
        else { throw EvaluationFailure(.invalidText) }
        if flow[1].lexicographicallyPrecedes(flow[0]) { flow.swapAt(0, 1) }
        let length = flow[0].count - 2
        var bytes = [UInt8(seed >> 8), UInt8(seed & 0xFF)] + flow[0][..<length] + flow[1][..<length] + [kind, 0]
        bytes += flow[0][length...] + flow[1][length...]
        let mark = state.scratch.count
        state.scratch.append("1:")
        Array(Insecure.SHA1.hash(data: bytes)).withUnsafeBytes {
            Base64.append(Text($0), isURL: false, isPadded: true, to: &state.scratch)
        }
        return try state.take(from: mark)
    }

    // MARK: URLs

    /// The parts of a URL under the names of the semantic conventions.
    private func url(
        _ text: Text, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        guard let parts = URLParts(text.string) else { throw EvaluationFailure(.invalidText) }
        var members: [(key: StaticString, value: Value)] = [("url.original", .string(text))]
        for (key, part, isAlways) in parts.texts where isAlways || !part.isEmpty {
            members.append((key, .string(try state.keep(part))))
        }
        if let port = parts.port { members.append(("url.port", .int(port))) }
        let mark = state.scratch.count
        do throws(EvaluationFailure) {
            for member in members { try state.scratch.appendMember(Text(member.key), member.value, batch) }
        } catch {
            state.scratch.truncate(to: mark)
            throw error
        }
        return .map(try state.take(from: mark))
    }
}

extension EvaluationState {
    /// A text of Swift's, kept until the next record.
    mutating func keep(_ text: String) throws(EvaluationFailure) -> Text {
        let mark = scratch.count
        scratch.append(string: text)
        return try take(from: mark)
    }
}

/// An address of version 4 or 6; one of version 4 inside 6 is taken as version 4.
struct IPAddress {
    let bytes: [UInt8]

    init?(_ text: String) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = withUnsafeBytes(of: four) { Array($0) }
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            let all = withUnsafeBytes(of: six) { Array($0) }
            let isMapped = all[..<10].allSatisfy { $0 == 0 } && all[10] == 0xFF && all[11] == 0xFF
            bytes = isMapped ? Array(all[12...]) : all
        } else {
            return nil
        }
    }

    func isInside(_ network: IPAddress, bits: Int) -> Bool {
        guard bytes.count == network.bytes.count else { return false }
        let whole = bits / 8
        guard bytes[..<whole].elementsEqual(network.bytes[..<whole]) else { return false }
        guard bits % 8 > 0 else { return true }
        let mask = UInt8(truncatingIfNeeded: 0xFF00 >> (bits % 8))
        return bytes[whole] & mask == network.bytes[whole] & mask
    }
}

/// A URL taken apart as RFC 3986 says; percent-encoded parts are decoded but for the query.
struct URLParts {
    private var scheme = ""
    private var domain = ""
    private var path = ""
    private var query = ""
    private var fragment = ""
    private var userInfo = ""
    private(set) var port: Int64?

    /// Names, texts, and whether a part is there although it is empty.
    var texts: [(StaticString, String, Bool)] {
        let pair = userInfo.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let file = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        let dot = file.lastIndex(of: ".")
        return [
            ("url.scheme", scheme, true), ("url.domain", domain, true), ("url.path", path, true),
            ("url.query", query, false), ("url.fragment", fragment, false), ("url.user_info", userInfo, false),
            ("url.username", pair.first.map { Self.decoded($0) ?? "" } ?? "", false),
            ("url.password", pair.count > 1 ? Self.decoded(pair[1]) ?? "" : "", false),
            ("url.extension", dot.map { String(file[file.index(after: $0)...]) } ?? "", false),
        ]
    }

    init?(_ text: String) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
        var rest = Substring(text)
        if let hash = rest.firstIndex(of: "#") {
            guard let part = Self.decoded(rest[rest.index(after: hash)...]) else { return nil }
            fragment = part
            rest = rest[..<hash]
        }
        if let mark = rest.firstIndex(of: "?") {
            query = String(rest[rest.index(after: mark)...])
            rest = rest[..<mark]
        }
        if let colon = rest.firstIndex(of: ":"), Self.isScheme(rest[..<colon]) {
            scheme = rest[..<colon].lowercased()
            rest = rest[rest.index(after: colon)...]
        }
        if rest.hasPrefix("//") {
            rest = rest.dropFirst(2)
            let end = rest.firstIndex(of: "/") ?? rest.endIndex
            guard readAuthority(rest[..<end]) else { return nil }
            rest = rest[end...]
        }
        guard let decoded = Self.decoded(rest) else { return nil }
        path = decoded
    }

    private mutating func readAuthority(_ authority: Substring) -> Bool {
        var host = authority
        if let at = host.lastIndex(of: "@") {
            userInfo = String(host[..<at])
            host = host[host.index(after: at)...]
        }
        let afterBracket = host.lastIndex(of: "]") ?? host.startIndex
        if let colon = host.lastIndex(of: ":"), colon >= afterBracket {
            let digits = host[host.index(after: colon)...]
            if !digits.isEmpty {
                guard digits.utf8.allSatisfy({ $0 &- 0x30 < 10 }), let number = Int64(digits) else { return false }
                port = number
            }
            host = host[..<colon]
        }
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { return false }
            host = host.dropFirst().dropLast()
        }
        guard let decoded = Self.decoded(host) else { return false }
        domain = decoded
        return true
    }

    private static func isScheme(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, first | 0x20 &- 0x61 < 26 else { return false }
        return text.utf8.allSatisfy { byte in
            (byte | 0x20) &- 0x61 < 26 || byte &- 0x30 < 10 || byte == 0x2B || byte == 0x2D || byte == 0x2E
        }
    }

    /// Nil when a percent sign has no two digits behind it, or the bytes are no UTF-8.
    private static func decoded(_ text: Substring) -> String? {
        guard text.contains("%") else { return String(text) }
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        var at = 0
        while at < bytes.count {
            guard bytes[at] == 0x25 else {
                decoded.append(bytes[at])
                at += 1
                continue
            }
            guard at + 2 < bytes.count, let high = digit(bytes[at + 1]), let low = digit(bytes[at + 2]) else {
                return nil
            }
            decoded.append(high << 4 | low)
            at += 3
        }
        return String(validating: decoded, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
