import Telemetry

extension Program {
    /// `ParseXML` and `ParseSimplifiedXML`.
    func xml(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        guard let root = XMLReader.root(of: try call.text(0, batch, place, &state).string) else {
            throw EvaluationFailure(.invalidText)
        }
        if call.node.function == .parseXML { return .map(try element(root, batch, &state)) }
        return .map(try map([(root.tag, [root])], batch, &state))
    }

    /// `{tag, content, attributes, children}`, what is empty left out.
    private func element(
        _ element: XMLElement, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        var members: [(key: StaticString, value: Value)] = [("tag", .string(try state.keep(element.tag)))]
        let content = element.content
        if !content.isEmpty { members.append(("content", .string(try state.keep(content)))) }
        if !element.attributes.isEmpty {
            var pairs: [(key: Text, value: Value)] = []
            for attribute in element.attributes {
                pairs.append((try state.keep(attribute.key), .string(try state.keep(attribute.value))))
            }
            let mark = state.scratch.count
            for pair in pairs { try state.scratch.appendMember(pair.key, pair.value, batch) }
            members.append(("attributes", .map(try state.take(from: mark))))
        }
        if !element.children.isEmpty {
            var items: [Value] = []
            for child in element.children { items.append(.map(try self.element(child, batch, &state))) }
            members.append(("children", try list(items, batch, &state)))
        }
        let mark = state.scratch.count
        for member in members { try state.scratch.appendMember(Text(member.key), member.value, batch) }
        return try state.take(from: mark)
    }

    private func list(
        _ items: [Value], _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let mark = state.scratch.count
        for item in items { try state.scratch.appendValue(tag: 0x0A, item, batch) }
        return .list(try state.take(from: mark))
    }

    /// Elements by tag: one is its value, several are a list; those that are empty only make a list of the others.
    private func map(
        _ groups: [(tag: String, elements: [XMLElement])], _ batch: borrowing RecordBatch,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        var members: [(key: Text, value: Value)] = []
        for group in groups {
            var values: [Value] = []
            for element in group.elements {
                if let value = try simplified(element, batch, &state) { values.append(value) }
            }
            guard let first = values.first else { continue }
            let value = group.elements.count == 1 ? first : try list(values, batch, &state)
            members.append((try state.keep(group.tag), value))
        }
        let mark = state.scratch.count
        for member in members { try state.scratch.appendMember(member.key, member.value, batch) }
        return try state.take(from: mark)
    }

    private func simplified(
        _ element: XMLElement, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value? {
        guard !element.children.isEmpty else {
            let content = element.content
            return content.isEmpty ? nil : .string(try state.keep(content))
        }
        var groups: [(tag: String, elements: [XMLElement])] = []
        for child in element.children {
            if let index = groups.firstIndex(where: { $0.tag == child.tag }) {
                groups[index].elements.append(child)
            } else {
                groups.append((child.tag, [child]))
            }
        }
        let content = try map(groups, batch, &state)
        return content.isEmpty ? nil : .map(content)
    }

    // MARK: Severity

    /// `ParseSeverity`: the level of the mapping whose values or ranges hold the target.
    func severity(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let target = try call.value(0, batch, place, &state)
        switch target {
        case .string, .int: break
        default: throw EvaluationFailure(.wrongType)
        }
        for level in try Program.members(of: Nested(try call.value(1, batch, place, &state)), batch) {
            guard case .list(let criteria) = level.value.value else { throw EvaluationFailure(.wrongType) }
            var reader = ListReader(criteria, of: level.value)
            while let criterion = reader.nextItem() {
                for test in try Program.members(of: criterion.nested, batch) where Self.holds(test, target, batch) {
                    return .string(level.key)
                }
            }
        }
        throw EvaluationFailure(.notFound)
    }

    private static func holds(
        _ test: (key: Text, value: Nested), _ target: Value, _ batch: borrowing RecordBatch
    ) -> Bool {
        switch (test.key.string, test.value.value) {
        case ("equals", .list(let values)):
            // The target is a text or a number.
            var reader = ListReader(values, of: test.value)
            while let value = reader.next() { if Comparison.isSame(value, target, batch) { return true } }
            return false
        case ("range", .string(let name)):
            guard case .int(let number) = target, name.count == 3, name[1] == 0x78, name[2] == 0x78 else {
                return false
            }
            return (2...5).contains(name[0] &- 0x30) && number / 100 == Int64(name[0] &- 0x30) && number > 0
        case ("range", .map):
            guard case .int(let number) = target,
                case .int(let low)? = Members.find(Text("min"), in: test.value, batch)?.value,
                case .int(let high)? = Members.find(Text("max"), in: test.value, batch)?.value
            else { return false }
            return low <= number && number <= high
        default: return false
        }
    }
}
