package import Telemetry

/// Names in which a backend shows GenAI spans best.
package enum ExportDialect: String, CaseIterable, Sendable {
    case genAI = "gen_ai"
    case openinference, langfuse, langsmith
}

/// Renders normalized spans in another vocabulary: the reverse of the normalizer.
///
/// Adds the vocabulary's attributes beside those that are there; an attribute that a span has already is never touched,
/// so a span that came in this vocabulary keeps its own words. Message attributes of the conventions go away where the
/// rendered form says exactly the same, so that content is not sent twice. Not for use by two threads at once.
package struct DialectRenderer: ~Copyable {
    let dialect: ExportDialect
    /// Keys that requests must be decoded with.
    package let keys: KeyTable
    let names: RenderKeys
    var tree = JSONTree()
    /// Keys and values that are made.
    var out = ByteColumn()
    var made = Column<MadeAttribute>()
    /// Attributes whose content is in what was made.
    var spent = Column<Int32>()
    var set = SetIndex(0)

    /// Attributes that the span has.
    private var received = 0

    /// Most attributes up to which a span gets more.
    static let attributesMax = 2_000

    struct MadeAttribute: BitwiseCopyable {
        var key: ByteColumnRange
        var kind: ValueKind
        var bits: UInt64 = 0
        var text = ByteColumnRange(start: 0, end: 0)
    }

    package init(_ dialect: ExportDialect) {
        self.dialect = dialect
        var builder = KeyTable.Builder()
        names = RenderKeys(&builder)
        keys = builder.build()
    }

    /// Renders every GenAI span of a batch that was decoded with `keys`. True when anything changed.
    package mutating func render(_ batch: inout RecordBatch) -> Bool {
        guard dialect != .genAI, batch.signal == .traces else { return false }
        var isChanged = false
        for span in batch.spans.indices where !batch.isRemoved(span: span) {
            begin(batch.spans[span].set, batch)
            let operation = string(names.operation, batch) ?? .empty
            let kind = string(names.kind, batch) ?? .empty
            guard !operation.isEmpty || !kind.isEmpty else { continue }
            let name = batch.text(batch.spans[span].name)
            switch dialect {
            case .genAI: continue
            case .openinference: openInference(operation, kind, batch)
            case .langfuse: langfuse(operation, kind, batch)
            case .langsmith: langSmith(operation, kind, name, batch)
            }
            if apply(&batch) { isChanged = true }
        }
        return isChanged
    }

    private mutating func begin(_ set: SetIndex, _ batch: borrowing RecordBatch) {
        self.set = set
        received = batch.range(of: set).count
        tree.reset()
        out.removeAll()
        made.removeAll()
        spent.removeAll()
    }

    private mutating func apply(_ batch: inout RecordBatch) -> Bool {
        var isChanged = false
        for index in made.indices {
            let item = made[index]
            let key = out.text[item.key.start..<item.key.end]
            if batch.find(name: key, in: set) != nil { continue }
            let value: AttributeValue
            switch item.kind {
            case .int: value = .int(Int64(bitPattern: item.bits))
            case .double: value = .double(Double(bitPattern: item.bits))
            default: value = .string(batch.addText(out.text[item.text.start..<item.text.end]))
            }
            let reference = batch.addText(key)
            batch.append(key: reference, value, to: set)
            isChanged = true
        }
        for index in spent.indices {
            let key = KeyID(UInt16(truncatingIfNeeded: spent[index]))
            if let place = batch.find(key, in: set) { batch.remove(at: place, from: set) }
        }
        return isChanged
    }

    // MARK: Reading

    func string(_ key: KeyID, _ batch: borrowing RecordBatch) -> Text? { batch.string(key, in: set) }

    func number(_ key: KeyID, _ batch: borrowing RecordBatch) -> Int64? {
        guard let place = batch.find(key, in: set), case .int(let value) = batch.attributes[place].value else {
            return nil
        }
        return value
    }

    func amount(_ key: KeyID, _ batch: borrowing RecordBatch) -> Double? {
        guard let place = batch.find(key, in: set) else { return nil }
        switch batch.attributes[place].value {
        case .double(let value): return value.isFinite ? value : nil
        case .int(let value): return Double(value)
        default: return nil
        }
    }

    /// The document of an attribute: JSON in a string or a structured value.
    mutating func document(_ key: KeyID, _ batch: borrowing RecordBatch) -> JSONRef {
        guard let place = batch.find(key, in: set) else { return .none }
        let record = batch.attributes[place]
        switch record.kind {
        case .string: return tree.parseContainer(batch.text(record.text))
        case .array, .map: return tree.read(batch.text(record.text), isMap: record.kind == .map)
        default: return .none
        }
    }

    // MARK: Making

    /// Begins a key made of pieces; `put` functions end it.
    mutating func key(
        _ prefix: StaticString, _ index: Int = -1, _ middle: StaticString = "", _ inner: Int = -1,
        _ suffix: StaticString = ""
    ) -> ByteColumnRange {
        let start = out.count
        out.append(prefix)
        if index >= 0 { Number.append(Int64(index), into: &out) }
        out.append(middle)
        if inner >= 0 { Number.append(Int64(inner), into: &out) }
        out.append(suffix)
        return ByteColumnRange(start: start, end: out.count)
    }

    mutating func put(_ key: ByteColumnRange, _ text: Text?) {
        guard let text, !text.isEmpty, hasRoom else { return }
        let start = out.count
        out.append(text)
        made.append(MadeAttribute(key: key, kind: .string, text: ByteColumnRange(start: start, end: out.count)))
    }

    mutating func put(_ name: StaticString, _ text: Text?) {
        if let text, !text.isEmpty { put(key(name), text) }
    }

    mutating func put(_ name: StaticString, _ number: Int64?) {
        guard let number, hasRoom else { return }
        let key = key(name)
        made.append(MadeAttribute(key: key, kind: .int, bits: UInt64(bitPattern: number)))
    }

    mutating func put(_ name: StaticString, _ amount: Double?) {
        guard let amount, hasRoom else { return }
        let key = key(name)
        made.append(MadeAttribute(key: key, kind: .double, bits: amount.bitPattern))
    }

    /// A value whose bytes were appended to `out` from `start` on.
    mutating func put(_ key: ByteColumnRange, from start: Int) {
        guard out.count > start, hasRoom else { return }
        made.append(MadeAttribute(key: key, kind: .string, text: ByteColumnRange(start: start, end: out.count)))
    }

    /// A value of a document: text as it is, anything else as JSON.
    mutating func put(_ key: ByteColumnRange, value ref: JSONRef) {
        guard ref.exists, tree.kind(ref) != .null else { return }
        let start = out.count
        if tree.isString(ref) { out.append(tree.string(ref)) } else { tree.write(ref, into: &out) }
        put(key, from: start)
    }

    var hasRoom: Bool { received + made.count < DialectRenderer.attributesMax }

    mutating func spend(_ key: KeyID) { spent.append(Int32(key.value)) }
}

