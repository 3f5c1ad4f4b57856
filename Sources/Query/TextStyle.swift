/// How text is drawn: with colours and in a width on a terminal, plain in a file or a pipe.
package struct TextStyle: Sendable {
    package enum Colour: String, Sendable { case red = "31", yellow = "33", bold = "1", dim = "2" }

    private let isColoured: Bool
    /// Characters of a line; nil for a file or a pipe.
    let width: Int?
    /// Long texts are shown whole.
    let isFull: Bool

    package init(isColoured: Bool = false, width: Int? = nil, isFull: Bool = false) {
        self.isColoured = isColoured
        self.width = width
        self.isFull = isFull
    }

    func paint(_ text: String, _ colours: Colour...) -> String {
        guard isColoured, !text.isEmpty, !colours.isEmpty else { return text }
        return "\u{1B}[" + colours.map(\.rawValue).joined(separator: ";") + "m" + text + "\u{1B}[0m"
    }

    /// Characters of a text that begins behind `indent` others.
    func room(behind indent: Int) -> Int {
        if isFull { return Int.max }
        return max(40, (width ?? 168) - indent)
    }

    /// Fit for a terminal; of a text that does not fit, its beginning and how many characters are left out.
    func cut(_ text: String, behind indent: Int) -> String {
        let room = room(behind: indent)
        let count = text.unicodeScalars.count
        guard count > room else { return ShownText.safe(text, limit: Int.max) }
        // What the note says, and the ellipsis.
        let kept = max(16, room - 22)
        return ShownText.safe(text, limit: kept) + paint(" +\(count - kept) (--full)", .dim)
    }

    /// Lines of at most the width, broken at spaces, for sentences.
    func wrap(_ text: String, behind indent: Int) -> [String] {
        let room = room(behind: indent)
        var lines: [String] = []
        var line = ""
        for word in ShownText.safe(text, limit: Int.max).split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > room {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        if !line.isEmpty { lines.append(line) }
        return lines
    }

    func colour(ofTier tier: String?) -> Colour {
        switch tier {
        case "alert", "fail": .red
        case "tag": .yellow
        default: .dim
        }
    }
}
