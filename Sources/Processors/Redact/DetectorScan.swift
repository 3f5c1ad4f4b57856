import Telemetry

/// Finds the built-in detectors' matches in one pass over a text.
///
/// A 256-entry table names the few bytes at which some pattern has its rarest character ('@' of an address, '-' of
/// `sk-`, 'J' of `eyJ`, the first digit of a number); only there the hand-written checks run, backwards and forwards.
/// Clean text costs one table look-up per byte and no allocation.
final class DetectorScan: Sendable {
    /// What a byte may be part of; zero for nothing.
    enum Trigger {
        static let none: UInt8 = 0
        static let at: UInt8 = 1
        static let digit: UInt8 = 2
        static let dash: UInt8 = 3
        static let underscore: UInt8 = 4
        static let upperJ: UInt8 = 5
        static let upperK: UInt8 = 6
        static let upperS: UInt8 = 7
        static let lowerZ: UInt8 = 8
        static let letterB: UInt8 = 9
        static let percent: UInt8 = 10
    }

    let detectors: DetectorSet
    // Filled in init, read-only afterwards and freed in deinit: sharing it between threads is safe.
    nonisolated(unsafe) private let table: UnsafeMutablePointer<UInt8>

    init(_ detectors: DetectorSet) {
        self.detectors = detectors
        table = .allocate(capacity: 256)
        table.initialize(repeating: Trigger.none, count: 256)
        if detectors.has(.email) {
            table[0x40] = Trigger.at
            table[0x25] = Trigger.percent
        }
        if detectors.has([.creditCard, .socialSecurityNumber, .phone, .ipv4, .iban]) {
            for digit in 0x30...0x39 { table[digit] = Trigger.digit }
        }
        if detectors.has([.apiKey, .pemKey]) { table[0x2D] = Trigger.dash }
        if detectors.has([.apiKey, .awsKey]) { table[0x5F] = Trigger.underscore }
        if detectors.has(.jwt) { table[0x4A] = Trigger.upperJ }
        if detectors.has(.awsKey) {
            table[0x4B] = Trigger.upperK
            table[0x53] = Trigger.upperS
        }
        if detectors.has(.apiKey) { table[0x7A] = Trigger.lowerZ }
        if detectors.has(.bearerToken) {
            table[0x42] = Trigger.letterB
            table[0x62] = Trigger.letterB
        }
    }

    deinit { table.deallocate() }

    /// Appends the matches in `text` to `matches`, in order and without overlaps.
    func scan(_ text: Text, into matches: inout Column<Match>) {
        guard detectors.rawValue != 0, text.count > 2 else { return }
        let bytes = ByteCursor(text)
        let first = matches.count
        let table = self.table
        let start = bytes.start
        let count = bytes.count
        var index = 0
        while index < count {
            let trigger = table[Int(start[index])]
            if trigger == Trigger.none {
                index &+= 1
            } else {
                index = check(trigger, bytes, index, first, &matches)
            }
        }
    }

    /// Looks closer at a trigger; returns where to go on, always behind `index`.
    @inline(__always)
    private func check(
        _ trigger: UInt8, _ bytes: ByteCursor, _ index: Int, _ first: Int, _ matches: inout Column<Match>
    ) -> Int {
        switch trigger {
        case Trigger.digit:
            // Most digits stand inside a word or id; skip it whole without a call.
            if !bytes.isTokenStart(index), !isAccountStart(bytes, index) { return bytes.endOfAlphanumerics(index) }
            return number(bytes, index, first, &matches)
        case Trigger.dash:
            let before = bytes[index &- 1]
            if before == 0x20 || ByteClass.isDigit(before) { return index &+ 1 }
            return record(bytes, dashed(bytes, index), first, &matches) ?? index &+ 1
        case Trigger.underscore:
            return record(bytes, underscored(bytes, index), first, &matches) ?? index &+ 1
        case Trigger.letterB:
            if bytes[index &+ 1] | 0x20 != 0x65 { return index &+ 1 }
            return record(bytes, bearer(bytes, index), first, &matches) ?? index &+ 1
        case Trigger.upperJ:
            if bytes[index &- 1] != 0x79 { return index &+ 1 }
            return record(bytes, webToken(bytes, index), first, &matches) ?? index &+ 1
        case Trigger.lowerZ:
            if bytes[index &- 1] != 0x49 { return index &+ 1 }
            return record(bytes, googleKey(bytes, index), first, &matches) ?? index &+ 1
        case Trigger.upperK, Trigger.upperS:
            return amazon(bytes, index, first, &matches) ?? index &+ 1
        case Trigger.percent:
            if bytes[index &+ 1] != 0x34 || bytes[index &+ 2] != 0x30 { return index &+ 1 }
            return record(bytes, email(bytes, index, index &+ 3), first, &matches) ?? index &+ 1
        default:
            return record(bytes, email(bytes, index, index &+ 1), first, &matches) ?? index &+ 1
        }
    }

    /// Takes a find over, merging it with earlier ones it overlaps; returns its end.
    @inline(__always)
    func record(
        _ bytes: ByteCursor, _ found: Match?, _ first: Int, _ matches: inout Column<Match>
    ) -> Int? {
        guard let found else { return nil }
        DetectorScan.merge(found, first, &matches)
        return Int(found.end)
    }

    static func merge(_ found: Match, _ first: Int, _ matches: inout Column<Match>) {
        var found = found
        while matches.count > first, matches[matches.count - 1].end > found.start {
            let earlier = matches[matches.count - 1]
            // The label of the longer find tells more about what was there.
            if earlier.end &- earlier.start > found.end &- found.start { found.tag = earlier.tag }
            found.start = min(found.start, earlier.start)
            found.end = max(found.end, earlier.end)
            matches.truncate(to: matches.count - 1)
        }
        matches.append(found)
    }

    /// Whether two capitals that begin a token precede this digit, as in an IBAN.
    @inline(__always)
    private func isAccountStart(_ bytes: ByteCursor, _ index: Int) -> Bool {
        detectors.has(.iban) && ByteClass.isUpper(bytes[index &- 1]) && ByteClass.isUpper(bytes[index &- 2])
            && bytes.isTokenStart(index &- 2)
    }
}
