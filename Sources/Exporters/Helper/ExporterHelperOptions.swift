package import Configuration
import Pipeline

/// Options that every exporter has, under the Collector's names: queue, batching, retry, timeout.
package struct ExporterHelperOptions: ComponentOptions {
    package var queue: SendingQueueOptions
    package var retry: RetryOptions
    package var deadLetters: DeadLetterOptions
    package var tooLarge: TooLargeChoice
    /// Longest time for one delivery attempt; zero means no limit.
    package var timeout: Duration
    /// Ids of the processors that this exporter's deliveries go through, in order.
    package var process: [String]

    package init(_ settings: inout Settings) { self.init(&settings, defaultTimeout: .seconds(5)) }

    /// Deliveries that run at once unless the file says otherwise.
    static let consumers = 10

    /// Reads the options within an exporter's own options, whose defaults may differ.
    package init(_ settings: inout Settings, defaultTimeout: Duration, defaultConsumers: Int = consumers) {
        timeout = settings.duration(
            "timeout", default: defaultTimeout, in: .zero ... .seconds(3_600),
            "Longest time for one delivery attempt, connecting included; 0 means no limit.")
        process = settings.strings(
            "process", default: [],
            "Processors that only this exporter's deliveries go through, behind those of the pipeline and in order; so "
                + "one sink gets full text and another a masked one from the same journal.")
        queue = settings.group(
            "sending_queue", "What waits between the pipeline and this exporter, and how it is grouped."
        ) { SendingQueueOptions(&$0, defaultConsumers: defaultConsumers) }
        retry = settings.group("retry_on_failure", "What happens after a delivery that may succeed later.") {
            RetryOptions(&$0)
        }
        deadLetters = settings.group(
            "dead_letters", "What fails for good is kept in the data directory, for `sluice dlq`."
        ) { DeadLetterOptions(&$0) }
        tooLarge = settings.choice(
            "too_large", default: TooLargeChoice.deadLetter,
            "A single record that the destination refuses for its size (413) or that is over its limit: dead_letter "
                + "keeps it; truncate cuts its longest strings, marked as the truncate processor does, and keeps the "
                + "original only if that is refused too.")
    }
}

/// `too_large`: what becomes of a single record that the destination does not take for its size.
package enum TooLargeChoice: String, CaseIterable, Sendable {
    case deadLetter = "dead_letter"
    case truncate
}

