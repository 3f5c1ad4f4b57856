import Telemetry

/// Rewrites strings of a batch wherever a value may stand: attributes of every owner, nested values, log bodies.
struct StringRewriter {
    /// Appends what stands for a string and says true, or appends nothing and says false. `key` is the attribute's,
    /// empty for log bodies.
    typealias Change = (_ key: Text, _ value: Text, _ output: inout ByteColumn) -> Bool

    /// What was changed: the set, and the place of the attribute in it; nil for a log body.
    typealias Report = (_ set: SetIndex, _ attribute: AttributeRecord?, _ batch: inout RecordBatch) ->
        Void

    /// Goes through all values of at least `least` bytes.
    static func rewrite(
        _ batch: inout RecordBatch, least: Int, _ change: Change, report: Report = { _, _, _ in }
    ) {
        var output = ByteColumn()
        for index in batch.sets.indices {
            let set = SetIndex(index)
            // The report may append to the set, which moves it, so places are counted from its start.
            let count = batch.range(of: set).count
            for place in 0..<count {
                let index = batch.range(of: set).lowerBound + place
                let attribute = batch.attributes[index]
                guard Int(attribute.text.length) >= least, isText(attribute.kind) else { continue }
                output.removeAll()
                let key = batch.text(attribute.key)
                guard rewrite(attribute.kind, batch.text(attribute.text), key, &output, change) else {
                    continue
                }
                let new = batch.addText(output.text)
                batch.setValue(value(attribute.kind, new), at: index, in: set)
                report(set, attribute, &batch)
            }
        }
        guard batch.signal == .logs else { return }
        for index in batch.logs.indices where !batch.isRemoved(log: index) {
            let body = AttributeRecord(key: .empty, keyID: .unknown, value: batch.logs[index].body)
            guard isText(body.kind), Int(body.text.length) >= least else { continue }
            output.removeAll()
            guard rewrite(body.kind, batch.text(body.text), .empty, &output, change) else { continue }
            let new = batch.addText(output.text)
            batch.setBody(value(body.kind, new), ofLog: index)
            report(batch.logs[index].set, nil, &batch)
        }
    }

    private static func isText(_ kind: ValueKind) -> Bool {
        kind == .string || kind == .array || kind == .map
    }

    private static func value(_ kind: ValueKind, _ text: TextRef) -> AttributeValue {
        switch kind {
        case .array: .array(text)
        case .map: .map(text)
        default: .string(text)
        }
    }

    private static func rewrite(
        _ kind: ValueKind, _ content: Text, _ key: Text, _ output: inout ByteColumn, _ change: Change
    ) -> Bool {
        switch kind {
        case .string: change(key, content, &output)
        case .array: walk(content, .array, TextLimits.values, key, &output, change)
        default: walk(content, .map, TextLimits.values, key, &output, change)
        }
    }

    /// The messages a nested value is made of.
    private enum Message {
        case value, array, map, member
    }

    /// Recursion is bounded by `budget`; what lies deeper stays as it is.
    private static func walk(
        _ content: Text, _ message: Message, _ budget: Int, _ key: Text, _ output: inout ByteColumn,
        _ change: Change
    ) -> Bool {
        guard budget > 0 else { return false }
        let start = output.count
        var fields = NestedFields(content)
        var done = 0
        var isChanged = false
        while let field = fields.next() {
            let mark = output.count
            let inner = content[field.content]
            let hasNew: Bool =
                switch (message, field.tag) {
                case (.array, 0x0A), (.member, 0x12): walk(inner, .value, budget - 1, key, &output, change)
                case (.map, 0x0A): walk(inner, .member, budget - 1, key, &output, change)
                case (.value, 0x0A): change(key, inner, &output)
                case (.value, 0x2A): walk(inner, .array, budget - 1, key, &output, change)
                case (.value, 0x32): walk(inner, .map, budget - 1, key, &output, change)
                default: false
                }
            guard hasNew else { continue }
            output.frame(from: mark, prefix: content[done..<field.start], tag: UInt8(field.tag & 0x7F))
            isChanged = true
            done = field.end
        }
        if fields.isBroken || !isChanged {
            output.truncate(to: start)
            return false
        }
        output.append(content[done..<content.count])
        return true
    }
}
