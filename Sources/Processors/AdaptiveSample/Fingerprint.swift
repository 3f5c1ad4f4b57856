import Crypto
import Pipeline
import Telemetry

/// What kind of trace a trace is: the distinct values of some attributes.
struct Fingerprint: Sendable {
    private struct Part: Sendable {
        var scope: FingerprintPart.Scope
        var key: KeyID
    }

    private var parts: [Part] = []

    /// Longest fingerprint in bytes; beyond it traces with the same beginning are taken for one kind.
    private static let bytesMax = 1_024
    private static let valuesMax = 64

    init(_ options: [FingerprintPart], _ keys: inout KeyTable.Builder) {
        for option in options { parts.append(Part(scope: option.scope, key: keys.intern(option.attribute))) }
    }

    /// The values in order, with `,` between those of one attribute and `•` between attributes.
    func text(of batch: borrowing RecordBatch) -> String {
        var text = ""
        for part in parts {
            if !text.isEmpty { text += "•" }
            var values = Set<String>()
            collect(part, batch, &values)
            text += values.isEmpty ? "<missing>" : values.sorted().joined(separator: ",")
        }
        guard text.utf8.count > Fingerprint.bytesMax else { return text }
        return String(decoding: text.utf8.prefix(Fingerprint.bytesMax), as: UTF8.self)
    }

    private func collect(_ part: Part, _ batch: borrowing RecordBatch, _ values: inout Set<String>) {
        if part.scope == .resource || part.scope == .any {
            for index in batch.resources.indices { add(part.key, batch.resources[index].set, batch, &values) }
        }
        if part.scope == .scope || part.scope == .any {
            for index in batch.scopes.indices { add(part.key, batch.scopes[index].set, batch, &values) }
        }
        guard part.scope == .span || part.scope == .any || part.scope == .root else { return }
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            if part.scope == .root, !batch.spans[index].parentID.isEmpty { continue }
            add(part.key, batch.spans[index].set, batch, &values)
        }
    }

    private func add(
        _ key: KeyID, _ set: SetIndex, _ batch: borrowing RecordBatch, _ values: inout Set<String>
    ) {
        guard let index = batch.find(key, in: set) else { return }
        var text = ByteColumn(capacity: 64)
        ValueText.append(batch.attributes[index].value, batch, to: &text)
        values.insert(text.text.string)
        // Which ones stay must not depend on which came first.
        if values.count > Fingerprint.valuesMax, let last = values.max() { values.remove(last) }
    }

    /// The first 8 bytes of its SHA-256 in hexadecimal.
    static func hash(_ text: String) -> String {
        var digits = ByteColumn(capacity: 64)
        var sum = SHA256()
        var text = text
        text.withUTF8 { sum.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        Mask.appendHex(sum.finalize(), to: &digits)
        return String(digits.text.string.prefix(16))
    }
}
