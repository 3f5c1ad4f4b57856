import Configuration
import Patterns
import Pipeline
import Telemetry

/// Attributes that the summary of the redaction processor writes (the Collector's names), for attributes or a body.
struct SummaryKeys: Sendable {
    let redactedKeys, redactedCount, maskedKeys, maskedCount, allowedKeys, allowedCount, ignoredCount: KeyID

    init(prefix: String, _ keys: inout KeyTable.Builder) {
        redactedKeys = keys.intern(prefix + "redacted.keys")
        redactedCount = keys.intern(prefix + "redacted.count")
        maskedKeys = keys.intern(prefix + "masked.keys")
        maskedCount = keys.intern(prefix + "masked.count")
        allowedKeys = keys.intern(prefix + "allowed.keys")
        allowedCount = keys.intern(prefix + "allowed.count")
        ignoredCount = keys.intern(prefix + "ignored.count")
    }

    var all: [KeyID] {
        [redactedKeys, redactedCount, maskedKeys, maskedCount, allowedKeys, allowedCount, ignoredCount]
    }
}

/// The compiled rules of one redaction processor. Immutable; shared by all threads.
final class RedactionPolicy: Sendable {
    let text: TextRedaction
    let summary: RedactionSummary
    let redactsAllTypes: Bool
    /// Nothing is changed, finds are only counted.
    let isDryRun: Bool
    let attributeKeys: SummaryKeys
    let bodyKeys: SummaryKeys
    private let allowsAllKeys: Bool
    /// By key number: 1 allowed, 2 ignored.
    private let keyFlags: [UInt8]
    private let ignoredKeyPatterns: [CompiledPattern]
    private let blockedKeyPatterns: [CompiledPattern]

    init(_ options: RedactionOptions, _ keys: inout KeyTable.Builder) {
        text = TextRedaction(
            detectors: DetectorScan(options.detectors), blockedValues: BlockedValueScan(options.blockedValues),
            allowedValues: options.allowedValues,
            mask: Mask(
                function: options.hashFunction, key: Array((options.hmacKey?.reveal() ?? "").utf8),
                pseudonymKey: Array((options.pseudonymKey?.reveal() ?? "").utf8)),
            decodesBase64: options.decodesBase64,
            members: MemberRules(
                blocked: options.blockedKeyPatterns, ignored: options.ignoredKeyPatterns,
                ignoredNames: Set(options.ignoredKeys)))
        summary = options.isDryRun ? .silent : options.summary
        isDryRun = options.isDryRun
        redactsAllTypes = options.redactAllTypes
        allowsAllKeys = options.allowAllKeys
        ignoredKeyPatterns = options.ignoredKeyPatterns
        blockedKeyPatterns = options.blockedKeyPatterns
        attributeKeys = SummaryKeys(prefix: "redaction.", &keys)
        bodyKeys = SummaryKeys(prefix: "redaction.body.", &keys)
        var flags: [Int: UInt8] = [:]
        // What an earlier redaction processor wrote about itself stays.
        for id in attributeKeys.all + bodyKeys.all { flags[Int(id.value), default: 0] |= 1 }
        for key in options.allowedKeys { flags[Int(keys.intern(key).value), default: 0] |= 1 }
        for key in options.ignoredKeys { flags[Int(keys.intern(key).value), default: 0] |= 2 }
        var table = [UInt8](repeating: 0, count: (flags.keys.max() ?? 0) + 1)
        for (id, value) in flags { table[id] = value }
        keyFlags = table
    }

    // MARK: Key rules

    @inline(__always)
    func flags(_ id: KeyID) -> UInt8 {
        let index = Int(id.value)
        return index < keyFlags.count && index > 0 ? keyFlags[index] : 0
    }

    @inline(__always)
    func isAllowed(_ id: KeyID) -> Bool { allowsAllKeys || flags(id) & 1 != 0 }

    func isIgnored(_ id: KeyID, _ key: Text, _ state: borrowing RedactionState) -> Bool {
        if flags(id) & 2 != 0 { return true }
        for pattern in ignoredKeyPatterns where pattern.matches(key, state.matcher, otherwise: false) { return true }
        return false
    }

    /// Whether a key's value is masked whole. Undecided counts as yes.
    func isBlocked(_ id: KeyID, _ key: Text, _ state: inout RedactionState) -> Bool {
        if blockedKeyPatterns.isEmpty { return false }
        let index = Int(id.value)
        if index > 0, index < state.keyVerdicts.count, state.keyVerdicts[index] != 0 {
            return state.keyVerdicts[index] == 2
        }
        var isBlocked = false
        for pattern in blockedKeyPatterns where pattern.matches(key, state.matcher, otherwise: true) {
            isBlocked = true
            break
        }
        if index > 0 {
            while state.keyVerdicts.count <= index { state.keyVerdicts.append(0) }
            state.keyVerdicts[index] = isBlocked ? 2 : 1
        }
        return isBlocked
    }

    // The same for keys of nested maps, which carry no number.

    func isAllowedKey(_ key: Text, _ state: borrowing RedactionState) -> Bool {
        allowsAllKeys || isAllowed(state.table.id(of: key))
    }

    func isIgnored(_ key: Text, _ state: borrowing RedactionState) -> Bool {
        isIgnored(state.table.id(of: key), key, state)
    }

    func isBlockedKey(_ key: Text, _ state: inout RedactionState) -> Bool {
        if blockedKeyPatterns.isEmpty { return false }
        return isBlocked(state.table.id(of: key), key, &state)
    }

    // MARK: Names for the debug summary

    /// Remembers the name of an attribute or nested value that was redacted, masked or allowed.
    func note(_ kind: SummaryKind, _ name: Text, _ state: inout RedactionState) {
        // The names of one set are bounded: the summary is for trying things out.
        guard summary == .debug, state.names.count + name.count < 64 << 10 else { return }
        state.names.append(kind.rawValue)
        state.names.append(name)
        state.names.append(0 as UInt8)
    }
}

/// Which list of the summary a name belongs to.
enum SummaryKind: UInt8 {
    case redacted = 1
    case masked = 2
    case allowed = 3
}
