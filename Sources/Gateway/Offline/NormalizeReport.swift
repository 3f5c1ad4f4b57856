import GenAI
import OTLP
import Telemetry

/// Before and after of the GenAI normalizer, for a reader.
package struct NormalizeReport {
    private let options: NormalizerOptions
    private let width: Int

    /// Nil for an unknown profile.
    package init?(removeOriginals: Bool, profile: String, width: Int) {
        guard let profile = TargetProfile(rawValue: profile) else { return nil }
        var options = NormalizerOptions()
        options.removeOriginals = removeOriginals
        options.profile = profile
        options.explains = true
        self.options = options
        self.width = max(width, 16)
    }

    /// Names of the profiles.
    package static var profiles: String { TargetProfile.allCases.map(\.rawValue).joined(separator: ", ") }

    /// A line per span and per attribute that differs.
    package func lines(_ inputs: [OfflineInput]) throws -> [String] {
        let tables = try Tables.shared.get()
        var builder = KeyTable.Builder()
        tables.intern(&builder)
        let keys = builder.build()
        let binding = KeyBinding(keys, tables)
        var normalizer = Normalizer(tables, options)
        var batch = RecordBatch(keys: keys)
        var lines: [String] = []
        for input in inputs where input.signal != .metrics {
            try input.bytes.withUnsafeBytes { bytes in
                _ = try OTLPReader.read(Text(bytes), signal: input.signal, keys: keys, into: &batch)
                let before = Self.records(batch)
                normalizer.normalize(&batch, binding: binding)
                for (old, new) in zip(before, Self.records(batch)) { lines += describe(old, new) }
            }
            lines += Self.outcomes(normalizer, tables)
        }
        return lines
    }

    /// One span or log record.
    private struct Record {
        var name: String
        var scope: String
        var attributes: [(key: String, value: String, kind: ValueKind)]
    }

    private static func records(_ batch: borrowing RecordBatch) -> [Record] {
        var records: [Record] = []
        for index in batch.spans.indices {
            let span = batch.spans[index]
            records.append(record(batch.text(span.name).string, span.scope, span.set, batch))
        }
        for index in batch.logs.indices {
            let log = batch.logs[index]
            records.append(record("log \(batch.text(log.eventName).string)", log.scope, log.set, batch))
        }
        return records
    }

    private static func record(
        _ name: String, _ scope: UInt32, _ set: SetIndex, _ batch: borrowing RecordBatch
    ) -> Record {
        var attributes: [(key: String, value: String, kind: ValueKind)] = []
        for index in batch.range(of: set) {
            let attribute = batch.attributes[index]
            attributes.append(
                (batch.text(attribute.key).string, AttributeText.describe(attribute, batch), attribute.kind))
        }
        return Record(name: name, scope: batch.text(batch.scopes[Int(scope)].name).string, attributes: attributes)
    }

    private func describe(_ old: Record, _ new: Record) -> [String] {
        let explainKey = Tables.usualPrefix + "explain"
        var rules: [String: String] = [:]
        let explained = new.attributes.first { $0.key == explainKey }?.value ?? ""
        for item in ValueText.strings(explained) {
            let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2 { rules[parts[0]] = parts[1] }
        }
        var lines: [String] = []
        for (key, value, kind) in new.attributes where key != explainKey {
            let rule = rules[key].map { "   [\($0)]" } ?? ""
            guard let before = old.attributes.last(where: { $0.key == key }) else {
                lines.append("  + \(key) = \(cut(value))\(rule)")
                continue
            }
            if before.kind != kind {
                // A number in a text and the number look the same.
                lines.append("  ~ \(key) = \(cut(before.value)) (\(before.kind)) -> \(cut(value)) (\(kind))\(rule)")
            } else if before.value != value {
                lines.append("  ~ \(key) = \(cut(before.value)) -> \(cut(value))\(rule)")
            }
        }
        for (key, value, _) in old.attributes where !new.attributes.contains(where: { $0.key == key }) {
            lines.append("  - \(key) = \(cut(value))")
        }
        guard !lines.isEmpty else { return [] }
        return ["\(new.name) (\(old.scope))"] + lines
    }

    private func cut(_ text: String) -> String {
        text.count <= width ? text : "\(text.prefix(width))... (\(text.utf8.count) bytes)"
    }

    private static func outcomes(_ normalizer: borrowing Normalizer, _ tables: Tables) -> [String] {
        var lines: [String] = []
        normalizer.tally.eachOutcome { rule, reason, count in
            lines.append("  ! \(tables.ruleName(rule).rule): \(reason.word), \(count) times")
        }
        return lines
    }
}

private enum ValueText {
    /// The texts of a JSON list.
    static func strings(_ json: String) -> [String] {
        var json = json
        return json.withUTF8 { bytes in
            var tree = JSONTree()
            guard case .value(let list) = tree.parse(Text(UnsafeRawBufferPointer(bytes))) else { return [] }
            var result: [String] = []
            var child = tree.first(list)
            while child.exists {
                result.append(tree.string(child).string)
                child = tree.next(child)
            }
            return result
        }
    }
}
