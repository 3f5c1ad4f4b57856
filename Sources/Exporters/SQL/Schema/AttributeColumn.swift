import Telemetry

/// Columns of `spans` that hold an attribute: which one, and of what type. The order is the order of the columns.
package struct AttributeColumn: Sendable {
    enum Kind: Sendable {
        /// A string as it is; structured values as JSON.
        case text
        case integer
        case real

        var type: SQLType {
            switch self {
            case .text: .text
            case .integer: .integer
            case .real: .real
            }
        }
    }

    package private(set) var name: String
    var kind: Kind
    /// The attribute that the column holds, then those that stand in when it is missing. Only the first one is left out
    /// of the `attributes` column.
    package private(set) var keys: [String]

    init(_ name: String, _ kind: Kind, _ keys: String...) {
        self.name = name
        self.kind = kind
        self.keys = keys
    }

    /// Names are those of the GenAI semantic conventions (gen-ai-dev 1.42); stand-ins are older or general names.
    package static let all: [AttributeColumn] = [
        AttributeColumn("operation", .text, "gen_ai.operation.name"),
        AttributeColumn("provider", .text, "gen_ai.provider.name", "gen_ai.system"),
        AttributeColumn("request_model", .text, "gen_ai.request.model"),
        AttributeColumn("response_model", .text, "gen_ai.response.model"),
        AttributeColumn("response_id", .text, "gen_ai.response.id"),
        AttributeColumn("agent_id", .text, "gen_ai.agent.id"),
        AttributeColumn("agent_name", .text, "gen_ai.agent.name"),
        AttributeColumn("workflow_name", .text, "gen_ai.workflow.name"),
        AttributeColumn("tool_name", .text, "gen_ai.tool.name"),
        AttributeColumn("tool_type", .text, "gen_ai.tool.type"),
        AttributeColumn("tool_call_id", .text, "gen_ai.tool.call.id"),
        AttributeColumn("tool_arguments", .text, "gen_ai.tool.call.arguments"),
        AttributeColumn("tool_result", .text, "gen_ai.tool.call.result"),
        AttributeColumn("conversation_id", .text, "gen_ai.conversation.id", "session.id"),
        AttributeColumn("user_id", .text, "user.id", "enduser.id"),
        AttributeColumn("input_tokens", .integer, "gen_ai.usage.input_tokens"),
        AttributeColumn("output_tokens", .integer, "gen_ai.usage.output_tokens"),
        AttributeColumn("cache_read_tokens", .integer, "gen_ai.usage.cache_read.input_tokens"),
        AttributeColumn(
            "cache_write_tokens", .integer, "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens"),
        AttributeColumn("reasoning_tokens", .integer, "gen_ai.usage.reasoning.output_tokens"),
        AttributeColumn("cost_usd", .real, "gen_ai.usage.cost"),
        AttributeColumn("finish_reasons", .text, "gen_ai.response.finish_reasons"),
        AttributeColumn("error_type", .text, "error.type"),
        AttributeColumn("system_instructions", .text, "gen_ai.system_instructions"),
        AttributeColumn("input_messages", .text, "gen_ai.input.messages"),
        AttributeColumn("output_messages", .text, "gen_ai.output.messages"),
        AttributeColumn("tool_definitions", .text, "gen_ai.tool.definitions"),
        AttributeColumn("data_source_id", .text, "gen_ai.data_source.id"),
        AttributeColumn("retrieval_query", .text, "gen_ai.retrieval.query.text"),
        AttributeColumn("retrieval_documents", .text, "gen_ai.retrieval.documents"),
    ]
}
