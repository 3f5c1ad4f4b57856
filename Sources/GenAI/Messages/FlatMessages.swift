package import Telemetry

/// Collects indexed attributes (`<prefix>.<i>.message.tool_calls.<j>.…`) and builds messages of them, in index order
/// and independent of the attributes' order. Both spellings (OpenInference, OpenLLMetry) are read by one grammar.
package struct FlatMessages: ~Copyable {
    enum Field: UInt8, BitwiseCopyable {
        case role, name, content, reasoning, refusal, toolCallID, functionName, functionArguments, finish
        // Fields of an entry of `contents`.
        case partType, partText, partID, partSignature, partURL, partMime, partTranscript, partData, partCallID
        // Fields of an entry of `tool_calls`, and of a call inside `contents`.
        case callID, callName, callArguments
        case ignored

        /// Whether it is a part of the one call that a message may have beside its list.
        var isCall: Bool { self == .functionName || self == .functionArguments }

        /// Whether a part of a kind has the field beside its body.
        func isForm(of kind: PartKind) -> Bool {
            switch self {
            case .partType: true
            case .partMime: kind == .uri
            case .callID, .callName: kind == .toolCall
            default: false
            }
        }
    }

    struct Entry: BitwiseCopyable {
        /// Message index, then list (0 fields, 1 contents, 2 tool calls), then index in the list, then field.
        var order: UInt64
        var field: Field
        var modality: Modality
        var value: Fragment
        /// The attribute that it came from.
        var local: Int32
        /// Whether a message has it, and the document that its text holds.
        var isPlaced = false
        var inner = JSONRef.none
        var message: UInt32 { UInt32(truncatingIfNeeded: order >> 36) }
        var list: UInt8 { UInt8(truncatingIfNeeded: order >> 32) & 0xF }
        var item: UInt32 { UInt32(truncatingIfNeeded: order >> 8) & 0xFF_FFFF }
    }

    private var entries = Column<Entry>()

    package init() {}

    package var isEmpty: Bool { entries.count == 0 }

    package mutating func removeAll() { entries.removeAll() }

    /// How many attributes it has.
    var count: Int { entries.count }

    /// An attribute that a message has, with the document that was read of its text; nil when none has it.
    func placed(_ index: Int) -> (local: Int32, inner: JSONRef)? {
        entries[index].isPlaced ? (entries[index].local, entries[index].inner) : nil
    }

    /// Takes one attribute; `rest` is its key behind the prefix and its dot. False when the key does not fit the
    /// grammar or an index is above `maxIndex`: such an attribute stays where it is.
    package mutating func add(_ rest: Text, _ value: Fragment, of local: Int32 = -1, maxIndex: Int) -> Bool {
        var path = PathCursor(rest)
        guard let message = path.index(upTo: min(maxIndex, 0xFFF_FFFF)) else { return false }
        _ = path.skip("message")
        var order = UInt64(message) << 36
        var found: (field: Field, modality: Modality)?
        if path.skip("contents") {
            guard let item = path.index(upTo: min(maxIndex, 0xFF_FFFF)) else { return false }
            order |= 1 << 32 | UInt64(item) << 8
            found = FlatMessages.contentField(&path)
        } else if path.skip("tool_calls") {
            guard let item = path.index(upTo: min(maxIndex, 0xFF_FFFF)) else { return false }
            order |= 2 << 32 | UInt64(item) << 8
            found = FlatMessages.callField(&path).map { ($0, .image) }
        } else {
            found = FlatMessages.messageField(path.remaining).map { ($0, .image) }
        }
        guard let found else { return false }
        order |= UInt64(found.field.rawValue)
        entries.append(Entry(order: order, field: found.field, modality: found.modality, value: value, local: local))
        return true
    }

    private static func messageField(_ name: Text) -> Field? {
        if name == "role" { return .role }
        // Some write a prompt under the name of its role.
        if name == "content" || name == "user" { return .content }
        if name == "name" { return .name }
        if name == "tool_call_id" { return .toolCallID }
        if name == "finish_reason" { return .finish }
        if name == "reasoning" { return .reasoning }
        if name == "refusal" { return .refusal }
        if name == "function_call_name" || name == "function_call.name" { return .functionName }
        if name == "function_call_arguments_json" || name == "function_call.arguments" { return .functionArguments }
        return nil
    }

    private static func callField(_ path: inout PathCursor) -> Field? {
        _ = path.skip("tool_call")
        _ = path.skip("function")
        let name = path.remaining
        if name == "id" { return .callID }
        if name == "name" { return .callName }
        if name == "arguments" { return .callArguments }
        return name == "reasoning_signature" || name == "type" ? .ignored : nil
    }

    private static func contentField(_ path: inout PathCursor) -> (Field, Modality)? {
        if path.remaining.hasPrefix("tool_call.") { return callField(&path).map { ($0, .image) } }
        if path.remaining == "message.tool_call_id" { return (.partCallID, .image) }
        guard path.skip("message_content") else { return nil }
        let name = path.remaining
        if name == "type" { return (.partType, .image) }
        if name == "text" { return (.partText, .image) }
        if name == "id" { return (.partID, .image) }
        if name == "data" || name == "encrypted_content" { return (.partData, .image) }
        if name == "signature" { return (.partSignature, .image) }
        if name == "image.image.url" || name == "image" { return (.partURL, .image) }
        if name == "audio.audio.url" { return (.partURL, .audio) }
        if name == "video.video.url" { return (.partURL, .video) }
        if name == "audio.audio.mime_type" { return (.partMime, .audio) }
        if name == "audio.audio.transcript" { return (.partTranscript, .audio) }
        if name.hasPrefix("document.") { return (name.hasSuffix(Text("url")) ? .partURL : .ignored, .document) }
        return nil
    }

    /// Builds the messages into the reader's list.
    package mutating func build(_ reader: inout MessageReader, as defaultRole: Role) {
        reader.list.removeAll()
        reader.defaultRole = defaultRole
        sort()
        var start = 0
        while start < entries.count {
            var end = start + 1
            while end < entries.count, entries[end].message == entries[start].message { end += 1 }
            message(start..<end, &reader, defaultRole)
            start = end
        }
    }

    private mutating func sort() {
        var buffer = UnsafeMutableBufferPointer(start: entries.base, count: entries.count)
        buffer.sort { $0.order < $1.order }
    }

    private mutating func message(_ range: Range<Int>, _ reader: inout MessageReader, _ defaultRole: Role) {
        var fields = Fields()
        for index in range where entries[index].list == 0 { fields.take(entries[index]) }
        var role = defaultRole
        var word = Text.empty
        if fields.role.exists {
            word = reader.text(fields.role)
            if !word.isEmpty { role = reader.messageRole(word) ?? .other }
        }
        let start = reader.list.parts.count
        if fields.reasoning.exists {
            reader.list.parts.append(MessagePart(.reasoning, body: fields.reasoning))
        }
        var index = range.lowerBound
        while index < range.upperBound, entries[index].list == 0 { index += 1 }
        let hasContents = index < range.upperBound && entries[index].list == 1
        // Bedrock's agents write the model's calls under the role of the tool.
        let hasCalls = range.contains { entries[$0].list == 2 }
        if hasCalls, role == .tool { role = .assistant }
        if !hasCalls, role == .tool || fields.toolCallID.exists {
            var part = MessagePart(.toolResponse, body: fields.content)
            part.id = fields.toolCallID.exists ? fields.toolCallID : callID(index..<range.upperBound)
            if hasContents { part.body = firstText(index..<range.upperBound) }
            reader.list.parts.append(part)
            place(range) { $0 != .refusal && ($0 != .content || !hasContents) && !$0.isCall }
        } else {
            var inner = JSONRef.none
            if !hasContents, fields.content.exists { inner = reader.addContent(fields.content) }
            let hasFunction = fields.functionName.exists
            place(range, inner: inner) {
                $0 != .toolCallID && ($0 != .content || !hasContents) && (!$0.isCall || hasFunction)
            }
            if fields.refusal.exists { reader.list.parts.append(MessagePart(.refusal, body: fields.refusal)) }
            if fields.functionName.exists {
                var part = MessagePart(.toolCall, body: fields.functionArguments)
                part.name = fields.functionName
                reader.list.parts.append(part)
            }
            items(index..<range.upperBound, &reader, from: start)
        }
        reader.list.close(role: role, otherRole: word, name: fields.name, finish: fields.finish, from: start)
    }

    /// Notes which of a message's own fields it has; `inner` is the document in its content.
    private mutating func place(_ range: Range<Int>, inner: JSONRef = .none, _ isPlaced: (Field) -> Bool) {
        for index in range where entries[index].list == 0 && isPlaced(entries[index].field) {
            entries[index].isPlaced = true
            if entries[index].field == .content { entries[index].inner = inner }
        }
    }

    private mutating func callID(_ range: Range<Int>) -> Fragment { value(of: .partCallID, range) }

    private mutating func firstText(_ range: Range<Int>) -> Fragment { value(of: .partText, range) }

    private mutating func value(of field: Field, _ range: Range<Int>) -> Fragment {
        for index in range where entries[index].field == field {
            entries[index].isPlaced = true
            return entries[index].value
        }
        return .none
    }

    /// Entries of `contents` and `tool_calls`, which are sorted behind the message's own fields.
    private mutating func items(_ range: Range<Int>, _ reader: inout MessageReader, from first: Int) {
        var start = range.lowerBound
        while start < range.upperBound {
            var end = start + 1
            while end < range.upperBound, entries[end].list == entries[start].list,
                entries[end].item == entries[start].item
            {
                end += 1
            }
            item(start..<end, &reader, from: first)
            start = end
        }
    }

    /// `first` is the message's first part: a call that stands in `contents` and in `tool_calls` is one call.
    private mutating func item(_ range: Range<Int>, _ reader: inout MessageReader, from first: Int) {
        var part = MessagePart(.text)
        var isCall = false
        var hasBody = false
        var body = -1
        for index in range {
            let entry = entries[index]
            switch entry.field {
            case .callID:
                part.id = entry.value
                isCall = true
            case .callName:
                part.name = entry.value
                isCall = true
            case .callArguments:
                part.body = entry.value
                body = index
                isCall = true
            case .partText, .partTranscript, .partData:
                if !hasBody {
                    part.body = entry.value
                    body = index
                }
                hasBody = true
            case .partURL:
                part.body = entry.value
                body = index
                part.kind = .uri
                part.modality = entry.modality
                hasBody = true
            case .partMime: part.mime = entry.value
            case .partType: if reader.text(entry.value) == "reasoning" { part.kind = .reasoning }
            default: continue
            }
        }
        if isCall {
            part.kind = .toolCall
            if reader.hasCall(part.id, from: first) { return }
        } else if !hasBody || part.kind == .text && reader.text(part.body).isEmpty {
            return
        }
        for index in range where index == body || entries[index].field.isForm(of: part.kind) {
            entries[index].isPlaced = true
        }
        if part.kind == .uri { return reader.addURL(part) }
        reader.list.parts.append(part)
    }

    /// Fields of one message.
    private struct Fields {
        var role = Fragment.none
        var name = Fragment.none
        var content = Fragment.none
        var reasoning = Fragment.none
        var refusal = Fragment.none
        var toolCallID = Fragment.none
        var functionName = Fragment.none
        var functionArguments = Fragment.none
        var finish = Fragment.none

        mutating func take(_ entry: Entry) {
            switch entry.field {
            case .role: role = entry.value
            case .name: name = entry.value
            case .content: content = entry.value
            case .reasoning: reasoning = entry.value
            case .refusal: refusal = entry.value
            case .toolCallID: toolCallID = entry.value
            case .functionName: functionName = entry.value
            case .functionArguments: functionArguments = entry.value
            case .finish: finish = entry.value
            default: return
            }
        }
    }
}

