import CSupport
import Configuration
import FoundationEssentials
import Synchronization

/// Finds in a server's answer what it repeats of the request's secrets: some servers quote a token that they do not
/// take, or the path that they do not know, and their words go into logs, queues and dead letters.
struct EchoMask: Sendable {
    /// Shorter ones are found in ordinary words too.
    static let secretMin = 6

    private let texts: [String]
    private let needles = Needles()

    init(_ values: [Secret], url: String, hidesPath: Bool) {
        var texts = URLMask.secrets(of: url, hidesPath: hidesPath)
        for value in values {
            let text = value.reveal()
            texts.append(text)
            // Without the scheme, as in `Bearer …`.
            guard let space = text.firstIndex(of: " ") else { continue }
            let bare = String(text[text.index(after: space)...])
            texts.append(bare)
            if text.lowercased().hasPrefix("basic ") { texts += Self.pair(in: bare) }
        }
        self.texts = texts.filter { $0.utf8.count >= Self.secretMin }
    }

    /// What is looked for, made with the first answer that could hold any.
    private final class Needles: Sendable {
        private let made = Mutex<[[UInt8]]?>(nil)

        func get(_ texts: [String]) -> [[UInt8]] {
            made.withLock { made in
                if let made { return made }
                // The longest first, so that a part of one does not break the whole.
                let all = Set(texts.flatMap(EchoMask.spellings)).map { Array($0.utf8) }
                let sorted = all.sorted { $0.count > $1.count }
                made = sorted
                return sorted
            }
        }
    }

    /// User and password of basic authentication, and the password by itself.
    private static func pair(in base64: String) -> [String] {
        guard let data = Data(base64Encoded: base64) else { return [] }
        let pair = String(decoding: data, as: UTF8.self)
        guard let colon = pair.firstIndex(of: ":") else { return [pair] }
        return [pair, String(pair[pair.index(after: colon)...])]
    }

    /// A text as it is, and as it stands in JSON, in JSON within JSON, in URLs, in the messages of gRPC and in HTML.
    private static func spellings(_ text: String) -> [String] {
        // Most are the same everywhere.
        if text.utf8.allSatisfy({ $0 > 0x2F && $0 < 0x3A || $0 > 0x40 && $0 < 0x5B || $0 > 0x60 && $0 < 0x7B }) {
            return [text]
        }
        let json = escaped(text) { $0 == "\"" || $0 == "\\" ? "\\\($0)" : nil }
        let slashed = escaped(json) { $0 == "/" ? "\\/" : nil }
        let go = ["<>&", "<>&'"].map { signs in escaped(json) { signs.contains($0) ? String(unicode: $0) : nil } }
        let nested = escaped(json) { $0 == "\"" || $0 == "\\" ? "\\\($0)" : nil }
        let path = AWSSignature.escaped(path: text)
        let percent = escaped(path) { $0 == "/" ? "%2F" : nil }
        let message = escaped(text) { $0 == "%" ? "%25" : nil }
        let html = ["&quot;", "&#34;"].flatMap { quote in
            ["&#39;", "&#x27;", "&apos;"].map { apostrophe in
                escaped(text) { character in
                    switch character {
                    case "&": "&amp;"
                    case "<": "&lt;"
                    case ">": "&gt;"
                    case "\"": quote
                    case "'": apostrophe
                    default: nil
                    }
                }
            }
        }
        return [text, json, slashed, nested, path, percent, percent.lowercasedEscapes, message] + go + html
    }

    private static func escaped(_ text: String, _ form: (Character) -> String?) -> String {
        text.reduce(into: "") { $0 += form($1) ?? String($1) }
    }

    /// The bytes with each secret replaced by as many asterisks, which keeps the lengths in a protobuf answer true.
    func masked(_ answer: [UInt8]) -> [UInt8] {
        // No spelling is shorter.
        guard let least = texts.lazy.map(\.utf8.count).min(), answer.count >= least else { return answer }
        var answer = answer
        for secret in needles.get(texts) where answer.count >= secret.count {
            var place = sluice_find_bytes(answer, 0, answer.count, secret, secret.count)
            while place >= 0 {
                let end = place + secret.count
                for index in place..<end { answer[index] = UInt8(ascii: "*") }
                place = sluice_find_bytes(answer, end, answer.count, secret, secret.count)
            }
        }
        return answer
    }
}

extension String {
    /// As a JSON escape of four digits; of one ASCII character.
    fileprivate init(unicode character: Character) {
        let digits = String(character.asciiValue ?? 0, radix: 16)
        self = "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
    }

    /// With the digits behind each `%` in lowercase.
    fileprivate var lowercasedEscapes: String {
        var left = 0
        return reduce(into: "") { text, character in
            text += left > 0 ? character.lowercased() : String(character)
            left = character == "%" ? 2 : max(0, left - 1)
        }
    }
}
