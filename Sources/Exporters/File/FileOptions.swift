package import Configuration

/// Options of `file`, under the Collector's names.
package struct FileOptions: ComponentOptions {
    package enum Format: String, CaseIterable, Sendable { case json, proto }
    /// How closed files are compressed.
    package enum Compression: String, CaseIterable, Sendable {
        case none, gzip, zstd

        /// What a compressed file's name ends in.
        var ending: String {
            switch self {
            case .none: ""
            case .gzip: ".gz"
            case .zstd: ".zst"
            }
        }

        /// What a compressed file begins with.
        var magic: [UInt8] {
            switch self {
            case .none: []
            case .gzip: [0x1F, 0x8B]
            case .zstd: [0x28, 0xB5, 0x2F, 0xFD]
            }
        }

        /// How a file of this name is compressed.
        init(of name: String) {
            self = Self.allCases.first { !$0.ending.isEmpty && name.hasSuffix($0.ending) } ?? Self.none
        }
    }

    /// When a batch counts as delivered.
    package enum Durability: String, CaseIterable, Sendable {
        case write
        case syncData = "sync_data"
    }

    package var helper: ExporterHelperOptions
    package var path: PathTemplate
    /// Most files that are open at once.
    package var openFilesMax: Int
    package var durability: Durability
    package var format: Format
    package var appends: Bool
    package var createsDirectory: Bool
    /// Mode of directories that are created.
    package var directoryMode: UInt32
    package var compression: Compression
    /// Nil for one file that only grows.
    package var rotation: RotationOptions?

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings)
        let text = settings.requiredString(
            "path",
            "File to write; created with mode 0600, since it holds prompts. {service.name} stands for that attribute "
                + "of the resource, {%Y-%m-%d} for the date in UTC by strftime: /var/lib/sluice/{tenant}/{%Y-%m}.jsonl."
        )
        (path, openFilesMax) = Self.readTemplate(text, &settings)
        if text.hasSuffix("/"), !settings.isDescribing {
            settings.problem("is a folder: put the name of a file behind it", at: "path")
        }
        durability = settings.choice(
            "durability", default: .syncData,
            "sync_data: a batch counts as delivered when it is on the disk; write: when the kernel has it, which a "
                + "power failure takes away.")
        format = settings.choice(
            "format", default: .json,
            "json: one OTLP/JSON request per line; proto: requests in protobuf, each behind its length in 4 bytes.")
        appends = settings.bool(
            "append", default: true,
            "False empties the file at start, which loses what was delivered before; the Collector's default.")
        let creates = settings.bool(
            "create_directory", default: false,
            "True creates missing directories of path; those of a path with places in it are always created.")
        createsDirectory = creates || !path.isFixed
        if !appends && !path.isFixed { settings.problem("needs a path without places in it", at: "append") }
        let permissions = settings.string(
            "directory_permissions", default: "0755", "Octal mode of created directories.")
        directoryMode = UInt32(permissions, radix: 8) ?? 0o755
        if !(0...0o777).contains(UInt32(permissions, radix: 8) ?? UInt32.max) {
            settings.problem("must be an octal mode from 0000 to 0777, such as \"0750\"", at: "directory_permissions")
        }
        rotation = settings.optionalGroup("rotation", "Starts a new file when the current one is full.") {
            RotationOptions(&$0)
        }
        compression = settings.choice(
            "compression", default: .none,
            "Compression of closed files; the one being written stays plain, so that it survives a crash.")
        if compression != .none && rotation == nil && !settings.isDescribing {
            settings.warning(
                "has no effect without rotation: only closed files are compressed, and this one grows in plain text",
                fix: "write `rotation: {}`", at: "compression")
        }
        settings.accepted("flush_interval", "Everything is on disk before it counts as delivered.")
    }
}

extension FileOptions {
    /// The same without emptying the file.
    var appending: FileOptions {
        var options = self
        options.appends = true
        return options
    }

    var place: FilePlace {
        FilePlace(
            path: path.fixedPath, appends: appends, createsDirectory: createsDirectory, directoryMode: directoryMode,
            rotation: rotation, durability: durability)
    }

    /// The template of `path`, and `group_by`, the Collector's way to write one.
    private static func readTemplate(_ text: String, _ settings: inout Settings) -> (PathTemplate, Int) {
        let (attribute, openFilesMax) = settings.group(
            "group_by", "Writes records of different resources into different files; see path for a shorter way."
        ) { group -> (String?, Int) in
            let isOn = group.bool("enabled", default: false, "True puts the attribute in the place of the * in path.")
            let name = group.string(
                "resource_attribute", default: "fileexporter.path_segment",
                "The resource's attribute that is used, as one part of the path: a slash in it becomes %2F. `unknown` "
                    + "stands for one that is missing or empty.")
            let most = group.int(
                "max_open_files", default: 100, in: 1...10_000, unit: "files",
                "More files than this are not open at once; the one that waits longest for data is closed.")
            return (isOn ? name : nil, most)
        }
        do throws(PathTemplate.Fault) {
            return (try PathTemplate(text, starAttribute: attribute), openFilesMax)
        } catch {
            if !settings.isDescribing { settings.problem(error.message, at: "path") }
            return (PathTemplate(fixed: text), openFilesMax)
        }
    }
}

/// `rotation`: when the file is closed and how many closed ones stay.
package struct RotationOptions: ComponentOptions, Equatable {
    /// Units of 1,048,576 bytes.
    package var maxMegabytes: Int
    /// Days, 0 for no limit.
    package var maxDays: Int
    /// Files, 0 for no limit.
    package var maxBackups: Int
    package var usesLocalTime: Bool
    /// Length of the windows of time that files belong to; nil for any time.
    package var interval: Duration?

    package init(_ settings: inout Settings) {
        maxMegabytes = settings.int(
            "max_megabytes", default: 100, in: 1...1_048_576, unit: "MiB", "Size at which a new file is begun.")
        maxDays = settings.int(
            "max_days", default: 0, in: 0...36_500, unit: "days",
            "Closed files, and those of earlier dates in a path, are deleted when older than this; 0 keeps them.")
        maxBackups = settings.int(
            "max_backups", default: 100, in: 0...1_000_000, unit: "files",
            "More closed files than this are deleted, oldest first; each date in a path has its own. 0 keeps all.")
        usesLocalTime = settings.bool(
            "localtime", default: false, "True names closed files by local time instead of UTC.")
        interval = settings.optionalDuration(
            "interval", in: .seconds(1) ... .seconds(366 * 86_400),
            "A new file is begun with the first write in a new window of this length, counted in UTC: 1h, 24h.")
    }

    /// For tests.
    package init(
        maxMegabytes: Int, maxDays: Int = 0, maxBackups: Int = 100, usesLocalTime: Bool = false,
        interval: Duration? = nil
    ) {
        self.maxMegabytes = maxMegabytes
        self.maxDays = maxDays
        self.maxBackups = maxBackups
        self.usesLocalTime = usesLocalTime
        self.interval = interval
    }
}
