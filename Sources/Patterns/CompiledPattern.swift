import CPCRE2
package import Telemetry

/// One regular expression of the configuration, compiled for the JIT of PCRE2, never joined with others.
///
/// The syntax is Perl's, which contains nearly all of the Collector's RE2; `$` means the very end, as there.
// Holds a pcre2_code that is written in init only; PCRE2 documents compiled code as safe to share between threads.
package final class CompiledPattern: @unchecked Sendable {
    /// The pattern as written.
    package let text: String
    /// Names of the capturing groups by number; index 0 is group 1, nil for groups without a name.
    package let groupNames: [String?]
    /// Bytes by which a match can be found without running the pattern over the whole text.
    package let factor: PatternFactor?
    private let code: OpaquePointer
    /// Shortest possible match in characters; shorter texts are not searched.
    private let minimumLength: Int
    /// A byte that every match contains, 0 when none is known. Its other case counts as well.
    private let required: UInt8

    /// Fails with PCRE2's own words and the offset. At most 31 groups.
    package init(_ text: String) throws(PatternProblem) {
        self.text = text
        var number: Int32 = 0
        var offset = 0
        factor = PatternFactor(text)
        var options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | UInt32(0x0400_0000)  // PCRE2_MATCH_INVALID_UTF
        if factor != nil { options |= UInt32(0x0080_0000) }  // PCRE2_USE_OFFSET_LIMIT
        var copy = text
        let compiled = copy.withUTF8 { pcre2_compile_8($0.baseAddress, $0.count, options, &number, &offset, nil) }
        guard let compiled else { throw PatternProblem(CompiledPattern.message(number, offset)) }
        code = compiled
        _ = pcre2_jit_compile_8(compiled, UInt32(PCRE2_JIT_COMPLETE))
        minimumLength = Int(CompiledPattern.info(compiled, UInt32(PCRE2_INFO_MINLENGTH)))
        let hasRequired = CompiledPattern.info(compiled, UInt32(PCRE2_INFO_LASTCODETYPE)) == 1
        let byte = hasRequired ? CompiledPattern.info(compiled, UInt32(PCRE2_INFO_LASTCODEUNIT)) : 0
        required = byte < 128 ? UInt8(byte) : 0
        groupNames = CompiledPattern.names(compiled)
        guard groupNames.count <= 31 else { throw PatternProblem("more than 31 groups") }
    }

    deinit { pcre2_code_free_8(code) }

    /// Whether it holds what only a search that goes back can find: looking around, references to groups, recursion.
    /// The Collector's RE2 refuses such a pattern.
    package var needsBacktracking: Bool {
        if CompiledPattern.info(code, UInt32(PCRE2_INFO_BACKREFMAX)) > 0 { return true }
        return ["(?=", "(?!", "(?<=", "(?<!", "(?>", "(?R", "(?&", "(?0", "(?1"].contains { text.contains($0) }
    }

    /// Searches `text` from byte `from`. The groups are read from `matcher` until its next use.
    package func find(in text: Text, from: Int, _ matcher: borrowing PatternMatcher) -> PatternResult {
        guard text.count &- from >= minimumLength else { return .none }
        // Once for a text: with each match of many it would be a look through all that is left.
        if required != 0, from == 0 {
            let isLetter = (required | 0x20) &- 0x61 < 26
            let other = isLetter ? required ^ 0x20 : required
            let isThere = text.firstIndex(of: required, from: from) != nil
            if !isThere, other == required || text.firstIndex(of: other, from: from) == nil { return .none }
        }
        let subject = text.start.assumingMemoryBound(to: UInt8.self)
        let result = pcre2_match_8(code, subject, text.count, from, 0, matcher.data, matcher.context)
        if result == PCRE2_ERROR_NOMATCH { return .none }
        guard result >= 0, let range = matcher.range(0), range.upperBound <= text.count else { return .undecided }
        return .found(range)
    }

    /// Searches `text` for the first match that begins at one of the bytes `starts`, the first of which must begin a
    /// character. Only for patterns that have a `factor`.
    package func find(
        in text: Text, startingAt starts: ClosedRange<Int>, _ matcher: borrowing PatternMatcher
    ) -> PatternResult {
        precondition(factor != nil && starts.lowerBound >= 0 && starts.upperBound <= text.count)
        if let around = matcher.around { _ = pcre2_set_offset_limit_8(around, starts.upperBound) }
        let subject = text.start.assumingMemoryBound(to: UInt8.self)
        let result = pcre2_match_8(code, subject, text.count, starts.lowerBound, 0, matcher.data, matcher.around)
        if result == PCRE2_ERROR_NOMATCH { return .none }
        guard result >= 0, let range = matcher.range(0), range.upperBound <= text.count else { return .undecided }
        return .found(range)
    }

    /// Whether the pattern matches anywhere. Undecided counts as `otherwise`.
    package func matches(_ text: Text, _ matcher: borrowing PatternMatcher, otherwise: Bool) -> Bool {
        switch find(in: text, from: 0, matcher) {
        case .none: false
        case .found: true
        case .undecided: otherwise
        }
    }

    private static func info(_ code: OpaquePointer, _ what: UInt32) -> UInt32 {
        var value: UInt32 = 0
        return pcre2_pattern_info_8(code, what, &value) == 0 ? value : 0
    }

    private static func message(_ number: Int32, _ offset: Int) -> String {
        var buffer = [UInt8](repeating: 0, count: 200)
        let length = pcre2_get_error_message_8(number, &buffer, buffer.count)
        let text = length > 0 ? String(decoding: buffer[..<Int(length)], as: UTF8.self) : "error \(number)"
        return "\(text) at offset \(offset)"
    }

    private static func names(_ code: OpaquePointer) -> [String?] {
        let groups = Int(info(code, UInt32(PCRE2_INFO_CAPTURECOUNT)))
        var names = [String?](repeating: nil, count: groups)
        let count = Int(info(code, UInt32(PCRE2_INFO_NAMECOUNT)))
        let size = Int(info(code, UInt32(PCRE2_INFO_NAMEENTRYSIZE)))
        var table: UnsafePointer<UInt8>?
        guard count > 0, pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_NAMETABLE), &table) == 0, let table else {
            return names
        }
        for entry in 0..<count {
            let place = table + entry * size
            let number = Int(place[0]) << 8 | Int(place[1])
            guard number >= 1, number <= groups else { continue }
            names[number - 1] = String(cString: place + 2)
        }
        return names
    }
}