/// `sending_queue`: the exporter's backlog in the pipeline's journal and how many deliveries run at once.
package struct SendingQueueOptions: ComponentOptions {
    /// Unit of `queue_size`.
    package enum Sizer: String, CaseIterable, Sendable {
        case requests, items, bytes

        /// An amount in this unit.
        func measure(_ amount: HeldAmount) -> Int {
            switch self {
            case .requests: amount.frames
            case .items: amount.items
            case .bytes: amount.bytes
            }
        }
    }

    package var isEnabled: Bool
    package var consumers: Int
    /// Largest backlog in units of `sizer`; nil for none but the journal's own.
    package var capacity: Int?
    package var sizer: Sizer
    package var overflow: OverflowChoice
    /// Senders wait for room for a while before they are refused.
    package var blocksOnOverflow: Bool
    /// Older data is dropped instead of sent; nil for any age.
    package var maxAge: Duration?
    /// Id of a `file_storage` extension, the word `memory`, or nil for the gateway's own data directory.
    package var storage: String?
    /// Nil when each frame is delivered by itself.
    package var batch: BatchOptions?

    package init(_ settings: inout Settings) {
        self.init(&settings, defaultConsumers: ExporterHelperOptions.consumers)
    }

    /// Reads the options of an exporter that wants more or fewer deliveries at once.
    init(_ settings: inout Settings, defaultConsumers: Int) {
        isEnabled = settings.bool(
            "enabled", default: true,
            "False delivers one request at a time; the journal stays between pipeline and exporter.")
        consumers = settings.int(
            "num_consumers", default: defaultConsumers, in: 1...1_000, unit: "deliveries",
            "Most deliveries that run at once.")
        sizer = settings.choice("sizer", default: Sizer.requests, "What queue_size counts.")
        storage = settings.optionalString(
            "storage", "Id of a file_storage extension for the journal, or the word memory to keep nothing on disk.")
        let isCapped = settings.isPresent("queue_size") || storage == "memory"
        let sentence =
            "Largest backlog of this exporter; with `sizer: bytes` units are allowed, such as 10GiB. A journal on disk "
            + "has no cap but its own max_size unless this is given."
        let size =
            sizer == .bytes
            ? settings.bytes("queue_size", default: 256 << 20, in: 1...Int.max, sentence)
            : settings.int("queue_size", default: 1_000, in: 1...Int.max, unit: "in units of sizer", sentence)
        capacity = isCapped ? size : nil
        if sizer == .bytes, settings.isPresent("queue_size"), size < BatchOptions.smallBytes {
            settings.warning(
                "queue_size is \(size) bytes, which is a few records: with `sizer: bytes` it is no count of requests",
                fix: "write a size with its unit, such as `queue_size: 256MiB`", at: "queue_size")
        }
        overflow = settings.choice(
            "overflow", default: OverflowChoice.block,
            "At queue_size: block answers senders 503 with Retry-After; drop_oldest gives up what waits longest; "
                + "drop_newest passes over what comes. Losses are counted; other exporters are not touched.")
        maxAge = settings.optionalDuration(
            "max_age", in: .seconds(1) ... .seconds(366 * 86_400),
            "Data whose newest record is older is dropped and counted instead of sent, for destinations that refuse it."
        )
        if settings.bool(
            "wait_for_result", default: false,
            "True would answer senders only after delivery; only false is supported.")
        {
            settings.problem(
                "waiting for the delivery is not supported: remove wait_for_result; accepted data is in the journal "
                    + "before the sender gets its answer", at: "wait_for_result")
        }
        blocksOnOverflow = settings.bool(
            "block_on_overflow", default: false,
            "True lets senders wait up to 10s for room before they get their 503; with overflow: block.")
        Self.check(overflow, waits: blocksOnOverflow, isCapped: isCapped, &settings)
        batch = settings.optionalGroup(
            "batch", "Groups small requests into larger deliveries; `batch: {}` for the defaults."
        ) { [sizer, capacity] in
            let batch = BatchOptions(&$0, defaultSizer: sizer == .bytes ? .bytes : .items)
            // As in the Collector: a queue of that size never has a batch.
            if let capacity, batch.sizer.rawValue == sizer.rawValue, batch.minSize > capacity, $0.isPresent("min_size")
            {
                $0.problem("min_size must be at most queue_size (\(capacity))", at: "min_size")
            }
            return batch
        }
    }

    /// Warns of choices that nothing comes of.
    private static func check(
        _ overflow: OverflowChoice, waits: Bool, isCapped: Bool, _ settings: inout Settings
    ) {
        if overflow != .block, !isCapped {
            settings.warning(
                "overflow: \(overflow.rawValue) has no effect without a cap: all is kept until the journal is full, "
                    + "and then senders are refused",
                fix: "set queue_size", at: "overflow")
        }
        if waits, overflow != .block {
            settings.warning(
                "block_on_overflow has no effect with overflow: \(overflow.rawValue), which refuses no sender",
                fix: "remove one of them", at: "block_on_overflow")
        } else if waits, !isCapped {
            settings.warning(
                "block_on_overflow has no effect without a cap", fix: "set queue_size", at: "block_on_overflow")
        }
    }

    /// Deliveries that may run at once.
    package var concurrency: Int { isEnabled ? consumers : 1 }
}

/// `sending_queue.overflow`: what happens at the cap of one exporter's backlog.
package enum OverflowChoice: String, CaseIterable, Sendable {
    case block
    case dropOldest = "drop_oldest"
    case dropNewest = "drop_newest"
}

/// `sending_queue.batch`: when a group of frames is large or old enough to leave.
package struct BatchOptions: ComponentOptions, Equatable {
    /// Unit of the sizes.
    package enum Sizer: String, CaseIterable, Sendable { case items, bytes }

    package var flushTimeout: Duration
    package var minSize: Int
    /// Zero means no limit but the exporter's own.
    package var maxSize: Int
    package var sizer: Sizer
    /// Headers, in lowercase, by which batches are parted.
    package var metadataKeys: [String] = []

    package init(_ settings: inout Settings) { self.init(&settings, defaultSizer: .items) }

    /// Reads the options of a queue, whose unit the batches take over unless they name their own.
    init(_ settings: inout Settings, defaultSizer: Sizer) {
        flushTimeout = settings.duration(
            "flush_timeout", default: .milliseconds(200), in: .milliseconds(1) ... .seconds(3_600),
            "Longest time that a request waits for company.")
        sizer = settings.choice(
            "sizer", default: defaultSizer,
            "What min_size and max_size count; with bytes they take units, such as 4MiB. Left out, it is bytes if the "
                + "queue's sizer is bytes.")
        let isBytes = sizer == .bytes
        func size(_ key: String, _ value: Int, _ sentence: String, _ settings: inout Settings) -> Int {
            isBytes
                ? settings.bytes(key, default: value, in: 0...Int.max, sentence)
                : settings.int(key, default: value, in: 0...Int.max, unit: "in units of sizer", sentence)
        }
        minSize = size("min_size", 8_192, "A batch of this size leaves at once.", &settings)
        maxSize = size(
            "max_size", 0, "Larger batches are split, metrics between data points; 0 means no limit.", &settings)
        metadataKeys = settings.group("partition", "How batches are kept apart.") { partition in
            let keys = partition.strings(
                "metadata_keys", default: [],
                "Headers of which requests must have the same values to share a batch; they are kept in the journal, "
                    + "up to 4KiB a request, and need include_metadata of the receiver. The tenant always counts.")
            BatchOptions.check(keys, at: "metadata_keys", &partition)
            return keys.map { $0.lowercased() }
        }
        if isBytes, minSize > 0, minSize < BatchOptions.smallBytes, !settings.isDescribing {
            settings.warning(
                "min_size is \(minSize) bytes, which is a few records: with `sizer: bytes` it is no count of items",
                fix: "write a size with its unit, such as `min_size: 4MiB`",
                at: ["min_size", "sizer"].first(where: settings.isPresent))
        }
        if maxSize > 0 && maxSize < minSize {
            settings.problem("max_size must be 0 or at least min_size (\(minSize))", at: "max_size")
        }
    }

    /// Refuses names that stand twice and more than are kept.
    package static func check(_ keys: [String], at key: String, _ settings: inout Settings) {
        var seen: Set<String> = []
        for name in keys where !seen.insert(name.lowercased()).inserted {
            settings.problem("\(name) is named twice", at: key)
        }
        if keys.count > RequestMetadata.keptNamesMax {
            settings.problem("names more than \(RequestMetadata.keptNamesMax) headers", at: key)
        }
    }

    /// Below it a minimum was most likely meant as a number of records.
    fileprivate static let smallBytes = 64 << 10

    /// For the `batch` processor's settings, which become the exporters' batching, and for tests.
    package init(
        flushTimeout: Duration, minSize: Int, maxSize: Int, sizer: Sizer = .items, metadataKeys: [String] = []
    ) {
        self.flushTimeout = flushTimeout
        self.minSize = minSize
        self.maxSize = maxSize
        self.sizer = sizer
        self.metadataKeys = metadataKeys
    }
}

