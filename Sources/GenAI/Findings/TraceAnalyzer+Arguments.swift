import Telemetry

extension TraceAnalyzer {
    /// Arguments that are no JSON, break the tool's schema, or were refused by the tool.
    mutating func checkArguments(_ batch: borrowing RecordBatch) {
        for index in calls.indices where !isIgnored(calls[index].name) { checkArguments(index) }
        let hasContent = turns.indices.contains { turns[$0].output.exists }
        for turn in turns.indices { checkUnreadable(turn, hasContent, batch) }
    }

    func isIgnored(_ name: Text) -> Bool { ignoredTools.contains(ContentHash.of(name)) }

    private mutating func checkArguments(_ index: Int) {
        unwrapArguments(index)
        let call = calls[index]
        switch call.state {
        case .cutOff, .broken:
            note(.malformedToolArguments, isAssessable: true)
            let isCut = call.state == .cutOff
            report(
                malformed(
                    index, isCut ? .argumentsCutOff : .argumentsUnparsable, .alert,
                    "length=\(call.argumentsText.count)",
                    isCut ? "the arguments end in the middle of the JSON" : "the arguments are not valid JSON"))
            return
        case .limited:
            note(.malformedToolArguments, isAssessable: false)
        case .object, .empty, .other, .missing:
            if checkSchema(index) { return }
        }
        checkRefusal(index)
    }

    func malformed(
        _ index: Int, _ rule: FindingRule, _ tier: FindingTier, _ facts: String, _ sentence: String
    ) -> Finding {
        let call = calls[index]
        var evidence = "tool=\(call.name.string) \(facts) arguments_hash=\(call.signature.hexDigits)"
        if options.evidenceContent { evidence += " arguments=\(argumentText(call))" }
        return Finding(
            .malformedToolArguments, rule, tier, span: span(of: call), cause: cause(of: call), call: index,
            evidence: evidence, "Call of \(call.name.string): \(sentence).")
    }

    // MARK: Wrappings

    /// Takes off what instrumentations put around the model's arguments: `{"input": "…"}` around plain text,
    /// `{"args": […], "kwargs": {…}}` around code, one member that holds what could not be parsed.
    private mutating func unwrapArguments(_ index: Int) {
        var call = calls[index]
        guard call.state == .object else { return }
        let properties = self.properties(of: call)
        // A framework's own function stands around the tool: `{"tool_string": …, "calling": {"arguments": {…}}}`.
        let calling = tree.member(tree.member(call.arguments, "calling"), "arguments")
        if tree.isObject(calling), !tree.member(properties, "calling").exists {
            call.arguments = calling
            calls[index] = call
            return unwrapArguments(index)
        }
        let kwargs = tree.member(call.arguments, "kwargs")
        if tree.isObject(kwargs), !tree.member(properties, "kwargs").exists {
            let positional = tree.member(call.arguments, "args")
            if tree.count(positional) == 0 {
                call.arguments = kwargs
            } else {
                // Positional arguments have no names to check.
                call.state = .other
            }
            calls[index] = call
            return
        }
        guard tree.count(call.arguments) == 1 else { return }
        let only = tree.first(call.arguments)
        guard tree.isString(only), !tree.member(properties, tree[only].key).exists else { return }
        let text = tree.string(only).trimmed
        guard let first = text.count > 0 ? text[0] : nil else { return }
        let isWrapper =
            properties.exists || tree[only].key == "input" || tree[only].key == "INVALID_JSON"
            || tree[only].key == "arguments"
        guard isWrapper else { return }
        if first == UInt8(ascii: "{") {
            readArguments(text, into: &call)
        } else if tree[only].key == "input" || tree.count(properties) == 1 {
            // The name of a single parameter was dropped.
            call.state = .other
            call.argumentsText = text
        }
        calls[index] = call
    }

