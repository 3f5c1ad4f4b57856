import FoundationEssentials
import Glibc

/// A file that an earlier run may have left.
struct LeftFile: Equatable {
    enum Kind: CaseIterable {
        /// Of a path whose date is over, and older than the options let it become. May be compressed.
        case expired
        /// Has the name of a closed one.
        case closed
        /// The date in its path is over.
        case over
        /// The next record with its attributes goes into it.
        case open
    }

    var path: String
    var kind: Kind
    /// When its content was changed last, in milliseconds since 1970.
    var changed: Int64
}

/// Looks through the folders of a path for the files that an exporter may have written there. Bounded: what is beyond
/// the bounds stays as it is, also at later starts while as much is before it.
struct LeftFileSearch {
    /// Names that are looked at, of files and folders.
    static let namesMax = 10_000
    /// Of each kind; the newest ones count.
    static let filesMax = 1_000

    private let pattern: PathPattern
    private let isFixed: Bool
    private let changedUntil: Int64
    /// By which files of dates that are over expire; nil when none do.
    private let ages: RotationOptions?
    private let now: Int64
    private var found: [LeftFile] = []
    private var looked = 0
    /// Whether there were more names, or more files, than may be.
    private(set) var isCut = false

    /// `seconds` is the present time since 1970; what was changed behind `changedUntil`, in milliseconds of the
    /// system's clock, is of no earlier run.
    init(_ template: PathTemplate, seconds: Int, changedUntil: Int64, rotation: RotationOptions? = nil) {
        pattern = PathPattern(template, seconds: seconds)
        isFixed = template.isFixed
        self.changedUntil = changedUntil
        now = Int64(seconds) * 1_000
        var ages = rotation.flatMap { $0.maxDays > 0 ? $0 : nil }
        ages?.maxBackups = 0
        self.ages = ages
    }

    /// One kind after the other, newest first.
    mutating func run() -> [LeftFile] {
        look(in: [], isOfNow: true)
        found.sort { $0.changed > $1.changed }
        return LeftFile.Kind.allCases.flatMap { kind -> ArraySlice<LeftFile> in
            let files = found.filter { $0.kind == kind }
            isCut = isCut || files.count > Self.filesMax
            return files.prefix(Self.filesMax)
        }
    }

    private mutating func look(in folder: [String], isOfNow: Bool) {
        let name = pattern.names[folder.count]
        let isLast = folder.count == pattern.names.count - 1
        if let fixed = name.fixed, !isLast { return look(in: folder + [fixed], isOfNow: isOfNow) }
        let directory = folder.isEmpty ? "." : folder == [""] ? "/" : path(folder)
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
            if looked == Self.namesMax {
                isCut = true
                return
            }
            looked += 1
            if isLast {
                add(entry, name, in: folder, isOfNow: isOfNow)
            } else if name.matches(entry), LeftFacts(path(folder + [entry]))?.isFolder == true {
                look(in: folder + [entry], isOfNow: isOfNow && name.isOfNow(entry))
            }
        }
    }

    private mutating func add(_ entry: String, _ name: PathPattern.Name, in folder: [String], isOfNow: Bool) {
        let compression = FileOptions.Compression(of: entry)
        let plain = String(entry.dropLast(compression.ending.count))
        // No attribute has the name of a closed file in it.
        if let original = RotationNames.originals(of: plain).first(where: name.matches) {
            let names = RotationNames(path: path(folder + [original]))
            if !(isOfNow && name.isOfNow(original)), isExpired(entry, names) {
                add(names.path(entry), .expired)
            } else if compression == .none {
                add(names.path(entry), .closed)
            }
        } else if !isFixed, name.matches(entry) {
            add(path(folder + [entry]), isOfNow && name.isOfNow(entry) ? .open : .over)
        }
    }

    private func isExpired(_ entry: String, _ names: RotationNames) -> Bool {
        guard let ages else { return false }
        return !names.expired(among: [entry], options: ages, at: now).isEmpty
    }

    private mutating func add(_ path: String, _ kind: LeftFile.Kind) {
        guard let facts = LeftFacts(path), !facts.isFolder, facts.changed <= changedUntil else { return }
        let isOld = ages.map { facts.changed < now - Int64($0.maxDays) * 86_400_000 } ?? false
        found.append(
            LeftFile(path: path, kind: kind == .over && isOld ? .expired : kind, changed: facts.changed))
    }

    private func path(_ names: [String]) -> String { names.joined(separator: "/") }
}

/// What the system tells of a file.
struct LeftFacts: Equatable {
    let isFolder: Bool
    /// A plain file of the process's user, with one name.
    let isOwn: Bool
    let size: Int
    /// When its content was changed last, in milliseconds since 1970.
    let changed: Int64
    private let device: UInt64
    private let inode: UInt64

    /// Of the open file if there is one, or of what has that path; a link is not followed.
    init?(_ path: String, descriptor: Int32? = nil) {
        var facts = stat()
        let result = if let descriptor { fstat(descriptor, &facts) } else { lstat(path, &facts) }
        guard result == 0 else { return nil }
        isFolder = facts.st_mode & S_IFMT == S_IFDIR
        isOwn = facts.st_mode & S_IFMT == S_IFREG && facts.st_uid == geteuid() && facts.st_nlink == 1
        size = Int(facts.st_size)
        changed = FileEffects.milliseconds(facts.st_mtim)
        device = UInt64(facts.st_dev)
        inode = UInt64(facts.st_ino)
    }
}
