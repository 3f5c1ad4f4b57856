/// What one pass over a text remembers, so that no stretch of it is read again for each trigger in it.
///
/// A text may repeat `eyJ`, `sk-` or `token=` without an end; reading on from each of them would take time that grows
/// with the square of the text.
struct ScanMemory {
    /// base64url, and the same with dots between.
    var keys = KeyRun()
    var dottedKeys = KeyRun()
    /// The last value without quotes that goes to the end of its word, and of its line.
    var word = ValueFacts()
    var line = ValueFacts()
    /// Bytes of quoted values that may still be read. Values inside values have ever more backslashes before their
    /// quotes, so no text but a hostile one comes near this.
    var quotedBytes: Int

    init(_ count: Int) { quotedBytes = 16 * count + 4_096 }
}

/// The run of key bytes that was read last. Whatever begins inside it ends where it ends.
struct KeyRun {
    private var range = 0..<0
    private var lastDigit = -1
    private var lastUpper = -1
    private var lastLower = -1
    /// Where the last twelve and the last twenty letters and digits in a row begin.
    private var lastTwelve = -1
    private var lastTwenty = -1

    /// End of the run of base64url, `withDots` between letters and digits too, that goes on at `start`. What the other
    /// members tell is about that run.
    mutating func end(_ bytes: ByteCursor, from start: Int, withDots: Bool = false) -> Int {
        if range.contains(start) { return range.upperBound }
        self = KeyRun()
        var index = start
        var stretch = 0
        while true {
            let byte = bytes[index]
            guard ByteClass.isURLBase64(byte) || (withDots && byte == 0x2E && bytes.isAlphanumeric(index &+ 1)) else {
                break
            }
            if ByteClass.isDigit(byte) {
                lastDigit = index
            } else if ByteClass.isUpper(byte) {
                lastUpper = index
            } else if ByteClass.isLetter(byte) {
                lastLower = index
            }
            stretch = ByteClass.isAlphanumeric(byte) ? stretch &+ 1 : 0
            index &+= 1
            if stretch >= 12 { lastTwelve = index &- 12 }
            if stretch >= 20 { lastTwenty = index &- 20 }
        }
        range = start..<index
        return index
    }

    func hasDigit(from start: Int) -> Bool { lastDigit >= start }

    /// Letters of both cases.
    func hasCases(from start: Int) -> Bool { lastUpper >= start && lastLower >= start }

    /// Twelve letters and digits in a row, or twenty.
    func hasTwelve(from start: Int) -> Bool { lastTwelve >= start }
    func hasTwenty(from start: Int) -> Bool { lastTwenty >= start }
}