    /// Properties of the tool's schema; a bare map of properties is taken as it is.
    mutating func properties(of call: ToolCall) -> JSONRef {
        guard let schema = definition(of: call)?.schema, schema.exists else { return .none }
        let properties = tree.member(schema, "properties")
        if tree.isObject(properties) { return properties }
        return SchemaCheck.isPropertyMap(schema, &tree) ? schema : .none
    }

    // MARK: Schema

    /// True when a finding was made.
    private mutating func checkSchema(_ index: Int) -> Bool {
        let call = calls[index]
        guard call.state == .object || call.state == .empty, let schema = definition(of: call)?.schema, schema.exists
        else {
            let isRefused = (call.isFailed || call.isSoftError) && !call.errorText.isEmpty
            note(.malformedToolArguments, isAssessable: isRefused)
            return false
        }
        note(.malformedToolArguments, isAssessable: true)
        if call.state == .object, tree.member(call.arguments, "" as StaticString).exists {
            report(
                malformed(index, .argumentsSchema, .alert, "fault=empty_name", "an argument has an empty name"))
            return true
        }
        // Frameworks add arguments of their own on the tool's span, so unknown ones count only in the model's words.
        var check = SchemaCheck(root: schema, isStrict: call.isAnnounced)
        if call.state == .object {
            check.check(arguments: call.arguments, &tree)
        } else {
            var wanted = tree.first(tree.member(schema, "required"))
            while wanted.exists {
                check.issues.append(SchemaCheck.Issue(fault: .missing, name: tree.string(wanted), value: .none))
                wanted = tree.next(wanted)
            }
        }
        guard let first = check.issues.first else { return false }
        let faults = check.issues.map { "\($0.fault.name):\($0.name.string)" }.joined(separator: ",")
        var tier = FindingTier.alert
        if check.issues.allSatisfy({ $0.isCoercible || $0.fault == .unknown }), !call.isFailed, !call.isSoftError {
            // The tool took it.
            tier = .tag
        }
        report(
            malformed(
                index, .argumentsSchema, tier, "faults=\(faults)",
                "argument \(first.name.string) breaks the tool's schema (\(first.fault.name))"))
        return true
    }

    // MARK: Refusals

    private static let refusals: [StaticString] = [
        "validation error", "validationerror", "invalid argument", "invalid parameter", "missing required",
        "required positional argument", "required keyword", "unexpected keyword argument", "required property",
        "is not of type", "must be a number", "must be a string", "must be an integer", "must be a valid",
        "must be a list", "must be an object", "must be a boolean", "must be of type", "input should be",
        "field required",
        "invalid json", "not valid json", "jsondecodeerror", "expecting value", "expecting ',' delimiter",
        "expecting property name", "unterminated string", "unexpected end of json", "could not convert string to",
        "invalid literal for int", "additional properties are not allowed", "failed to parse arguments",
        "type mismatch", "wrong type", "argument must be",
    ]

    /// Phrases that blame the arguments only when they name one.
    private static let weakRefusals: [StaticString] = [
        "is not a valid", "could not be converted", "cannot be converted", "could not parse",
        "cannot parse", "failed to parse", "is required", "must be one of", "out of range",
    ]

    /// An error text that blames the arguments. When the schema finds them good, it has to name one of them.
    private mutating func checkRefusal(_ index: Int) {
        let call = calls[index]
        guard call.isFailed || call.isSoftError, !call.errorText.isEmpty else { return }
        guard let phrase = refusal(call.errorText.capped(1_024), call) else { return }
        report(
            malformed(
                index, .argumentsRefused, .alert,
                "error=\("\(phrase)".replacing(" ", with: "_")) error_hash=\(call.errorHash.hexDigits)",
                "the tool refused the arguments (\(phrase))"))
    }

    /// Arguments of tools that run code whose names that code may say too: the code itself, and what many functions
    /// have.
    private static let codeArguments: [StaticString] = [
        "command", "cmd", "code", "script", "sql", "query", "input", "path", "file", "args", "name", "timeout",
        "description",
    ]

