import Telemetry

extension Normalizer {
    /// Runs a rule over all keys of the span that fall under its pattern.
    mutating func applyPattern(_ index: Int, _ pattern: UInt16, _ suffix: Text, _ batch: borrowing RecordBatch) {
        let rule = tables.layout.rules[index]
        guard count(of: pattern) > 0 else { return }
        facts.rule = Int32(index)
        if rule.target.exists, !mayFill(rule.claim, state(rule.target, batch)) { return }
        guard holds(rule.conditions, rule.target, .text(facts.name), batch) else { return }
        let done: Bool
        facts.rule = Int32(index)
        facts.local = -1
        placing.removeAll()
        flat.removeAll()
        switch rule.transform {
        case .flatMessages: done = flatMessages(rule, pattern, batch)
        case .flatText(let role): done = flatTexts(rule, pattern, suffix, role, batch)
        case .flatTools: done = flatTools(rule, pattern, batch)
        case .flatDocuments: done = flatDocuments(rule, pattern, batch)
        case .flatArguments: done = flatArguments(rule, pattern, suffix, batch)
        case .collectStrings(let map): done = collectStrings(rule, map, pattern, suffix, batch)
        case .renamePrefix(let prefix): return renamePrefix(prefix, pattern, batch)
        default: return applyEach(index, rule, pattern, suffix, batch)
        }
        guard done, !rule.keepsSource, facts.removes else { return }
        for index in placing.indices { spendParts(placing[index]) }
        for index in 0..<flat.count {
            if let placed = flat.placed(index) { spendParts(placed.local, inner: placed.inner) }
        }
    }

    /// Transforms that look at one attribute: the first in order of the index that gives a value.
    private mutating func applyEach(
        _ index: Int, _ rule: Rule, _ pattern: UInt16, _ suffix: Text, _ batch: borrowing RecordBatch
    ) {
        var best: (index: Int, local: Int)?
        for match in matched.indices where matched[match] >> 32 == UInt64(pattern) {
            let local = Int(matched[match] & 0xFFFF_FFFF)
            guard ends(local, suffix, batch) else { continue }
            var path = PathCursor(rest(local, pattern, batch))
            let number = path.index(upTo: options.maxIndex) ?? 0
            if best == nil || number < best?.index ?? 0 { best = (number, local) }
        }
        if let best { apply(index, source(at: best.local, batch), batch) }
    }

    /// A key behind the pattern's prefix.
    private func rest(_ local: Int, _ pattern: UInt16, _ batch: borrowing RecordBatch) -> Text {
        let key = batch.text(batch.attributes[facts.start + local].key)
        return key[tables.layout.patterns[Int(pattern)].prefix.count..<key.count]
    }

    private func ends(_ local: Int, _ suffix: Text, _ batch: borrowing RecordBatch) -> Bool {
        suffix.isEmpty || batch.text(batch.attributes[facts.start + local].key).hasSuffix(suffix)
    }

    /// The value of an attribute as a piece of a message.
    private mutating func fragment(_ local: Int, _ batch: borrowing RecordBatch) -> Fragment {
        let source = source(at: local, batch)
        switch source.kind {
        case .array, .map: return .value(document(source))
        default:
            let text = text(source)
            return .plain(text)
        }
    }

    private mutating func flatMessages(_ rule: Rule, _ pattern: UInt16, _ batch: borrowing RecordBatch) -> Bool {
        for match in matched.indices where matched[match] >> 32 == UInt64(pattern) {
            let local = Int(matched[match] & 0xFFFF_FFFF)
            if hasBytes(local, batch) { continue }
            let value = fragment(local, batch)
            if !flat.add(rest(local, pattern, batch), value, of: Int32(local), maxIndex: options.maxIndex) {
                unreadable += 1
            }
        }
        guard !flat.isEmpty else { return false }
        flat.build(&reader, as: defaultRole(of: rule.target))
        reader.system = .none
        return offerMessages(rule.target, rule, batch)
    }

    /// Whether a value is bytes. They have no text, so they are no part of anything and stay where they are.
    private func hasBytes(_ local: Int, _ batch: borrowing RecordBatch) -> Bool {
        batch.attributes[facts.start + local].kind == .bytes
    }

