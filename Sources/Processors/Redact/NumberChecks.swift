import Telemetry

/// Detectors whose finds begin with a digit: cards, social security numbers, addresses, phones, account numbers.
extension DetectorScan {
    /// Checks the number that begins at `index`; returns where to go on when something was found or when the rest of a
    /// word can be passed over.
    @inline(never)
    func number(_ bytes: ByteCursor, _ index: Int, _ first: Int, _ matches: inout Column<Match>) -> Int? {
        let end = bytes.endOfDigits(index)
        let length = end &- index
        let before = bytes[index &- 1]
        let after = bytes[end]
        // The fraction of a decimal number is no number of its own.
        if before == 0x2E, bytes.isDigit(index &- 2) { return nil }
        // `%40` is how a URL writes the sign of a mail address.
        if before == 0x25, detectors.has(.email), bytes.has("40", at: index),
            let end = record(email(bytes, index &- 1, index &+ 2), first, &matches)
        {
            return end
        }
        // `%20` and the like part words in a URL.
        if before == 0x25, bytes.isURLEscape(endingAt: index &+ 2), bytes.isDigit(index &+ 2),
            let end = number(bytes, index &+ 2, first, &matches)
        {
            return end
        }
        if ByteClass.isLetter(after) {
            if before == 0x25, let end = record(escapedNumber(bytes, index), first, &matches) { return end }
            // A key may follow the escape of a URL or a terminal's color code at once.
            let isEscape = after == 0x6D || (before == 0x25 && bytes.isURLEscape(endingAt: index &+ 2))
            if isEscape { return record(lettered(bytes, index, end), first, &matches) }
            // The last byte of the word may begin another triple, as in `3c-22-…`.
            return record(lettered(bytes, index, end), first, &matches) ?? bytes.endOfAlphanumerics(end) &- 1
        }
        let isInternational = before == 0x2B && bytes.isTokenStart(index &- 1)
        var found: Match?
        if detectors.has(.creditCard), length >= 13 || length == 4 {
            found = card(bytes, index, end)
        }
        if found == nil, detectors.has(.phone), isInternational {
            found = internationalPhone(bytes, index)
        }
        if found == nil, detectors.has(.indianAadhaar), length == 4, after == 0x20 || after == 0x2D {
            found = aadhaar(bytes, index)
        }
        if found == nil, length == 3, after == 0x2E, detectors.has(.brazilianCPF) {
            found = taxNumber(bytes, index)
        }
        if found == nil, detectors.has(.socialSecurityNumber), length == 3 || length == 9 {
            found = socialSecurityNumber(bytes, index, end)
        }
        if found == nil, detectors.has(.ipv4), length <= 3, after == 0x2E {
            found = address(bytes, index)
        }
        if found == nil, detectors.has(.phone), length == 3 || (length == 1 && bytes[index] == 0x31) {
            found = americanPhone(bytes, index, end)
        }
        if found == nil, length == 8, after == 0x2D, detectors.has(.spanishDNI) {
            found = identityNumber(bytes, index, end &+ 1)
        }
        return record(found, first, &matches)
    }

    /// `%2B` and an international number, as URLs write the plus sign; `index` is that of the 2.
    private func escapedNumber(_ bytes: ByteCursor, _ index: Int) -> Match? {
        guard detectors.has(.phone), bytes[index] == 0x32, bytes[index &+ 1] | 0x20 == 0x62 else { return nil }
        guard var found = internationalPhone(bytes, index &+ 2) else { return nil }
        found.start &+= 1
        return found
    }

    /// Digits that go on as letters: `12345678Z`, an address of Bitcoin or Ethereum.
    private func lettered(_ bytes: ByteCursor, _ index: Int, _ end: Int) -> Match? {
        if end &- index == 8, detectors.has(.spanishDNI), let found = identityNumber(bytes, index, end) {
            return found
        }
        return detectors.has(.cryptoWallet) ? walletAddress(bytes, index) : nil
    }

