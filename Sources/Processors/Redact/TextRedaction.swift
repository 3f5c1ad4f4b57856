import Patterns
import Telemetry

/// Finds what must be masked in one text, and writes the text anew.
///
/// A text may be JSON, and its strings may be JSON again. Finds are made on decoded text and carried back to byte
/// ranges of the text itself, so that only those ranges change: everything else keeps its bytes and JSON stays JSON.
struct TextRedaction: Sendable {
    let detectors: DetectorScan
    let blockedValues: BlockedValueScan
    let allowedValues: [CompiledPattern]
    let mask: Mask
    /// Whether base64 is looked into.
    var decodesBase64 = false
    /// Members of JSON texts that go by their name.
    var members = MemberRules.none

    /// A part of the value being redacted, decoded as often as `depth` says.
    struct View {
        var text: Text
        /// 0 for bytes of the value itself, else 1 + index of the level that holds the decoded bytes.
        var map: Int
        /// Offset of `text` in the value or level.
        var base: Int
        /// How many strings this text is inside.
        var depth: Int
    }

    /// Masks `text`. When something was found the new text is appended to `state.output` and the result is true.
    func redact(_ text: Text, _ state: inout RedactionState) -> Bool {
        guard text.count > 0 else { return false }
        guard text.count <= Int(UInt32.max) else {
            state.output.append("[REDACTED:TOO_DEEP]")
            state.counts[Int(MatchTag.tooDeep.rawValue)] += 1
            return true
        }
        let mark = state.hits.count
        state.decodable = TextLimits.decodings * text.count + TextLimits.decodedBytesLeast
        let view = View(text: text, map: 0, base: 0, depth: 0)
        if !members.blocked.isEmpty {
            maskMembers(view, &state)
            state.decodable = TextLimits.decodings * text.count + TextLimits.decodedBytesLeast
        }
        collect(view, &state)
        if state.hits.count > mark, TextRedaction.namesIdentifier(state.key) { dropChance(text, mark, &state) }
        guard state.hits.count > mark else { return false }
        settle(&state.hits, from: mark)
        write(text, mark, &state)
        state.hits.truncate(to: mark)
        return true
    }

    private static let identifiers: [StaticString] = [
        "id", "call_id", "tool_call_id", "tool_use_id", "response_id", "message_id", "request_id", "run_id",
        "thread_id", "trace_id", "span_id", "parent_id", "item_id", "index", "created", "created_at", "timestamp",
        "session.id", "gen_ai.response.id", "gen_ai.conversation.id", "gen_ai.tool.call.id", "gen_ai.agent.id",
    ]

    /// Whether a key is one of those under which agents and protocols keep their own identifiers.
    static func namesIdentifier(_ key: Text) -> Bool {
        guard key.count >= 2, key.count <= 24 else { return false }
        for name in identifiers where key == name { return true }
        return false
    }

    /// An identifier of digits is a card number by chance only.
    private func dropChance(_ text: Text, _ mark: Int, _ state: inout RedactionState) {
        var kept = mark
        for index in mark..<state.hits.count {
            let hit = state.hits[index]
            if hit.tag == Detector.creditCard.tag, isOnlyDigits(text[Int(hit.start)..<Int(hit.end)]) { continue }
            state.hits[kept] = hit
            kept += 1
        }
        state.hits.truncate(to: kept)
    }

    private func isOnlyDigits(_ text: Text) -> Bool {
        ByteCursor(text).endOfDigits(0) == text.count
    }

    /// Whether an `allowed_values` pattern lets the whole text pass.
    func isAllowed(_ text: Text, _ state: borrowing RedactionState) -> Bool {
        for pattern in allowedValues where pattern.matches(text, state.matcher, otherwise: false) { return true }
        return false
    }

    // MARK: Collecting

    private func collect(_ view: View, _ state: inout RedactionState) {
        let first = state.raw.count
        let place = state.places.count
        scan(view.text, &state)
        if decodesBase64 { scanBase64(view.text, from: first, &state) }
        look(view, state.raw.count > first ? first : nil, Shown(place..<state.places.count), &state)
        state.raw.truncate(to: first)
        state.places.truncate(to: place)
    }

