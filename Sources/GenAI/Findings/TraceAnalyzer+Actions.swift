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

    // MARK: Removals and memories

    private static let removals: [StaticString] = [
        "delete", "remove", "cancel", "archive", "unsubscribe", "empty", "clear", "purge", "close", "trash", "prune",
        "wipe", "erase", "dismiss", "resolve", "revoke", "drop",
    ]

    /// Whether a tool's name says that less is there behind it.
    static func isRemoval(_ name: Text) -> Bool {
        var isFirst = true
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            if isFirst, isOneOf(name[range], readers) { return false }
            if isOneOf(name[range], removals) { return true }
            isFirst = false
        }
        return false
    }

    /// Whether two names end with the same word, whatever its number: `cancel_booking`, `get_bookings`.
    static func haveSameNoun(_ left: Text, _ right: Text) -> Bool {
        guard let one = lastWord(of: left), let other = lastWord(of: right) else { return false }
        let (short, long) = one.count < other.count ? (one, other) : (other, one)
        return short.count >= 3 && long.count - short.count <= 2 && long.place(of: short) == 0
    }

    private static func lastWord(of name: Text) -> Text? {
        var words = WordCursor(name, joins: false)
        var last: Text?
        while let range = words.next() { last = name[range] }
        return last
    }

    /// Whether a tool's name says that it looks up what an agent keeps of its user, which of a new one is nothing. What
    /// a shop keeps, as `get_order_history`, is not meant.
    static func isRecall(_ name: Text) -> Bool {
        var before = Text.empty
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            let word = name[range]
            if isOneOf(word, ["memory", "memories", "preference", "preferences"]) { return true }
            if isWord(word, "profile"), isWord(before, "user") { return true }
            if isWord(word, "history"),
                isOneOf(before, ["chat", "conversation", "session", "message", "messages", "thread", "dialog"])
            {
                return true
            }
            before = word
        }
        return false
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