    /// 13 to 19 digits with a known issuer prefix for their number and a right check digit (ISO/IEC 7812-1, Luhn),
    /// together or in groups after a first group of four.
    private func card(_ bytes: ByteCursor, _ start: Int, _ firstEnd: Int) -> Match? {
        var digits = CardDigits()
        var index = start
        var groupEnd = firstEnd
        var separator: UInt8 = 0
        var best: Int?
        var groups = 0
        while groups < 5 {
            groups += 1
            while index < groupEnd {
                if !digits.append(bytes[index] &- 0x30) {
                    return best.map { Match(start, $0, Detector.creditCard.tag) }
                }
                index &+= 1
            }
            if digits.isCard, isNumberEnd(bytes, groupEnd) { best = groupEnd }
            let next = bytes[groupEnd]
            guard next == 0x20 || next == 0x2D || next == 0x2E, separator == 0 || next == separator else { break }
            separator = next
            guard groups > 1 || firstEnd &- start == 4 else { break }
            index = groupEnd &+ 1
            groupEnd = bytes.endOfDigits(index)
            guard groupEnd &- index >= 1, groupEnd &- index <= 7 else { break }
        }
        return best.map { Match(start, $0, Detector.creditCard.tag) }
    }

    /// Neither a word nor a decimal fraction goes on at `end`.
    private func isNumberEnd(_ bytes: ByteCursor, _ end: Int) -> Bool {
        let after = bytes[end]
        if ByteClass.isWord(after) { return false }
        guard after == 0x2E, bytes.isDigit(end &+ 1) else { return true }
        // `.0` is how a whole number looks once it was a double.
        var index = end &+ 1
        while bytes[index] == 0x30 { index &+= 1 }
        return !ByteClass.isWord(bytes[index])
    }

    /// AAA-GG-SSSS with dashes or spaces and numbers that can be issued, or nine digits after the letters SSN.
    private func socialSecurityNumber(_ bytes: ByteCursor, _ start: Int, _ end: Int) -> Match? {
        let before = bytes[start &- 1]
        if before == 0x2D || before == 0x2E || before == 0x2B { return nil }
        let area =
            Int(bytes[start] &- 0x30) * 100 + Int(bytes[start &+ 1] &- 0x30) * 10 + Int(bytes[start &+ 2] &- 0x30)
        guard area != 0, area != 666, area < 900 else { return nil }
        if end &- start == 9 {
            guard !ByteClass.isWord(bytes[end]), precedes(bytes, start, within: 14, "ssn") else { return nil }
            return Match(start, end, Detector.socialSecurityNumber.tag)
        }
        let separator = bytes[end]
        guard separator == 0x2D || separator == 0x20, bytes[start &+ 6] == separator else { return nil }
        for offset in 4...10 where offset != 6 && !bytes.isDigit(start &+ offset) { return nil }
        guard bytes[start &+ 4] != 0x30 || bytes[start &+ 5] != 0x30 else { return nil }
        let serialIsZero = bytes.has("0000", at: start &+ 7)
        let after = bytes[start &+ 11]
        guard !serialIsZero, !ByteClass.isWord(after), after != 0x2D else { return nil }
        return Match(start, start &+ 11, Detector.socialSecurityNumber.tag)
    }

    /// Four decimal bytes with dots. Not a version number, and not loopback or the unspecified address, which name
    /// nobody.
    private func address(_ bytes: ByteCursor, _ start: Int) -> Match? {
        var parts: InlineArray<4, Int> = [0, 0, 0, 0]
        var index = start
        for part in 0..<4 {
            let end = bytes.endOfDigits(index)
            let length = end &- index
            guard length >= 1, length <= 3, length == 1 || bytes[index] != 0x30 else { return nil }
            var value = 0
            while index < end {
                value = value &* 10 &+ Int(bytes[index] &- 0x30)
                index &+= 1
            }
            guard value <= 255 else { return nil }
            parts[part] = value
            if part < 3 {
                guard bytes[index] == 0x2E else { return nil }
                index &+= 1
            }
        }
        let after = bytes[index]
        if ByteClass.isWord(after) || (after == 0x2E && bytes.isAlphanumeric(index &+ 1)) { return nil }
        let before = bytes[start &- 1]
        if before == 0x2D || before == 0x2E { return nil }
        if parts[0] == 127 || parts[0] == 0 { return nil }
        let product = start &- (bytes[start &- 2] == 0x5C ? 3 : 2)
        if before == 0x2F, parts[2] == 0, parts[3] == 0, bytes.isAlphanumeric(product) { return nil }
        if before == 0x3D, bytes[start &- 2] == 0x3D { return nil }
        if precedes(bytes, start, within: 12, "version") || precedes(bytes, start, within: 6, "ver") { return nil }
        if precedes(bytes, start, within: 9, "release") || precedes(bytes, start, within: 7, "build") { return nil }
        if precedes(bytes, start, within: 10, "firmware") { return nil }
        return Match(start, index, Detector.ipv4.tag)
    }

