import Patterns
import Telemetry

/// Which members of JSON texts are masked by their name, as attributes and members of maps are.
struct MemberRules: Sendable {
    enum Verdict: UInt8 {
        case searched, masked, ignored
    }

    let blocked: [CompiledPattern]
    let ignored: [CompiledPattern]
    let ignoredNames: Set<String>

    static let none = MemberRules(blocked: [], ignored: [], ignoredNames: [])

    /// What becomes of a member's value. What a pattern could not decide is masked.
    func verdict(_ name: Text, _ state: inout RedactionState) -> Verdict {
        guard let short = ShortName(name) else { return decide(name, state) }
        if let known = state.memberVerdicts[short] { return known }
        let verdict = decide(name, state)
        if state.memberVerdicts.count >= RedactionState.memberVerdictsMax { state.memberVerdicts.removeAll() }
        state.memberVerdicts[short] = verdict
        return verdict
    }

    private func decide(_ name: Text, _ state: borrowing RedactionState) -> Verdict {
        if !ignoredNames.isEmpty, ignoredNames.contains(name.string) { return .ignored }
        for pattern in ignored where pattern.matches(name, state.matcher, otherwise: false) { return .ignored }
        for pattern in blocked where pattern.matches(name, state.matcher, otherwise: true) { return .masked }
        return .searched
    }
}

/// A member's name of at most 24 bytes: nearly all names are, and most come again and again.
struct ShortName: Hashable {
    private var words: SIMD4<UInt64>

    init?(_ name: Text) {
        guard name.count <= 24 else { return nil }
        words = SIMD4(0, 0, 0, UInt64(name.count))
        for index in 0..<name.count { words[index >> 3] |= UInt64(name[index]) << UInt64(8 * (index & 7)) }
    }
}

/// `blocked_key_patterns` in texts that are JSON.
///
/// The values of blocked members become hits like any other, so that everything around them keeps its bytes. Strings
/// are looked into again when they may be JSON themselves, to the depth and size to which other texts are decoded;
/// what is beyond is withheld. Of a text that was cut the members before the cut count; behind a fault of the syntax
/// every name in quotes with a colon counts, and a value is all that may belong to it. In other text JSON begins where
/// a brace stands before a quote.
extension TextRedaction {
    /// The value of a member that is masked or left alone as a whole.
    private struct Held {
        var verdict: MemberRules.Verdict
        /// Behind the colon, then where the container begins that is the value.
        var start: Int
        /// Containers that are open around the member.
        var depth: Int
        var isOpen = false
    }

    /// Where a document goes on that turns out to be no JSON.
    private struct Rest {
        /// Behind the last token, but where a string begins: it may be the name of a member, in an array that lacks its
        /// end, and the quote at its end that of the next name, where it lacks its own.
        var start: Int
        /// Where the value begins that was masked last, when nothing came behind it: it may go on.
        var masked: Int?
        /// Whether other text stands around the document, which stays behind a value that is no JSON.
        var isEmbedded: Bool
    }

    /// Adds a hit for the value of each blocked member.
    func maskMembers(_ view: View, _ state: inout RedactionState) {
        let open = state.containers.count
        let first = JSONTokens.documentStart(view.text)
        var start = first ?? JSONTokens.embeddedStart(view.text)
        // Lines of JSON are documents one behind the other.
        while let place = start {
            let next = members(view, from: place, isEmbedded: first == nil, &state)
            state.containers.truncate(to: open)
            guard let end = next else { return }
            start = JSONTokens.documentStart(view.text, from: end)
            // A string in front of what is no document may be the name of a member.
            if start == nil { searchMembers(view, from: view.text[place] == 0x22 ? place : end, &state) }
        }
    }

    /// Goes through one document. Where it ends, when something may stand behind it; nil when there is nothing to read.
    private func members(
        _ view: View, from start: Int, isEmbedded: Bool, _ state: inout RedactionState
    ) -> Int? {
        let base = state.containers.count
        var reader = JSONTokens(view.text, base: base, from: start, showsEnds: true)
        var held: Held?
        var rest = Rest(start: start, isEmbedded: isEmbedded)
        while let token = reader.next(&state.containers) {
            if token.kind == .end { return nil }
            rest.start = token.kind == .string && held == nil ? token.start - 1 : reader.index
            rest.masked = nil
            guard let value = held else {
                held = look(view, token, reader.index, &state)
                continue
            }
            if token.kind == .open, !value.isOpen {
                held?.start = token.start
                held?.isOpen = true
                continue
            }
            // What is inside a container that is held goes or stays with it.
            if value.isOpen, token.kind != .close || state.containers.count > value.depth { continue }
            if value.verdict == .masked {
                mask(view, value, token, &state)
                rest.masked = value.start
            }
            held = nil
        }
        let isAfterDocument = state.containers.count == base && reader.index > start
        if !isAfterDocument || held != nil { lookAtRest(view, rest, held, base, &state) }
        return isAfterDocument ? reader.index : nil
    }

