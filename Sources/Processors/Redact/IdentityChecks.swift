import Crypto
import Telemetry

/// Detectors of documents and wallets: all but one have check digits, which these prove.
extension DetectorScan {
    // MARK: National numbers

    /// A Brazilian CPF, `ddd.ddd.ddd-dd`: the last two digits are weighted sums of the others modulo 11.
    func taxNumber(_ bytes: ByteCursor, _ start: Int) -> Match? {
        guard bytes[start &+ 7] == 0x2E, bytes[start &+ 11] == 0x2D, !ByteClass.isWord(bytes[start &+ 14]) else {
            return nil
        }
        var digits: InlineArray<11, Int> = InlineArray(repeating: 0)
        var taken = 0
        var isVaried = false
        for offset in 0..<14 where offset != 3 && offset != 7 && offset != 11 {
            guard bytes.isDigit(start &+ offset) else { return nil }
            digits[taken] = Int(bytes[start &+ offset] &- 0x30)
            if digits[taken] != digits[0] { isVaried = true }
            taken &+= 1
        }
        var first = 0
        var second = 0
        for index in 0..<9 {
            first &+= digits[index] &* (10 &- index)
            second &+= digits[index] &* (11 &- index)
        }
        second &+= digits[9] &* 2
        let one = first &* 10 % 11 % 10
        let two = second &* 10 % 11 % 10
        guard isVaried, one == digits[9], two == digits[10] else { return nil }
        return Match(start, start &+ 14, Detector.brazilianCPF.tag)
    }

    /// An Indian Aadhaar number, `dddd dddd dddd` with a first digit from 2 and Verhoeff's check digit.
    func aadhaar(_ bytes: ByteCursor, _ start: Int) -> Match? {
        let separator = bytes[start &+ 4]
        guard bytes[start] >= 0x32, bytes[start &+ 9] == separator else { return nil }
        let before = bytes[start &- 1]
        let after = bytes[start &+ 14]
        if before == separator, bytes.isDigit(start &- 2) { return nil }
        if ByteClass.isWord(after) || (after == separator && bytes.isDigit(start &+ 15)) || after == 0x2E,
            after != 0x2E || bytes.isDigit(start &+ 15)
        {
            return nil
        }
        var check = 0
        var place = 0
        for offset in stride(from: 13, through: 0, by: -1) where offset != 4 && offset != 9 {
            guard bytes.isDigit(start &+ offset) else { return nil }
            check = Verhoeff.product(check, Verhoeff.permuted(Int(bytes[start &+ offset] &- 0x30), place))
            place &+= 1
        }
        return check == 0 ? Match(start, start &+ 14, Detector.indianAadhaar.tag) : nil
    }

    /// A Spanish DNI: eight digits and the capital that their remainder modulo 23 chooses, at `letter`.
    func identityNumber(_ bytes: ByteCursor, _ start: Int, _ letter: Int) -> Match? {
        var number = 0
        for index in start..<start &+ 8 { number = number &* 10 &+ Int(bytes[index] &- 0x30) }
        let letters: StaticString = "TRWAGMYFPDXBNJZSQVHLCKE"
        guard bytes[letter] == letters.utf8Start[number % 23], !ByteClass.isWord(bytes[letter &+ 1]) else {
            return nil
        }
        return Match(start, letter &+ 1, Detector.spanishDNI.tag)
    }

    // MARK: Passports

    /// The two lines of 44 characters at the foot of a passport, the second with five check digits (ICAO 9303, part 4).
    @inline(never)
    func passportZone(_ bytes: ByteCursor, _ start: Int) -> Match? {
        guard bytes.isTokenStart(start), isZoneLine(bytes, start) else { return nil }
        var line = start &+ 44
        while line &- start < 50 {
            if ByteClass.isSpace(bytes[line]) {
                line &+= 1
            } else if bytes[line] == 0x5C {
                // A line break that is escaped once or more.
                line &+= bytes[line &+ 1] == 0x5C ? 1 : 2
            } else {
                break
            }
        }
        guard line > start &+ 44, isZoneLine(bytes, line), !isZoneByte(bytes[line &+ 44]) else { return nil }
        func isGood(_ columns: [Range<Int>], _ digit: Int) -> Bool {
            zoneCheck(bytes, line, columns) == bytes[line &+ digit]
        }
        let hasGoodDigits =
            isGood([0..<9], 9) && isGood([13..<19], 19) && isGood([21..<27], 27)
            && isGood([0..<10, 13..<20, 21..<43], 43)
        return hasGoodDigits ? Match(start, line &+ 44, Detector.passportZone.tag) : nil
    }

    private func isZoneLine(_ bytes: ByteCursor, _ start: Int) -> Bool {
        for offset in 0..<44 where !isZoneByte(bytes[start &+ offset]) { return false }
        return true
    }

