import CSupport
import Telemetry

/// Finds the built-in detectors' matches in one pass over a text.
///
/// A vector search names the few places at which some find may be (`DetectorTriggers`); only there the hand-written
/// checks run, backwards and forwards. Clean text costs a fraction of a nanosecond per byte and no allocation.
final class DetectorScan: Sendable {
    private typealias Kind = DetectorTriggers.Kind

    let detectors: DetectorSet
    let prefixes: KeyPrefixTable
    private let triggers: DetectorTriggers

    private let usesVectors: Bool

    /// `usesVectors: false` is for tests, which hold the two searches against each other.
    init(_ detectors: DetectorSet, usesVectors: Bool = true) {
        self.detectors = detectors
        self.usesVectors = usesVectors
        prefixes = KeyPrefixTable(detectors)
        triggers = DetectorTriggers(detectors, prefixes: prefixes.all)
    }

    /// Appends the matches in `text` to `matches`, in order and without overlaps.
    func scan(_ text: Text, into matches: inout Column<Match>) {
        guard detectors.rawValue != 0, text.count > 2 else { return }
        let bytes = ByteCursor(text)
        let first = matches.count
        let places = text.count &- 2
        let table = triggers.table
        var memory = ScanMemory(text.count)
        var resume = 0
        // A number at the very beginning has nothing before it.
        if triggers.hasNumbers, bytes.isDigit(0) { resume = number(bytes, 0, first, &matches) ?? 0 }
        var base = 0
        while base < places {
            var mask: UInt64 = 0
            base =
                usesVectors
                ? sluice_trigger_block(table, bytes.start, base, places, &mask)
                : sluice_trigger_block_table(table, bytes.start, base, places, &mask)
            while mask != 0 {
                let index = base &+ mask.trailingZeroBitCount
                mask &= mask &- 1
                guard index >= resume else { continue }
                let kinds = UInt32(sluice_trigger_sets(table, bytes.start + index))
                if kinds != 0 { resume = check(kinds, bytes, index, first, &memory, &matches) ?? resume }
            }
            base &+= 64
        }
    }

    /// Looks closer at the triple at `index`; returns where to go on when something was found or can be passed over.
    private func check(
        _ kinds: UInt32, _ bytes: ByteCursor, _ index: Int, _ first: Int, _ memory: inout ScanMemory,
        _ matches: inout Column<Match>
    ) -> Int? {
        var rest = kinds
        while rest != 0 {
            let kind = UInt32(truncatingIfNeeded: rest.trailingZeroBitCount)
            rest &= rest &- 1
            let end: Int? =
                switch kind {
                case Kind.number:
                    bytes.isTokenStart(index &+ 1) ? number(bytes, index &+ 1, first, &matches) : nil
                case Kind.at: record(email(bytes, index &+ 1, index &+ 2), first, &matches)
                case Kind.underscore, Kind.dashOrDot:
                    prefixedKeys(bytes, index &+ 3, first, &memory, &matches)
                case Kind.capital: capital(bytes, index, first, &memory, &matches)
                case Kind.scheme where bytes[index] == 0x61:
                    record(databricksToken(bytes, index &- 1), first, &matches)
                case Kind.scheme where bytes[index] &- 0x4D < 3:
                    record(discordToken(bytes, index), first, &matches)
                case Kind.scheme: record(scheme(bytes, index), first, &matches)
                case Kind.colon: colon(bytes, index, first, &matches)
                default: labelled(bytes, index, first, &memory, &matches)
                }
            if let end { return end }
        }
        return nil
    }

    /// Triples of capitals: each names its detector.
    private func capital(
        _ bytes: ByteCursor, _ index: Int, _ first: Int, _ memory: inout ScanMemory, _ matches: inout Column<Match>
    ) -> Int? {
        let second = bytes[index &+ 1]
        let third = bytes[index &+ 2]
        switch (bytes[index], second, third) {
        case (0x65, 0x79, 0x4A): return record(webToken(bytes, index, &memory.keys), first, &matches)
        case (0x49, 0x7A, 0x61): return record(googleKey(bytes, index, &memory.keys), first, &matches)
        case (0x2D, 0x42, 0x45): return record(privateKey(bytes, index &- 4), first, &matches)
        case (0x50, 0x3C, _): return record(passportZone(bytes, index), first, &matches)
        case (0x62, 0x63, 0x31): return record(segwitAddress(bytes, index), first, &matches)
        case (_, 0x51, 0x7E): return record(azureSecret(bytes, index), first, &matches)
        case (_, 0x49, 0x41):
            if detectors.has(.awsKey), let end = amazon(bytes, index &- 1, first, &matches) { return end }
        default: break
        }
        if bytes[index] == 0x53, second == 0x4B, let end = record(twilioKey(bytes, index), first, &matches) {
            return end
        }
        return ByteClass.isDigit(third) ? record(account(bytes, index), first, &matches) : nil
    }

    /// Triples around a colon, dash or slash.
    private func colon(
        _ bytes: ByteCursor, _ index: Int, _ first: Int, _ matches: inout Column<Match>
    ) -> Int? {
        if bytes[index] == 0x3A { return record(urlPassword(bytes, index), first, &matches) }
        if bytes[index &+ 1] == 0x2F { return record(slackHook(bytes, index), first, &matches) }
        if bytes[index &+ 2] == 0x41, let end = record(telegramToken(bytes, index), first, &matches) { return end }
        if let end = record(hardwareAddress(bytes, index), first, &matches) { return end }
        return bytes[index &+ 1] == 0x3A ? record(longAddress(bytes, index), first, &matches) : nil
    }

    /// Takes a find over, merging it with earlier ones it overlaps; returns its end.
    @inline(__always)
    func record(_ found: Match?, _ first: Int, _ matches: inout Column<Match>) -> Int? {
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
}
