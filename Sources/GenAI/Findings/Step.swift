import Telemetry

/// What a span does in an agent's run.
enum StepKind: UInt8, BitwiseCopyable {
    case other, agent, workflow, model, tool, retrieval, embedding

    /// From the normalized operation name; nil when it says nothing of the kind.
    static func named(_ operation: Text) -> StepKind? {
        if operation == "chat" || operation == "generate_content" || operation == "text_completion" { return .model }
        if operation == "execute_tool" { return .tool }
        if operation == "invoke_agent" { return .agent }
        if operation == "invoke_workflow" { return .workflow }
        if operation == "retrieval" { return .retrieval }
        if operation == "embeddings" { return .embedding }
        return nil
    }
}

/// One GenAI span of the trace, in the order of the trace.
struct Step: BitwiseCopyable {
    /// Index in the batch.
    var span: Int32
    var kind: StepKind
    var isFailed = false
    /// A model call that only wraps one other model call, or a tool call inside the same tool call: counted there.
    var isWrapper = false
    /// Steps deep.
    var depth: Int16 = 0
    /// Nearest ancestor that is a step, -1 for none.
    var parent: Int32 = -1
    /// The step itself or its nearest ancestor of kind agent, -1 for none.
    var agent: Int32 = -1
    var start: UInt64
    var end: UInt64
    /// Name of the agent, inherited.
    var agentName = Text.empty
    /// Hash of the name of the service that sent it, 0 for none.
    var service: UInt64 = 0
    /// Row of the step's facts in `TraceSteps.places`.
    var row: Int32
    /// Span id, for a stable order.
    var id: UInt64
}

/// Any span of the trace, for walking to parents.
struct SpanNode: BitwiseCopyable {
    var id: UInt64
    var parentID: UInt64
    var parent: Int32 = -1
    var step: Int32 = -1
    var span: Int32
}

/// A string attribute or the bytes of a structured one.
struct StepValue {
    var kind: ValueKind
    var text: Text

    var exists: Bool { kind != .empty }
}
