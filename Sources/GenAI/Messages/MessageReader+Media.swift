import Telemetry

extension MessageReader {
    /// Blocks without a type, named by their only interesting member: Bedrock, Gemini, Haystack, Genkit.
    func wrappedBlock(_ ref: JSONRef) -> BlockType? {
        var child = tree.first(ref)
        while child.exists {
            if let type = MessageReader.wrapped(tree[child].key), tree.kind(child) != .null { return type }
            child = tree.next(child)
        }
        return nil
    }

    private static func wrapped(_ key: Text) -> BlockType? {
        switch key.count {
        case 4: return key == "text" ? .text : nil
        case 5: return key == "image" || key == "media" ? .image : nil
        case 7: return key == "toolUse" ? .toolCall : nil
        case 8: return key == "document" ? .document : key == "fileData" ? .binary : nil
        case 9: return key == "tool_call" ? .toolCall : key == "file_data" ? .binary : nil
        case 10:
            return key == "toolResult" ? .toolResponse : key == "inlineData" ? .binary : nil
        case 11: return key == "toolRequest" ? .toolCall : key == "inline_data" ? .binary : nil
        case 12:
            return key == "functionCall" ? .toolCall : key == "toolResponse" ? .toolResponse : nil
        case 13: return key == "function_call" ? .toolCall : nil
        case 16:
            return key == "tool_call_result" || key == "functionResponse"
                ? .toolResponse : key == "reasoningContent" ? .reasoning : nil
        case 17: return key == "function_response" ? .toolResponse : nil
        default: return nil
        }
    }

    /// Reads such a block. False when it is none.
    mutating func wrapped(_ ref: JSONRef, _ depth: Int) -> Bool {
        var found = false
        let isThought = tree.kind(tree.member(ref, "thought")) == .yes
        if isThought { tree.use(ref, "thought") }
        var child = tree.first(ref)
        while child.exists {
            if let type = MessageReader.wrapped(tree[child].key), tree.kind(child) != .null {
                found = true
                addWrapped(child, type, isThought: isThought)
            }
            child = tree.next(child)
        }
        return found
    }

    private mutating func addWrapped(_ ref: JSONRef, _ type: BlockType, isThought: Bool) {
        switch type {
        case .text: list.parts.append(MessagePart(isThought ? .reasoning : .text, body: .value(plainText(ref))))
        case .reasoning:
            let inner = tree.member(ref, "reasoningText")
            addReasoning(inner.exists ? inner : ref)
        case .toolCall: addCall(ref)
        case .toolResponse: addResponse(ref)
        case .image: addMedia(ref, .image)
        case .document: addMedia(ref, .document)
        default: addMedia(ref, modality(of: ref))
        }
    }

    /// The modality that a part names, or that its mime type tells.
    mutating func modality(of ref: JSONRef) -> Modality {
        let named = tree.member(ref, "modality")
        let mime = tree.isString(named) ? named : mimeType(ref)
        guard tree.isString(mime) else { return .document }
        let text = tree[mime].text
        // Written again from what it says, so it is no member that is left.
        if text == "image" || text == "audio" || text == "video" || text == "document" { tree.use(named) }
        if text.hasPrefix("image") { return .image }
        if text.hasPrefix("audio") { return .audio }
        if text.hasPrefix("video") { return .video }
        return .document
    }

    private func mimeType(_ ref: JSONRef) -> JSONRef {
        let one = either(ref, "mime_type", "media_type")
        return one.exists ? one : either(ref, "mimeType", "mediaType")
    }

    /// An image, audio, video or document block: inline bytes, an address, or a provider's file id.
    mutating func addMedia(_ ref: JSONRef, _ modality: Modality) {
        var holder = ref
        for name: StaticString in ["source", "image_url", "input_audio", "file", "inline_data", "file_data"] {
            let inner = tree.member(ref, name)
            if tree.isObject(inner) {
                holder = inner
                break
            }
            if tree.isString(inner), name.utf8CodeUnitCount == 9 { return addURL(inner, ref, modality) }
        }
        let fileID = tree.member(holder, "file_id")
        if tree.isString(fileID) {
            return addPart(.file, fileID, holder, modality)
        }
        for name: StaticString in ["url", "uri", "file_uri", "fileUri"] {
            let url = tree.member(holder, name)
            if tree.isString(url) { return addURL(url, holder, modality) }
        }
        for name: StaticString in ["data", "bytes", "content", "file_data", "image"] {
            let data = tree.member(holder, name)
            if tree.isString(data) {
                return tree[data].text.hasPrefix("http") || tree[data].text.hasPrefix("data:")
                    ? addURL(data, holder, modality) : addPart(.blob, data, holder, modality)
            }
        }
        list.parts.append(MessagePart(.generic, body: .value(ref)))
    }

    private mutating func addPart(_ kind: PartKind, _ body: JSONRef, _ holder: JSONRef, _ modality: Modality) {
        var part = MessagePart(kind, body: .value(body))
        part.modality = modality
        part.mime = .value(mimeType(holder))
        list.parts.append(part)
    }

    /// A `data:` URL is a blob in disguise.
    mutating func addURL(_ url: JSONRef, _ holder: JSONRef, _ modality: Modality) {
        let text = tree.string(url)
        guard text.hasPrefix("data:"), let comma = text.firstIndex(of: UInt8(ascii: ",")) else {
            return addPart(.uri, url, holder, modality)
        }
        var part = MessagePart(.blob, body: .plain(text[comma + 1..<text.count]))
        tree.use(url)
        part.modality = modality
        let mime = text[5..<comma]
        let end = mime.firstIndex(of: UInt8(ascii: ";")) ?? mime.count
        if end > 0 { part.mime = .plain(mime[0..<end]) }
        list.parts.append(part)
    }
}
