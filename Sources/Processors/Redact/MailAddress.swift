import Telemetry

/// Mail addresses, with letters beyond ASCII in both parts (RFC 6531, RFC 5890).
extension DetectorScan {
    /// `at` is the sign, `domain` the index behind it (they differ by more than one for `%40`).
    @inline(never)
    func email(_ bytes: ByteCursor, _ at: Int, _ domain: Int) -> Match? {
        guard let start = startOfName(bytes, at) else { return nil }
        guard let end = endOfDomain(bytes, domain) else { return nil }
        if isRepository(bytes, start, at, end) || isScaledImage(bytes, domain, end) { return nil }
        return Match(start, end, Detector.email.tag)
    }

    /// git@host:path and ssh://user@host/path say where something is, and who logs in there: not to whom one writes.
    private func isRepository(_ bytes: ByteCursor, _ start: Int, _ at: Int, _ end: Int) -> Bool {
        let isGit = at &- start == 3 && bytes.has("git", at: start)
        if isGit, bytes[end] == 0x3A { return true }
        // The two slashes, which JSON may escape, and JSON within JSON again.
        var colon = start &- 1
        for _ in 0..<2 {
            guard bytes[colon] == 0x2F else { return false }
            colon &-= 1
            var escapes = 0
            while escapes < 32, bytes[colon] == 0x5C {
                colon &-= 1
                escapes &+= 1
            }
        }
        guard bytes[colon] == 0x3A else { return false }
        return isGit || bytes.hasFolded("ssh", at: colon &- 3) || bytes.hasFolded("sftp", at: colon &- 4)
            || bytes.hasFolded("rsync", at: colon &- 5)
    }

    private static let imageTypes: [StaticString] = ["png", "jpg", "jpeg", "gif", "webp", "svg", "avif", "heic", "bmp"]

    /// icon@2x.png and icon@1.5x.webp are files for screens of that density; no such top-level domain exists.
    private func isScaledImage(_ bytes: ByteCursor, _ domain: Int, _ end: Int) -> Bool {
        guard bytes.isDigit(domain) else { return false }
        var index = domain &+ 1
        if bytes[index] == 0x2E, bytes.isDigit(index &+ 1) { index &+= 2 }
        guard bytes[index] | 0x20 == 0x78, !bytes.isAlphanumeric(index &+ 1) else { return false }
        return DetectorScan.imageTypes.contains { type in
            let dot = end &- type.utf8CodeUnitCount &- 1
            return dot > index &- 1 && bytes[dot] == 0x2E && bytes.hasFolded(type, at: dot &+ 1)
        }
    }

    // MARK: The name

    private func startOfName(_ bytes: ByteCursor, _ at: Int) -> Int? {
        if bytes[at &- 1] == 0x22 { return startOfQuoted(bytes, at) }
        let lowest = max(0, at &- 64)
        var start = at
        let script = Script.before(bytes, at)
        guard script.script != .none else { return nil }
        while start > lowest {
            let before = bytes[start &- 1]
            if before < 0x80 {
                guard isLocalPart(before), script.script != .joined else { break }
                start &-= 1
            } else {
                let letter = Script.before(bytes, start)
                let goesOn = script.script == .joined ? Script.joined : .spaced
                guard letter.script == goesOn else { break }
                start &-= letter.length
            }
        }
        // A dot or sign at the front belongs to the sentence; `\n` before the name is an escape.
        if bytes[start &- 1] == 0x5C {
            if bytes[start] == 0x75, bytes.isUnicodeEscape(endingAt: start &+ 5), at &- start > 5 {
                start &+= 5
            } else if ByteClass.isEscapeLetter(bytes[start]), at &- start > 1 {
                start &+= 1
            }
        }
        while start < at, bytes[start] < 0x80, !ByteClass.isAlphanumeric(bytes[start]), bytes[start] != 0x5F {
            start &+= 1
        }
        return start < at && bytes[at &- 1] != 0x2E ? start : nil
    }