extension MessageReader {
    /// Whether a call of that id is among the parts since `first`.
    mutating func hasCall(_ id: Fragment, from first: Int) -> Bool {
        guard id.exists else { return false }
        let wanted = text(id)
        for index in first..<min(list.parts.count, first + MessageReader.twinsMax)
        where list.parts[index].kind == .toolCall {
            if text(list.parts[index].id) == wanted { return !wanted.isEmpty }
        }
        return false
    }

    /// The text of a fragment.
    mutating func text(_ fragment: Fragment) -> Text {
        switch fragment.form {
        case .none: .empty
        case .plain: fragment.text
        case .value: tree.string(fragment.ref)
        }
    }

    /// Content that may be a JSON list of blocks in a string.
    /// Gives that list.
    mutating func addContent(_ fragment: Fragment) -> JSONRef {
        let text = text(fragment)
        if fragment.form == .value, !tree.isString(fragment.ref) {
            content(fragment.ref, 1)
            return fragment.ref
        }
        if text.isEmpty { return .none }
        let inner = text.hasPrefix("[{") || text.hasPrefix("{\"") ? tree.parseContainer(text) : .none
        if inner.exists, isBlockList(inner) {
            content(inner, 1)
            return inner
        }
        list.parts.append(MessagePart(.text, body: fragment))
        return .none
    }

