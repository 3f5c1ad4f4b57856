import Telemetry

/// A 64-bit hash for comparing content on one machine: not against attackers who choose both sides. It is in the files
/// of `FindingsMemory` and `EvaluatorsMemory`, so their versions rise when it changes.
package struct ContentHash {
    private var state: UInt64

    init(seed: UInt64 = 0x9E37_79B9_7F4A_7C15) { state = seed }

    @inline(__always)
    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (high, low) = left.multipliedFullWidth(by: right)
        return high ^ low
    }

    @inline(__always)
    mutating func add(_ word: UInt64) {
        state = ContentHash.mix(state ^ word, 0xE703_7ED1_A0B4_28DB)
    }

    mutating func add(_ text: Text) {
        var index = 0
        while text.count &- index >= 8 {
            add(text.start.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index &+= 8
        }
        var last: UInt64 = 0
        while index < text.count {
            last = last << 8 | UInt64(text[index])
            index &+= 1
        }
        add(last ^ UInt64(text.count) << 56)
    }

    var value: UInt64 { ContentHash.mix(state, 0x8EBC_6AF0_9C88_C6E3) | 1 }

    /// Never 0, which stands for "none".
    static func of(_ text: Text) -> UInt64 {
        var hash = ContentHash()
        hash.add(text)
        return hash.value
    }

    /// The same for the UTF-8 of a string.
    package static func of(_ string: String) -> UInt64 {
        var string = string
        return string.withUTF8 { of(Text(UnsafeRawBufferPointer($0))) }
    }
}

extension JSONTree {
    /// A hash that is equal for values that mean the same: member order, number spelling and escapes do not count.
    package mutating func canonicalHash(_ ref: JSONRef) -> UInt64 { hash(ref, skipsVolatile: false) }

    /// The same for results: what every call gives anew, such as times and request ids, is no progress.
    mutating func progressHash(_ ref: JSONRef) -> UInt64 { hash(ref, skipsVolatile: true) }

    /// Whether a member is named after what every call has anew.
    static func isVolatile(_ name: Text) -> Bool {
        for word: StaticString in [
            "timestamp", "request_id", "requestId", "trace_id", "traceId", "correlation_id", "took", "took_ms",
            "elapsed", "elapsed_ms", "duration", "duration_ms", "durationMs", "latency_ms", "execution_time",
            "query_time", "response_time", "generated_at", "fetched_at", "retrieved_at", "server_time", "now",
            "current_time", "nonce", "ts",
        ] where name == word {
            return true
        }
        return false
    }

    private mutating func hash(_ ref: JSONRef, skipsVolatile: Bool) -> UInt64 {
        guard let kind = kind(ref) else { return 0 }
        var hash = ContentHash(seed: UInt64(kind.rawValue) &+ 0x51)
        switch kind {
        case .null, .no, .yes: return hash.value
        case .number:
            let text = self[ref].text
            if let number = Number.double(text) { hash.add(number.bitPattern) } else { hash.add(text) }
        case .string: hash.add(string(ref))
        case .array:
            var child = first(ref)
            while child.exists {
                hash.add(self.hash(child, skipsVolatile: skipsVolatile))
                child = next(child)
            }
        case .object:
            // A sum does not depend on the order.
            var sum: UInt64 = 0
            var child = first(ref)
            while child.exists {
                if !skipsVolatile || !JSONTree.isVolatile(self[child].key) {
                    var member = ContentHash()
                    member.add(self[child].key)
                    member.add(self.hash(child, skipsVolatile: skipsVolatile))
                    sum = sum &+ member.value
                }
                child = next(child)
            }
            hash.add(sum)
        }
        return hash.value
    }
}