    /// Where resolving the escapes of a view can show something.
    private struct Shown {
        /// Places of `state.places` that are still ahead.
        var places: Range<Int>
        /// Anywhere: an escape may stand for part of a find, or a pattern has no places.
        var isAnywhere = false

        init(_ places: Range<Int>) { self.places = places }

        /// Whether it is in bytes of the view; asked in order.
        mutating func isIn(_ start: Int, _ end: Int, _ state: borrowing RedactionState) -> Bool {
            if isAnywhere { return true }
            while !places.isEmpty, Int(state.places[places.lowerBound]) < start {
                places = places.lowerBound + 1..<places.upperBound
            }
            return !places.isEmpty && Int(state.places[places.lowerBound]) < end
        }
    }

    /// Carries the finds of a view, those from `first` on, into the value, and looks into its escaped parts.
    private func look(_ view: View, _ first: Int?, _ shown: Shown, _ state: inout RedactionState) {
        let escapes = EscapeKind(view.text)
        let isHidden = escapes == .hiding || (escapes == .plain && blockedValues.mustDecode)
        let needsDecoding = isHidden || (escapes == .plain && !shown.places.isEmpty)
        var shown = shown
        shown.isAnywhere = isHidden || !detectors.detectors.isEmpty
        // The Collector's patterns alone see what the Collector shows them.
        let markup = detectors.detectors.isEmpty ? Markup.none : Markup(view.text)
        guard first != nil || needsDecoding || markup.isThere else { return }
        let finds = (first ?? state.raw.count)..<state.raw.count
        if JSONTokens.looksLike(view.text) {
            let mark = state.hits.count
            let open = state.containers.count
            let isJSON = walk(view, finds, hasMarkup: markup.isThere, shown, &state)
            state.containers.truncate(to: open)
            if isJSON { return }
            state.hits.truncate(to: mark)
        }
        if needsDecoding { decode(view, 0, view.text.count, nil, &state) }
        if markup.isThere { decode(view, 0, view.text.count, markup, &state) }
        for index in finds {
            let find = state.raw[index]
            if markup.isThere, markup.spoils(find, in: view.text) { continue }
            add(view, Int(find.start), Int(find.end), find.tag, &state)
        }
    }

    /// Detectors and patterns over plain text.
    private func scan(_ text: Text, _ state: inout RedactionState) {
        let first = state.raw.count
        detectors.scan(text, into: &state.raw)
        guard !blockedValues.isEmpty else { return }
        let detected = state.raw.count
        blockedValues.scan(text, &state)
        if state.raw.count > detected { settle(&state.raw, from: first) }
    }

    /// Makes finds of the base64 tokens whose text holds some.
    private func scanBase64(_ text: Text, from first: Int, _ state: inout RedactionState) {
        let found = state.raw.count
        let places = state.places.count
        var tokens = Base64Tokens(text)
        while let token = tokens.next(decoding: &state.base64) {
            let mark = state.raw.count
            scan(state.base64.text, &state)
            // They are of the decoded text.
            state.places.truncate(to: places)
            guard state.raw.count > mark else { continue }
            let tag = state.raw[mark].tag
            state.raw.truncate(to: mark)
            state.raw.append(Match(token.lowerBound, token.upperBound, tag))
        }
        if state.raw.count > found { settle(&state.raw, from: first) }
    }

    /// Adds a find of a view, in coordinates of the value.
    func add(
        _ view: View, _ start: Int, _ end: Int, _ tag: MatchTag, quotes: UInt8 = 0, _ state: inout RedactionState
    ) {
        guard end > start else { return }
        let from = origin(view, start, state)
        let to = origin(view, end, state)
        state.hits.append(Match(from, to, tag, quotes: quotes))
    }

    func origin(_ view: View, _ offset: Int, _ state: borrowing RedactionState) -> Int {
        if view.map == 0 { return view.base &+ offset }
        return Int(state.levels[view.map &- 1].origins[view.base &+ offset])
    }

