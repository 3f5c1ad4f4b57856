package import Telemetry

/// Facts of a span that the detectors read, one small number each.
enum Slot: UInt8, CaseIterable {
    case operation = 1
    case kind, toolName, toolCallID, arguments, result, definitions, input, output, agentName, conversation
    case requestModel, responseModel, inputTokens, outputTokens, cost, finish, query, documents, errorType

    var key: String {
        switch self {
        case .operation: "gen_ai.operation.name"
        case .kind: "sluice.genai.kind"
        case .toolName: "gen_ai.tool.name"
        case .toolCallID: "gen_ai.tool.call.id"
        case .arguments: "gen_ai.tool.call.arguments"
        case .result: "gen_ai.tool.call.result"
        case .definitions: "gen_ai.tool.definitions"
        case .input: "gen_ai.input.messages"
        case .output: "gen_ai.output.messages"
        case .agentName: "gen_ai.agent.name"
        case .conversation: "gen_ai.conversation.id"
        case .requestModel: "gen_ai.request.model"
        case .responseModel: "gen_ai.response.model"
        case .inputTokens: "gen_ai.usage.input_tokens"
        case .outputTokens: "gen_ai.usage.output_tokens"
        case .cost: "gen_ai.usage.cost"
        case .finish: "gen_ai.response.finish_reasons"
        case .query: "gen_ai.retrieval.query.text"
        case .documents: "gen_ai.retrieval.documents"
        case .errorType: "error.type"
        }
    }

    /// Slots per step, the unused 0 included.
    static let count = Int(Slot.errorType.rawValue) + 1
}

/// Ties the slots to the key numbers of one key table.
package final class FindingKeys: Sendable {
    let keys: KeyTable
    /// By key number: the slot, 0 for all other keys.
    let slots: [UInt8]
    let exceptionMessage: KeyID
    let exceptionType: KeyID
    /// Of resources.
    let serviceName: KeyID

    private static let exceptionKeys = ["exception.message", "exception.type"]
    private static let serviceKey = "service.name"

    /// Asks for the numbers of all keys that findings read; `init` looks them up in the table of them.
    package static func intern(_ builder: inout KeyTable.Builder) {
        for slot in Slot.allCases { _ = builder.intern(slot.key) }
        for key in exceptionKeys { _ = builder.intern(key) }
        _ = builder.intern(serviceKey)
    }

    package init(_ keys: KeyTable) {
        self.keys = keys
        var slots = [UInt8](repeating: 0, count: keys.count + 1)
        for slot in Slot.allCases {
            let id = keys.id(named: slot.key)
            if id != .unknown { slots[Int(id.value)] = slot.rawValue }
        }
        self.slots = slots
        exceptionMessage = keys.id(named: FindingKeys.exceptionKeys[0])
        exceptionType = keys.id(named: FindingKeys.exceptionKeys[1])
        serviceName = keys.id(named: FindingKeys.serviceKey)
    }

    /// Whether this was made for that very table.
    package func isFor(_ keys: KeyTable) -> Bool { self.keys === keys }
}

extension KeyTable {
    /// The number of a key given as a string, for set-up.
    package func id(named name: String) -> KeyID {
        var name = name
        return name.withUTF8 { id(of: Text(UnsafeRawBufferPointer($0))) }
    }
}
