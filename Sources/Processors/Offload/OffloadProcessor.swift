package import Configuration
package import Pipeline
package import Telemetry

/// Options of the `offload` processor.
package struct OffloadOptions: ComponentOptions {
    package var directory: String
    package var least: Int
    package var leastMedia: Int
    package var preview: Int
    package var uriPrefix: String

    package init(_ settings: inout Settings) {
        directory = settings.requiredString(
            "directory", "Folder of the stored values; made when it is missing.")
        least = settings.bytes(
            "min_bytes", default: 256 << 10, in: 256...(1 << 30),
            "String values from this size on are stored whole.")
        leastMedia = settings.bytes(
            "media_min_bytes", default: 4 << 10, in: 64...(1 << 30),
            "Base64 data from this size on is stored decoded: data URIs and message parts of type blob.")
        preview = settings.bytes(
            "preview", default: 256, in: 0...(64 << 10),
            "Bytes of a stored text that stay in front of its reference.")
        uriPrefix = settings.string(
            "uri_prefix", default: "file://",
            "Begins the references; `file://` is followed by the file's path, others by the hash.")
    }
}

/// Stores large values and media once, by the hash of their content, and leaves a reference in their place.
///
/// A value that cannot be stored stays where it is. The object is synced before the request goes on.
package struct OffloadProcessor: Processor {
    private let store: ContentStore
    private let references: OffloadReferences
    private let least: Int
    private let leastMedia: Int
    private let stored: Counter
    private let failed: Counter

    package var waitsForDisk: Bool { true }

    /// Makes the folder unless this is a trial; fails when that cannot be.
    package init(options: OffloadOptions, build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        do throws(ContentFault) {
            store = try ContentStore(options.directory, makesFolder: !build.isTrial)
        } catch {
            var failure = ProcessorBuildFailure(
                "\(options.directory) \(error.reason)", at: "directory", fix: error.fix)
            failure.isOfMachine = true
            throw failure
        }
        least = options.least
        leastMedia = options.leastMedia
        references = OffloadReferences(
            prefix: options.uriPrefix, directory: store.directory, preview: options.preview)
        stored = build.metrics.counter(
            "sluice_offloaded_values_total", "Values replaced by a reference to stored content.",
            build.labels)
        failed = build.metrics.counter(
            "sluice_offload_failures_total", "Values that could not be stored and stayed.", build.labels)
    }

    package func process(
        _ batch: inout RecordBatch, _ context: inout ProcessContext
    )
        throws(ProcessFailure)
    {
        var done = 0
        var missed = 0
        StringRewriter.rewrite(&batch, least: min(least, leastMedia)) { _, value, output in
            let start = output.count
            var hasMedia = false
            if value.count >= leastMedia {
                hasMedia = replaceMedia(value, &output, &done, &missed)
            }
            let rest = hasMedia ? output.count - start : value.count
            guard rest >= least else { return hasMedia }
            // Still large: the whole text goes, with its media already replaced.
            var whole = ByteColumn(capacity: rest)
            whole.append(hasMedia ? output.text[start..<output.count] : value)
            guard let hash = store.put(whole.text) else {
                missed += 1
                return hasMedia
            }
            output.truncate(to: start)
            references.appendText(whole.text, hash, to: &output)
            done += 1
            return true
        }
        if done > 0 { stored.add(done) }
        if missed > 0 { failed.add(missed) }
    }

    /// Appends the text with its base64 media replaced; false and nothing when it has none.
    private func replaceMedia(
        _ text: Text, _ output: inout ByteColumn, _ done: inout Int, _ missed: inout Int
    ) -> Bool {
        var copied = 0
        var index = 0
        let start = output.count
        while let run = Base64Run.next(text, from: index, least: leastMedia) {
            index = run.range.upperBound
            guard run.isMedia else { continue }
            var content = ByteColumn(capacity: run.range.count)
            guard Base64Run.decode(text[run.range], to: &content) else { continue }
            guard let hash = store.put(content.text) else {
                missed += 1
                continue
            }
            // A data URI goes whole; a blob part keeps its shape and its content becomes the reference.
            output.append(text[copied..<run.start])
            references.append(hash, to: &output)
            copied = run.range.upperBound
            done += 1
        }
        guard copied > 0 else {
            output.truncate(to: start)
            return false
        }
        output.append(text[copied..<text.count])
        return true
    }
}

/// The texts that stand for stored content. Plain ASCII, safe inside JSON strings.
struct OffloadReferences: Sendable {
    let prefix: String
    let directory: String
    let preview: Int

    func append(_ hash: ContentHash, to output: inout ByteColumn) {
        output.append(string: prefix)
        if prefix == "file://" {
            output.append(string: directory)
            output.append("/")
            output.append(string: hash.path)
        } else {
            output.append(string: hash.hexadecimal)
        }
    }

    /// The beginning of a text, its size and its reference; a JSON text becomes a JSON string or list of that.
    func appendText(_ text: Text, _ hash: ContentHash, to output: inout ByteColumn) {
        if JSONTokens.looksLike(text) {
            output.append("[{\"offloaded\":{\"uri\":\"")
            append(hash, to: &output)
            output.append("\",\"bytes\":")
            output.appendDecimal(Int64(text.count))
            output.append("}}]")
            return
        }
        output.append(text[0..<TextCut.end(text, preview)])
        output.append(" [offloaded ")
        output.appendDecimal(Int64(text.count))
        output.append(" bytes: ")
        append(hash, to: &output)
        output.append("]")
    }
}
