/// Blanks what is not code in Swift text, so that rules can search for words and braces.
///
/// Comments, the contents of string literals (interpolations too) and of backtick names become spaces. Newlines stay,
/// and so does the number of bytes in each line. Regex literals are taken for code.
struct SwiftMask {
    private(set) var code: [UInt8]
    /// Lines with a comment on them, counted from 1.
    private(set) var commentLines: Set<Int> = []
    private let text: SourceText
    private let bytes: [UInt8]
    private var at = 0

    init(_ text: SourceText) {
        self.text = text
        bytes = text.bytes
        code = text.bytes
        run()
    }

    private mutating func run() {
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"):
                commentLines.insert(text.line(of: at))
                while at < bytes.count, bytes[at] != UInt8(ascii: "\n") { blankOne() }
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"):
                let first = text.line(of: at)
                blankBlockComment()
                commentLines.formUnion(first...text.line(of: at - 1))
            case UInt8(ascii: "`"):
                at += 1
                while at < bytes.count, bytes[at] != UInt8(ascii: "`"), bytes[at] != UInt8(ascii: "\n") { blankOne() }
                at += 1
            case UInt8(ascii: "\""), UInt8(ascii: "#"):
                if let pounds = stringStart() { blankString(pounds: pounds) } else { at += 1 }
            default: at += 1
            }
        }
    }

    private func peek(_ ahead: Int) -> UInt8 { at + ahead < bytes.count ? bytes[at + ahead] : 0 }

    private func isQuote(_ count: Int) -> Bool { (0..<count).allSatisfy { peek($0) == UInt8(ascii: "\"") } }

    private mutating func blankOne() {
        guard at < bytes.count else { return }
        if bytes[at] != UInt8(ascii: "\n") { code[at] = UInt8(ascii: " ") }
        at += 1
    }

    private mutating func blankBlockComment() {
        var depth = 0
        repeat {
            if peek(0) == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                depth += 1
                blankOne()
            } else if peek(0) == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
                depth -= 1
                blankOne()
            }
            blankOne()
        } while depth > 0 && at < bytes.count
    }

    /// Number of pounds in front of the quote when a string literal begins here.
    private func stringStart() -> Int? {
        var pounds = 0
        while peek(pounds) == UInt8(ascii: "#") { pounds += 1 }
        return peek(pounds) == UInt8(ascii: "\"") ? pounds : nil
    }

    private mutating func blankString(pounds: Int) {
        at += pounds
        let quotes = isQuote(3) ? 3 : 1
        at += quotes
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "\\"), hasPounds(pounds, from: 1) {
                for _ in 0...pounds { blankOne() }
                if peek(0) == UInt8(ascii: "(") { blankInterpolation() } else { blankOne() }
            } else if bytes[at] == UInt8(ascii: "\""), isQuote(quotes), hasPounds(pounds, from: quotes) {
                at += quotes + pounds
                return
            } else if quotes == 1, bytes[at] == UInt8(ascii: "\n") {
                return
            } else {
                blankOne()
            }
        }
    }

    private func hasPounds(_ count: Int, from ahead: Int) -> Bool {
        (0..<count).allSatisfy { peek(ahead + $0) == UInt8(ascii: "#") }
    }

    private mutating func blankInterpolation() {
        var depth = 0
        repeat {
            if let pounds = stringStart() {
                let start = at
                blankString(pounds: pounds)
                for index in start..<min(at, bytes.count) where bytes[index] != UInt8(ascii: "\n") {
                    code[index] = UInt8(ascii: " ")
                }
                continue
            }
            if peek(0) == UInt8(ascii: "(") { depth += 1 }
            if peek(0) == UInt8(ascii: ")") { depth -= 1 }
            blankOne()
        } while depth > 0 && at < bytes.count
    }
}