    /// A plus sign and 8 to 15 digits in groups (ITU-T E.164).
    private func internationalPhone(_ bytes: ByteCursor, _ start: Int) -> Match? {
        guard bytes[start] != 0x30 else { return nil }
        var index = start
        var digits = 0
        var end = start
        while true {
            if bytes.isDigit(index) {
                digits += 1
                index &+= 1
                end = index
                if digits > 15 { return nil }
                continue
            }
            let byte = bytes[index]
            guard byte == 0x20 || byte == 0x2D || byte == 0x2E || byte == 0x28 || byte == 0x29 else { break }
            // At most ") " or " (" between two groups.
            let next = bytes[index &+ 1]
            if bytes.isDigit(index &+ 1) {
                index &+= 1
            } else if next == 0x28 || next == 0x20 || next == 0x2D, bytes.isDigit(index &+ 2) {
                index &+= 2
            } else {
                break
            }
        }
        guard digits >= 8, !ByteClass.isWord(bytes[end]) else { return nil }
        return Match(start &- 1, end, Detector.phone.tag)
    }

    /// (NPA) NXX-XXXX and its usual writings, with or without a leading 1.
    private func americanPhone(_ bytes: ByteCursor, _ start: Int, _ firstEnd: Int) -> Match? {
        let before = bytes[start &- 1]
        if before == 0x2D || before == 0x2E || before == 0x2F || before == 0x2B || before == 0x3A { return nil }
        var index = start
        var begin = start
        if firstEnd &- start == 1 {
            let separator = bytes[firstEnd]
            guard separator == 0x20 || separator == 0x2D || separator == 0x2E else { return nil }
            index = firstEnd &+ 1
            if bytes[index] == 0x28 { index &+= 1 }
        }
        let isBracketed = bytes[index &- 1] == 0x28
        guard isExchange(bytes, index) else { return nil }
        var separator = bytes[index &+ 3]
        index &+= 3
        if isBracketed {
            guard separator == 0x29 else { return nil }
            if begin == index &- 3 { begin &-= 1 }
            index &+= 1
            if bytes[index] == 0x20 || bytes[index] == 0x2D { index &+= 1 }
        } else {
            guard separator == 0x20 || separator == 0x2D || separator == 0x2E else { return nil }
            index &+= 1
        }
        guard isExchange(bytes, index) else { return nil }
        if isBracketed { separator = bytes[index &+ 3] }
        let second = bytes[index &+ 3]
        guard second == separator, second == 0x20 || second == 0x2D || second == 0x2E else { return nil }
        index &+= 4
        for offset in 0..<4 where !bytes.isDigit(index &+ offset) { return nil }
        index &+= 4
        let after = bytes[index]
        guard !ByteClass.isWord(after), after != 0x2D, !(after == 0x2E && bytes.isDigit(index &+ 1)) else { return nil }
        return Match(begin, index, Detector.phone.tag)
    }

    /// Three digits, the first from 2 to 9, none following.
    private func isExchange(_ bytes: ByteCursor, _ index: Int) -> Bool {
        bytes[index] &- 0x32 < 8 && bytes.isDigit(index &+ 1) && bytes.isDigit(index &+ 2) && !bytes.isDigit(index &+ 3)
    }

    /// Country, two check digits, national part of the country's length; groups of four may be parted by spaces; the
    /// whole is 1 modulo 97 (ISO 13616, ISO 7064).
    @inline(never)
    func account(_ bytes: ByteCursor, _ start: Int) -> Match? {
        guard detectors.has(.iban), bytes.isTokenStart(start),
            let wanted = AccountNumber.length(bytes[start], bytes[start &+ 1])
        else { return nil }
        var remainder = 0
        var taken = 0
        var index = start &+ 4
        guard bytes.isDigit(start &+ 2), bytes.isDigit(start &+ 3) else { return nil }
        while taken < wanted &- 4 {
            let byte = bytes[index]
            if byte == 0x20, taken > 0 || bytes[index &- 1] != 0x20 {
                guard ByteClass.isAlphanumeric(bytes[index &+ 1]) else { return nil }
                index &+= 1
                continue
            }
            guard let next = AccountNumber.add(byte, to: remainder) else { return nil }
            remainder = next
            taken += 1
            index &+= 1
        }
        guard !ByteClass.isWord(bytes[index]) else { return nil }
        for offset in 0..<4 {
            guard let next = AccountNumber.add(bytes[start &+ offset], to: remainder) else { return nil }
            remainder = next
        }
        return remainder == 1 ? Match(start, index, Detector.iban.tag) : nil
    }

