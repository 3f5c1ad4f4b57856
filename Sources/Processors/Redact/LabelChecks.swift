import Telemetry

/// What the name before a value says about it.
enum SecretLabel {
    /// `password`, `secret` and the like: nearly any value counts.
    case password
    /// `token`, `api_key` and the like: values that look random count.
    case token
    /// `Cookie` and `Set-Cookie`: the whole header value counts.
    case cookie
    /// `JSESSIONID` and its kin.
    case session
    /// The signature of a shared access URL of Azure.
    case signature
    /// `AccountKey` and `SharedAccessKey` of an Azure connection string.
    case azureKey
    /// `secret_access_key` of Amazon.
    case amazonSecret
    /// `Authorization`: the whole value, whatever its scheme.
    case authorization

    /// The label of a name that ends right before `end`, nil when it is none.
    static func find(_ bytes: ByteCursor, endingAt end: Int) -> SecretLabel? {
        func ends(_ word: StaticString) -> Bool { bytes.hasFolded(word, at: end &- word.utf8CodeUnitCount) }
        switch ByteClass.lowered(bytes[end &- 1]) {
        case 0x64:
            if ends("password") || ends("passwd") { return .password }
            if ends("pwd") { return !ByteClass.isLetter(bytes[end &- 4]) ? .password : nil }
            return ends("jsessionid") || ends("phpsessid") || ends("sessionid") ? .session : nil
        case 0x65:
            if ends("passphrase") { return .password }
            return ends("cookie") && !ByteClass.isLetter(bytes[end &- 7]) ? .cookie : nil
        case 0x74: return ends("secret") ? .password : nil
        case 0x6E:
            if ends("authorization") { return .authorization }
            return ends("token") && !pagesThrough(bytes, end &- 5) ? .token : nil
        case 0x79: return ends("key") ? key(bytes, end &- 3) : nil
        case 0x67:
            let before = bytes[end &- 4]
            return ends("sig") && (before == 0x3F || before == 0x26) ? .signature : nil
        default: return nil
        }
    }

    /// What kind of `…key` a name is; a key of a map or a table is none.
    private static func key(_ bytes: ByteCursor, _ start: Int) -> SecretLabel? {
        let end = ByteClass.isWord(bytes[start &- 1]) && bytes[start &- 1] != 0x5F ? start : start &- 1
        func ends(_ word: StaticString) -> Bool { bytes.hasFolded(word, at: end &- word.utf8CodeUnitCount) }
        switch ByteClass.lowered(bytes[end &- 1]) {
        case 0x73:
            if ends("secretaccess") || ends("secret_access") || ends("secret-access") { return .amazonSecret }
            return ends("sharedaccess") ? .azureKey : ends("access") ? .token : nil
        case 0x74: return ends("account") ? .azureKey : ends("secret") || ends("client") ? .token : nil
        case 0x69: return ends("api") ? .token : nil
        case 0x65: return ends("private") || ends("service") ? .token : nil
        case 0x68: return ends("auth") ? .token : nil
        case 0x6E: return ends("encryption") || ends("subscription") ? .token : nil
        case 0x67: return ends("signing") ? .token : nil
        case 0x72: return ends("master") ? .token : nil
        default: return nil
        }
    }

    /// Tokens of pagination and of tokenizers are no credentials.
    private static func pagesThrough(_ bytes: ByteCursor, _ start: Int) -> Bool {
        let end = bytes[start &- 1] == 0x5F || bytes[start &- 1] == 0x2D ? start &- 1 : start
        func ends(_ word: StaticString) -> Bool { bytes.hasFolded(word, at: end &- word.utf8CodeUnitCount) }
        return ends("page") || ends("next") || ends("continuation") || ends("max") || ends("cursor")
    }

    /// The detector under whose name a find is counted.
    var detector: Detector {
        switch self {
        case .password, .token: .password
        case .cookie, .session: .cookie
        case .signature, .azureKey: .azureKey
        case .amazonSecret: .awsKey
        case .authorization: .bearerToken
        }
    }

    // MARK: Values