/// Why a pattern cannot be used.
package struct PatternProblem: Error, Equatable {
    package let message: String

    init(_ message: String) { self.message = message }
}

/// How a search ended.
package enum PatternResult: Equatable {
    case none
    /// Byte range of the leftmost match; may be empty.
    case found(Range<Int>)
    /// The match limit was reached, or memory ran out: nobody knows.
    case undecided
}

/// Working memory of searches: match data, limits and JIT stack. Used by one thread at a time.
package struct PatternMatcher: ~Copyable {
    let data: OpaquePointer?
    let context: OpaquePointer?
    /// The same limits for searches that end before the text does.
    let around: OpaquePointer?
    private let stack: OpaquePointer?

    /// Backtracking steps before a search gives up; about a millisecond of work.
    package static let matchLimit: UInt32 = 200_000

    package init() {
        data = pcre2_match_data_create_8(32, nil)
        stack = pcre2_jit_stack_create_8(32 << 10, 512 << 10, nil)
        context = PatternMatcher.limited(stack)
        around = PatternMatcher.limited(stack)
    }

    private static func limited(_ stack: OpaquePointer?) -> OpaquePointer? {
        guard let context = pcre2_match_context_create_8(nil) else { return nil }
        _ = pcre2_set_match_limit_8(context, matchLimit)
        _ = pcre2_set_depth_limit_8(context, 10_000)
        _ = pcre2_set_heap_limit_8(context, 8 << 10)
        if let stack { pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack)) }
        return context
    }

    deinit {
        pcre2_match_data_free_8(data)
        pcre2_match_context_free_8(context)
        pcre2_match_context_free_8(around)
        pcre2_jit_stack_free_8(stack)
    }

    /// Byte range of a group in the last match, nil when it took no part.
    package func range(_ group: Int) -> Range<Int>? {
        guard let data, let vector = pcre2_get_ovector_pointer_8(data), group < 32 else { return nil }
        let start = vector[group * 2]
        let end = vector[group * 2 + 1]
        // Unset groups are ~0; \K can put the start behind the end.
        guard start <= end, end < Int.max else { return nil }
        return Int(start)..<Int(end)
    }
}