    /// The phrase with which an error blames the arguments. Code that a tool ran, and code behind a tool, fails in the
    /// same words about arguments of its own.
    private mutating func refusal(_ text: Text, _ call: ToolCall) -> StaticString? {
        if TraceAnalyzer.runsCode(call.name), !TraceAnalyzer.says(text, thatCalled: call.name) {
            guard names(text, memberOf: call.arguments, except: TraceAnalyzer.codeArguments) else { return nil }
            return TraceAnalyzer.refusals.first { text.holds($0) }
        }
        if let phrase = TraceAnalyzer.refusals.first(where: { text.holds($0) }) {
            let properties = self.properties(of: call)
            guard call.state == .object, properties.exists else { return phrase }
            if names(text, memberOf: call.arguments) { return phrase }
            // These tell what was called, and what that is missing.
            guard text.holds("validation error for") || text.holds("positional argument") else { return nil }
            return TraceAnalyzer.names(text, tool: call.name) || names(text, memberOf: properties) ? phrase : nil
        }
        guard names(text, memberOf: call.arguments) else { return nil }
        if let phrase = TraceAnalyzer.weakRefusals.first(where: { text.holds($0) }) { return phrase }
        return blamesType(text) ? "expected type" : nil
    }

    /// Words that say what an error wanted or got, and words for the types of JSON. An error that has one of each and
    /// names an argument blames it, in whatever phrase.
    private static let expectations: [StaticString] = [
        "expected", "expects", "expecting", "must", "should", "requires", "required", "needs",
    ]
    private static let typeWords: [StaticString] = [
        "string", "str", "number", "numeric", "integer", "int", "float", "double", "decimal", "boolean", "bool",
        "array", "list", "object", "dict", "mapping", "null", "uuid",
    ]

    private func blamesType(_ text: Text) -> Bool {
        var (hasExpectation, hasType) = (false, false)
        var words = WordCursor(text, joins: false)
        while let range = words.next() {
            let word = text[range]
            if !hasExpectation { hasExpectation = TraceAnalyzer.expectations.contains { word.isWord($0) } }
            if !hasType { hasType = TraceAnalyzer.typeWords.contains { word.isWord($0) } }
            if hasExpectation && hasType { return true }
        }
        return false
    }

    private func names(_ text: Text, memberOf object: JSONRef, except others: [StaticString] = []) -> Bool {
        var child = tree.first(object)
        while child.exists {
            let name = tree[child].key
            if name.count >= 2, !TraceAnalyzer.isOneOf(name, others), holdsWord(text, name) { return true }
            child = tree.next(child)
        }
        return false
    }

    /// Whether a word of the text is a tool's name, however its parts are joined and whatever stands around it:
    /// `GetOrderInput` for `get_order`.
    private static func names(_ text: Text, tool: Text) -> Bool { isTool(tool, namedIn: text) { _ in true } }

    /// Whether it is named as what was called: `lookup() missing …`, `validation error for lookup`, `… for
    /// call[lookup]`, `Invalid arguments for tool lookup`, `InputValidationError: lookup failed due to …`.
    private static func says(_ text: Text, thatCalled tool: Text) -> Bool {
        isTool(tool, namedIn: text) { place in
            if place.upperBound < text.count, text[place.upperBound] == UInt8(ascii: "(") { return true }
            var before = text[0..<place.lowerBound]
            if before.count > 0, Text.isQuote(before[before.count - 1]) { before = before[0..<before.count - 1] }
            if before.hasSuffix(Text("for ")) || before.hasSuffix(Text("call[")) { return true }
            if before.hasSuffix(Text("tool ")) || before.hasSuffix(Text("Tool ")) { return true }
            if before.hasSuffix(Text("ValidationError: ")) { return true }
            // Not `Build failed: …`, which tells of what was built.
            let isFirst = before.isEmpty || before.hasSuffix(Text(": "))
            return isFirst && text[place.upperBound..<text.count].beginsWith(" failed due to the following")
        }
    }