/// `retry_on_failure`: pauses between attempts and when to give up.
package struct RetryOptions: ComponentOptions, Equatable {
    package var isEnabled: Bool
    package var initialInterval: Duration
    package var randomizationFactor: Double
    package var multiplier: Double
    package var maxInterval: Duration
    /// Nil when the file does not say; then the journal's kind decides.
    package var maxElapsedTime: Duration?
    /// Longest pause that a backend can ask for, so that one odd answer does not stop an exporter for a day.
    package var maxRetryAfter: Duration

    package init(_ settings: inout Settings) {
        isEnabled = settings.bool("enabled", default: true, "False drops a batch after its first failure.")
        initialInterval = settings.duration(
            "initial_interval", default: .seconds(5), in: .milliseconds(1) ... .seconds(3_600),
            "Pause after the first failure.")
        randomizationFactor = settings.double(
            "randomization_factor", default: 0.5, in: 0...1,
            "Each pause is drawn from this share below to this share above its value.")
        multiplier = settings.double("multiplier", default: 1.5, in: 1...100, "Growth of the pause with each failure.")
        maxInterval = settings.duration(
            "max_interval", default: .seconds(30), in: .milliseconds(1) ... .seconds(86_400),
            "Longest pause before randomization.")
        if initialInterval > maxInterval, isEnabled {
            settings.warning(
                "initial_interval is above max_interval: only the first pause is so long",
                fix: "write a max_interval of at least initial_interval",
                at: settings.isPresent("max_interval") ? "max_interval" : "initial_interval")
        }
        maxElapsedTime = settings.optionalDuration(
            "max_elapsed_time", in: .zero ... .seconds(31_536_000),
            "A batch that keeps failing is dropped and counted after this time; 0 means never. "
                + "Default: 0 when the journal is on disk, 300s when it is in memory.")
        maxRetryAfter = settings.duration(
            "max_retry_after", default: .seconds(300), in: .zero ... .seconds(86_400),
            "Longest pause that a destination's Retry-After is granted.")
    }

    /// For tests and for exporters built without a file.
    package init(
        isEnabled: Bool = true, initialInterval: Duration = .seconds(5), randomizationFactor: Double = 0.5,
        multiplier: Double = 1.5, maxInterval: Duration = .seconds(30), maxElapsedTime: Duration? = nil,
        maxRetryAfter: Duration = .seconds(300)
    ) {
        self.isEnabled = isEnabled
        self.initialInterval = initialInterval
        self.randomizationFactor = randomizationFactor
        self.multiplier = multiplier
        self.maxInterval = maxInterval
        self.maxElapsedTime = maxElapsedTime
        self.maxRetryAfter = maxRetryAfter
    }

    /// What of a backend's Retry-After is honoured.
    package func honoured(_ hint: Duration) -> Duration { min(max(hint, .zero), maxRetryAfter) }

    /// When to give up, nil for never. A journal on disk can wait for a backend as long as it takes.
    package func elapsedLimit(isDurable: Bool) -> Duration? {
        let limit = maxElapsedTime ?? (isDurable ? .zero : .seconds(300))
        return limit == .zero ? nil : limit
    }
}
