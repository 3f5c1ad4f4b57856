/// What a problem quotes of its line: the entry at fault. Neighbours on the line become `…`, since any of them may be a
/// secret, and so does the value when the fault is in the key.
struct SourceExcerpt {
    /// The line as it is shown.
    private(set) var text: [Unicode.Scalar]
    /// Where in `text` the caret points, from 0; at most the length of the text.
    private(set) var caret: Int

    private static let separators: Set<Unicode.Scalar> = ["{", "}", "[", "]", ","]

    /// Nil when nothing of the line may be quoted.
    ///
    /// - Parameters:
    ///   - lines: the file up to the line at fault.
    ///   - column: from 1, in Unicode scalars.
    init?(lines: [Substring], column: Int) {
        guard let last = lines.last else { return nil }
        let line = Array(last.unicodeScalars)
        let caret = min(max(0, column - 1), line.count)
        let brackets = Self.openBrackets(in: line, before: caret)
        guard !brackets.contains(where: \.isCovered), !Self.isCovered(above: lines) else { return nil }
        let entry = Self.entry(of: line, around: caret)
        let indentation = line.prefix { $0 == " " || $0 == "\t" }.count
        let dash = line.dropFirst(indentation).starts(with: ["-", " "]) ? 2 : 0
        text = []
        self.caret = caret
        // An entry behind others moves to the left.
        var start = entry.lowerBound
        if start > indentation + dash {
            text = Array(line.prefix(indentation)) + ["…", " "]
            while start < min(caret, entry.upperBound), line[start] == " " { start += 1 }
            self.caret = text.count + max(0, caret - start)
        } else {
            start = 0
        }
        let shown = line[start..<max(start, entry.upperBound)]
        let isElement = brackets.last.map { $0.isList } ?? (dash > 0 && start == 0)
        guard let quoted = Self.quoted(shown, caret: caret - start, isElement: isElement) else { return nil }
        text += quoted
        while text.last == " ", entry.upperBound < line.count { text.removeLast() }
        if entry.upperBound < line.count, text.last != "…" { text += [" ", "…"] }
        self.caret = min(self.caret, text.count)
    }

    /// The entry as it may be quoted: without a value that the fault does not concern or that may be a secret.
    private static func quoted(
        _ entry: ArraySlice<Unicode.Scalar>, caret: Int, isElement: Bool
    ) -> [Unicode.Scalar]? {
        if namesCredential(entry) { return nil }
        guard let colon = colon(in: entry) else {
            // Neither a key nor an element of a list, it may be a piece of a text over several lines.
            return isElement ? masked(entry) : nil
        }
        let key = Array(KeyMask.mask(key: String(String.UnicodeScalarView(entry[..<colon]))).unicodeScalars)
        let value = entry[(colon + 1)...]
        let isBlank = value.allSatisfy { $0 == " " }
        let isDoubtful = SecretKeys.looksSecret(name(entry[..<colon])) || Self.colon(in: value) != nil
        let concernsKey = caret <= colon - entry.startIndex
        return !isBlank && (concernsKey || isDoubtful) ? key + [":", " ", "…"] : key + masked(entry[colon...])
    }

    /// True when any word names a credential: in a file with faults what looks like a text may be a key.
    private static func namesCredential(_ entry: ArraySlice<Unicode.Scalar>) -> Bool {
        entry.split { !$0.properties.isAlphabetic && $0 != "_" && $0 != "-" }.contains { word in
            SecretKeys.namesCredential(String(String.UnicodeScalarView(word.drop { $0 == "-" })))
        }
    }

    /// Without credentials of URLs, and of what a fault may have made of one: what stands before an @.
    private static func masked(_ entry: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] {
        let words = URLMask.mask(in: String(String.UnicodeScalarView(entry)))
            .split(separator: " ", omittingEmptySubsequences: false)
        let shown = words.map { word -> String in
            guard !word.contains(Secret.mask), let at = word.lastIndex(of: "@"), at > word.startIndex else {
                return String(word)
            }
            return Secret.mask + word[at...]
        }
        return Array(shown.joined(separator: " ").unicodeScalars)
    }

    /// Where the entry at a place begins and ends.
    private static func entry(of line: [Unicode.Scalar], around caret: Int) -> Range<Int> {
        var (start, end) = (0, line.count)
        scan(line) { index, scalar in
            if scalar == "#" || index >= caret {
                end = min(end, max(index, start))
            } else {
                start = index + 1
            }
        }
        return start..<max(start, end)
    }

    /// Calls back at separators of flow style outside of quotes, and at the start of a comment, which ends the line.
    private static func scan(_ line: [Unicode.Scalar], _ found: (Int, Unicode.Scalar) -> Void) {
        var quote: Unicode.Scalar?
        var before: Unicode.Scalar = " "
        var index = 0
        while index < line.count {
            let scalar = line[index]
            if let open = quote {
                if open == "\"", scalar == "\\" { index += 1 } else if scalar == open { quote = nil }
            } else if scalar == "\"" || scalar == "'" {
                // Elsewhere it is a letter of a plain text.
                if before == " " || before == ":" || separators.contains(before) { quote = scalar }
            } else if scalar == "#", before == " " {
                return found(index, scalar)
            } else if separators.contains(scalar) {
                found(index, scalar)
            }
            before = scalar
            index += 1
        }
    }

    /// The colon that ends a key.
    private static func colon(in entry: ArraySlice<Unicode.Scalar>) -> Int? {
        entry.indices.first { index in
            guard entry[index] == ":" else { return false }
            let next = index + 1
            return next == entry.endIndex || entry[next] == " "
        }
    }

    private static func name(_ part: ArraySlice<Unicode.Scalar>) -> String {
        let letters = part.drop { $0 == " " || $0 == "-" || $0 == "\t" || $0 == "?" }.prefix(64)
        return String(String.UnicodeScalarView(letters.filter { $0 != "\"" && $0 != "'" && $0 != " " }))
    }

    /// A bracket of flow style that is open.
    private struct Bracket {
        var isList: Bool
        /// Whether the key before it covers secrets, as `headers`.
        var isCovered: Bool
    }

    private static func openBrackets(in line: [Unicode.Scalar], before caret: Int) -> [Bracket] {
        var open: [Bracket] = []
        var start = 0
        scan(line) { index, scalar in
            guard index < caret else { return }
            switch scalar {
            case "{", "[":
                let key = name(line[start..<index].prefix { $0 != ":" })
                open.append(Bracket(isList: scalar == "[", isCovered: SecretKeys.covers(key)))
            case "}", "]": _ = open.popLast()
            default: break
            }
            start = index + 1
        }
        return open
    }

    /// True when a key above the last line covers secrets.
    private static func isCovered(above lines: [Substring]) -> Bool {
        var limit = lines.last.map { column(of: $0) } ?? 0
        for line in lines.dropLast().reversed() where limit > 0 {
            let column = column(of: line)
            guard column < limit, let colon = line.firstIndex(of: ":") else { continue }
            limit = column
            if SecretKeys.covers(name(Array(line[..<colon].unicodeScalars)[...])) { return true }
        }
        return false
    }

    /// Where the text of a line begins, behind the dashes of lists.
    private static func column(of line: Substring) -> Int {
        line.unicodeScalars.prefix { $0 == " " || $0 == "-" }.count
    }
}