    /// Looks into `start..<end` of a view with its escapes resolved: those of `markup`, or those of JSON.
    private func decode(
        _ view: View, _ start: Int, _ end: Int, _ markup: Markup?, _ state: inout RedactionState
    ) {
        let isNear = view.map < TextLimits.depth && view.depth < TextLimits.depth
        guard isNear, end - start <= min(TextLimits.decodedBytes, state.decodable) else {
            add(view, start, end, .tooDeep, &state)
            return
        }
        state.decodable -= end - start
        let level = state.levels[view.map]
        level.decode(view, start..<end, outer: view.map == 0 ? nil : state.levels[view.map &- 1], markup)
        // Nothing to resolve: the view itself has been scanned already. A form may differ in its spaces only.
        guard level.bytes.count < end - start || markup?.isForm == true else { return }
        collect(View(text: level.bytes.text, map: view.map + 1, base: 0, depth: view.depth + 1), &state)
    }

    // MARK: JSON

    /// Goes through the tokens of a JSON text; false when it is not JSON, and then nothing counts.
    private func walk(
        _ view: View, _ finds: Range<Int>, hasMarkup: Bool, _ shown: Shown, _ state: inout RedactionState
    ) -> Bool {
        var shown = shown
        var reader = JSONTokens(view.text, base: state.containers.count)
        var next = finds.lowerBound
        var key = Text.empty
        var pending: (find: Int, start: Int, end: Int)?
        while true {
            guard let token = reader.next(&state.containers) else { return false }
            if token.kind == .end { break }
            while next < finds.upperBound, Int(state.raw[next].end) <= token.start { next += 1 }
            if let key = pending, token.kind != .key {
                // A find that began in the key and ends before the value is the key's own.
                if Int(state.raw[key.find].end) <= token.start {
                    add(view, key.start, key.end, state.raw[key.find].tag, &state)
                    state.hits[state.hits.count - 1].isKey = true
                }
                pending = nil
            }
            if token.kind == .key { key = view.text[token.start..<token.end] }
            switch token.kind {
            case .key, .string:
                let mark = state.hits.count
                let isShown = token.hasEscape && shown.isIn(token.start, token.end, state)
                string(view, token, isShown, key, next..<finds.upperBound, hasMarkup, &pending, &state)
                if token.kind == .key {
                    for index in mark..<state.hits.count { state.hits[index].isKey = true }
                }
            case .scalar:
                if next < finds.upperBound, Int(state.raw[next].start) < token.end,
                    !isChance(state.raw[next], view, key)
                {
                    let quotes = UInt8(truncatingIfNeeded: view.depth + 1)
                    add(view, token.start, token.end, state.raw[next].tag, quotes: quotes, &state)
                }
            case .open, .close, .end: break
            }
        }
        return true
    }

    /// Whether a find under this key is an identifier that looks like a card number.
    private func isChance(_ find: Match, _ view: View, _ key: Text) -> Bool {
        find.tag == Detector.creditCard.tag && TextRedaction.namesIdentifier(key)
            && isOnlyDigits(view.text[Int(find.start)..<Int(find.end)])
    }

    /// Handles one string of a JSON text; `token` spans its content without the quotes, `key` is the member's. With
    /// `isShown` resolving its escapes can show something.
    private func string(
        _ view: View, _ token: JSONTokens.Token, _ isShown: Bool, _ key: Text, _ finds: Range<Int>, _ hasMarkup: Bool,
        _ pending: inout (find: Int, start: Int, end: Int)?, _ state: inout RedactionState
    ) {
        let content = view.text[token.start..<token.end]
        var last = finds.lowerBound
        while last < finds.upperBound, Int(state.raw[last].start) < token.end { last += 1 }
        let touching = finds.lowerBound..<last
        let markup = hasMarkup ? Markup(content) : nil
        let isMarkedUp = markup?.isThere == true
        guard isShown || !touching.isEmpty || isMarkedUp else { return }
        if token.kind == .string, !allowedValues.isEmpty, isAllowed(content, state) { return }
        let mark = state.hits.count
        if token.hasEscape {
            decode(view, token.start, token.end, nil, &state)
        } else if view.depth < TextLimits.depth, JSONTokens.looksLike(content) {
            collect(
                View(text: content, map: view.map, base: view.base + token.start, depth: view.depth + 1), &state)
        } else if let markup, isMarkedUp {
            decode(view, token.start, token.end, markup, &state)
        }
        for index in touching {
            let find = state.raw[index]
            let isInside = Int(find.start) >= token.start - 1 && Int(find.end) <= token.end + 1
            if token.kind == .key, !isInside {
                if Int(find.start) >= token.start - 1 { pending = (index, token.start, token.end) }
                continue
            }
            if isExplained(view, find, mark, &state) { continue }
            if token.kind == .string, isChance(find, view, key) { continue }
            if let markup, isMarkedUp, markup.spoils(find, in: view.text) { continue }
            // Cutting at the find's ends could split an escape, so a string with escapes goes whole.
            let start = token.hasEscape ? token.start : max(Int(find.start), token.start)
            let end = token.hasEscape ? token.end : min(Int(find.end), token.end)
            add(view, start, end, find.tag, &state)
        }
    }

