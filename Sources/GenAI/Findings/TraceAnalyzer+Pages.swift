import Telemetry

/// What tells the end of a list from a call that found nothing.
extension TraceAnalyzer {
    private static let pages: [StaticString] = [
        "page", "page_number", "pageNumber", "page_no", "offset", "cursor", "page_token", "pageToken", "next_token",
        "nextToken", "next_cursor", "nextCursor", "continuation_token", "starting_after", "start_index", "startIndex",
        "page_index", "pageIndex",
    ]
    /// These say where a page begins when they are figures; otherwise they are places and times.
    private static let figurePages: [StaticString] = ["start", "from", "after", "skip", "index", "position", "startAt"]
    /// Arguments that say how long a page is.
    private static let lengths: [StaticString] = [
        "limit", "size", "count", "per_page", "perPage", "page_size", "pageSize", "take", "top", "max_results",
        "maxResults",
    ]

    /// Calls of the tool that are looked back at.
    private static let pagesMax = 32
    /// Figures up to here may be pages whatever the length of the list before.
    private static let smallPage = 32.0

    /// Whether an empty result is the end of a list: the same call but for an earlier page gave one.
    mutating func isLastPage(_ index: Int) -> Bool {
        guard isPageable(calls[index].arguments) else { return false }
        let wanted = listHash(calls[index].arguments)
        var looked = 0
        for other in calls.indices.reversed() where calls[other].name == calls[index].name && isBefore(other, index) {
            let call = calls[other]
            looked += 1
            if looked > TraceAnalyzer.pagesMax { return false }
            guard call.hasResult, !isFailing(call), call.emptiness == .none, isSameAgent(call, calls[index]) else {
                continue
            }
            guard isPageable(call.arguments), call.signature != calls[index].signature else { continue }
            let length = call.result.exists ? listLength(call.result, 0) : TraceAnalyzer.lines(of: call.resultText)
            if length > 0, listHash(call.arguments) == wanted, isBehind(index, other, length) { return true }
        }
        return false
    }

    private func isPageable(_ arguments: JSONRef) -> Bool {
        tree.isObject(arguments) && tree.count(arguments) <= TraceAnalyzer.membersMax
    }

    /// Items of a list, or of the longest list in an object; 0 for none.
    private func listLength(_ ref: JSONRef, _ depth: Int) -> Int {
        if tree.isArray(ref) { return tree.count(ref) }
        guard tree.isObject(ref), depth < 3 else { return 0 }
        var longest = 0
        var left = TraceAnalyzer.membersMax
        var child = tree.first(ref)
        while child.exists, left > 0 {
            longest = max(longest, listLength(child, depth + 1))
            left -= 1
            child = tree.next(child)
        }
        return longest
    }

    /// Lines of a text that has several; 0 for others.
    private static func lines(of text: Text) -> Int {
        var count = 1
        var place = text.firstIndex(of: 0x0A, from: 0)
        while let found = place, count < 1_000 {
            count += 1
            place = text.firstIndex(of: 0x0A, from: found + 1)
        }
        return count > 1 ? count : 0
    }

    private func isPage(_ member: JSONRef) -> Bool {
        guard let kind = tree.kind(member), kind != .null else { return false }
        let name = tree[member].key
        return TraceAnalyzer.pages.contains { name == $0 } || kind == .number && TraceAnalyzer.isFigurePage(name)
    }

    private static func isFigurePage(_ name: Text) -> Bool { figurePages.contains { name == $0 } }

    /// A hash of arguments without those that tell the page.
    private mutating func listHash(_ arguments: JSONRef) -> UInt64 {
        var sum: UInt64 = 0
        var member = tree.first(arguments)
        while member.exists {
            let name = tree[member].key
            if !isPage(member), !TraceAnalyzer.pages.contains(where: { name == $0 }) {
                var hash = ContentHash()
                hash.add(name)
                hash.add(tree.canonicalHash(member))
                sum = sum &+ hash.value
            }
            member = tree.next(member)
        }
        return sum
    }

    /// Whether a call asks for a page behind that of another, whose list had so many items.
    private mutating func isBehind(_ index: Int, _ other: Int, _ length: Int) -> Bool {
        let (own, before) = (calls[index].arguments, calls[other].arguments)
        var isFound = false
        var member = tree.first(own)
        while member.exists {
            if isPage(member) {
                let twin = page(before, tree[member].key)
                if !twin.exists || tree.canonicalHash(twin) != tree.canonicalHash(member) {
                    guard grows(member, from: twin, length, index) else { return false }
                    isFound = true
                }
            }
            member = tree.next(member)
        }
        // Without its page a call asks for the first one.
        member = tree.first(before)
        while member.exists {
            if isPage(member), !page(own, tree[member].key).exists { return false }
            member = tree.next(member)
        }
        return isFound
    }

    /// The page of that name, none when it is null.
    private func page(_ arguments: JSONRef, _ name: Text) -> JSONRef {
        let member = tree.member(arguments, name)
        return tree.kind(member) == .null ? .none : member
    }

    /// Whether a page is behind that of another call. The order of cursors is unknown.
    private mutating func grows(_ page: JSONRef, from twin: JSONRef, _ length: Int, _ index: Int) -> Bool {
        let name = tree[page].key
        guard let own = Number.double(tree.string(page)) else { return true }
        // Pages begin at one when they are not said, offsets at zero.
        var before = name.beginsWith("page") && !name.holds("index") ? 1.0 : 0.0
        if twin.exists {
            guard let figure = Number.double(tree.string(twin)) else { return true }
            before = figure
        }
        guard own > before else { return false }
        guard TraceAnalyzer.isFigurePage(name) else { return true }
        // Nothing at all is no end of a list, and a list of one no page.
        guard calls[index].emptiness != .null else { return false }
        let growth = own - before
        for name in TraceAnalyzer.lengths {
            let size = tree.member(calls[index].arguments, name)
            if tree.kind(size) == .number, Number.double(tree[size].text) == growth { return true }
        }
        guard length > 1 else { return false }
        return own <= TraceAnalyzer.smallPage || (growth >= Double(length) && growth <= 2 * Double(length))
    }
}