    /// Matches of a pattern sorted by index, as index and place.
    private mutating func sorted(
        _ pattern: UInt16, _ suffix: Text, _ batch: borrowing RecordBatch
    ) -> [(index: Int, field: Text, local: Int)] {
        var found: [(index: Int, field: Text, local: Int)] = []
        for match in matched.indices where matched[match] >> 32 == UInt64(pattern) {
            let local = Int(matched[match] & 0xFFFF_FFFF)
            var path = PathCursor(rest(local, pattern, batch))
            guard ends(local, suffix, batch), !hasBytes(local, batch),
                let index = path.index(upTo: options.maxIndex)
            else { continue }
            found.append((index, path.remaining, local))
        }
        return found.sorted { $0.index < $1.index }
    }

    private mutating func flatTexts(
        _ rule: Rule, _ pattern: UInt16, _ suffix: Text, _ role: Role, _ batch: borrowing RecordBatch
    ) -> Bool {
        let found = sorted(pattern, suffix, batch)
        reader.list.removeAll()
        reader.system = .none
        for item in found {
            let text = text(source(at: item.local, batch))
            if text.isEmpty { continue }
            reader.addText(.plain(text), role: role)
            placing.append(Int32(item.local))
        }
        return offerMessages(rule.target, rule, batch)
    }

    private mutating func collectStrings(
        _ rule: Rule, _ map: Int16, _ pattern: UInt16, _ suffix: Text, _ batch: borrowing RecordBatch
    ) -> Bool {
        let found = sorted(pattern, suffix, batch)
        let start = output.count
        for item in found {
            let text = text(source(at: item.local, batch))
            if text.isEmpty { continue }
            appendElement(text, map >= 0 ? Int(map) : nil, .empty)
            placing.append(Int32(item.local))
        }
        guard output.count > start else { return false }
        return offer(rule.target, .output(.array, from: start, to: output.count), rule.claim, batch)
    }

    /// One attribute per argument, `<prefix><name><suffix>`, by name.
    private mutating func flatArguments(
        _ rule: Rule, _ pattern: UInt16, _ suffix: Text, _ batch: borrowing RecordBatch
    ) -> Bool {
        var found: [(name: Text, local: Int)] = []
        for match in matched.indices where matched[match] >> 32 == UInt64(pattern) {
            let local = Int(matched[match] & 0xFFFF_FFFF)
            let rest = rest(local, pattern, batch)
            guard ends(local, suffix, batch), rest.count > suffix.count, !hasBytes(local, batch) else { continue }
            found.append((rest[0..<rest.count - suffix.count], local))
        }
        guard !found.isEmpty else { return false }
        found.sort { $0.name.isOrdered(before: $1.name) }
        let start = output.count
        var writer = FieldWriter()
        output.append(UInt8(ascii: "{"))
        for item in found {
            writer.name(item.name, &output)
            let value = argument(item.local, batch)
            MessageWriter.value(value, &reader.tree, into: &output)
            placing.append(Int32(item.local))
        }
        output.append(UInt8(ascii: "}"))
        return offer(rule.target, .output(.string, from: start, to: output.count), rule.claim, batch)
    }

    /// A document stands for itself, anything else for its text.
    private mutating func argument(_ local: Int, _ batch: borrowing RecordBatch) -> Fragment {
        let source = source(at: local, batch)
        let ref = document(source)
        if ref.exists { return .value(ref) }
        let text = text(source)
        return .plain(text)
    }

    /// Tools as `<i>.tool.json_schema|name|description` or `<i>.name|description|parameters|arguments`.
    private mutating func flatTools(_ rule: Rule, _ pattern: UInt16, _ batch: borrowing RecordBatch) -> Bool {
        let found = sorted(pattern, .empty, batch)
        let start = output.count
        output.append(UInt8(ascii: "["))
        var count = 0
        var at = 0
        while at < found.count {
            var end = at
            while end < found.count, found[end].index == found[at].index { end += 1 }
            flatTool(found[at..<end], &count, batch)
            at = end
        }
        guard let value = close(start, count) else { return false }
        return offer(rule.target, value, rule.claim, batch)
    }

    /// What a tool's attributes say, and the place of each that is carried.
    private struct FlatTool {
        var name = Text.empty
        var description = Text.empty
        var schema = JSONRef.none
        var places: (name: Int32, description: Int32, schema: Int32) = (-1, -1, -1)
    }

