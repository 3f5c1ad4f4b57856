import Telemetry

extension Normalizer {
    /// Adds which rule produced what: `attribute=dialect:line`, in order of the tables' targets. Only what this run
    /// changed is told, and what an earlier run told stays.
    mutating func explain(_ batch: inout RecordBatch) {
        let key = tables.layout.known.explain
        guard explained.count > 0, batch.find(name: key, in: facts.set) == nil else { return }
        let start = output.count
        var line = ByteColumn()
        for index in explained.indices {
            var target = Int(explained[index])
            var name = NameID.none
            if target < 0 {
                let alias = tables.layout.aliases[-1 - target]
                target = Int(alias.target.value)
                name = alias.name
            } else {
                name = tables.layout.targetNames[target]
            }
            line.removeAll()
            line.append(tables.layout.nameTexts[Int(name.value)])
            line.append(UInt8(ascii: "="))
            line.append(label(of: drafts[target].rule))
            appendElement(line.text)
        }
        let value = batch.addText(output.text[start..<output.count])
        let reference = batch.addText(key)
        batch.append(key: reference, .array(value), to: facts.set)
    }

    private func label(of rule: Int32) -> Text {
        rule >= 0 ? tables.layout.rules[Int(rule)].label : Text(EngineStep.name(rule))
    }

    /// Renames a span as the conventions want it; the name it came with goes into an attribute.
    mutating func rewriteName(_ span: Int, _ batch: inout RecordBatch) -> Bool {
        let set = batch.spans[span].set
        guard let operation = string("gen_ai.operation.name", set, batch), !operation.isEmpty else { return false }
        var subject = Text.empty
        for name in Normalizer.subjects(of: operation) where subject.isEmpty {
            subject = string(name, set, batch) ?? .empty
        }
        let start = output.count
        // Calls by MCP are named by the method.
        let method = operation == "execute_tool" ? string("mcp.method.name", set, batch) ?? .empty : .empty
        output.append(method.isEmpty ? operation : method)
        if !subject.isEmpty {
            output.append(UInt8(ascii: " "))
            output.append(subject)
        }
        let made = output.text[start..<output.count]
        let former = batch.spans[span].name
        guard !(batch.text(former) == made) else { return false }
        let name = batch.addText(made)
        batch.setName(name, ofSpan: span)
        let key = tables.layout.known.formerName
        if batch.find(name: key, in: set) == nil, former.length > 0 {
            let reference = batch.addText(key)
            batch.append(key: reference, .string(former), to: set)
        }
        return true
    }

    private func string(_ name: StaticString, _ set: SetIndex, _ batch: borrowing RecordBatch) -> Text? {
        guard let place = batch.find(name: Text(name), in: set), batch.attributes[place].kind == .string else {
            return nil
        }
        return batch.text(batch.attributes[place].text)
    }

    /// Attributes of which the first one that is there stands behind the operation.
    private static func subjects(of operation: Text) -> [StaticString] {
        if operation == "execute_tool" { return ["gen_ai.tool.name"] }
        if operation == "invoke_agent" || operation == "create_agent" || operation == "plan" {
            return ["gen_ai.agent.name"]
        }
        if operation == "invoke_workflow" { return ["gen_ai.workflow.name"] }
        if operation == "retrieval" { return ["gen_ai.data_source.id"] }
        return ["gen_ai.request.model"]
    }
}