/// Attributes of the conventions that renderings read.
struct RenderKeys {
    let operation, kind, provider, requestModel, responseModel, input, output, instructions, tools: KeyID
    let toolName, toolDescription, toolCallID, arguments, result, agentName, conversation, user, query, documents: KeyID
    let inputTokens, outputTokens, cacheRead, cacheWrite, reasoning, total, cost, inputCost, outputCost: KeyID
    let finish, tags, workflow: KeyID
    /// Request parameters and their names in providers' requests.
    let parameters: [(key: KeyID, name: StaticString)]

    init(_ keys: inout KeyTable.Builder) {
        operation = keys.intern("gen_ai.operation.name")
        kind = keys.intern("sluice.genai.kind")
        provider = keys.intern("gen_ai.provider.name")
        requestModel = keys.intern("gen_ai.request.model")
        responseModel = keys.intern("gen_ai.response.model")
        input = keys.intern("gen_ai.input.messages")
        output = keys.intern("gen_ai.output.messages")
        instructions = keys.intern("gen_ai.system_instructions")
        tools = keys.intern("gen_ai.tool.definitions")
        toolName = keys.intern("gen_ai.tool.name")
        toolDescription = keys.intern("gen_ai.tool.description")
        toolCallID = keys.intern("gen_ai.tool.call.id")
        arguments = keys.intern("gen_ai.tool.call.arguments")
        result = keys.intern("gen_ai.tool.call.result")
        agentName = keys.intern("gen_ai.agent.name")
        conversation = keys.intern("gen_ai.conversation.id")
        user = keys.intern("user.id")
        query = keys.intern("gen_ai.retrieval.query.text")
        documents = keys.intern("gen_ai.retrieval.documents")
        inputTokens = keys.intern("gen_ai.usage.input_tokens")
        outputTokens = keys.intern("gen_ai.usage.output_tokens")
        cacheRead = keys.intern("gen_ai.usage.cache_read.input_tokens")
        cacheWrite = keys.intern("gen_ai.usage.cache_write.input_tokens")
        reasoning = keys.intern("gen_ai.usage.reasoning.output_tokens")
        total = keys.intern("sluice.genai.total_tokens")
        cost = keys.intern("gen_ai.usage.cost")
        inputCost = keys.intern("gen_ai.usage.input_cost")
        outputCost = keys.intern("gen_ai.usage.output_cost")
        finish = keys.intern("gen_ai.response.finish_reasons")
        tags = keys.intern("sluice.tags")
        workflow = keys.intern("gen_ai.workflow.name")
        var parameters: [(key: KeyID, name: StaticString)] = []
        for (name, short) in [
            ("gen_ai.request.temperature", "temperature"), ("gen_ai.request.top_p", "top_p"),
            ("gen_ai.request.top_k", "top_k"), ("gen_ai.request.max_tokens", "max_tokens"),
            ("gen_ai.request.frequency_penalty", "frequency_penalty"),
            ("gen_ai.request.presence_penalty", "presence_penalty"), ("gen_ai.request.seed", "seed"),
            ("gen_ai.request.stop_sequences", "stop"),
        ] as [(String, StaticString)] { parameters.append((keys.intern(name), short)) }
        self.parameters = parameters
    }
}
