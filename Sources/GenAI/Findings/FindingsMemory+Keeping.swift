/// How the memory outlives the process.
extension FindingsMemory: KeptMemory {
    package static let version: UInt32 = 5

    package mutating func keep() {
        tools.keep()
        sessions.keep()
        sessionTools.keep()
        groups.keep()
        prohibitions.keep()
        definitions.keep()
        durations.keep()
    }

    package mutating func undo() {
        tools.undo()
        sessions.undo()
        sessionTools.undo()
        groups.undo()
        prohibitions.undo()
        definitions.undo()
        durations.undo()
    }

    package func changes() -> [UInt8] {
        var writer = MemoryWriter()
        tools.writeChanges(as: 0, to: &writer)
        sessions.writeChanges(as: 1, to: &writer)
        sessionTools.writeChanges(as: 2, to: &writer)
        groups.writeChanges(as: 3, to: &writer)
        prohibitions.writeChanges(as: 4, to: &writer)
        definitions.writeChanges(as: 5, to: &writer)
        durations.writeChanges(as: 6, to: &writer)
        return writer.bytes
    }

    package func writeAll(_ part: ([UInt8]) -> Void) {
        tools.writeAll(as: 0, part)
        sessions.writeAll(as: 1, part)
        sessionTools.writeAll(as: 2, part)
        groups.writeAll(as: 3, part)
        prohibitions.writeAll(as: 4, part)
        definitions.writeAll(as: 5, part)
        durations.writeAll(as: 6, part)
    }

    package mutating func restore(_ entry: MemoryEntry) -> Bool {
        switch entry.map {
        case 0: tools.restore(entry)
        case 1: sessions.restore(entry)
        case 2: sessionTools.restore(entry)
        case 3: groups.restore(entry)
        case 4: prohibitions.restore(entry)
        case 5: definitions.restore(entry)
        case 6: durations.restore(entry)
        default: false
        }
    }
}

extension FindingsMemory.ToolFacts: MemoryValue {
    package func write(to writer: inout MemoryWriter) {
        writer.add(calls)
        writer.add(empties)
    }

    package init?(_ reader: inout MemoryReader) {
        guard let calls: UInt32 = reader.number(), let empties: UInt32 = reader.number() else { return nil }
        self.init(calls: calls, empties: empties)
    }
}

extension FindingsMemory.SeenCall: MemoryValue {
    package func write(to writer: inout MemoryWriter) {
        for number in [trace, span, id, callID, name, signature, result, error, agent, owner] { writer.add(number) }
        for number in [service, began, ended, time] { writer.add(number) }
        var flags: UInt8 = isFailed ? 1 : 0
        if hasSpan { flags |= 2 }
        if isChange { flags |= 4 }
        if isEmpty { flags |= 8 }
        if isOpenEnded { flags |= 16 }
        if hasAgent { flags |= 32 }
        writer.add(flags)
    }

    package init?(_ reader: inout MemoryReader) {
        guard let trace: UInt64 = reader.number(), let span: UInt64 = reader.number(),
            let id: UInt64 = reader.number(), let callID: UInt64 = reader.number(),
            let name: UInt64 = reader.number(), let signature: UInt64 = reader.number(),
            let result: UInt64 = reader.number(), let error: UInt64 = reader.number(),
            let agent: UInt64 = reader.number(), let owner: UInt64 = reader.number(),
            let service: UInt64 = reader.number(), let began: UInt64 = reader.number(),
            let ended: UInt64 = reader.number(), let time: UInt64 = reader.number(),
            let flags: UInt8 = reader.number()
        else { return nil }
        self.init(
            trace: trace, span: span, id: id, callID: callID, name: name, signature: signature, result: result,
            error: error, agent: agent, owner: owner, service: service, began: began, ended: ended, time: time,
            isFailed: flags & 1 != 0, isEmpty: flags & 8 != 0, hasSpan: flags & 2 != 0, isChange: flags & 4 != 0,
            isOpenEnded: flags & 16 != 0, hasAgent: flags & 32 != 0)
    }
}

extension FindingsMemory.Durations: MemoryValue {
    package func write(to writer: inout MemoryWriter) {
        writer.add(Int64(count))
        writer.add(mean)
        writer.add(spread)
    }

    package init?(_ reader: inout MemoryReader) {
        guard let count: Int64 = reader.number(), let mean = reader.double(), let spread = reader.double(),
            count >= 0, count <= 1 << 53
        else { return nil }
        self.init(count: Int(count), mean: mean, spread: spread)
    }
}
