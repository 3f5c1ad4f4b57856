import Glibc
import Telemetry

/// A time zone of the system's database: how far its clocks are from UTC at every moment. Immutable.
///
/// Read from a TZif file (RFC 8536): moments at which the clocks changed, and a rule for all later ones.
struct ZoneRules: Sendable {
    /// From a moment on, in Unix seconds, clocks are so many seconds ahead of UTC.
    private struct Change: Sendable {
        var time: Int64
        var offset: Int64
    }

    /// Why a zone cannot be had.
    struct Fault: Error, Equatable {
        var message: String
    }

    private var changes: [Change] = []
    /// What clocks have shown, by the names that go with it: EST, EDT.
    private var names: [(name: String, offset: Int64)] = []
    /// Ahead of UTC before the first change.
    private var first: Int64 = 0
    /// After the last change.
    private var rule: ZoneRule?

    static let utc = ZoneRules()
    /// Where systems keep their databases.
    private static let folders = [
        "/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo",
    ]
    private static let fileMax = 1 << 20

    private init() {}

    /// The zone of an IANA name such as `Europe/Berlin`; `UTC` and an empty name are UTC, `Local` is the system's.
    init(named name: String) throws(Fault) {
        if name.isEmpty || name == "UTC" { return }
        if name == "Local" {
            if let bytes = ZoneRules.read("/etc/localtime"), let rules = ZoneRules(bytes) { self = rules }
            return
        }
        let isPath = name.hasPrefix("/") || name.contains("\\") || name.split(separator: "/").contains("..")
        if !isPath {
            for folder in ZoneRules.folders {
                if let bytes = ZoneRules.read("\(folder)/\(name)"), let rules = ZoneRules(bytes) {
                    self = rules
                    return
                }
            }
            if !ZoneRules.folders.contains(where: { access($0, R_OK) == 0 }) {
                throw Fault(message: "the system has no database of time zones (package tzdata) to find \(name) in")
            }
        }
        throw Fault(message: "there is no time zone \(name); write an IANA name, such as America/New_York, or UTC")
    }

    /// Unix seconds of a time that clocks in the zone show, given as if it were UTC. Of a time that they show twice or
    /// leave out it is one of the two that it could be, as in the Collector.
    func unixSeconds(ofLocal local: Int64) -> Int64 {
        let utc = local - offset(at: local)
        return local - offset(at: utc)
    }

    /// Seconds ahead of UTC at a moment.
    func offset(at time: Int64) -> Int64 {
        guard let last = changes.last else { return rule?.offset(at: time) ?? first }
        if time >= last.time { return rule?.offset(at: time) ?? last.offset }
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].time <= time { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? first : changes[low - 1].offset
    }

    /// Seconds ahead of UTC when clocks show a time under a name, nil when the zone has no such name.
    func offset(named name: String, atLocal local: Int64) -> Int64? {
        let found = names.filter { $0.name == name }
        return (found.first { offset(at: local - $0.offset) == $0.offset } ?? found.first)?.offset
    }

    // MARK: Files

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: fileMax + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        guard count > 0, count <= fileMax else { return nil }
        return Array(bytes[..<count])
    }

    /// Nil for bytes that are no TZif file of version 2 or later.
    init?(_ bytes: [UInt8]) {
        // The first block has times of 32 bits, for old readers.
        guard let old = Block(bytes, at: 0, width: 4), old.version >= 0x32,
            let block = Block(bytes, at: old.end, width: 8)
        else { return nil }
        for index in 0..<block.times {
            let type = Int(bytes[block.typesStart + index])
            guard type < block.types else { return nil }
            changes.append(
                Change(time: Block.number(bytes, block.start + 8 * index, 8), offset: block.offset(bytes, type)))
        }
        guard block.types > 0 else { return nil }
        first = block.offset(bytes, 0)
        for type in 0..<block.types {
            guard let name = block.name(bytes, type) else { return nil }
            names.append((name, block.offset(bytes, type)))
        }
        for (one, other) in zip(changes, changes.dropFirst()) where one.time >= other.time { return nil }
        let footer = bytes[block.end...].drop { $0 == 0x0A }.prefix { $0 != 0x0A }
        rule = ZoneRule(String(decoding: footer, as: UTF8.self))
    }

    /// Where the parts of one block lie: RFC 8536, section 3.
    private struct Block {
        var version: UInt8
        var start: Int
        var times: Int
        var types: Int
        var typesStart: Int
        var end: Int
        private var kinds: Int
        private var texts: Range<Int>

        init?(_ bytes: [UInt8], at head: Int, width: Int) {
            guard head >= 0, bytes.count - head >= 44, bytes[head..<head + 4].elementsEqual("TZif".utf8) else {
                return nil
            }
            func count(_ index: Int) -> Int { Int(Block.number(bytes, head + 20 + 4 * index, 4)) }
            let counts = (0..<6).map(count)
            guard counts.allSatisfy({ $0 >= 0 && $0 <= ZoneRules.fileMax }) else { return nil }
            version = bytes[head + 4]
            start = head + 44
            (times, types) = (counts[3], counts[4])
            typesStart = start + times * width
            kinds = typesStart + times
            texts = kinds + types * 6..<kinds + types * 6 + counts[5]
            end = kinds + types * 6 + counts[5] + counts[2] * (width + 4) + counts[1] + counts[0]
            guard end <= bytes.count else { return nil }
        }

        func offset(_ bytes: [UInt8], _ type: Int) -> Int64 { Block.number(bytes, kinds + 6 * type, 4) }

        /// The abbreviation of a type, which ends with a zero byte.
        func name(_ bytes: [UInt8], _ type: Int) -> String? {
            let start = texts.lowerBound + Int(bytes[kinds + 6 * type + 5])
            guard start < texts.upperBound else { return nil }
            return String(decoding: bytes[start..<texts.upperBound].prefix { $0 != 0 }, as: UTF8.self)
        }

        /// A signed number, most significant byte first.
        static func number(_ bytes: [UInt8], _ at: Int, _ width: Int) -> Int64 {
            var value: Int64 = bytes[at] >= 0x80 ? -1 : 0
            for index in at..<at + width { value = value << 8 | Int64(bytes[index]) }
            return value
        }
    }
}