    private static func isTool(_ tool: Text, namedIn text: Text, _ isMeant: (Range<Int>) -> Bool) -> Bool {
        let name = letters(of: bareName(tool))
        guard name.count >= 3 else { return false }
        var words = WordCursor(text, joins: true)
        while let range = words.next() {
            guard range.count >= name.count, isTool(name, word: text[range]) else { continue }
            if isMeant(range) { return true }
        }
        return false
    }

    /// What stands behind a tool's name in names of the classes and functions around it.
    private static let nameEndings: [StaticString] = [
        "args", "arguments", "inputs", "input", "schema", "params", "parameters", "tool",
    ]

    /// Whether a part of a word, as dots cut it, is a tool's name: `BashTool.run`, `GetOrderInput`, but not
    /// `test_total` for `test`, nor `Address` for `add`.
    private static func isTool(_ name: [UInt8], word: Text) -> Bool {
        var start = 0
        for end in 0...word.count where end == word.count || isDot(word[end]) {
            let part = letters(of: word[start..<end])
            start = min(end + 1, word.count)
            guard part.starts(with: name) else { continue }
            var rest = part[name.count...]
            while let ending = nameEndings.first(where: { rest.starts(with: Text($0).bytes) }) {
                rest = rest.dropFirst(ending.utf8CodeUnitCount)
            }
            if rest.isEmpty { return true }
        }
        return false
    }

    private static func isDot(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ".") || byte == UInt8(ascii: "/") }

    private static func letters(of text: Text) -> [UInt8] {
        text.bytes.filter { WordCursor.isWord($0) }.map { ASCII.lower($0) }
    }

    /// A tool's name without that of its server or plug-in.
    private static func bareName(_ tool: Text) -> Text {
        var start = 0
        for index in 0..<tool.count {
            switch tool[index] {
            case UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: ":"): start = index + 1
            case UInt8(ascii: "_") where index > 0 && tool[index - 1] == UInt8(ascii: "_"): start = index + 1
            default: continue
            }
        }
        return start < tool.count ? tool[start..<tool.count] : tool
    }

    func holdsWord(_ text: Text, _ name: Text) -> Bool {
        var words = WordCursor(text, joins: true)
        while let range = words.next() {
            if text[range] == name { return true }
        }
        return false
    }

    // MARK: Calls that the sender could not read

    /// The model said that it calls a tool, and no readable call is there. Known when the provider says so, or when
    /// other answers of the trace were captured and no tool ran before the next model call.
    private mutating func checkUnreadable(_ turn: Int, _ hasContent: Bool, _ batch: borrowing RecordBatch) {
        let current = turns[turn]
        guard current.calls == 0 else { return }
        if current.finish == .malformedCall {
            note(.malformedToolArguments, isAssessable: true)
            return report(
                unreadable(turn, .alert, "finish=malformed_call", "its provider calls the tool call malformed"))
        }
        guard current.finish == .toolCalls else { return }
        guard hasContent, current.text.isEmpty else { return note(.malformedToolArguments, isAssessable: false) }
        let step = trace.steps[Int(current.step)]
        let end = turn + 1 < turns.count ? trace.steps[Int(turns[turn + 1].step)].start : UInt64.max
        for index in calls.indices where calls[index].step >= 0 {
            let start = trace.steps[Int(calls[index].step)].start
            if start >= step.start && start <= end { return }
        }
        note(.malformedToolArguments, isAssessable: true)
        report(unreadable(turn, .tag, "finish=tool_calls calls=0", "it ends with a tool call, and none can be read"))
    }

    private func unreadable(_ turn: Int, _ tier: FindingTier, _ evidence: String, _ sentence: String) -> Finding {
        let span = Int(trace.steps[Int(turns[turn].step)].span)
        return Finding(
            .malformedToolArguments, .argumentsUnreadable, tier, span: span, cause: span, evidence: evidence,
            "A model call asked for a tool in a way that nobody could read: \(sentence).")
    }
}

extension Text {
    /// Whether it is this word in lower-case ASCII, case ignored.
    fileprivate func isWord(_ word: StaticString) -> Bool {
        count == word.utf8CodeUnitCount && beginsWith(word)
    }
}