    /// How a value was written.
    struct Style {
        var isQuoted = false
        /// Behind a colon rather than an equals sign.
        var isColon = false
        /// The name itself was in quotes, as in JSON.
        var isMember = false
    }

    /// Whether a value is what the label promises.
    func accepts(_ bytes: ByteCursor, _ facts: ValueFacts, _ style: Style) -> Bool {
        guard facts.count > 0, !SecretLabel.isPlaceholder(bytes, facts.start, facts.end) else { return false }
        switch self {
        case .password: return acceptsPassword(facts, style)
        case .token:
            return facts.count >= 10 && facts.hasDigit && facts.hasLetter && !facts.hasSpace && !facts.isURL
        case .cookie: return facts.count >= 6 && facts.hasEquals
        case .session: return facts.count >= 8 && facts.hasDigit && !style.isColon
        case .signature: return facts.count >= 20 && !style.isColon
        case .azureKey: return facts.count >= 40 && !facts.hasSpace
        case .amazonSecret: return false
        case .authorization:
            // Bearer and Basic have detectors of their own, which leave the scheme in place.
            let start = facts.start
            if bytes.hasFolded("bearer ", at: start) || bytes.hasFolded("basic ", at: start) { return false }
            return style.isMember && facts.count >= 8 && facts.hasDigit
        }
    }

    private func acceptsPassword(_ facts: ValueFacts, _ style: Style) -> Bool {
        guard facts.count >= 4 else { return false }
        let isOnlyWords = !facts.hasDigit && !facts.hasSign
        if style.isQuoted || style.isMember { return !(facts.hasSpace && isOnlyWords) }
        if facts.isCall { return false }
        // Prose and code: `password: required`, `password=user.password`.
        if style.isColon { return !isOnlyWords }
        return !(isOnlyWords && facts.hasJoint)
    }

    private static let placeholders: [StaticString] = [
        "null", "none", "true", "false", "undefined", "nil", "string", "required", "optional", "redacted", "hidden",
        "secret", "password", "token",
    ]

    /// Words and templates that stand for a value.
    static func isPlaceholder(_ bytes: ByteCursor, _ start: Int, _ end: Int) -> Bool {
        switch bytes[start] {
        case 0x2A, 0x3C, 0x24, 0x7B, 0x5B, 0x28: return true
        case 0x25: return bytes[start &+ 1] == 0x73 || bytes[start &+ 1] == 0x28
        default: break
        }
        for word in placeholders where end &- start == word.utf8CodeUnitCount && bytes.hasFolded(word, at: start) {
            return true
        }
        return bytes.hasFolded("your", at: start) || bytes.hasFolded("xxx", at: start)
    }
}

/// What a value is made of. Of each kind of byte the last place is kept, so that the facts of a value are known for
/// every value that begins inside it and ends with it.
struct ValueFacts {
    private(set) var start = 0
    private(set) var end = 0
    private var lastDigit = -1
    private var lastLetter = -1
    private var lastSign = -1
    private var lastSpace = -1
    private var lastEquals = -1
    private var lastJoint = -1
    private var lastURL = -1
    private var lastBracket = -1
    /// The value begins with a slash.
    private var isPath = false
    /// A bracket follows.
    private var isBeforeBracket = false

    /// Of nothing.
    init() {}

    init(_ bytes: ByteCursor, _ start: Int, _ end: Int) {
        self.start = start
        self.end = end
        isPath = bytes[start] == 0x2F
        isBeforeBracket = bytes[end] == 0x28 || bytes[end] == 0x5B
        for index in start..<end {
            let byte = bytes[index]
            if ByteClass.isDigit(byte) {
                lastDigit = index
            } else if ByteClass.isLetter(byte) || byte >= 0x80 {
                lastLetter = index
            } else if ByteClass.isSpace(byte) {
                lastSpace = index
            } else if byte == 0x2E || byte == 0x5F {
                lastJoint = index
            } else if byte != 0x2D, byte != 0x27, byte != 0x2C {
                lastSign = index
                if byte == 0x3D { lastEquals = index }
                if byte == 0x3A, bytes[index &+ 1] == 0x2F, bytes[index &+ 2] == 0x2F { lastURL = index }
                if byte == 0x28 || byte == 0x5B { lastBracket = index }
            }
        }
    }

