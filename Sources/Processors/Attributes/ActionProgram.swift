import Crypto
import Patterns
import Pipeline
import Telemetry

import Configuration

/// The actions of one processor with keys as numbers and values ready to write. Immutable; shared by all threads.
struct ActionProgram: Sendable {
    /// A configured value: text lies in the key table's arena, so that it is good in every batch without a copy.
    enum Value: Sendable {
        case text(KeyID)
        case bool(Bool)
        case int(Int64)
        case double(Double)
        case array([UInt8])
        case map([UInt8])
    }

    enum Source: Sendable {
        case value(Value)
        case attribute(KeyID)
        case tenant
        case metadata(String)
        case none
    }

    private struct Step: Sendable {
        var kind: ActionKind
        var key: KeyID
        var source: Source
        var fallback: Value?
        var pattern: CompiledPattern?
        var groups: [KeyID]
        var converted: ConvertedType
    }

    private let steps: [Step]
    /// Whether any step needs a regular expression's working memory.
    private let pool = RedactionPool()

    init(_ actions: [AttributeAction], _ keys: inout KeyTable.Builder) {
        var steps: [Step] = []
        for action in actions {
            let source: Source =
                switch action.source {
                case .value(let value): .value(ActionProgram.value(value, &keys))
                case .attribute(let name): .attribute(keys.intern(name))
                case .tenant: .tenant
                case .metadata(let name): .metadata(name)
                case .none: .none
                }
            var groups: [KeyID] = []
            if action.kind == .extract {
                for name in action.pattern?.groupNames ?? [] { groups.append(keys.intern(name ?? "")) }
            }
            var fallback: Value?
            if let value = action.fallback { fallback = ActionProgram.value(value, &keys) }
            steps.append(
                Step(
                    kind: action.kind, key: action.key.isEmpty ? .unknown : keys.intern(action.key), source: source,
                    fallback: fallback, pattern: action.pattern, groups: groups, converted: action.converted))
        }
        self.steps = steps
    }

    /// Runs `body` with memory for regular expressions.
    func withScratch(_ body: (inout RedactionState) -> Void) {
        let scratch = pool.take()
        body(&scratch.state)
        scratch.state.finish()
        pool.give(scratch)
    }

    /// Runs every action on one set.
    func run(
        on set: SetIndex, _ batch: inout RecordBatch, origin: RequestOrigin, _ state: inout RedactionState
    ) {
        for step in steps {
            switch step.kind {
            case .insert, .update, .upsert: put(step, set, &batch, origin)
            case .delete: delete(step, set, &batch, state)
            case .hash: hash(step, set, &batch, state)
            case .extract: extract(step, set, &batch, state)
            case .convert:
                if let index = batch.find(step.key, in: set) { convert(step.converted, index, set, &batch) }
            }
        }
    }

    // MARK: Writing values

    private func put(_ step: Step, _ set: SetIndex, _ batch: inout RecordBatch, _ origin: RequestOrigin) {
        let index = batch.find(step.key, in: set)
        if step.kind == .insert, index != nil { return }
        if step.kind == .update, index == nil { return }
        guard let value = value(of: step, set, &batch, origin) else { return }
        if let index {
            batch.setValue(value, at: index, in: set)
        } else {
            batch.append(step.key, value, to: set)
        }
    }

    private func value(
        of step: Step, _ set: SetIndex, _ batch: inout RecordBatch, _ origin: RequestOrigin
    ) -> AttributeValue? {
        switch step.source {
        case .value(let value): return ActionProgram.write(value, &batch)
        case .attribute(let key):
            // A member that is not interpreted cannot be copied.
            if let index = batch.find(key, in: set), batch.attributes[index].kind != .other {
                return batch.attributes[index].value
            }
        case .tenant:
            if !origin.tenant.isEmpty { return .string(batch.buildText { $0.append(string: origin.tenant) }) }
        case .metadata(let name):
            if let value = origin.metadata[name] { return .string(batch.buildText { $0.append(string: value) }) }
        case .none: break
        }
        return step.fallback.map { ActionProgram.write($0, &batch) }
    }

    private static func write(_ value: Value, _ batch: inout RecordBatch) -> AttributeValue {
        switch value {
        case .text(let id): .string(batch.keys.reference(of: id))
        case .bool(let flag): .bool(flag)
        case .int(let number): .int(number)
        case .double(let number): .double(number)
        case .array(let bytes): .array(bytes.withUnsafeBytes { batch.addText(Text($0)) })
        case .map(let bytes): .map(bytes.withUnsafeBytes { batch.addText(Text($0)) })
        }
    }

    // MARK: Deleting, hashing, extracting

    private func delete(
        _ step: Step, _ set: SetIndex, _ batch: inout RecordBatch, _ state: borrowing RedactionState
    ) {
        batch.removeAttributes(from: set) { isTarget(step, $1, $0, state) }
    }

    private func hash(
        _ step: Step, _ set: SetIndex, _ batch: inout RecordBatch, _ state: borrowing RedactionState
    ) {
        for index in batch.range(of: set) where isTarget(step, index, batch, state) {
            let value = batch.attributes[index].value
            let text = ActionProgram.digest(of: value, &batch)
            batch.setValue(.string(text), at: index, in: set)
        }
    }

