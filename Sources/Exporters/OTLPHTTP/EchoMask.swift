import Configuration

/// Finds in a server's answer what it repeats of the request's secrets: some servers quote a token that they do not
/// take, or the path that they do not know, and their words go into logs, queues and dead letters.
struct EchoMask: Sendable {
    /// Shorter ones are found in ordinary words too.
    static let secretMin = 6

    private let secrets: [[UInt8]]

    init(_ values: [Secret], url: String, hidesPath: Bool) {
        var texts = URLMask.secrets(of: url, hidesPath: hidesPath)
        for value in values {
            let text = value.reveal()
            texts.append(text)
            // Without the scheme, as in `Bearer …`.
            if let space = text.firstIndex(of: " ") { texts.append(String(text[text.index(after: space)...])) }
        }
        // The longest first, so that a part of one does not break the whole.
        secrets = Set(texts).map { Array($0.utf8) }.filter { $0.count >= Self.secretMin }
            .sorted { $0.count > $1.count }
    }

    /// The bytes with each secret replaced by as many asterisks, which keeps the lengths in a protobuf answer true.
    func masked(_ answer: [UInt8]) -> [UInt8] {
        var answer = answer
        for secret in secrets where answer.count >= secret.count {
            var start = 0
            while let place = Self.place(of: secret, in: answer, from: start) {
                for index in place..<(place + secret.count) { answer[index] = UInt8(ascii: "*") }
                start = place + secret.count
            }
        }
        return answer
    }

    private static func place(of secret: [UInt8], in answer: [UInt8], from start: Int) -> Int? {
        answer.withUnsafeBytes { bytes in
            var place = start
            while place + secret.count <= bytes.count {
                if bytes[place] == secret[0], bytes[place..<(place + secret.count)].elementsEqual(secret) {
                    return place
                }
                place += 1
            }
            return nil
        }
    }
}