    /// The facts of the value that begins at `start` and ends with this one; nil when none begins inside it there.
    func suffix(_ bytes: ByteCursor, from start: Int) -> ValueFacts? {
        guard start >= self.start, start < end else { return nil }
        var facts = self
        facts.start = start
        facts.isPath = bytes[start] == 0x2F
        return facts
    }

    var count: Int { end &- start }
    var hasDigit: Bool { lastDigit >= start }
    var hasLetter: Bool { lastLetter >= start }
    /// Punctuation that words do not have.
    var hasSign: Bool { lastSign >= start }
    var hasSpace: Bool { lastSpace >= start }
    var hasEquals: Bool { lastEquals >= start }
    /// A dot or underscore, as in names of a program.
    var hasJoint: Bool { lastJoint >= start }
    var isURL: Bool { isPath || lastURL >= start }
    /// A bracket is there or follows, as behind the name of a function.
    var isCall: Bool { isBeforeBracket || lastBracket >= start }
}

extension DetectorScan {
    /// The value behind a name such as `password`; `index` is that of the triple that ends the name.
    @inline(never)
    func labelled(
        _ bytes: ByteCursor, _ index: Int, _ first: Int, _ memory: inout ScanMemory, _ matches: inout Column<Match>
    ) -> Int? {
        let end = bytes[index &+ 1] == 0x20 ? index &+ 1 : index &+ 2
        guard let label = SecretLabel.find(bytes, endingAt: end),
            detectors.has(DetectorSet(label.detector))
        else { return nil }
        if label == .amazonSecret {
            return record(secret(bytes, end, min(bytes.count, end &+ 64)), first, &matches)
        }
        guard var value = LabelledValue(bytes, behind: end, toEndOfLine: label == .cookie, &memory) else { return nil }
        var start: Int?
        while true {
            // Nobody knows where values end that were read that often: the rest is withheld.
            if memory.quotedBytes < 0 {
                return record(Match(value.start, bytes.count, label.detector.tag), first, &matches)
            }
            if label.accepts(bytes, value.facts, value.style) {
                DetectorScan.merge(Match(value.start, value.end, label.detector.tag), first, &matches)
                start = start ?? value.start
            }
            guard value.isInList, value.advance(bytes, &memory) else { break }
        }
        // What stands inside may have a better name, so the search goes on there; a cookie goes whole.
        return label == .cookie ? value.end : start
    }

    /// What a name says about a value that is kept apart from it: an attribute or a member of a map.
    func label(of key: Text, for value: Text) -> Detector? {
        guard detectors.has([.password, .cookie, .azureKey, .awsKey, .bearerToken]), key.count > 2 else { return nil }
        guard let label = SecretLabel.find(ByteCursor(key), endingAt: key.count),
            detectors.has(DetectorSet(label.detector))
        else { return nil }
        if label == .amazonSecret { return secret(ByteCursor(value), 0, value.count) == nil ? nil : .awsKey }
        let style = SecretLabel.Style(isQuoted: true, isColon: false, isMember: true)
        let bytes = ByteCursor(value)
        return label.accepts(bytes, ValueFacts(bytes, 0, value.count), style) ? label.detector : nil
    }
}

/// A value behind a name: `name=value`, `name: value`, `"name": "value"`, with quotes escaped as often as need be, or
/// the elements of a list of quoted values.
private struct LabelledValue {
    private(set) var facts = ValueFacts()
    private(set) var style = SecretLabel.Style()
    private(set) var isInList = false
    /// Backslashes before each quote.
    private var slashes = 0
    private var quote: UInt8 = 0

    /// A header's value without quotes goes to the end of its line.
    private let goesToEndOfLine: Bool

    var start: Int { facts.start }
    var end: Int { facts.end }

