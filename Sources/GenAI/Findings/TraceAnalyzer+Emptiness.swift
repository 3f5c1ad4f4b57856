import Telemetry

extension TraceAnalyzer {
    /// Whether a result holds nothing, and in which way.
    mutating func emptiness(of call: ToolCall) -> Emptiness {
        call.result.exists ? emptiness(call.result, 0) : TraceAnalyzer.emptiness(of: call.resultText)
    }

    private mutating func emptiness(_ ref: JSONRef, _ depth: Int) -> Emptiness {
        guard let kind = tree.kind(ref), depth < 6 else { return .none }
        switch kind {
        case .null: return .null
        case .string: return TraceAnalyzer.emptiness(of: tree.string(ref).trimmed)
        case .number, .yes, .no: return .none
        case .array:
            var child = tree.first(ref)
            var seen = 0
            while child.exists {
                seen += 1
                if seen > 16 || emptiness(child, depth + 1) == .none { return .none }
                child = tree.next(child)
            }
            return .container
        case .object: return members(ref, depth)
        }
    }

    /// An object is empty when nothing in it is data: members are empty, counts of zero, or say how the call went.
    private mutating func members(_ ref: JSONRef, _ depth: Int) -> Emptiness {
        if tree.count(ref) == 0 { return .container }
        if tree.count(ref) == 1, let only = wrappedNull(ref) { return only }
        var found = Emptiness.none
        var child = tree.first(ref)
        while child.exists {
            let name = tree[child].key
            let kind = tree[child].kind
            if TraceAnalyzer.isCount(name), isZero(child) {
                if found != .container { found = .zero }
            } else if kind == .no, name == "found" || name == "has_results" {
                if found != .container { found = .zero }
            } else if kind == .no, name == "exists" {
                // An answer by itself; beside empty members it says why they are.
            } else if TraceAnalyzer.isNeutral(name) || isHeading(child, of: ref) || isPaging(child) {
                // Says something about the call or repeats the question: no data.
                if found == .none, isPaging(child), hasZeroCount(child) { found = .zero }
                if kind == .string, TraceAnalyzer.emptiness(of: tree.string(child)) == .phrase, found == .none {
                    found = .phrase
                }
            } else {
                let inner = emptiness(child, depth + 1)
                if inner == .none { return .none }
                if inner != .null || found == .none { found = inner == .zero ? .zero : inner }
            }
            child = tree.next(child)
        }
        return found
    }

    /// `{"result": null}` is nothing, like null alone.
    private mutating func wrappedNull(_ ref: JSONRef) -> Emptiness? {
        tree.kind(tree.first(ref)) == .null ? .null : nil
    }

    /// Whether a count is zero: a number, or `{"value": 0, "relation": "eq"}`.
    private func isZero(_ count: JSONRef) -> Bool {
        var number = count
        if tree.isObject(count) {
            // An amount of nothing has a currency beside its value.
            guard tree.count(count) == 2, tree.member(count, "relation").exists else { return false }
            number = tree.member(count, "value")
        }
        return tree.kind(number) == .number && Number.double(tree[number].text) == 0
    }

    /// Whether a member only tells which page of a list this is: `"meta": {"page": 1, "total": 0}`, `"pageInfo": {…}`.
    private func isPaging(_ member: JSONRef) -> Bool {
        guard tree.isObject(member), tree.count(member) <= TraceAnalyzer.membersMax,
            TraceAnalyzer.isOneOf(
                tree[member].key, ["meta", "_meta", "pagination", "paging", "pageinfo", "page_info", "_shards"])
        else { return false }
        let isShards = tree[member].key == "_shards"
        var child = tree.first(member)
        while child.exists {
            let name = tree[child].key
            switch tree[child].kind {
            case .null, .yes, .no: break
            case .number where isShards: break
            default:
                let isZeroCount = TraceAnalyzer.isCount(name) && isZero(child)
                guard TraceAnalyzer.isNeutral(name) || isZeroCount else { return false }
            }
            child = tree.next(child)
        }
        return true
    }

    /// Whether what tells of a page says that nothing was found.
    private func hasZeroCount(_ member: JSONRef) -> Bool {
        guard tree.isObject(member), tree.count(member) <= TraceAnalyzer.membersMax else { return false }
        var child = tree.first(member)
        while child.exists {
            if TraceAnalyzer.isCount(tree[child].key), isZero(child) { return true }
            child = tree.next(child)
        }
        return false
    }

