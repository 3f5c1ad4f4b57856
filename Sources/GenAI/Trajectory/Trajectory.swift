/// What one trace of an agent did, as values of its own: for datasets, evaluators and judges, which look at few traces
/// and long at each. Texts of the telemetry are as they were when the batch came, redaction included.
package struct Trajectory: Sendable {
    /// A text, or JSON that is known to be valid.
    package enum Content: Sendable, Equatable {
        case text(String)
        case json(String)

        package var string: String {
            switch self {
            case .text(let text), .json(let text): text
            }
        }
    }

    /// A turn of the conversation.
    package struct Message: Sendable, Equatable {
        package var role: String
        /// The text parts, one behind the other.
        package var text: String
    }

    /// A tool call; empty texts stand for what the telemetry does not tell.
    package struct Call: Sendable, Equatable {
        package var id = ""
        package var name = ""
        /// Nil when they were not captured.
        package var arguments: Content?
        package var result: Content?
        package var error = ""
        package var isFailed = false
        package var isEmpty = false
        /// Hexadecimal digits of the span that ran it, else of the model call that asked for it.
        package var span = ""
        package var seconds = 0.0
    }

    /// An event `gen_ai.evaluation.result`: `name` is what was judged, `rule` by what; ids are hexadecimal digits.
    package struct Event: Sendable, Equatable {
        package var name = ""
        package var rule = ""
        package var tier = ""
        package var label = ""
        package var score: Double?
        package var explanation = ""
        package var evidence = ""
        package var span = ""
        package var cause = ""
        package var isFirstBadStep = false
    }

    package var trace = ""
    package var root = ""
    package var conversation = ""
    package var agent = ""
    package var model = ""
    /// Unix nanoseconds.
    package var start: UInt64 = 0
    package var end: UInt64 = 0
    /// Messages of the first request to a model: system text and the turns so far.
    package var input: [Message] = []
    /// The same as JSON, as captured; empty when nothing was.
    package var inputJSON = ""
    /// Retrieved documents as JSON lists.
    package var documents: [String] = []
    /// Definitions of the tools that models were offered, each as a JSON object, by name.
    package var tools: [(name: String, definition: String)] = []
    /// What each tool is for, by its name, where that was captured.
    package var toolDescriptions: [String: String] = [:]
    package var calls: [Call] = []
    /// The answer to the user, empty when there is none.
    package var output = ""
    package var findings: [Event] = []
    package var steps = 0
    package var modelCalls = 0
    package var failedSteps = 0
    package var inputTokens = 0.0
    package var outputTokens = 0.0
    package var cost = 0.0
    /// Index of the root in the batch, of its first step where the root did not come.
    package var rootSpan = 0
    /// Indices of the trace's spans in the batch.
    package var spans: [Int] = []

    package init() {}

    package var seconds: Double { end > start ? Double(end - start) / 1e9 : 0 }
    package var tokens: Double { inputTokens + outputTokens }

    /// The last thing that the user said.
    package var request: String { input.last { $0.role == "user" }?.text ?? input.last?.text ?? "" }
}