    private mutating func flatTool(
        _ fields: ArraySlice<(index: Int, field: Text, local: Int)>, _ count: inout Int, _ batch: borrowing RecordBatch
    ) {
        var tool = FlatTool()
        for field in fields {
            let source = source(at: field.local, batch)
            let local = Int32(field.local)
            if field.field.hasSuffix(Text("json_schema")) {
                let written = count
                ToolDefinitions.write(document(source), &reader.tree, into: &output, count: &count)
                if count > written { return placing.append(local) }
                readSchema(source, local, &tool)
            } else if field.field.hasSuffix(Text("parameters")) || field.field.hasSuffix(Text("input_schema"))
                || field.field.hasSuffix(Text("arguments"))
            {
                readSchema(source, local, &tool)
            } else if field.field.hasSuffix(Text("name")) {
                tool.name = text(source)
                tool.places.name = local
            } else if field.field.hasSuffix(Text("description")), source.kind == .string {
                tool.description = source.text
                tool.places.description = local
            }
        }
        if !tool.name.isEmpty { write(tool, &count) }
    }

    /// What an SDK cut is no schema, and stays where it is.
    private mutating func readSchema(_ source: SourceValue, _ local: Int32, _ tool: inout FlatTool) {
        let ref = document(source)
        guard reader.tree.isObject(ref) else { return }
        tool.schema = ref
        tool.places.schema = local
    }

    private mutating func write(_ tool: FlatTool, _ count: inout Int) {
        if count > 0 { output.append(UInt8(ascii: ",")) }
        count += 1
        output.append("{\"type\":\"function\",\"name\":\"")
        JSONText.escape(tool.name, into: &output)
        output.append("\"")
        if !tool.description.isEmpty {
            output.append(",\"description\":\"")
            JSONText.escape(tool.description, into: &output)
            output.append("\"")
        }
        if tool.schema.exists {
            output.append(",\"parameters\":")
            reader.tree.write(tool.schema, into: &output)
            reader.tree.use(tool.schema)
        }
        output.append(UInt8(ascii: "}"))
        for place in [tool.places.name, tool.places.description, tool.places.schema] where place >= 0 {
            placing.append(place)
        }
    }

    private mutating func flatDocuments(_ rule: Rule, _ pattern: UInt16, _ batch: borrowing RecordBatch) -> Bool {
        let found = sorted(pattern, .empty, batch)
        let start = output.count
        output.append(UInt8(ascii: "["))
        var count = 0
        var at = 0
        while at < found.count {
            var end = at
            while end < found.count, found[end].index == found[at].index { end += 1 }
            if count > 0 { output.append(UInt8(ascii: ",")) }
            count += 1
            flatDocument(found[at..<end], batch)
            at = end
        }
        guard let value = close(start, count) else { return false }
        return offer(rule.target, value, rule.claim, batch)
    }

    /// Fields in a fixed order, so that the attributes' order does not show.
    private mutating func flatDocument(
        _ fields: ArraySlice<(index: Int, field: Text, local: Int)>, _ batch: borrowing RecordBatch
    ) {
        output.append(UInt8(ascii: "{"))
        var writer = FieldWriter()
        for name: StaticString in ["id", "score", "content", "metadata", "url", "mime_type", "name"] {
            guard
                let field = fields.first(where: {
                    $0.field.hasSuffix(Text(name)) && $0.field.count == name.utf8CodeUnitCount + 9
                })
            else { continue }
            let source = source(at: field.local, batch)
            placing.append(Int32(field.local))
            writer.name(name, &output)
            if Text(name) == "score", let score = double(source) {
                Number.append(score, into: &output)
            } else if Text(name) == "metadata" || source.kind == .array || source.kind == .map,
                document(source).exists
            {
                reader.tree.write(document(source), into: &output)
                reader.tree.use(document(source))
            } else {
                output.append(UInt8(ascii: "\""))
                JSONText.escape(text(source), into: &output)
                output.append(UInt8(ascii: "\""))
            }
        }
        output.append(UInt8(ascii: "}"))
    }

    /// Gives keys under one prefix the same names under another. Keys with a rule of their own are left alone.
    private mutating func renamePrefix(_ prefix: Text, _ pattern: UInt16, _ batch: borrowing RecordBatch) {
        let bit = UInt64(1) << UInt64(facts.dialect)
        for match in matched.indices where matched[match] >> 32 == UInt64(pattern) {
            let local = Int(matched[match] & 0xFFFF_FFFF)
            let name = Int(binding.names[Int(batch.attributes[facts.start + local].keyID.value)])
            if name != 0, tables.layout.nameExact[name] & bit != 0 { continue }
            let source = source(at: local, batch)
            let rest = rest(local, pattern, batch)
            guard !rest.isEmpty, source.exists else { continue }
            add(prefix, rest, MadeValue(kind: source.kind, bits: source.bits, text: source.text))
            spend(source, .whole)
        }
    }
}
