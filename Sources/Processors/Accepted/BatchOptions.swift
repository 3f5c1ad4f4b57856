package import Configuration

/// Options of the Collector's `batch` processor. As a step it does nothing: batches are made at each exporter, where
/// these settings apply.
package struct BatchOptions: ComponentOptions {
    /// Records after which a batch is sent; 0 sends at once.
    package var sendBatchSize: Int
    package var timeout: Duration
    /// Most records of a batch; 0 for no limit.
    package var sendBatchMaxSize: Int
    package var metadataKeys: [String]
    package var metadataCardinalityLimit: Int

    package init(_ settings: inout Settings) {
        sendBatchSize = settings.int(
            "send_batch_size", default: 8_192, in: 0...10_000_000, unit: "records",
            "Records after which a batch is sent whatever the timeout; 0 sends at once.")
        timeout = settings.duration(
            "timeout", default: .milliseconds(200), in: .zero ... .seconds(3_600),
            "Time after which a batch is sent whatever its size; 0 sends at once.")
        sendBatchMaxSize = settings.int(
            "send_batch_max_size", default: 0, in: 0...10_000_000, unit: "records",
            "Most records of a batch, larger ones are split; 0 for no limit.")
        metadataKeys = settings.strings(
            "metadata_keys", default: [],
            "Headers of which requests must have the same values to share a batch; they are kept in the journal, up to "
                + "4KiB a request, and need include_metadata of the receiver. The tenant always counts.")
        metadataCardinalityLimit = settings.int(
            "metadata_cardinality_limit", default: 1_000, in: 0...1_000_000,
            "Accepted for the Collector's files: of more than 64 combinations of values at once the oldest batch "
                + "leaves early, and nothing is refused.")
        if sendBatchMaxSize > 0, sendBatchMaxSize < sendBatchSize {
            settings.problem("must be 0 or at least send_batch_size (\(sendBatchSize))", at: "send_batch_max_size")
        }
        var seen: Set<String> = []
        for key in metadataKeys where !seen.insert(key.lowercased()).inserted {
            settings.problem("\(key) is named twice", at: "metadata_keys")
        }
    }
}
