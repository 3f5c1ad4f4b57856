import Telemetry

/// How far a call's arguments could be read.
enum ArgumentsState: UInt8, BitwiseCopyable {
    /// Not in the telemetry.
    case missing
    /// Captured, and there are none.
    case empty
    /// A JSON object.
    case object
    /// Another JSON value or plain text.
    case other
    /// Text that was to be JSON and is not.
    case broken
    /// JSON that ends too early.
    case cutOff
    /// Longer than the limits, cut by the sender's limit for attributes, or broken by what masked a part of it.
    case limited
}

/// Why a result counts as empty.
enum Emptiness: UInt8, BitwiseCopyable {
    case none
    /// null or empty text: also what a tool without a result gives.
    case null
    /// An empty list or object, or one whose members are all empty.
    case container
    /// A count of zero.
    case zero
    /// Text that says that nothing was found.
    case phrase

    var name: String {
        switch self {
        case .none: "none"
        case .null: "null"
        case .container: "empty_container"
        case .zero: "zero_count"
        case .phrase: "not_found_text"
        }
    }
}

/// One tool call of the trace: what the model asked for, what ran, what came back.
struct ToolCall: BitwiseCopyable {
    /// The span that ran it, -1 when there is none.
    var step: Int32 = -1
    /// The model call that asked for it, -1 when unknown.
    var model: Int32 = -1
    /// Whether `model` says so itself; otherwise it is the model call before.
    var isAnnounced = false
    var isHandoff = false
    /// Whether the tool does whatever its arguments say: a shell, an interpreter, a browser.
    var isOpenEnded = false
    var isFailed = false
    /// The span is not failed but its result says that it is.
    var isSoftError = false
    /// What stands around the result says that it is an error.
    var isMarkedError = false
    var name = Text.empty
    var id = Text.empty
    var state = ArgumentsState.missing
    /// The arguments when they are JSON.
    var arguments = JSONRef.none
    /// The arguments as text when they are none.
    var argumentsText = Text.empty
    /// Whether a part of them was masked: equal masks may stand for different values.
    var isMasked = false
    var hasResult = false
    /// Whether somebody hid the whole of the result, so that it is not read.
    var isResultHidden = false
    var result = JSONRef.none
    /// The result as text when it is no JSON container.
    var resultText = Text.empty
    var emptiness = Emptiness.none
    /// What the error says, empty when nothing does.
    var errorText = Text.empty
    var time: UInt64 = 0
    /// Hashes of arguments, result and error; 0 for none. That of masked arguments is no other call's.
    var signature: UInt64 = 0
    var resultHash: UInt64 = 0
    var errorHash: UInt64 = 0
    /// Hash of what the user had asked when the call was announced, once somebody wants to know; 0 when unknown.
    var question: UInt64 = 0
    /// How many texts of the user there were then, the first and the last of them.
    var questions = 0
    var firstQuestion = Text.empty
    var lastQuestion = Text.empty
    var didReadQuestion = false
    /// Set once a detector found the arguments odd: names of argument and oddity.
    var oddArgument = Text.empty
    var oddity = ArgumentOddity()

    /// The step that stands for it in the order of the trace.
    var place: Int32 { step >= 0 ? step : model }

    /// Whether its result tells how the tool usually answers: an empty one to an odd argument does not, or a tool that
    /// is always called wrongly would soon be one that never has anything to say.
    var showsHabit: Bool { !isSoftError && (emptiness == .none || oddity.isEmpty) }
}

/// What is odd about an argument's value.
struct ArgumentOddity: OptionSet, BitwiseCopyable {
    var rawValue: UInt8 = 0

    static let leadingSpace = ArgumentOddity(rawValue: 1)
    static let trailingSpace = ArgumentOddity(rawValue: 2)
    static let quotes = ArgumentOddity(rawValue: 4)
    static let placeholder = ArgumentOddity(rawValue: 8)
    static let otherShape = ArgumentOddity(rawValue: 16)

    var names: [String] {
        var names: [String] = []
        if contains(.leadingSpace) { names.append("leading_space") }
        if contains(.trailingSpace) { names.append("trailing_space") }
        if contains(.quotes) { names.append("wrapping_quotes") }
        if contains(.placeholder) { names.append("placeholder") }
        if contains(.otherShape) { names.append("other_shape") }
        return names
    }
}

/// How a model call ended.
enum Finish: UInt8, BitwiseCopyable {
    case unknown, stop, length, toolCalls, malformedCall, filtered, error

    init(_ text: Text) {
        self = .unknown
        if text.isEmpty { return }
        if text.holds("malformed") {
            self = .malformedCall
        } else if text.holds("tool") || text.holds("function") {
            self = .toolCalls
        } else if text.holds("length") || text.holds("max_tokens") || text.holds("max_output") {
            self = .length
        } else if text.holds("filter") || text.holds("safety") || text.holds("refus") {
            self = .filtered
        } else if text.holds("error") {
            self = .error
        } else if text.holds("stop") || text.holds("end_turn") || text.holds("complete") {
            self = .stop
        }
    }
}

/// One model call's answer.
struct ModelTurn: BitwiseCopyable {
    var step: Int32
    /// Messages of the answer, none when they were not captured.
    var output = JSONRef.none
    /// Messages of the request, once somebody asked.
    var input = JSONRef.none
    var didReadInput = false
    var finish = Finish.unknown
    /// First non-empty text of the answer.
    var text = Text.empty
    var calls: Int32 = 0
    /// Set of tool definitions, -1 for none.
    var definitions: Int32 = -1
}

/// The definitions that came in one attribute.
struct DefinitionSet: BitwiseCopyable {
    var source: Text
    var range: IndexRange
}

/// A tool that a model was offered.
struct ToolDefinition: BitwiseCopyable {
    var name: Text
    /// JSON Schema of the arguments, none when it was not captured.
    var schema: JSONRef
    /// What the tool is for, a string; none when it was not captured.
    var description = JSONRef.none
}