    /// Whether a find in the undecoded text is among those made in the decoded string.
    private func isExplained(_ view: View, _ find: Match, _ mark: Int, _ state: inout RedactionState) -> Bool {
        let start = UInt32(truncatingIfNeeded: origin(view, Int(find.start), state))
        let end = UInt32(truncatingIfNeeded: origin(view, min(Int(find.end), view.text.count), state))
        // A string with very many finds is masked whole rather than compared find by find.
        guard state.hits.count - mark <= 1_000 else { return false }
        for index in mark..<state.hits.count where state.hits[index].start < end && state.hits[index].end > start {
            return true
        }
        return false
    }

    // MARK: Writing

    /// Sorts the finds from `first` on and merges those that overlap.
    private func settle(_ finds: inout Column<Match>, from first: Int) {
        var run = UnsafeMutableBufferPointer(start: finds.base + first, count: finds.count - first)
        var isSorted = true
        for index in run.indices.dropFirst() where run[index].start < run[index - 1].end { isSorted = false }
        if isSorted { return }
        run.sort { $0.start != $1.start ? $0.start < $1.start : $0.end > $1.end }
        var kept = 0
        for index in run.indices.dropFirst() {
            if run[index].start < run[kept].end {
                run[kept].quotes = quotes(run[kept], run[index])
                run[kept].end = max(run[kept].end, run[index].end)
            } else {
                kept += 1
                run[kept] = run[index]
            }
        }
        finds.truncate(to: first + kept + 1)
    }

    /// Those around the mask for two finds that overlap, the first of which begins no later and is no shorter when both
    /// begin together.
    private func quotes(_ first: Match, _ second: Match) -> UInt8 {
        if second.end > first.end { return max(first.quotes, second.quotes) }
        guard second.start == first.start, second.end == first.end else { return first.quotes }
        // Found in the text and in its strings, it is as deep as where it was seen first.
        let isTwice = first.quotes > 0 && second.quotes > 0
        return isTwice ? min(first.quotes, second.quotes) : max(first.quotes, second.quotes)
    }

    private func write(_ text: Text, _ first: Int, _ state: inout RedactionState) {
        var done = 0
        var keys = 0
        for index in first..<state.hits.count {
            let hit = state.hits[index]
            let start = Int(hit.start)
            let end = min(Int(hit.end), text.count)
            guard start >= done, end > start else { continue }
            state.output.append(text[done..<start])
            quote(hit.quotes, &state.output)
            mask.append(hit.tag, text[start..<end], to: &state.output)
            if hit.isKey { mask.number(&keys, &state.output) }
            quote(hit.quotes, &state.output)
            state.counts[Int(hit.tag.rawValue)] += 1
            done = end
        }
        state.output.append(text[done..<text.count])
    }

    /// A quote that is escaped for the strings around it: each level doubles the backslashes and adds one.
    private func quote(_ quotes: UInt8, _ output: inout ByteColumn) {
        guard quotes > 0 else { return }
        for _ in 0..<(1 << min(Int(quotes) - 1, 10)) - 1 { output.append(0x5C as UInt8) }
        output.append(0x22 as UInt8)
    }
}
