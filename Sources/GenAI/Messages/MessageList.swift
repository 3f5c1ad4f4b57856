package import Telemetry

/// A piece of text or JSON on its way from a source into a message, without a copy.
package struct Fragment: BitwiseCopyable {
    /// Which of the two others holds the content.
    package enum Form: UInt8, BitwiseCopyable, Sendable {
        case none
        /// Decoded text.
        case plain
        /// A value of the tree.
        case value
    }

    package var form: Form
    package var text: Text
    package var ref: JSONRef

    package static var none: Fragment { Fragment(form: .none, text: .empty, ref: .none) }
    package static func plain(_ text: Text) -> Fragment { Fragment(form: .plain, text: text, ref: .none) }
    package static func value(_ ref: JSONRef) -> Fragment {
        ref.exists ? Fragment(form: .value, text: .empty, ref: ref) : .none
    }

    package var exists: Bool { form != .none }
}

/// Kinds of message parts in the GenAI message schema; `generic` carries any other object.
package enum PartKind: UInt8, BitwiseCopyable, Sendable {
    case text, reasoning, toolCall, toolResponse, blob, uri, file, serverToolCall, serverToolResponse, compaction
    case refusal, generic
}

/// What a blob, uri or file part holds.
package enum Modality: UInt8, BitwiseCopyable, Sendable {
    case image, audio, video, document
}

/// One part of a message. Which fields count depends on the kind: `body` is the text, the arguments, the response, the
/// base64 content, the URI or the file id.
package struct MessagePart: BitwiseCopyable {
    package var kind: PartKind
    package var modality: Modality = .image
    package var id = Fragment.none
    package var name = Fragment.none
    package var body = Fragment.none
    package var mime = Fragment.none
    /// Object that the part was read from, and a second one that says more of it: what the schema has no member for
    /// is kept from them.
    var origin = JSONRef.none
    var outer = JSONRef.none

    package init(_ kind: PartKind, body: Fragment = .none) {
        self.kind = kind
        self.body = body
    }
}

/// Roles of the message schema, and whatever else a source says.
package enum Role: UInt8, BitwiseCopyable, Sendable {
    case system, user, assistant, tool, other
}

/// One message: a role and a run of parts.
package struct Message: BitwiseCopyable {
    package var role: Role
    /// The role's text when it is none of the schema's.
    package var otherRole = Text.empty
    package var name = Fragment.none
    package var finish = Fragment.none
    package var parts: IndexRange
    /// Object that the message was read from, and the one around it: see `MessagePart.origin`.
    var origin = JSONRef.none
    var outer = JSONRef.none
}

/// Messages of one attribute, in order. Parts of one message are neighbours.
package struct MessageList: ~Copyable {
    package var messages = Column<Message>()
    package var parts = Column<MessagePart>()

    package init() {}

    package mutating func removeAll() {
        messages.removeAll()
        parts.removeAll()
    }

    /// Whether any message has a part. A list without is weak: it yields to every other source.
    package var hasParts: Bool { parts.count > 0 }

    /// Ends a message whose parts were appended since `start`. A message that holds nothing but tool responses gets the
    /// role tool; a mixed one is split in order, and the last of them gets what stands once.
    package mutating func close(
        role: Role, otherRole: Text = .empty, name: Fragment = .none, finish: Fragment = .none, from start: Int,
        origin: JSONRef = .none
    ) {
        var begin = start
        var index = start
        while index < parts.count {
            let isResponse = parts[index].kind == .toolResponse
            if index > begin, isResponse != (parts[begin].kind == .toolResponse), role != .tool {
                add(role, otherRole, name, .none, begin, index)
                begin = index
            }
            index += 1
        }
        add(role, otherRole, name, finish, begin, parts.count)
        messages[messages.count - 1].origin = origin
    }

    /// Notes the object around what was read last, when that became one message since `before`.
    mutating func surround(by ref: JSONRef, since before: Int) {
        guard messages.count == before + 1, !messages[before].outer.exists else { return }
        if messages[before].origin.exists {
            messages[before].outer = ref
        } else {
            messages[before].origin = ref
        }
    }

    /// Notes the block that the last part was read from, when it is one since `before`.
    mutating func hold(_ ref: JSONRef, since before: Int) {
        guard parts.count > before else { return }
        let last = parts.count - 1
        if !parts[last].origin.exists {
            parts[last].origin = ref
        } else if !parts[last].origin.isSame(as: ref), !parts[last].outer.exists {
            parts[last].outer = ref
        }
    }

    private mutating func add(
        _ role: Role, _ otherRole: Text, _ name: Fragment, _ finish: Fragment, _ begin: Int, _ end: Int
    ) {
        let isTool = begin < end && parts[begin].kind == .toolResponse
        messages.append(
            Message(
                role: isTool ? .tool : role, otherRole: isTool ? .empty : otherRole, name: name, finish: finish,
                parts: IndexRange(start: begin, count: end - begin)))
    }
}
