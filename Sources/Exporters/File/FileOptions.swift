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
    }

    package var helper: ExporterHelperOptions
    package var path: String
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
        path = settings.requiredString("path", "File to write; created with mode 0600, since it holds prompts.")
        format = settings.choice(
            "format", default: .json,
            "json: one OTLP/JSON request per line; proto: requests in protobuf, each behind its length in 4 bytes.")
        appends = settings.bool(
            "append", default: true,
            "False empties the file at start, which loses what was delivered before; the Collector's default.")
        createsDirectory = settings.bool(
            "create_directory", default: false, "True creates missing directories of path.")
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
            settings.problem("needs rotation: only closed files are compressed", at: "compression")
        }
        settings.accepted("flush_interval", "Everything is on disk before it counts as delivered.")
    }
}

extension FileOptions {
    var place: FilePlace {
        FilePlace(
            path: path, appends: appends, createsDirectory: createsDirectory, directoryMode: directoryMode,
            rotation: rotation, compression: compression)
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
            "Closed files older than this are deleted; 0 keeps them.")
        maxBackups = settings.int(
            "max_backups", default: 100, in: 0...1_000_000, unit: "files",
            "More closed files than this are deleted, oldest first; 0 keeps all.")
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
