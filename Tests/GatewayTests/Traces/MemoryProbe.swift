import OTLP
import Pipeline
import Synchronization
import Telemetry

/// Remembers the names of all spans that it saw, and how often; refuses and holds nothing.
final class MemoryProbe: Processor, TraceMemory {
    private struct State {
        var counts: [String: UInt8] = [:]
        /// Names of the last batch.
        var last: [String] = []
    }

    private let state = Mutex(State())
    /// As if another release had written what is there.
    let version: UInt32

    init(version: UInt32 = 1) { self.version = version }

    /// How often each span was seen.
    var counts: [String: UInt8] { state.withLock { $0.counts } }

    var traceMemory: (any TraceMemory)? { self }

    func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        see(batch.spans.indices.map { batch.text(batch.spans[$0].name).string })
    }

    func see(_ names: [String]) {
        state.withLock { state in
            for name in names { state.counts[name, default: 0] += 1 }
            state.last = names
        }
    }

    func takeChanges() -> [UInt8] {
        state.withLock { state in
            defer { state.last = [] }
            return Array(state.last.map { "\($0)=\(state.counts[$0] ?? 0);" }.joined().utf8)
        }
    }

    func undoChanges() {
        state.withLock { state in
            for name in state.last { state.counts[name, default: 1] -= 1 }
            state.counts = state.counts.filter { $0.value > 0 }
            state.last = []
        }
    }

    func writeAll(_ part: ([UInt8]) -> Void) {
        for (name, count) in counts.sorted(by: { $0.key < $1.key }) { part(Array("\(name)=\(count);".utf8)) }
    }

    func restore(_ bytes: ArraySlice<UInt8>) -> Bool {
        state.withLock { state in
            for pair in bytes.split(separator: UInt8(ascii: ";")) {
                let parts = pair.split(separator: UInt8(ascii: "="))
                guard parts.count == 2, let count = UInt8(String(decoding: parts[1], as: UTF8.self)) else {
                    return false
                }
                state.counts[String(decoding: parts[0], as: UTF8.self)] = count
            }
            return true
        }
    }

    func forget() { state.withLock { $0 = State() } }
}