    private mutating func isBlockList(_ ref: JSONRef) -> Bool {
        let block = tree.isArray(ref) ? tree.first(ref) : ref
        guard tree.isObject(block) else { return false }
        let type = tree.member(block, "type")
        if type.exists { return tree.isString(type) && BlockType(tree.string(type)) != .unknown }
        // Bedrock's blocks are named by their only member.
        return tree.isArray(ref) && tree.count(block) == 1 && wrappedBlock(block) != nil
    }

    /// A part whose body is an address.
    mutating func addURL(_ part: MessagePart) {
        let address = text(part.body)
        guard address.hasPrefix("data:"), let comma = address.firstIndex(of: UInt8(ascii: ",")) else {
            return list.parts.append(part)
        }
        var blob = part
        blob.kind = .blob
        blob.body = .plain(address[comma + 1..<address.count])
        let mime = address[5..<comma]
        let end = mime.firstIndex(of: UInt8(ascii: ";")) ?? mime.count
        if end > 0, !blob.mime.exists { blob.mime = .plain(mime[0..<end]) }
        list.parts.append(blob)
    }
}

/// A place in a dotted key.
struct PathCursor {
    private(set) var remaining: Text

    init(_ text: Text) { remaining = text }

    /// Takes a decimal index and its dot. Nil when there is none or it is above `maximum`.
    mutating func index(upTo maximum: Int) -> Int? {
        let end = remaining.firstIndex(of: UInt8(ascii: ".")) ?? remaining.count
        guard end > 0, remaining[0] >= 0x30, let value = Number.integer(remaining[0..<end]), value <= maximum else {
            return nil
        }
        remaining = remaining[min(end + 1, remaining.count)..<remaining.count]
        return Int(value)
    }

    /// Takes a whole segment and its dot.
    mutating func skip(_ segment: StaticString) -> Bool {
        let text = Text(segment)
        guard remaining.count > text.count, remaining.hasPrefix(text), remaining[text.count] == UInt8(ascii: ".") else {
            return false
        }
        remaining = remaining[text.count + 1..<remaining.count]
        return true
    }
}
