import Telemetry

extension TraceAnalyzer {
    // MARK: Content

    /// Takes a value's bytes from the trace's budget; false when they do not fit.
    mutating func admit(_ text: Text) -> Bool {
        guard text.count <= options.maxValueBytes, readBytes + text.count <= options.maxTraceBytes else {
            trace.skippedBytes += text.count
            return false
        }
        readBytes += text.count
        return true
    }

    /// A fact as a document; none when there is none, it is plain text or too long.
    mutating func document(_ value: StepValue) -> JSONRef {
        guard value.exists, admit(value.text) else { return .none }
        switch value.kind {
        case .string: return tree.parseContainer(value.text)
        case .array: return tree.read(value.text, isMap: false)
        case .map: return tree.read(value.text, isMap: true)
        default: return .none
        }
    }

    // MARK: Arguments

    /// Text that instrumentations write for "not captured", or that stands where somebody hid the whole of it.
    static func isNotCaptured(_ text: Text) -> Bool {
        text == "<not specified>" || text == "<not serializable>" || text == "N/A" || text.isBareMask
    }

    /// Reads a call's arguments from text.
    mutating func readArguments(_ source: Text, into call: inout ToolCall, depth: Int = 0) {
        let text = source.trimmed
        call.argumentsText = text
        if TraceAnalyzer.isNotCaptured(text) {
            call.state = .missing
            call.argumentsText = .empty
            return
        }
        guard !text.isEmpty else {
            call.state = .empty
            return
        }
        let first = text[0]
        guard first == UInt8(ascii: "{") || first == UInt8(ascii: "[") || first == UInt8(ascii: "\"") else {
            call.state = .other
            return
        }
        switch tree.parse(text) {
        case .value(let ref): take(ref, into: &call, depth: depth)
        case .failure(.tooLarge), .failure(.tooDeep): call.state = .limited
        case .failure(let failure):
            let python = tree.parsePython(text)
            if python.exists { return take(python, into: &call, depth: depth) }
            if first == UInt8(ascii: "\"") {
                call.state = .other
                return
            }
            if TraceAnalyzer.isCutBySender(text) || text.isBrokenByMask {
                call.state = .limited
                return
            }
            call.state = failure == .truncated ? .cutOff : .broken
        }
    }

    /// Takes parsed arguments; a string may hold the document once more.
    mutating func take(_ ref: JSONRef, into call: inout ToolCall, depth: Int) {
        if tree.isString(ref), depth < 2 {
            return readArguments(tree.string(ref), into: &call, depth: depth + 1)
        }
        call.arguments = ref
        switch tree.kind(ref) {
        case .object: call.state = .object
        case .null, nil: call.state = .empty
        default: call.state = .other
        }
    }

    /// Whether a text looks cut by an attribute limit of the SDK or by its emitter, not by the model.
    static func isCutBySender(_ text: Text) -> Bool {
        if text.hasSuffix(Text("...")) || text.hasSuffix(Text("\u{2026}")) || text.hasSuffix(Text("[truncated]")) {
            return true
        }
        switch text.count {
        case 128, 255, 256, 500, 512, 1_000, 1_024, 2_000, 2_048, 4_095, 4_096, 8_192, 10_000, 12_000, 16_384, 32_768,
            65_535, 65_536:
            return true
        default: return false
        }
    }

    // MARK: Results

    /// Reads what a tool gave back.
    mutating func readResult(_ value: StepValue, into call: inout ToolCall) {
        guard value.exists, admit(value.text) else { return }
        switch value.kind {
        case .string: readResult(value.text, into: &call)
        case .array, .map:
            readResult(tree.read(value.text, isMap: value.kind == .map), .empty, into: &call)
        default: return
        }
    }

    mutating func readResult(_ source: Text, into call: inout ToolCall) {
        let text = source.trimmed
        if TraceAnalyzer.isNotCaptured(text) {
            call.isResultHidden = text.isBareMask
            return
        }
        var ref = tree.parseContainer(text)
        if !ref.exists, let first = text.count > 0 ? text[0] : nil,
            first == UInt8(ascii: "{") || first == UInt8(ascii: "[") || first == UInt8(ascii: "(")
        {
            ref = tree.parsePython(text)
        }
        if !ref.exists, let inner = reprContent(text, &call) { return readResult(inner, into: &call) }
        readResult(ref, text, into: &call)
    }

    /// Takes a result that was read as a document, or is plain text.
    mutating func readResult(_ source: JSONRef, _ text: Text, into call: inout ToolCall) {
        let ref = unwrap(source, &call)
        if tree.isString(ref) {
            let inner = tree.string(ref).trimmed
            // Placeholders inside the wrapper that an instrumentation puts around a value.
            if TraceAnalyzer.isNotCaptured(inner) {
                call.isResultHidden = inner.isBareMask
                return
            }
            let nested = tree.parseContainer(inner)
            call.result = nested.exists ? unwrap(nested, &call) : .none
            call.resultText = inner
        } else if ref.exists, tree.kind(ref) == .null {
            call.resultText = Text("null")
        } else {
            call.result = ref
            call.resultText = ref.exists ? .empty : text
        }
        call.hasResult = true
        call.resultHash = call.result.exists ? tree.progressHash(call.result) : ContentHash.of(call.resultText)
    }
}
