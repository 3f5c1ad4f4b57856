import Foundation

/// One text file of the project with what the rules ask of it.
struct SourceFile {
    /// Path from the top of the project, with slashes.
    let path: String
    let text: SourceText
    /// The text with comments, string contents and backtick names blanked; places and lines are the same.
    let code: SourceText
    /// Lines with a comment on them, counted from 1.
    let commentLines: Set<Int>

    init(path: String, text: String) {
        self.path = path
        self.text = SourceText(Array(text.utf8))
        if path.hasSuffix(".swift") {
            let mask = SwiftMask(self.text)
            code = SourceText(mask.code)
            commentLines = mask.commentLines
        } else {
            code = self.text
            commentLines = []
        }
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isTest: Bool { path.hasPrefix("Tests/") }
    var isSource: Bool { path.hasPrefix("Sources/") }

    /// Folder below Sources, nil elsewhere.
    var module: String? {
        guard isSource else { return nil }
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : nil
    }
}

/// Bytes with their lines. Rules search it as bytes, because a debug build walks characters a hundred times slower.
struct SourceText {
    let bytes: [UInt8]
    /// Where each line begins. A newline at the very end begins no further line.
    let lineStarts: [Int]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var starts = [0]
        var at = 0
        while let newline = SourceText.place(of: UInt8(ascii: "\n"), in: bytes, from: at) {
            at = newline + 1
            if at < bytes.count { starts.append(at) }
        }
        lineStarts = starts
    }

    var lineCount: Int { lineStarts.count }

    /// Line of a byte, counted from 1.
    func line(of place: Int) -> Int {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= place { low = middle } else { high = middle }
        }
        return low + 1
    }

    /// The bytes of a line, counted from 1, without its newline.
    func line(_ number: Int) -> ArraySlice<UInt8> {
        let start = lineStarts[number - 1]
        let end = number < lineStarts.count ? lineStarts[number] : bytes.count
        let line = bytes[start..<end]
        return line.last == UInt8(ascii: "\n") ? line.dropLast() : line
    }

    /// Places where `needle` stands on its own, not as part of a longer word.
    func places(of needle: String) -> [Int] {
        let word = Array(needle.utf8)
        guard let first = word.first, let last = word.last else { return [] }
        var found: [Int] = []
        var at = 0
        while let start = SourceText.place(of: first, in: bytes, from: at) {
            at = start + 1
            let end = start + word.count
            guard end <= bytes.count else { break }
            guard bytes[start..<end] == word[...] else { continue }
            if start > 0, bytes[start - 1].isWordByte, first.isWordByte { continue }
            if end < bytes.count, bytes[end].isWordByte, last.isWordByte { continue }
            found.append(start)
        }
        return found
    }

    private static func place(of byte: UInt8, in bytes: [UInt8], from start: Int) -> Int? {
        bytes.withUnsafeBytes { raw in
            guard let base = raw.baseAddress, start < raw.count else { return nil }
            guard let hit = memchr(base + start, Int32(byte), raw.count - start) else { return nil }
            return UnsafeRawPointer(hit) - base
        }
    }
}

extension UInt8 {
    var isWordByte: Bool {
        self == UInt8(ascii: "_") || (self | 0x20 >= UInt8(ascii: "a") && self | 0x20 <= UInt8(ascii: "z"))
            || (self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9")) || self >= 0x80
    }
}
