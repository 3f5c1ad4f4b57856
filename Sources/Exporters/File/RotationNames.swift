import Glibc
import Pipeline

/// Names of closed files: `name-2006-01-02T15-04-05.000.ext` beside `name.ext`, as lumberjack (the Collector's
/// rotation) writes them. Pure but for `free` and `syncDirectory`: the time is a parameter.
struct RotationNames: Equatable, Sendable {
    let directory: String
    private let prefix: String
    private let suffix: String

    init(path: String) {
        let slash = path.lastIndex(of: "/")
        directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        // A dot at the very start belongs to the name.
        if let dot = name.lastIndex(of: "."), dot != name.startIndex {
            prefix = String(name[..<dot]) + "-"
            suffix = String(name[dot...])
        } else {
            prefix = name + "-"
            suffix = ""
        }
    }

    /// Path of the file that is closed at `milliseconds` since 1970.
    func backup(at milliseconds: Int64, localTime: Bool) -> String {
        path(prefix + Self.stamp(milliseconds, localTime: localTime) + suffix)
    }

    /// The same, or that of a later moment when there is such a file, compressed or not.
    func free(at milliseconds: Int64, localTime: Bool) -> String {
        var time = milliseconds
        var path = backup(at: time, localTime: localTime)
        while FileOptions.Compression.allCases.contains(where: { access(path + $0.ending, F_OK) == 0 }) {
            time += 1
            path = backup(at: time, localTime: localTime)
        }
        return path
    }

    /// Makes names in the directory durable; false where the file system cannot, which is no reason to stop writing.
    @discardableResult
    func syncDirectory() -> Bool { Descriptor.syncFolder(directory) }

    /// Path of a file of the directory.
    func path(_ name: String) -> String { directory == "/" ? "/" + name : directory + "/" + name }

    /// Which of a directory's files are to be deleted at `milliseconds`. Files of other names are never touched.
    func expired(among files: [String], options: RotationOptions, at milliseconds: Int64) -> [String] {
        // The stamps sort by time, so neither limit needs to parse them.
        let closed = files.compactMap { name in stamp(in: name).map { (name: name, stamp: $0) } }
            .sorted { $0.stamp > $1.stamp }
        var result: [String] = []
        let cutoff = Self.stamp(
            milliseconds - Int64(options.maxDays) * 86_400_000, localTime: options.usesLocalTime)
        for (index, file) in closed.enumerated() {
            let isTooMany = options.maxBackups > 0 && index >= options.maxBackups
            let isTooOld = options.maxDays > 0 && file.stamp < cutoff
            if isTooMany || isTooOld { result.append(file.name) }
        }
        return result
    }

    /// Closed files that are not compressed yet.
    func plain(among files: [String]) -> [String] {
        files.filter { $0.hasSuffix(suffix) && !Self.isCompressed($0) && stamp(in: $0) != nil }
    }

    /// Names of the files of which one with this name is a plain closed one.
    static func originals(of name: String) -> [String] {
        let bytes = Array(name.utf8)
        guard bytes.count > stampShape.count else { return [] }
        return (1...bytes.count - stampShape.count).compactMap { start -> String? in
            let end = start + stampShape.count
            guard bytes[start - 1] == UInt8(ascii: "-"), isStamp(bytes[start..<end]) else { return nil }
            let original = String(decoding: bytes[..<(start - 1)] + bytes[end...], as: UTF8.self)
            return RotationNames(path: original).plain(among: [name]).isEmpty ? nil : original
        }
    }

    private static func isCompressed(_ name: String) -> Bool { FileOptions.Compression(of: name) != .none }

    private func stamp(in name: String) -> String? {
        var name = name
        for ending in FileOptions.Compression.allCases.map(\.ending) where !ending.isEmpty && name.hasSuffix(ending) {
            if name.hasSuffix(suffix + ending) { name = String(name.dropLast(ending.count)) }
        }
        guard name.hasPrefix(prefix), name.hasSuffix(suffix) else { return nil }
        let stamp = name.dropFirst(prefix.count).dropLast(suffix.count)
        return Self.isStamp(stamp.utf8) ? String(stamp) : nil
    }

    static let stampShape = Array("dddd-dd-ddTdd-dd-dd.ddd".utf8)
    /// Where in it the `T` stands.
    static let placeOfTime = 10

    /// Whether this is the time in the name of a closed file.
    static func isStamp(_ bytes: some Collection<UInt8>) -> Bool {
        bytes.count == stampShape.count
            && zip(bytes, stampShape).allSatisfy { byte, wanted in
                wanted == UInt8(ascii: "d") ? (0x30...0x39).contains(byte) : byte == wanted
            }
    }

    private static func stamp(_ milliseconds: Int64, localTime: Bool) -> String {
        var seconds = time_t(milliseconds / 1_000)
        var parts = tm()
        if localTime { localtime_r(&seconds, &parts) } else { gmtime_r(&seconds, &parts) }
        func digits(_ value: Int32, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return digits(parts.tm_year + 1_900, 4) + "-" + digits(parts.tm_mon + 1, 2) + "-" + digits(parts.tm_mday, 2)
            + "T" + digits(parts.tm_hour, 2) + "-" + digits(parts.tm_min, 2) + "-" + digits(parts.tm_sec, 2)
            + "." + digits(Int32(milliseconds % 1_000), 3)
    }
}