    init?(_ bytes: ByteCursor, behind name: Int, toEndOfLine: Bool, _ memory: inout ScanMemory) {
        goesToEndOfLine = toEndOfLine
        var index = LabelledValue.skipSlashes(bytes, name)
        if LabelledValue.isQuote(bytes[index]) {
            style.isMember = true
            index &+= 1
        } else {
            index = name
        }
        index = LabelledValue.skipSpaces(bytes, index)
        guard bytes[index] == 0x3D || bytes[index] == 0x3A else { return nil }
        style.isColon = bytes[index] == 0x3A
        index &+= 1
        // `=>` assigns, `==` compares.
        if bytes[index] == 0x3D { return nil }
        if bytes[index] == 0x3E { index &+= 1 }
        index = LabelledValue.skipSpaces(bytes, index)
        if bytes[index] == 0x5B {
            let element = LabelledValue.skipSpaces(bytes, index &+ 1)
            guard LabelledValue.isQuote(bytes[LabelledValue.skipSlashes(bytes, element)]) else { return nil }
            isInList = true
            index = element
        }
        take(bytes, index, &memory)
    }

    /// Goes on to the next element of a list.
    mutating func advance(_ bytes: ByteCursor, _ memory: inout ScanMemory) -> Bool {
        var index = end &+ slashes &+ 1
        index = LabelledValue.skipSpaces(bytes, index)
        guard bytes[index] == 0x2C else { return false }
        index = LabelledValue.skipSpaces(bytes, index &+ 1)
        guard LabelledValue.isQuote(bytes[LabelledValue.skipSlashes(bytes, index)]) else { return false }
        take(bytes, index, &memory)
        return end > start
    }

    private mutating func take(_ bytes: ByteCursor, _ index: Int, _ memory: inout ScanMemory) {
        let opening = LabelledValue.skipSlashes(bytes, index)
        if LabelledValue.isQuote(bytes[opening]) {
            style.isQuoted = true
            slashes = opening &- index
            quote = bytes[opening]
            facts = ValueFacts(bytes, opening &+ 1, endOfQuoted(bytes, opening &+ 1))
            memory.quotedBytes &-= facts.count &+ slashes &+ 1
        } else if let known = (goesToEndOfLine ? memory.line : memory.word).suffix(bytes, from: index) {
            facts = known
        } else {
            var end = index
            while end < bytes.count, !endsBareValue(bytes, end) { end &+= 1 }
            facts = ValueFacts(bytes, index, end)
            if goesToEndOfLine { memory.line = facts } else { memory.word = facts }
        }
    }

    private func endOfQuoted(_ bytes: ByteCursor, _ start: Int) -> Int {
        var end = start
        while end < bytes.count {
            let next = LabelledValue.skipSlashes(bytes, end)
            if (bytes[next] == quote && next &- end <= slashes) || bytes[next] == 0x0A { return end }
            end = min(next &+ 1, bytes.count)
        }
        return end
    }

    private static func isQuote(_ byte: UInt8) -> Bool { byte == 0x22 || byte == 0x27 }

    private static func skipSlashes(_ bytes: ByteCursor, _ from: Int) -> Int {
        var index = from
        while bytes[index] == 0x5C { index &+= 1 }
        return index
    }

    private static func skipSpaces(_ bytes: ByteCursor, _ from: Int) -> Int {
        var index = from
        while bytes[index] == 0x20 || bytes[index] == 0x09, index &- from < 8 { index &+= 1 }
        return index
    }

    private func endsBareValue(_ bytes: ByteCursor, _ index: Int) -> Bool {
        let next = bytes[index &+ 1]
        switch bytes[index] {
        case 0x00...0x08, 0x0A...0x1F, 0x22, 0x27: return true
        case 0x09, 0x20, 0x26, 0x28, 0x29, 0x2C, 0x3B, 0x3C, 0x3E, 0x5B, 0x5D, 0x60, 0x7C, 0x7D:
            return !goesToEndOfLine
        case 0x5C: return ByteClass.isEscapeLetter(next) || LabelledValue.isQuote(next) || next == 0x5C
        default: return false
        }
    }
}
