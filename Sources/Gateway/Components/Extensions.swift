package import Configuration
import Journal

/// Options of the `health_check` extension.
package struct HealthCheckOptions: ComponentOptions {
    package let address: TelemetryConfiguration.Address
    package let path: String

    package init(_ settings: inout Settings) {
        var endpoint = settings.string("endpoint", default: "127.0.0.1:13133", "host:port to answer on.")
        var path = settings.string("path", default: "/", "Path that is answered.")
        settings.group("http", "The same in the Collector's newer form.") { http in
            endpoint = http.string("endpoint", default: endpoint, "host:port to answer on.")
            http.group("status", "The answer.") { status in
                status.accepted("enabled", "The status is answered.")
                path = status.string("path", default: path, "Path that is answered.")
            }
            http.accepted("config", "The configuration is not served; use `sluice print-config`.")
        }
        self.path = path
        settings.accepted("use_v2", "Both forms are read.")
        settings.accepted("component_health", "The answer tells whether journals can be written.")
        settings.accepted("grpc", "Health is answered over HTTP only.")
        settings.accepted("tls", "The health check is served in plain text; keep it on a loopback address.")
        settings.accepted("response_body", "The answer's body is fixed.")
        settings.accepted("check_collector_pipeline", "The answer tells whether journals can be written.")
        if let address = TelemetryConfiguration.Address(listening: endpoint) {
            self.address = address
        } else {
            address = TelemetryConfiguration.Address(host: "127.0.0.1", port: 13_133)
            if !settings.isDescribing { settings.problem("expects host:port, such as 127.0.0.1:13133", at: "endpoint") }
        }
        if !path.hasPrefix("/") && !settings.isDescribing { settings.problem("must begin with a slash", at: "path") }
    }
}

/// Options of the `file_storage` extension: where journals lie.
package struct FileStorageOptions: ComponentOptions, Hashable {
    package let directory: String
    package let createsDirectory: Bool
    package let segmentBytes: Int
    package let maxBytes: Int
    package let catchUpBytesPerSecond: Int

    private static let journal = DiskJournalOptions()

    package init(_ settings: inout Settings) {
        directory = settings.string(
            "directory", default: "/var/lib/otelcol/file_storage", "Folder of the journals, one below it per pipeline.")
        if directory.isEmpty { settings.problem("must name a folder", at: "directory") }
        createsDirectory = settings.bool(
            "create_directory", default: true, "Whether the folder is made when it is not there.")
        segmentBytes = settings.bytes(
            "segment_size", default: Self.journal.segmentBytes, in: 1 << 20...1 << 30,
            "Size of one journal file. A start behind a kill reads the newest file whole: from a cold disk of 300 MB/s "
                + "0.3 s with the default, 3.5 s with 1GiB.")
        maxBytes = settings.bytes(
            "max_size", default: 0, in: 0...1 << 50,
            "Most bytes of records that one pipeline's journal may hold; beyond, senders are answered 503, and 413 "
                + "when one request alone is more. The room made ready in its newest file, up to an eighth of this, "
                + "comes on top. 0 is no cap.")
        catchUpBytesPerSecond = settings.bytes(
            "catch_up_rate", default: Self.journal.catchUpBytesPerSecond, in: 0...1 << 40,
            "Bytes a second of a backlog that are read, beyond what comes in, while data comes in, so that senders do "
                + "not wait longer for their answers. At this pace few deliveries run at once to a destination that "
                + "answers within a millisecond. 0 is no limit.")
        settings.accepted("timeout", "A directory in use is refused at once, with the holder's name.")
        settings.accepted("fsync", "Sluice always syncs before it answers.")
        settings.accepted("directory_permissions", "Journals are 0700: they hold prompts.")
        settings.accepted("compaction", "Finished journal files are deleted; there is nothing to compact.")
        settings.accepted("recreate", "A damaged journal is repaired or set aside without being asked.")
    }
}

/// Options of the Collector's `pprof` extension, none of which has a meaning here.
package struct ProfilerOptions: ComponentOptions {
    package init(_ settings: inout Settings) {
        for name in ["endpoint", "block_profile_fraction", "mutex_profile_fraction", "save_to_file", "dialer"] {
            settings.accepted(name, "There is no Go runtime to profile; use perf on the process.")
        }
    }
}

/// Options of the Collector's former `memory_ballast` extension, none of which has a meaning here.
package struct BallastOptions: ComponentOptions {
    package init(_ settings: inout Settings) {
        for name in ["size_mib", "size_in_percentage"] {
            settings.accepted(name, "There is no garbage collector to calm.")
        }
    }
}

/// Options of the Collector's `zpages` extension, none of which has a meaning here.
package struct PagesOptions: ComponentOptions {
    package init(_ settings: inout Settings) {
        for name in ["endpoint", "tls", "expvar", "auth", "cors", "include_metadata", "max_request_body_size"] {
            settings.accepted(name, "There are no debugging pages; see `sluice queue` and the metrics.")
        }
    }
}
