/// What a destination says in its own words, within messages of ours. It may repeat what was sent to it, prompts too:
/// so it goes into dead letters and to whoever asks on this machine, and the log leaves it out.
package enum QuotedWords {
    private static let lead = "it says \""
    /// What stands in the log instead.
    private static let hint = "`sluice queue` shows what it says"

    /// The words as part of a message; empty for none.
    package static func quote(_ words: String) -> String { words.isEmpty ? "" : "\(lead)\(words)\"" }

    /// The message without them. They may hold quotes, so all up to the last one goes; bytes are looked at, since words
    /// may begin with what would make another character of a quote.
    package static func leaveOut(_ message: String) -> String {
        let bytes = message.utf8
        guard let start = bytes.firstRange(of: lead.utf8) else { return message }
        let rest = bytes[start.upperBound...]
        let end = rest.lastIndex(of: UInt8(ascii: "\"")).map { rest.index(after: $0) } ?? rest.endIndex
        let (before, behind) = (bytes[..<start.lowerBound], rest[end...])
        return "\(String(decoding: before, as: UTF8.self))\(hint)\(String(decoding: behind, as: UTF8.self))"
    }
}
