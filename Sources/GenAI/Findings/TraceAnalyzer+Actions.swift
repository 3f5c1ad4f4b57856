import Telemetry

/// What a tool's name says about what it does.
extension TraceAnalyzer {
    /// Verbs that are hardly ever anything else.
    private static let actions: [StaticString] = [
        "send", "delete", "remove", "write", "save", "cancel", "submit", "add", "insert", "append", "upsert", "publish",
        "emit", "edit", "create", "think", "navigate", "goto", "register", "approve", "assign", "revoke", "enable",
        "disable", "rename", "upload", "escalate", "confirm", "apply", "unlock", "put", "clear",
    ]
    /// Verbs that are nouns or say how something is as well.
    private static let ambiguous: [StaticString] = [
        "set", "update", "close", "click", "type", "scroll", "press", "sleep", "wait", "log", "notify", "post", "reset",
        "move", "mark", "store", "exit", "finish", "transfer", "process", "schedule", "book", "archive", "grant",
        "start", "stop", "pause", "resume", "trigger", "sync", "refresh", "lock", "email", "record", "commit", "push",
        "open", "focus", "hover", "select", "drag", "issue", "refund", "pay", "charge", "request", "make", "initiate",
        "execute", "run", "perform", "purchase", "buy", "reserve", "dispatch", "deploy", "install", "invite", "ship",
        "replace", "modify", "patch", "reply", "forward", "reject", "deny", "release", "restart", "activate",
        "deactivate", "subscribe", "unsubscribe", "withdraw", "deposit", "merge",
    ]
    private static let readers: [StaticString] = [
        "get", "list", "search", "find", "fetch", "read", "lookup", "look", "check", "query", "show", "count",
        "describe", "retrieve", "load", "view", "calculate", "compute", "validate", "verify", "is", "has", "can",
    ]
    /// Of these, nouns as well: `todo_list_add`.
    private static let readNouns: [StaticString] = [
        "list", "search", "look", "check", "query", "show", "count", "view", "load", "can",
    ]

