package import Configuration
package import Pipeline
package import Telemetry

/// Options of the `truncate` processor.
package struct TruncateOptions: ComponentOptions {
    package var limit: Int
    package var limits: [(key: String, bytes: Int)]
    package var marks: Bool

    package init(_ settings: inout Settings) {
        limit = settings.bytes(
            "limit", default: 64 << 10, in: 16...(1 << 30),
            "Most bytes of one string value; longer ones are cut.")
        limits = settings.list("limits", "Other limits for single attribute keys.") { inner in
            (
                inner.requiredString("key", "Attribute key."),
                inner.bytes("limit", default: 64 << 10, in: 16...(1 << 30), "Most bytes of its value.")
            )
        }
        marks = settings.bool(
            "mark_original_length", default: true,
            "Adds the attribute `KEY.original_length` with the bytes that a cut value had.")
    }
}

/// Cuts long strings so that they stay what they are: UTF-8 stays UTF-8, and JSON stays JSON. A list of messages loses
/// its oldest messages first; a single message too long loses the end of its longest texts.
package struct TruncateProcessor: Processor {
    private let limit: Int
    private let least: Int
    /// By key number, 0 for the common limit.
    private let limits: [Int]
    private let marks: Bool
    private let cut: Counter

    /// Registers the counter.
    package init(options: TruncateOptions, build: inout ProcessorBuild) {
        limit = options.limit
        marks = options.marks
        var table: [Int: Int] = [:]
        for (key, bytes) in options.limits { table[Int(build.keys.intern(key).value)] = bytes }
        least = min(options.limit, options.limits.map(\.bytes).min() ?? options.limit)
        var limits = [Int](repeating: 0, count: (table.keys.max() ?? 0) + 1)
        for (id, bytes) in table { limits[id] = bytes }
        self.limits = limits
        cut = build.metrics.counter(
            "sluice_truncated_values_total", "Values that were cut to a limit.", build.labels)
    }

    package func process(
        _ batch: inout RecordBatch, _ context: inout ProcessContext
    )
        throws(ProcessFailure)
    {
        let keys = batch.keys
        let limit = limit
        let limits = limits
        let count = Self.cut(&batch, least: least, marks: marks) { key in
            let id = Int(keys.id(of: key).value)
            return id < limits.count && limits[id] > 0 ? limits[id] : limit
        }
        if count > 0 { cut.add(count) }
    }

    /// Cuts values to what `limit` says for their key, which is at least `least`. Gives how many were cut.
    static func cut(_ batch: inout RecordBatch, least: Int, marks: Bool, limit: (_ key: Text) -> Int) -> Int {
        var count = 0
        StringRewriter.rewrite(
            &batch, least: least + 1,
            { key, value, output in TextCut.cut(value, to: limit(key), &output) },
            report: { set, attribute, batch in
                count += 1
                guard marks else { return }
                let name: TextRef
                if let attribute {
                    name = batch.addText(prefix: "", attribute.key, suffix: ".original_length")
                } else {
                    name = batch.addText(Text("body.original_length"))
                }
                let length =
                    attribute.map { Int64($0.text.length) } ?? Int64(batch.bodyLengthBeforeCut(set))
                batch.append(key: name, .int(length), to: set)
            })
        return count
    }
}

extension RecordBatch {
    /// Bytes that the body of the log with this set had when it came.
    fileprivate func bodyLengthBeforeCut(_ set: SetIndex) -> Int {
        let raw = text(logs[Int(sets[set.index].owner)].raw)
        var fields = NestedFields(raw)
        var length = 0
        while let field = fields.next() {
            guard field.tag == 0x2A else { continue }
            var inner = NestedFields(raw[field.content])
            while let value = inner.next() { length = value.content.count }
        }
        return length
    }
}
