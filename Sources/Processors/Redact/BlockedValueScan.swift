import CSupport
import Patterns
import Telemetry

/// Searches texts for all `blocked_values`.
///
/// Patterns that must have some three bytes in a row are searched together: a vector pass names the places where such a
/// row stands, and each pattern runs only where a match around one of its own places can begin. The others search the
/// whole text, one after the other. What is found is the same in both ways.
final class BlockedValueScan: Sendable {
    let isEmpty: Bool
    /// Whether resolving escapes can show something that no place in the escaped text tells of.
    let mustDecode: Bool
    private let whole: [CompiledPattern]
    private let groups: [PlacedPatterns]

    /// `usesPlaces: false` is for tests, which hold the two ways against each other.
    init(_ patterns: [CompiledPattern], usesPlaces: Bool = true) {
        isEmpty = patterns.isEmpty
        let placed = usesPlaces ? patterns.filter { $0.factor != nil } : []
        whole = usesPlaces ? patterns.filter { $0.factor == nil } : patterns
        groups = stride(from: 0, to: placed.count, by: PlacedPatterns.limit).map {
            PlacedPatterns(Array(placed[$0..<min(placed.count, $0 + PlacedPatterns.limit)]))
        }
        mustDecode = !whole.isEmpty || placed.contains { $0.factor?.isStable != true }
    }

    /// Appends the matches in `text` to `state.raw`, in no order, and the places of rows to `state.places`, ascending.
    func scan(_ text: Text, _ state: inout RedactionState) {
        for pattern in whole { search(text, pattern, &state) }
        let first = state.places.count
        for group in groups { group.scan(text, &state) }
        if groups.count > 1 {
            var added = UnsafeMutableBufferPointer(
                start: state.places.base + first, count: state.places.count - first)
            added.sort()
        }
    }

    private func search(_ text: Text, _ pattern: CompiledPattern, _ state: inout RedactionState) {
        var from = 0
        while from <= text.count {
            switch pattern.find(in: text, from: from, state.matcher) {
            case .none: return
            case .undecided:
                state.raw.append(Match(0, text.count, .undecided))
                return
            case .found(let range):
                if !range.isEmpty { state.raw.append(Match(range.lowerBound, range.upperBound, .blockedValue)) }
                from = max(range.upperBound, from + (range.isEmpty ? 1 : 0), range.lowerBound + 1)
            }
        }
    }
}

/// How far the search of one pattern has come in the text at hand.
struct PlacedSearch: BitwiseCopyable {
    /// First byte at which another match can begin.
    var from = 0
    /// Beginnings that are to be tried together: those around places that lie near each other.
    var start = 0
    var limit = -1
    /// The last of these places.
    var place = 0
}

/// Up to eight patterns that are searched in one pass.
// Factors and table are filled in init and read-only afterwards: sharing it between threads is safe.
private final class PlacedPatterns: @unchecked Sendable {
    static let limit = 8

    private let patterns: [CompiledPattern]
    /// By pattern.
    private let factors: UnsafeMutablePointer<PatternFactor>
    private let table: UnsafeMutablePointer<sluice_trigger_table>

    /// Places no farther from each other are tried in one search, so that a text full of them costs one pass.
    private static let gap = 64

    init(_ patterns: [CompiledPattern]) {
        self.patterns = patterns
        let known = patterns.compactMap(\.factor)
        precondition(known.count == patterns.count && known.count <= PlacedPatterns.limit)
        factors = .allocate(capacity: PlacedPatterns.limit)
        factors.initialize(from: known, count: known.count)
        table = .allocate(capacity: 1)
        table.initialize(to: sluice_trigger_table())
        for (set, factor) in known.enumerated() {
            for (place, bytes) in factor.triple.enumerated() {
                for byte in bytes.bytes { sluice_trigger_add(table, UInt32(set), UInt32(place), byte) }
            }
        }
    }

    deinit {
        factors.deallocate()
        table.deallocate()
    }

    func scan(_ text: Text, _ state: inout RedactionState) {
        let places = text.count &- 2
        let bytes = text.start.assumingMemoryBound(to: UInt8.self)
        var isBegun = false
        var base = 0
        while base < places {
            var mask: UInt64 = 0
            base = sluice_trigger_block(table, bytes, base, places, &mask)
            while mask != 0 {
                let place = base &+ mask.trailingZeroBitCount
                mask &= mask &- 1
                let sets = sluice_trigger_sets(table, bytes + place)
                guard sets != 0 else { continue }
                if !isBegun { begin(&state) }
                isBegun = true
                note(sets, place, text, &state)
            }
            base &+= 64
        }
        guard isBegun else { return }
        for index in patterns.indices { finish(index, text, &state) }
    }

    private func begin(_ state: inout RedactionState) {
        state.searches.removeAll()
        for _ in patterns { state.searches.append(PlacedSearch()) }
    }

    /// Takes in the place of a triple for the patterns that have it.
    private func note(_ sets: UInt8, _ place: Int, _ text: Text, _ state: inout RedactionState) {
        var rest = sets
        var isThere = false
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            guard factors[index].isThere(text, at: place) else { continue }
            isThere = true
            let last = factors[index].lastStart(for: place)
            guard last >= state.searches[index].from else { continue }
            if state.searches[index].limit >= 0, place - state.searches[index].place <= PlacedPatterns.gap {
                state.searches[index].limit = max(last, state.searches[index].limit)
            } else {
                let floor = max(state.searches[index].from, state.searches[index].limit + 1)
                finish(index, text, &state)
                let start = factors[index].firstStart(
                    for: place, floor: max(floor, state.searches[index].from), in: text)
                state.searches[index].start = start
                state.searches[index].limit = last
            }
            state.searches[index].place = place
        }
        if isThere { state.places.append(UInt32(truncatingIfNeeded: place)) }
    }

    /// Tries the beginnings that are waiting.
    private func finish(_ index: Int, _ text: Text, _ state: inout RedactionState) {
        let limit = state.searches[index].limit
        var from = max(state.searches[index].start, state.searches[index].from)
        while from <= limit {
            switch patterns[index].find(in: text, startingAt: from...limit, state.matcher) {
            case .none: from = limit + 1
            case .undecided:
                state.raw.append(Match(0, text.count, .undecided))
                state.searches[index].from = Int.max
                return
            case .found(let range):
                state.raw.append(Match(range.lowerBound, range.upperBound, .blockedValue))
                from = max(range.upperBound, from + 1)
                state.searches[index].from = from
            }
        }
    }
}