    private static func isCount(_ name: Text) -> Bool {
        for word: StaticString in [
            "count", "total", "total_count", "totalCount", "num_results", "total_results", "totalResults", "rows",
            "row_count", "rowCount", "rowcount", "num_rows", "numRows", "size", "length", "hits", "n", "matches",
            "numFound", "total_pages", "totalPages", "page_count", "pageCount",
        ] where name == word {
            return true
        }
        return false
    }

    private static func isNeutral(_ name: Text) -> Bool {
        for word: StaticString in [
            "status", "ok", "success", "message", "query", "q", "type", "took", "page", "per_page", "limit", "offset",
            "cursor", "next_cursor", "next", "has_more", "hasMore", "request_id", "error", "errors", "code", "detail",
            "status_code", "statusCode", "timed_out", "timedOut", "took_ms", "tookMs", "elapsed_ms", "elapsedMs",
            "duration_ms", "durationMs", "page_size", "pageSize", "perPage", "__typename",
        ] where name == word {
            return true
        }
        return false
    }

    /// Names of columns beside an empty list of rows are no data. Not asked of objects with very many members, since
    /// all of them may be named so.
    private func isHeading(_ member: JSONRef, of ref: JSONRef) -> Bool {
        guard tree.count(ref) <= TraceAnalyzer.membersMax else { return false }
        let name = tree[member].key
        guard TraceAnalyzer.isOneOf(name, ["columns", "column_names", "columnnames", "header", "headers"]) else {
            return false
        }
        for rows: StaticString in ["rows", "data", "values", "records", "results", "items"] {
            let list = tree.member(ref, rows)
            if tree.isArray(list), tree.count(list) == 0 { return true }
        }
        return false
    }

    // MARK: Text

    static func emptiness(of source: Text) -> Emptiness {
        let text = stripped(source)
        if text.isEmpty { return .null }
        for word: StaticString in ["null", "none", "nil", "undefined"] where text.count == Text(word).count {
            if text.beginsWith(word) { return .null }
        }
        if text == "[]" || text == "{}" || text == "()" || text == "set()" || text == "\"\"" { return .container }
        return text.count <= 240 && saysOnlyNothingFound(text) ? .phrase : .none
    }

    /// Without the quotes around it.
    private static func stripped(_ source: Text) -> Text {
        let text = source.trimmed
        guard text.count >= 2, Text.isQuote(text[0]), text[text.count - 1] == text[0] else { return text }
        return text[1..<text.count - 1].trimmed
    }

    // MARK: Good news

    /// Words for what nobody wants to find, in names of tools and members.
    private static let unwanted: [StaticString] = [
        "conflict", "error", "warning", "violation", "duplicate", "vulnerab", "overlap", "collision", "lint", "fraud",
        "threat", "malware", "anomal", "regression", "mismatch", "discrepanc", "sanction", "outage", "failure",
    ]
    /// Words that are kinds of records too: in a text they count unless the tool looks for such records.
    private static let ambiguous: [StaticString] = [
        "issue", "problem", "bug", "defect", "alert", "incident", "difference", "change", "blocker", "risk",
        "restriction", "interaction", "objection", "penalt",
    ]

    /// Words of tools that list what is wrong or has changed, and members for it: a list without any is good news.
    private static let checks: [StaticString] = [
        "validate", "validation", "verify", "verification", "alerts", "changes", "diff", "diffs",
    ]

    /// Whether nothing is what one hopes for: no conflicts, no errors.
    mutating func isGoodNews(_ call: ToolCall) -> Bool {
        if TraceAnalyzer.unwanted.contains(where: { call.name.holds($0) }) { return true }
        if isBare(call), TraceAnalyzer.checks.contains(where: { TraceAnalyzer.hasWord(call.name, $0) }) { return true }
        if tree.isObject(call.result) {
            return holdsOnlyUnwanted(call) || (call.emptiness == .phrase && saysGoodNews(call))
        }
        return TraceAnalyzer.isGoodNews(call.resultText, of: call.name)
    }

    /// `{"message": "No errors found."}`
    private mutating func saysGoodNews(_ call: ToolCall) -> Bool {
        var child = tree.first(call.result)
        while child.exists {
            if tree.isString(child), TraceAnalyzer.isGoodNews(tree.string(child), of: call.name) { return true }
            child = tree.next(child)
        }
        return false
    }