    /// What is left of a document that does not go on as JSON: as a rule an SDK cut it, or a model wrote it.
    private func lookAtRest(
        _ view: View, _ rest: Rest, _ held: Held?, _ base: Int, _ state: inout RedactionState
    ) {
        let end = view.text.count
        if state.containers.count - base >= TextLimits.containers {
            add(view, held?.start ?? rest.start, end, .tooDeep, &state)
        } else if let held, held.verdict == .masked, LooseValue.isMissing(view.text, from: held.start) {
            searchMembers(view, from: held.start, &state)
        } else if let held, held.verdict == .masked, rest.isEmbedded {
            searchMembers(view, from: maskValue(view, from: held.start, &state), &state)
        } else if let held, held.verdict == .masked {
            add(view, held.start, end, .blockedKey, quotes: quotes(view), &state)
        } else if let masked = rest.masked {
            searchMembers(view, from: maskValue(view, from: masked, &state), &state)
        } else {
            let start = held.map { LooseValue(view.text, from: $0.start).end } ?? rest.start
            searchMembers(view, from: start, &state)
        }
    }

    /// Takes in a token outside of held values. The member that is held from here on, if its name says so.
    private func look(
        _ view: View, _ token: JSONTokens.Token, _ next: Int, _ state: inout RedactionState
    ) -> Held? {
        if token.kind == .string { lookInside(view, token, &state) }
        guard token.kind == .key else { return nil }
        let verdict = verdict(view, token, &state)
        return verdict == .searched ? nil : Held(verdict: verdict, start: next, depth: state.containers.count)
    }

    func verdict(
        _ view: View, _ token: JSONTokens.Token, _ state: inout RedactionState
    ) -> MemberRules.Verdict {
        let name = view.text[token.start..<token.end]
        guard token.hasEscape else { return members.verdict(name, &state) }
        var plain = ByteColumn(capacity: name.count)
        let bytes = ByteCursor(name)
        var index = 0
        while index < name.count { index = LooseName.decode(bytes, index, name.count, &plain) }
        return members.verdict(plain.text, &state)
    }

    private func mask(
        _ view: View, _ held: Held, _ token: JSONTokens.Token, _ state: inout RedactionState
    ) {
        switch token.kind {
        // Quotes stay around a string; an empty one says nothing.
        case .string: add(view, token.start, token.end, .blockedKey, &state)
        case .close: add(view, held.start, token.end, .blockedKey, quotes: quotes(view), &state)
        default: add(view, token.start, token.end, .blockedKey, quotes: quotes(view), &state)
        }
    }

    /// For a value that had no quotes: those that its mask needs.
    func quotes(_ view: View) -> UInt8 { UInt8(truncatingIfNeeded: view.depth + 1) }

    /// A string may be a document again, or hold one. One with names in double quotes has escapes.
    private func lookInside(_ view: View, _ token: JSONTokens.Token, _ state: inout RedactionState) {
        let content = view.text[token.start..<token.end]
        // Its first sign may be an escape that stands for one that begins a document.
        let isDocument = token.hasEscape && JSONTokens.documentStart(content, orEscape: true) != nil
        guard isDocument || JSONTokens.embeddedStart(content) != nil else { return }
        if !token.hasEscape, view.depth < TextLimits.depth {
            let base = view.base + token.start
            return maskMembers(View(text: content, map: view.map, base: base, depth: view.depth + 1), &state)
        }
        guard let inner = decoded(view, token.start..<token.end, &state) else { return }
        maskMembers(inner, &state)
    }

    /// A part of a view with its escapes resolved; nil when it is beyond what is looked into, and withheld.
    func decoded(_ view: View, _ range: Range<Int>, _ state: inout RedactionState) -> View? {
        let isNear = view.map < TextLimits.depth && view.depth < TextLimits.depth
        guard isNear, range.count <= min(TextLimits.decodedBytes, state.decodable) else {
            add(view, range.lowerBound, range.upperBound, .tooDeep, &state)
            return nil
        }
        state.decodable -= range.count
        let level = state.levels[view.map]
        level.decode(view, range, outer: view.map == 0 ? nil : state.levels[view.map &- 1], nil)
        return View(text: level.bytes.text, map: view.map + 1, base: 0, depth: view.depth + 1)
    }
}