    /// Whether a tool's name says that it changes something, so that it may well answer nothing. Behind a first word
    /// that reads, as in `get_schedule`, all is what is read, up to an `and` or `or`.
    static func isAction(_ name: Text) -> Bool {
        var (isFirst, isRead, isNoun) = (true, false, false)
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            let word = name[range]
            if isOneOf(word, ["and", "or", "then"]) {
                (isRead, isNoun) = (false, false)
            } else if isRead {
                continue
            } else if isOneOf(word, actions) || (!isNoun && isOneOf(word, ambiguous)) {
                return true
            } else if isOneOf(word, readers) {
                if isFirst || !isOneOf(word, readNouns) { isRead = true } else { isNoun = true }
            }
            isFirst = false
        }
        return false
    }

    /// Verbs of tools that may well bring something back: `run_query`.
    private static let fetches: [StaticString] = [
        "run", "execute", "perform", "request", "make", "select", "open", "process", "store", "trigger", "start",
    ]
    /// Nouns, where they begin a name: `log_entries`.
    private static let records: [StaticString] = [
        "log", "record", "email", "post", "book", "schedule", "archive", "issue", "charge", "type",
    ]

    /// Whether a tool's name says that it changes something and brings nothing back.
    static func isMereAction(_ name: Text) -> Bool {
        guard isAction(name) else { return false }
        var words = WordCursor(name, joins: false)
        var isFirst = true
        while let range = words.next() {
            let word = name[range]
            if isOneOf(word, readers) || isOneOf(word, fetches) { return false }
            if isFirst, isOneOf(word, records) { return false }
            isFirst = false
        }
        return true
    }

    /// Words of tools that only look something up.
    private static let lookUps: [StaticString] = [
        "get", "list", "search", "find", "fetch", "read", "lookup", "look", "check", "query", "show", "count",
        "describe", "retrieve", "load", "view", "verify", "validate", "resolve",
    ]

    /// Whether a tool's name says that it looks something up and does nothing else.
    static func isLookUp(_ name: Text) -> Bool {
        !isAction(name) && parts(of: name).contains { isOneOf($0, lookUps) }
    }

    /// The words of a name, those in camel case too: `getBookings`, `get_bookings`.
    static func parts(of name: Text) -> [Text] {
        var parts: [Text] = []
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            var start = range.lowerBound
            for index in range where index > start && isUpper(name[index]) && !isUpper(name[index - 1]) {
                parts.append(name[start..<index])
                start = index
            }
            parts.append(name[start..<range.upperBound])
        }
        return parts
    }

    private static func isUpper(_ byte: UInt8) -> Bool { byte >= 0x41 && byte <= 0x5A }

    /// Last words of names that say nothing of what the tool is about.
    private static let fillers: [StaticString] = ["tool", "api", "function", "name", "all", "id", "data", "info"]

    /// The words of a name up to what it is about: without what stands behind a `by` or `for`, and without `_tool`.
    private static func partsToNoun(of name: Text) -> ArraySlice<Text> {
        let all = parts(of: name)
        var left = all.prefix { !isOneOf($0, ["by", "for"]) }
        while let last = left.last, isOneOf(last, fillers) { left.removeLast() }
        return left
    }

    /// What a tool is about: `bookings` of `get_bookings_by_user`. Nil where its name has only a verb.
    static func noun(of name: Text) -> Text? {
        let parts = partsToNoun(of: name)
        guard let last = parts.last else { return nil }
        return parts.count == 1 && (isOneOf(last, removals) || isOneOf(last, lookUps)) ? nil : last
    }

    // MARK: Removals and memories

    private static let removals: [StaticString] = [
        "delete", "remove", "cancel", "archive", "unsubscribe", "empty", "clear", "purge", "close", "trash", "prune",
        "wipe", "erase", "dismiss", "revoke", "drop",
    ]

    /// Whether a tool's name says that less is there behind it. `archive_search` looks something up.
    static func isRemoval(_ name: Text) -> Bool {
        let parts = partsToNoun(of: name)
        if let first = parts.first, isOneOf(first, readers) { return false }
        if let last = parts.last, isOneOf(last, ["search", "lookup", "query"]) { return false }
        return parts.contains { isOneOf($0, removals) }
    }

    /// What is removed without anything else being less.
    private static let ownThings: [StaticString] = [
        "cache", "browser", "tab", "page", "window", "session", "connection", "dialog", "popup", "modal",
    ]

    /// Whether what a removal is about is a thing of the agent's own: `close_browser`, `clear_cache`.
    static func isOwnThing(_ noun: Text?) -> Bool {
        guard let noun else { return false }
        return isOneOf(noun, ownThings)
    }

    /// Whether two words are the same noun, whatever its number: `booking`, `bookings`.
    static func isSameNoun(_ one: Text, _ other: Text) -> Bool {
        let (short, long) = one.count < other.count ? (one, other) : (other, one)
        guard short.count >= 3 else { return false }
        let ending = long[short.count..<long.count]
        if long.place(of: short) == 0 { return ending.isEmpty || isOneOf(ending, ["s", "es"]) }
        // `entry`, `entries`
        let stem = short[0..<short.count - 1]
        return isWord(short[stem.count..<short.count], "y") && long.place(of: stem) == 0
            && isWord(long[stem.count..<long.count], "ies")
    }

    /// Verbs of tools that look up what is remembered, and whose it is.
    private static let recalls: [StaticString] = [
        "load", "get", "recall", "search", "read", "fetch", "retrieve", "query", "lookup", "find", "list", "user",
        "all", "term",
    ]

    /// Whether a tool's name says that it looks up what an agent keeps of its user, which of a new one is nothing. What
    /// a shop keeps, as `get_order_history`, is not meant, nor are `search_memory_modules`.
    static func isRecall(_ name: Text) -> Bool {
        let parts = partsToNoun(of: name)
        guard parts.count >= 2, let last = parts.last, let before = parts.dropLast().last else { return false }
        if isOneOf(last, ["memory", "memories", "preference", "preferences"]) { return isOneOf(before, recalls) }
        if isWord(last, "profile") { return isWord(before, "user") }
        return isWord(last, "history")
            && isOneOf(before, ["chat", "conversation", "session", "message", "messages", "thread", "dialog"])
    }

    // MARK: Objects

    /// Verbs that are the thing itself in names such as `send_email`.
    private static let things: [StaticString] = [
        "email", "record", "post", "update", "reply", "request", "transfer", "refund", "charge", "issue", "schedule",
        "purchase", "release", "deposit",
    ]
    /// Of these, what other actions do by the way.
    private static let byTheWay: [StaticString] = ["email", "record", "post", "update", "reply", "request"]

    /// The last word of a tool's name when it has a verb and one noun: `process_refund`, `send_email`.
    static func object(of name: Text) -> Text? {
        var words = WordCursor(name, joins: false)
        var parts: [Text] = []
        while let range = words.next() { parts.append(name[range]) }
        guard parts.count == 2, let noun = parts.last, noun.count >= 4 else { return nil }
        return isAction(parts[0]) && (isOneOf(noun, things) || !isAction(noun)) ? noun : nil
    }

    /// Whether any action may have done the thing too: messages are sent and records are written by many.
    static func isDoneByTheWay(_ noun: Text) -> Bool { isOneOf(noun, byTheWay) }

    /// Whether a word is one of a list, ASCII case ignored.
    static func isOneOf(_ word: Text, _ list: [StaticString]) -> Bool {
        list.contains { isWord(word, $0) }
    }

    static func isWord(_ word: Text, _ wanted: StaticString) -> Bool {
        word.count == wanted.utf8CodeUnitCount && word.beginsWith(wanted)
    }
}