    @inline(__always)
    private func isZoneByte(_ byte: UInt8) -> Bool {
        ByteClass.isUpper(byte) || ByteClass.isDigit(byte) || byte == 0x3C
    }

    /// The check digit of some columns of a line: weights 7, 3, 1; letters count from 10.
    private func zoneCheck(_ bytes: ByteCursor, _ line: Int, _ columns: [Range<Int>]) -> UInt8 {
        var sum = 0
        var place = 0
        for range in columns {
            for column in range {
                let byte = bytes[line &+ column]
                let value = ByteClass.isDigit(byte) ? Int(byte &- 0x30) : byte == 0x3C ? 0 : Int(byte &- 0x41) &+ 10
                sum &+= value &* (place % 3 == 0 ? 7 : place % 3 == 1 ? 3 : 1)
                place &+= 1
            }
        }
        return UInt8(truncatingIfNeeded: sum % 10) &+ 0x30
    }

    // MARK: Wallets

    /// An address of Bitcoin in base58 with its double SHA-256, or of Ethereum: `0x` and 40 hexadecimal digits.
    @inline(never)
    func walletAddress(_ bytes: ByteCursor, _ start: Int) -> Match? {
        let end = bytes.endOfAlphanumerics(start)
        guard !ByteClass.isWord(bytes[end]) else { return nil }
        if end &- start == 42, bytes.has("0x", at: start) {
            var isZero = true
            for index in start &+ 2..<end {
                guard ByteClass.hexValue(bytes[index]) != nil else { return nil }
                if bytes[index] != 0x30 { isZero = false }
            }
            return isZero ? nil : Match(start, end, Detector.cryptoWallet.tag)
        }
        guard bytes[start] == 0x31 || bytes[start] == 0x33, (26...35).contains(end &- start) else { return nil }
        return isBase58Check(bytes, start..<end) ? Match(start, end, Detector.cryptoWallet.tag) : nil
    }

    /// Whether base58 text is 21 bytes and the first four of their double SHA-256.
    private func isBase58Check(_ bytes: ByteCursor, _ range: Range<Int>) -> Bool {
        let alphabet: StaticString = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
        var number = [UInt8](repeating: 0, count: 25)
        for index in range {
            guard var carry = (0..<58).first(where: { alphabet.utf8Start[$0] == bytes[index] }) else { return false }
            for place in number.indices.reversed() {
                carry += Int(number[place]) * 58
                number[place] = UInt8(truncatingIfNeeded: carry)
                carry >>= 8
            }
            guard carry == 0 else { return false }
        }
        let once = SHA256.hash(data: number[0..<21])
        let twice = SHA256.hash(data: Array(once))
        return Array(twice.prefix(4)) == Array(number[21...])
    }

    /// `bc1…`, an address in bech32 or bech32m with its checksum (BIP 173, BIP 350).
    @inline(never)
    func segwitAddress(_ bytes: ByteCursor, _ start: Int) -> Match? {
        guard bytes.isTokenStart(start) else { return nil }
        var end = start
        while end &- start <= 62, bytes.isAlphanumeric(end) { end &+= 1 }
        guard (42...62).contains(end &- start) else { return nil }
        let alphabet: StaticString = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
        let generator: [UInt32] = [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3]
        // The prefix "bc" expanded: high bits, a zero, low bits.
        var check: UInt32 = 1
        func step(_ value: UInt32) {
            let top = check >> 25
            check = (check & 0x1FF_FFFF) << 5 ^ value
            for bit in 0..<5 where top >> UInt32(bit) & 1 == 1 { check ^= generator[bit] }
        }
        for value: UInt32 in [3, 3, 0, 2, 3] { step(value) }
        for index in start &+ 3..<end {
            guard let value = (0..<32).first(where: { alphabet.utf8Start[$0] == bytes[index] }) else { return nil }
            step(UInt32(value))
        }
        guard check == 1 || check == 0x2BC8_30A3 else { return nil }
        return Match(start, end, Detector.cryptoWallet.tag)
    }
}

/// Verhoeff's check digit scheme over the dihedral group of ten elements.
enum Verhoeff {
    /// The group's product.
    static func product(_ left: Int, _ right: Int) -> Int {
        if left < 5 { return right < 5 ? (left + right) % 5 : 5 + (left + right - 5) % 5 }
        return right < 5 ? 5 + (left - 5 - right + 5) % 5 : (left - right + 5) % 5
    }

    /// A digit after `place` applications of Verhoeff's permutation.
    static func permuted(_ digit: Int, _ place: Int) -> Int {
        let permutation: [Int] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
        var digit = digit
        for _ in 0..<place % 8 { digit = permutation[digit] }
        return digit
    }
}