    /// How texts begin that say what there is not.
    private static let denials: [StaticString] = [
        "no ", "0 ", "zero ", "could not find", "couldn't find", "unable to find", "i could not find",
        "i couldn't find", "did not find", "found no ", "i found no ",
    ]

    /// Whether a text says that there is nothing of what nobody wants. "Could not find error log 7" is about a log.
    private static func isGoodNews(_ source: Text, of tool: Text) -> Bool {
        let text = stripped(source).capped(96)
        guard let denial = denials.first(where: { text.beginsWith($0) }) else { return false }
        let rest = text[denial.utf8CodeUnitCount..<text.count]
        var words = WordCursor(rest, joins: false)
        for _ in 0..<4 {
            guard let range = words.next() else { return false }
            let word = rest[range]
            let isUnwanted = unwanted.contains { word.beginsWith($0) }
            guard isUnwanted || ambiguous.contains(where: { word.beginsWith($0) }) else { continue }
            if let next = words.next(), isOneOf(rest[next], ["log", "logs", "page", "file", "code", "report"]) {
                return false
            }
            if isUnwanted { return true }
            return !ambiguous.contains { word.beginsWith($0) && tool.holds($0) }
        }
        return false
    }

    /// Whether a result is `{}` or `[]` itself.
    func isBare(_ call: ToolCall) -> Bool {
        guard call.emptiness == .container else { return false }
        return call.result.exists ? tree.count(call.result) == 0 : call.resultText.count == 2
    }

    /// `{"conflicts": [], "checked": …}`: all empty members are named after something unwanted.
    private mutating func holdsOnlyUnwanted(_ call: ToolCall) -> Bool {
        let ref = call.result
        var found = false
        var child = tree.first(ref)
        while child.exists {
            let name = tree[child].key
            let kind = tree[child].kind
            if kind == .array || kind == .object || kind == .null || (kind == .string && tree.string(child).isEmpty) {
                // `error: null` stands beside any result.
                if name == "error" || name == "errors" && tree.count(ref) > 1 {
                    child = tree.next(child)
                    continue
                }
                guard TraceAnalyzer.isUnwanted(name, of: call.name) else { return false }
                found = true
            }
            child = tree.next(child)
        }
        return found
    }

    /// Whether nobody wants to find what a member is named after. Records may be what the tool looks for.
    private static func isUnwanted(_ member: Text, of tool: Text) -> Bool {
        if unwanted.contains(where: { member.holds($0) }) { return true }
        if checks.contains(where: { isWord(member, $0) }) { return true }
        return ambiguous.contains { member.beginsWith($0) && !tool.holds($0) }
    }

    /// Whether a result says that something is still under way: asking again is waiting, not a loop. `surely` asks for
    /// words that say so whatever the tool does.
    mutating func saysWaiting(_ call: ToolCall, surely: Bool = false) -> Bool {
        let tool = surely ? Text.empty : call.name
        if tree.isObject(call.result) {
            for name: StaticString in ["status", "state", "phase", "progress", "job_status", "run_status"] {
                let value = tree.member(call.result, name)
                if tree.isString(value), TraceAnalyzer.isWaiting(tree.string(value), tool) { return true }
            }
            return false
        }
        return !call.result.exists && call.resultText.count <= 80 && TraceAnalyzer.isWaiting(call.resultText, tool)
    }

    /// What is under way whatever says so.
    private static let waits: [StaticString] = [
        "running", "pending", "queued", "in progress", "in_progress", "in-progress", "in queue", "in_queue", "in-queue",
        "processing", "not ready", "waiting", "starting", "building", "loading", "scheduled", "still ",
    ]
    /// The same of a tool that looks; one that acts begins it anew with each call.
    private static let waitsOfOthers: [StaticString] = [
        "creating", "provisioning", "deploying", "validating", "preparing", "initializing",
    ]

    /// `submitted` is where many things rest, but jobs do not.
    private static func isWaiting(_ text: Text, _ tool: Text) -> Bool {
        if waits.contains(where: { text.holds($0) }) { return true }
        let isSubmitted = text.holds("submitted") && isOfJobs(tool)
        return (isSubmitted || waitsOfOthers.contains { text.holds($0) }) && looks(tool)
    }

    // MARK: Soft errors