    /// A name in quotes, with spaces or signs in it; the find begins behind the first quote.
    private func startOfQuoted(_ bytes: ByteCursor, _ at: Int) -> Int? {
        let lowest = max(0, at &- 66)
        var start = at &- 1
        while start > lowest, bytes[start &- 1] == 0x5C { start &-= 1 }
        var hasLetter = false
        let end = start
        while start > lowest {
            let before = bytes[start &- 1]
            if before == 0x22 { return hasLetter && start < end ? start : nil }
            guard isLocalPart(before) || before == 0x20 || before >= 0x80 else { return nil }
            if ByteClass.isAlphanumeric(before) || before >= 0x80 { hasLetter = true }
            start &-= 1
        }
        return nil
    }

    @inline(__always)
    private func isLocalPart(_ byte: UInt8) -> Bool {
        ByteClass.isWord(byte) || byte == 0x2E || byte == 0x2D || byte == 0x2B || byte == 0x25 || byte == 0x27
    }

    // MARK: The domain

    /// End of the longest run of labels whose last is a possible top-level domain, nil when there is none.
    private func endOfDomain(_ bytes: ByteCursor, _ start: Int) -> Int? {
        var index = start
        var best: Int?
        var labels = 0
        while index &- start <= 253 {
            let label = index
            guard let hasOnlyLetters = passLabel(bytes, &index) else { return best }
            guard index > label, bytes[label] != 0x2D else { return best }
            labels += 1
            var end = index
            while bytes[end &- 1] == 0x2D { end &-= 1 }
            let isTop =
                hasOnlyLetters && end == index ? index &- label >= 2 : bytes.hasFolded("xn--", at: label)
            if labels > 1, isTop { best = end }
            guard bytes[index] == 0x2E else { return best }
            index &+= 1
        }
        return best
    }

    /// Moves behind a label; tells whether it has letters only, nil when it is too long. Scripts that join their words
    /// do not go on a label of others: what follows there is the sentence.
    private func passLabel(_ bytes: ByteCursor, _ index: inout Int) -> Bool? {
        let label = index
        var hasOnlyLetters = true
        let isJoined = Script.at(bytes, index).script == .joined
        while true {
            let byte = bytes[index]
            if byte < 0x80 {
                guard ByteClass.isAlphanumeric(byte) || byte == 0x2D else { break }
                if !ByteClass.isLetter(byte) { hasOnlyLetters = false }
                index &+= 1
            } else {
                let letter = Script.at(bytes, index)
                guard letter.script == (isJoined ? .joined : .spaced) else { break }
                index &+= letter.length
            }
            if index &- label > 189 { return nil }
        }
        return hasOnlyLetters
    }
}

/// What kind of letter a scalar is, as far as mail addresses need to know.
enum Script {
    /// ASCII of any kind.
    case ascii
    /// Letters of scripts that put spaces between words.
    case spaced
    /// Letters of scripts that do not, as Chinese and Thai: there an address touches its sentence.
    case joined
    /// No letter.
    case none

    /// The scalar that begins at `index`, and its bytes.
    static func at(_ bytes: ByteCursor, _ index: Int) -> (script: Script, length: Int) {
        let lead = bytes[index]
        if lead < 0x80 { return (.ascii, 1) }
        let length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        guard lead >= 0xC2, lead <= 0xF4 else { return (.none, 1) }
        var value = UInt32(lead) & (0x7F >> UInt32(length))
        for offset in 1..<length {
            let byte = bytes[index &+ offset]
            guard byte & 0xC0 == 0x80 else { return (.none, 1) }
            value = value << 6 | UInt32(byte & 0x3F)
        }
        return (of(value), length)
    }

    /// The scalar that ends before `index`.
    static func before(_ bytes: ByteCursor, _ index: Int) -> (script: Script, length: Int) {
        for length in 1...4 where bytes[index &- length] & 0xC0 != 0x80 {
            let found = at(bytes, index &- length)
            return found.length == length ? found : (.none, 1)
        }
        return (.none, 1)
    }

    private static func of(_ scalar: UInt32) -> Script {
        switch scalar {
        case 0..<0x80: .ascii
        case 0xD7, 0xF7: .none
        case 0xAA, 0xB5, 0xBA, 0xC0...0x24F: .spaced
        case 0x250..<0x2000: (0xE00...0xEFF).contains(scalar) || (0x1000...0x109F).contains(scalar) ? .joined : .spaced
        case 0x2C00..<0x2E00: .spaced
        case 0x3040...0x30FF, 0x3400...0x9FFF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0x20000...0x3FFFF: .joined
        default: .none
        }
    }
}