    /// Whether `word` (lower case) ends within the few bytes before `index`, with only separators in between.
    func precedes(_ bytes: ByteCursor, _ index: Int, within limit: Int, _ word: StaticString) -> Bool {
        var end = index
        let lowest = index &- limit
        while end > lowest, end > 0, !ByteClass.isLetter(bytes[end &- 1]), !bytes.isDigit(end &- 1) { end &-= 1 }
        return bytes.hasFolded(word, at: end &- word.utf8CodeUnitCount)
    }
}

/// The digits of a card candidate and the two sums of its check, kept while reading.
struct CardDigits {
    private var count = 0
    private var prefix = 0
    private var evenSum = 0
    private var oddSum = 0

    /// Takes one digit; false when there are more than a card has.
    @inline(__always)
    mutating func append(_ digit: UInt8) -> Bool {
        guard count < 19 else { return false }
        if count < 4 { prefix = prefix &* 10 &+ Int(digit) }
        count &+= 1
        let doubled = Int(digit) &* 2
        let folded = doubled > 9 ? doubled &- 9 : doubled
        // Which digits are doubled depends on the count, so both sums are kept: each new digit swaps their roles.
        let plain = evenSum
        evenSum = oddSum &+ Int(digit)
        oddSum = plain &+ folded
        return true
    }

    /// Whether the digits so far make a whole card number.
    var isCard: Bool { count >= 13 && evenSum % 10 == 0 && hasIssuer }

    private var hasIssuer: Bool {
        let two = prefix / 100
        switch two {
        case 40...49: return count == 13 || count == 16 || count == 19
        case 51...55: return count == 16
        case 22...27: return count == 16 && prefix >= 2221 && prefix <= 2720
        case 34, 37: return count == 15
        case 30, 36, 38, 39: return count >= 14
        case 35, 60, 62, 64, 65: return count >= 16
        case 50, 56...59, 61, 63, 66...69: return count >= 13
        default: return false
        }
    }
}

/// Lengths and arithmetic of international bank account numbers.
enum AccountNumber {
    /// Whole length by country (SWIFT IBAN registry), nil for countries without.
    static func length(_ first: UInt8, _ second: UInt8) -> Int? {
        guard ByteClass.isUpper(first), ByteClass.isUpper(second) else { return nil }
        let length = lengths[Int(first &- 0x41) &* 26 &+ Int(second &- 0x41)]
        return length == 0 ? nil : Int(length)
    }

    /// Goes on with the remainder modulo 97; nil for bytes that no account number holds.
    @inline(__always)
    static func add(_ byte: UInt8, to remainder: Int) -> Int? {
        if ByteClass.isDigit(byte) { return (remainder &* 10 &+ Int(byte &- 0x30)) % 97 }
        guard ByteClass.isUpper(byte) else { return nil }
        return (remainder &* 100 &+ Int(byte &- 0x41) &+ 10) % 97
    }

    private static let lengths: [UInt8] = {
        var table = [UInt8](repeating: 0, count: 26 * 26)
        let groups: [(UInt8, String)] = [
            (15, "NO"), (16, "BE"), (18, "DK FI FK FO GL NL SD"), (19, "MK SI"), (20, "AT BA EE KZ LT LU MN XK"),
            (21, "CH CR HR LI LV"), (22, "BG BH DE GB GE IE ME RS VA"), (23, "AE GI IL IQ OM SO TL"),
            (24, "AD CZ ES MD PK RO SA SE SK TN VG"), (25, "LY PT ST"), (26, "IS TR"),
            (27, "BI DJ FR GR IT MC MR SM"), (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"), (29, "BR EG PS QA UA"),
            (30, "JO KW MU YE"), (31, "MT SC"), (32, "LC"), (33, "RU"),
        ]
        for (length, codes) in groups {
            for code in codes.split(separator: " ") {
                let letters = Array(code.utf8)
                table[Int(letters[0] - 0x41) * 26 + Int(letters[1] - 0x41)] = length
            }
        }
        return table
    }()
}