    /// What a result says about an error when its span is not failed; empty when it says nothing of one.
    mutating func softError(_ call: ToolCall) -> Text {
        if call.isMarkedError {
            let said = tree.isObject(call.result) ? errorMember(call.result) : call.resultText
            return said.isEmpty ? Text("error") : said
        }
        if tree.isObject(call.result) { return errorMember(call.result) }
        if call.result.exists { return .empty }
        let text = TraceAnalyzer.stripped(call.resultText)
        return TraceAnalyzer.beginsWithError(text) ? text : .empty
    }

    private mutating func errorMember(_ ref: JSONRef) -> Text {
        var child = tree.first(ref)
        var isFault = false
        var message = Text.empty
        while child.exists {
            let name = tree[child].key
            let kind = tree[child].kind
            if name == "error" || name == "exception" || name == "errorMessage" || name == "error_message" {
                let text = kind == .object ? tree.string(tree.member(child, "message")) : tree.string(child)
                let isSaid = kind == .yes || kind == .object || (kind == .string && !text.trimmed.isEmpty)
                if isSaid {
                    isFault = true
                    if kind != .yes { message = text.isEmpty ? tree[child].key : text }
                }
            } else if name == "isError" || name == "is_error" {
                if kind == .yes { isFault = true }
            } else if name == "success" || name == "ok" {
                if kind == .no { isFault = true }
            } else if name == "status" || name == "state" || name == "outcome" {
                if kind == .string, TraceAnalyzer.isErrorStatus(tree.string(child)) { isFault = true }
            } else if name == "status_code" || name == "statusCode" || name == "http_status" {
                if let code = Number.double(tree[child].text), code >= 400, code < 600 { isFault = true }
            }
            child = tree.next(child)
        }
        guard isFault else { return .empty }
        if message.isEmpty { message = tree.string(tree.member(ref, "message")) }
        if message.isEmpty { message = tree.string(tree.member(ref, "detail")) }
        return message.isEmpty ? Text("error") : message
    }

    private static func isErrorStatus(_ text: Text) -> Bool {
        for word: StaticString in ["error", "failed", "failure", "fail", "exception", "denied", "rejected_by_server"]
        where text.count == Text(word).count && text.beginsWith(word) {
            return true
        }
        return false
    }

    /// Whether a text opens as error messages do.
    static func beginsWithError(_ text: Text) -> Bool {
        for word: StaticString in ["error", "[error", "fatal", "exception", "failure"] where text.beginsWith(word) {
            let next = Text(word).count
            guard next < text.count else { return true }
            switch text[next] {
            case UInt8(ascii: ":"), UInt8(ascii: "]"), UInt8(ascii: "("), UInt8(ascii: "!"), UInt8(ascii: "\n"),
                UInt8(ascii: "."):
                return true
            case UInt8(ascii: " "): return text.count <= 500
            default: continue
            }
        }
        if text.beginsWith("traceback (most recent call last)") { return true }
        // `ValueError: …`, `requests.exceptions.HTTPError(…`
        if let range = firstWord(text), range < text.count,
            text[range] == UInt8(ascii: ":") || text[range] == UInt8(ascii: "(")
        {
            let word = text[0..<range]
            if word.count <= 80, word.hasSuffix(Text("Error")) || word.hasSuffix(Text("Exception")) { return true }
        }
        guard text.count <= 500 else { return false }
        for phrase: StaticString in [
            "failed to ", "failed:", "tool error", "tool execution failed", "an error occurred", "permission denied",
            "access denied", "unauthorized", "forbidden", "request timed out", "timed out", "timeout", "invalid ",
            "unknown tool", "bad request", "internal server error", "rate limit", "command failed", "http error",
            "connection refused", "execution error", "runtime error", "unexpected error", "error_", "validation error",
            "1 validation error", "2 validation errors", "3 validation errors", "argument error", "service unavailable",
            "i encountered an error", "encountered an error", "encountered error", "tool call failed",
            "i tried reusing the same input", "failed with ", "unable to execute", "unable to run",
        ] where text.beginsWith(phrase) {
            return true
        }
        return false
    }

    /// End of the text's first word, dots included.
    private static func firstWord(_ text: Text) -> Int? {
        var words = WordCursor(text.capped(96))
        guard let range = words.next(), range.lowerBound == 0 else { return nil }
        return range.upperBound
    }
}
