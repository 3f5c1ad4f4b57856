import Telemetry

/// What a tool's name says about what it does.
extension TraceAnalyzer {
    /// Verbs wherever they stand.
    private static let actions: [StaticString] = [
        "set", "send", "delete", "remove", "update", "write", "save", "close", "cancel", "click", "type", "scroll",
        "press", "sleep", "wait", "log", "notify", "post", "put", "add", "insert", "append", "clear", "reset", "move",
        "submit", "mark", "store", "upsert", "publish", "emit", "edit", "create", "think", "exit", "finish", "transfer",
        "navigate", "goto", "process", "schedule", "book", "register", "approve", "archive", "assign", "grant",
        "revoke", "enable", "disable", "start", "stop", "pause", "resume", "trigger", "sync", "refresh", "lock",
        "unlock", "rename", "upload", "email", "record", "escalate", "confirm", "apply", "commit", "push", "open",
        "focus", "hover", "select", "drag",
    ]
    /// Verbs that are nouns as well: not behind a word of `readers`, as in `get_charge`.
    private static let ambiguous: [StaticString] = [
        "issue", "refund", "pay", "charge", "request", "make", "initiate", "execute", "run", "perform", "purchase",
        "buy", "reserve", "dispatch", "deploy", "install", "invite", "ship", "replace", "modify", "patch", "reply",
        "forward", "reject", "deny", "release", "restart", "activate", "deactivate", "subscribe", "unsubscribe",
        "withdraw", "deposit", "merge",
    ]
    private static let readers: [StaticString] = [
        "get", "list", "search", "find", "fetch", "read", "lookup", "look", "check", "query", "show", "count",
        "describe", "retrieve", "load", "view", "calculate", "compute", "validate", "verify", "is", "has", "can",
    ]

    /// Whether a tool's name says that it changes something, so that it may well answer nothing.
    static func isAction(_ name: Text) -> Bool {
        var isRead = false
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            let word = name[range]
            if isOneOf(word, actions) { return true }
            if isRead { continue }
            if isOneOf(word, ambiguous) { return true }
            isRead = isOneOf(word, readers)
        }
        return false
    }

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
        list.contains { word.count == $0.utf8CodeUnitCount && word.beginsWith($0) }
    }
}
