import Telemetry

/// Detectors of machines and of what stands in URLs.
extension DetectorScan {
    /// Six pairs of hexadecimal digits with colons or dashes (IEEE 802); `index` is that of the digit before the first
    /// sign. Not all zeros or all ones, which name no machine, and not part of a longer chain.
    @inline(never)
    func hardwareAddress(_ bytes: ByteCursor, _ index: Int) -> Match? {
        guard detectors.has(.macAddress) else { return nil }
        let start = index &- 1
        let sign = bytes[index &+ 1]
        guard bytes[start &+ 5] == sign, bytes[start &+ 8] == sign, bytes[start &- 1] != sign,
            bytes.isTokenStart(start)
        else { return nil }
        var isOne = true
        var isZero = true
        for offset in 0..<17 {
            let byte = bytes[start &+ offset]
            if offset % 3 == 2 {
                guard byte == sign else { return nil }
            } else {
                guard let value = ByteClass.hexValue(byte) else { return nil }
                if value != 15 { isOne = false }
                if value != 0 { isZero = false }
            }
        }
        let after = bytes[start &+ 17]
        guard !isOne, !isZero, !ByteClass.isWord(after), after != sign else { return nil }
        return Match(start, start &+ 17, Detector.macAddress.tag)
    }

    /// An IPv6 address that may name somebody: global, local to a site or to a link (RFC 4291); `index` is that of the
    /// last digit before its first colon.
    @inline(never)
    func longAddress(_ bytes: ByteCursor, _ index: Int) -> Match? {
        guard detectors.has(.ipv6) else { return nil }
        var start = index
        while index &- start < 3, ByteClass.hexValue(bytes[start &- 1]) != nil { start &-= 1 }
        guard bytes.isTokenStart(start), bytes[start &- 1] != 0x3A, index &- start == 3 else { return nil }
        var prefix = 0
        for offset in 0..<4 { prefix = prefix << 4 | Int(ByteClass.hexValue(bytes[start &+ offset]) ?? 0) }
        let isAssigned = prefix >> 13 == 1 || prefix >> 9 == 0x7E || prefix >> 6 == 0x3FA || prefix >> 8 == 0xFF
        guard isAssigned else { return nil }
        var groups = 1
        var hasGap = false
        var end = start &+ 4
        while bytes[end] == 0x3A, groups < 8 {
            if bytes[end &+ 1] == 0x3A {
                guard !hasGap else { return nil }
                hasGap = true
                end &+= 2
                if ByteClass.hexValue(bytes[end]) == nil { break }
            } else {
                guard ByteClass.hexValue(bytes[end &+ 1]) != nil else { break }
                end &+= 1
            }
            let group = end
            while ByteClass.hexValue(bytes[end]) != nil { end &+= 1 }
            guard end &- group <= 4 else { return nil }
            groups += 1
        }
        guard hasGap ? groups < 8 : groups == 8, !ByteClass.isWord(bytes[end]) else { return nil }
        return Match(start, end, Detector.ipv6.tag)
    }

    /// The password in `scheme://user:password@host`, or a long token in the place of the user; `index` is that of the
    /// colon before the slashes.
    @inline(never)
    func urlPassword(_ bytes: ByteCursor, _ index: Int) -> Match? {
        let start = index &+ 3
        guard bytes.isAlphanumeric(index &- 1) else { return nil }
        var end = start
        var colon: Int?
        var at: Int?
        var hasDigit = false
        scan: while end &- start < 512 {
            let byte = bytes[end]
            switch byte {
            case 0x3A: colon = colon ?? end
            case 0x40: at = end
            case 0x00...0x20, 0x22, 0x23, 0x27, 0x2F, 0x3C, 0x3E, 0x3F, 0x5C, 0x60, 0x7F: break scan
            default:
                // The host of a plain URL ends the search early: most URLs have no user.
                if ByteClass.isDigit(byte) { hasDigit = true }
            }
            end &+= 1
        }
        guard let at, at > start else { return nil }
        if let colon, colon < at {
            guard at > colon &+ 1, !SecretLabel.isPlaceholder(bytes, colon &+ 1, at) else { return nil }
            return Match(colon &+ 1, at, Detector.urlCredentials.tag)
        }
        guard at &- start >= 16, hasDigit else { return nil }
        return Match(start, at, Detector.urlCredentials.tag)
    }
}
