package import Configuration

/// Options of `debug`, under the Collector's names.
package struct DebugOptions: ComponentOptions {
    package enum Verbosity: String, CaseIterable, Sendable { case basic, normal, detailed }

    package var helper: ExporterHelperOptions
    package var verbosity: Verbosity
    package var samplingInitial: Int
    package var samplingThereafter: Int
    package var writesToStandardError: Bool

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings)
        verbosity = settings.choice(
            "verbosity", default: .basic,
            "basic: one line per batch; normal: the steps of each trace as a tree; detailed: resources, scopes and "
                + "records with all fields, as the Collector shows them. Values are cut after 200 characters.")
        let level = settings.optionalString(
            "loglevel", "The older name of verbosity: debug is detailed, info is normal, warn and error are basic.")
        if let level {
            verbosity = ["debug": .detailed, "info": .normal][level.lowercased()] ?? .basic
            if settings.isPresent("verbosity") {
                settings.problem("is the older name of verbosity: keep one", at: "loglevel")
            }
        }
        samplingInitial = settings.int(
            "sampling_initial", default: 2, in: 0...1_000_000, unit: "batches", "Batches shown in each second.")
        samplingThereafter = settings.int(
            "sampling_thereafter", default: 1, in: 0...1_000_000, unit: "batches",
            "After those, every so many-th batch of the second is shown; 0 shows none.")
        settings.accepted("use_internal_logger", "The output is for the terminal and never mixed with the log.")
        let outputs = settings.strings("output_paths", default: ["stdout"], "Where to write: stdout or stderr.")
        writesToStandardError = outputs.first == "stderr"
        if outputs.count != 1 || !["stdout", "stderr"].contains(outputs[0]) {
            settings.problem("must be [stdout] or [stderr]; use the file exporter for files", at: "output_paths")
        }
    }
}

/// Which batches are shown when there are many: the first of a second, then every n-th. A pure state machine: times
/// are durations since any fixed origin.
struct DisplaySampler {
    private let initial: Int
    private let thereafter: Int
    private var windowStart: Duration?
    private var count = 0

    init(initial: Int, thereafter: Int) {
        self.initial = initial
        self.thereafter = thereafter
    }

    mutating func shows(at now: Duration) -> Bool {
        if windowStart.map({ now - $0 >= .seconds(1) }) ?? true {
            windowStart = now
            count = 0
        }
        count += 1
        if count <= initial { return true }
        return thereafter > 0 && (count - initial) % thereafter == 0
    }
}