    private func isTarget(
        _ step: Step, _ index: Int, _ batch: borrowing RecordBatch, _ state: borrowing RedactionState
    ) -> Bool {
        let attribute = batch.attributes[index]
        if step.key != .unknown, attribute.keyID == step.key { return true }
        guard let pattern = step.pattern else { return false }
        return pattern.matches(batch.text(attribute.key), state.matcher, otherwise: true)
    }

    /// SHA-256 in hexadecimal: of text, or of the little-endian bytes of a number; other kinds become empty.
    private static func digest(of value: AttributeValue, _ batch: inout RecordBatch) -> TextRef {
        var hash = SHA256()
        switch value {
        case .string(let reference): hash.update(bufferPointer: batch.text(reference).bytes)
        case .bool(let flag): withUnsafeBytes(of: flag ? 1 as UInt8 : 0) { hash.update(bufferPointer: $0) }
        case .int(let number): withUnsafeBytes(of: number.littleEndian) { hash.update(bufferPointer: $0) }
        case .double(let number):
            withUnsafeBytes(of: number.bitPattern.littleEndian) { hash.update(bufferPointer: $0) }
        case .empty, .array, .map, .bytes, .other: return .empty
        }
        let digest = hash.finalize()
        return batch.buildText { Mask.appendHex(digest, to: &$0) }
    }

    private func extract(
        _ step: Step, _ set: SetIndex, _ batch: inout RecordBatch, _ state: borrowing RedactionState
    ) {
        guard let pattern = step.pattern, let index = batch.find(step.key, in: set),
            batch.attributes[index].kind == .string
        else { return }
        let source = batch.attributes[index].text
        guard case .found = pattern.find(in: batch.text(source), from: 0, state.matcher) else { return }
        for (number, key) in step.groups.enumerated() {
            let range = state.matcher.range(number + 1) ?? 0..<0
            // Part of the value: a reference into the same bytes, no copy.
            let part = TextRef(
                offset: source.offset + UInt32(truncatingIfNeeded: range.lowerBound),
                length: UInt32(truncatingIfNeeded: range.count))
            batch.upsert(key, .string(part), in: set)
        }
    }

    // MARK: Converting

    private func convert(_ target: ConvertedType, _ index: Int, _ set: SetIndex, _ batch: inout RecordBatch) {
        let value = batch.attributes[index].value
        let new: AttributeValue?
        switch target {
        case .string: new = ActionProgram.text(value, &batch)
        case .int: new = ActionProgram.int(value, batch)
        case .double: new = ActionProgram.double(value, batch)
        }
        if let new { batch.setValue(new, at: index, in: set) }
    }

    private static func text(_ value: AttributeValue, _ batch: inout RecordBatch) -> AttributeValue? {
        switch value {
        case .string, .other: return nil
        default:
            var text = ByteColumn(capacity: 32)
            ValueText.append(value, batch, to: &text)
            return .string(batch.addText(text.text))
        }
    }

    private static func int(_ value: AttributeValue, _ batch: borrowing RecordBatch) -> AttributeValue? {
        switch value {
        case .double(let number): return Int64(exactly: number.rounded(.towardZero)).map { .int($0) }
        case .bool(let flag): return .int(flag ? 1 : 0)
        case .string(let reference): return NumberText.int(batch.text(reference)).map { .int($0) }
        default: return nil
        }
    }

    private static func double(_ value: AttributeValue, _ batch: borrowing RecordBatch) -> AttributeValue? {
        switch value {
        case .int(let number): return .double(Double(number))
        case .bool(let flag): return .double(flag ? 1 : 0)
        case .string(let reference): return NumberText.double(batch.text(reference)).map { .double($0) }
        default: return nil
        }
    }

    // MARK: Values of the file

    private static func value(_ value: ConfigValue, _ keys: inout KeyTable.Builder) -> Value {
        switch value {
        case .null: .text(keys.intern(""))
        case .string(let text): .text(keys.intern(text))
        case .bool(let flag): .bool(flag)
        case .int(let number): .int(Int64(number))
        case .double(let number): .double(number)
        case .list(let entries): .array(ConfigValueBytes.array(entries))
        case .map(let entries): .map(ConfigValueBytes.map(entries))
        }
    }
}

/// Protobuf bytes of configured lists and mappings. Runs while the gateway is built.
enum ConfigValueBytes {
    /// Content of an ArrayValue.
    static func array(_ entries: [ConfigValue]) -> [UInt8] {
        entries.flatMap { field(0x0A, value($0)) }
    }

    /// Content of a KeyValueList.
    static func map(_ entries: [(String, ConfigValue)]) -> [UInt8] {
        entries.flatMap { field(0x0A, field(0x0A, Array($0.0.utf8)) + field(0x12, value($0.1))) }
    }

    /// An AnyValue.
    static func value(_ value: ConfigValue) -> [UInt8] {
        switch value {
        case .null: []
        case .string(let text): field(0x0A, Array(text.utf8))
        case .bool(let flag): [0x10, flag ? 1 : 0]
        case .int(let number): [0x18] + varint(UInt64(bitPattern: Int64(number)))
        case .double(let number): [0x21] + withUnsafeBytes(of: number.bitPattern.littleEndian) { Array($0) }
        case .list(let entries): field(0x2A, array(entries))
        case .map(let entries): field(0x32, map(entries))
        }
    }

    private static func field(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        [tag] + varint(UInt64(content.count)) + content
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
