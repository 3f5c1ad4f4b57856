import Configuration
import Pipeline
import Processors
import Telemetry
import Testing

/// One span by its trace id, and what the sampler makes of it.
private struct Trace: Sendable {
    var id: String
    var state = ""
    var priority: [UInt8]?

    var span: [UInt8] {
        Wire.field(1, Wire.id(id)) + Wire.field(2, Wire.id("0102030405060708"))
            + (state.isEmpty ? [] : Wire.field(3, state))
            + (priority.map { Wire.attributes(9, [("sampling.priority", $0)]) } ?? [])
    }
}

/// The trace id whose 56 random bits are these 14 digits.
private func id(_ randomness: String) -> String { "aabbccddeeff001122" + randomness }

/// Runs the sampler; nil stands for a dropped span, else its tracestate.
private func sample(_ text: String, _ traces: [Trace]) throws -> [String?] {
    var bench = Bench()
    var build = bench.build(.traces)
    let read = options(SamplerOptions.self, text)
    #expect(read.headlines == [])
    let processor = try SamplerProcessor(options: read.options, build: &build)
    return try traces.map { trace in
        let (bytes, kept) = try Bench.run(processor, build, Wire.traces(spans: [trace.span]))
        return kept == 0 ? nil : try DecodedRequest(bytes, .traces).traceStates[0]
    }
}

private func sample(_ text: String, _ randomness: String, state: String = "") throws -> String? {
    try sample(text, [Trace(id: id(randomness), state: state)])[0]
}

@Suite struct SamplerSpanTests {
    private let half = "{mode: equalizing, sampling_percentage: 50}"

    // MARK: Thresholds

    @Test(arguments: ["equalizing", "proportional"])
    func `the threshold is exact at its edge`(mode: String) throws {
        let rules = "{mode: \(mode), sampling_percentage: 50}"
        #expect(try sample(rules, "80000000000000") == "ot=th:8")
        #expect(try sample(rules, "7fffffffffffff") == nil)
        #expect(try sample(rules, "ffffffffffffff") == "ot=th:8")
        #expect(try sample(rules, "00000000000000") == nil)
    }

    @Test(
        arguments: [
            (100, 4, "0"), (25, 4, "c"), (75, 4, "4"), (10, 4, "e666"), (10, 2, "e6"), (1, 4, "fd70a"), (1, 2, "fd7"),
            (33.3333, 4, "aaab"), (33.3333, 1, "b"), (99.9999, 4, "00001"), (0.1, 3, "ffbe"), (50, 14, "8"),
        ] as [(Double, Int, String)])
    func `a percentage becomes a threshold of the asked precision`(
        percentage: Double, precision: Int, digits: String
    ) throws {
        let rules = "{mode: equalizing, sampling_percentage: \(percentage), sampling_precision: \(precision)}"
        let state = try sample(rules, "ffffffffffffff")
        #expect(state?.hasPrefix("ot=th:\(digits)") == true, "\(state ?? "dropped")")
    }

    @Test func `zero keeps nothing, a hundred and more keep all`() throws {
        for mode in ["hash_seed", "equalizing", "proportional"] {
            for randomness in ["00000000000000", "ffffffffffffff"] {
                #expect(try sample("{mode: \(mode), sampling_percentage: 0}", randomness) == nil)
                #expect(try sample("{mode: \(mode), sampling_percentage: 100}", randomness) != nil)
                #expect(try sample("{mode: \(mode), sampling_percentage: 250}", randomness) != nil)
            }
        }
    }

    // MARK: What arrives in tracestate

    @Test func `proportional thins what arrives, equalizing only brings it down`() throws {
        let arrived = "ot=th:8"
        let proportional = "{mode: proportional, sampling_percentage: 50}"
        #expect(try sample(proportional, "c0000000000000", state: arrived) == "ot=th:c")
        #expect(try sample(proportional, "bfffffffffffff", state: arrived) == nil)
        #expect(try sample(half, "80000000000000", state: arrived) == "ot=th:8")
        #expect(
            try sample("{mode: equalizing, sampling_percentage: 90}", "80000000000000", state: arrived) == "ot=th:8")
        let tenth = "{mode: equalizing, sampling_percentage: 10}"
        #expect(try sample(tenth, "e6660000000000", state: arrived) == "ot=th:e666")
        #expect(try sample(tenth, "e665ffffffffff", state: arrived) == nil)
    }

    @Test func `explicit randomness comes before the trace id, and other members stay`() throws {
        let kept = try sample(half, "00000000000000", state: "ot=rv:9b8233f7e3a151;x:y,vendor=a:b")
        #expect(kept == "ot=rv:9b8233f7e3a151;th:8;x:y,vendor=a:b")
        #expect(try sample(half, "ffffffffffffff", state: "ot=rv:7b8233f7e3a151") == nil)
        #expect(try sample(half, "ffffffffffffff", state: "vendor=1") == "ot=th:8,vendor=1")
    }

    @Test func `a threshold that its randomness contradicts is a fault, and is taken out`() throws {
        #expect(try sample(half, "80000000000000", state: "ot=th:c;x:y") == nil)
        let open = "{mode: equalizing, sampling_percentage: 50, fail_closed: false}"
        #expect(try sample(open, "80000000000000", state: "ot=th:c;x:y") == "ot=x:y")
        #expect(try sample(open, "80000000000000", state: "ot=th:c") == "")
        #expect(try sample(open, "c0000000000000", state: "ot=th:c") == "ot=th:c")
    }

    @Test(arguments: [
        "ot=th:", "ot=th:123456789012345", "ot=th:xyz", "ot=rv:123", "ot=rv:9b8233f7e3a15g", "ot=th:8;", "ot==", "=",
        "OT=th:8", "ot=th:8,\u{7}",
    ])
    func `a tracestate that breaks the grammar is a fault`(state: String) throws {
        #expect(try sample(half, "ffffffffffffff", state: state) == nil)
        let open = "{mode: equalizing, sampling_percentage: 50, fail_closed: false}"
        #expect(try sample(open, "ffffffffffffff", state: state) == state)
    }

    @Test func `a trace id of zeros has no randomness`() throws {
        let trace = Trace(id: "00000000000000000000000000000000")
        for mode in ["hash_seed", "equalizing", "proportional"] {
            // The reader refuses such spans before; a span without an id is dropped there as well.
            let answer: String? = (try? sample("{mode: \(mode), sampling_percentage: 50}", [trace]))?.first ?? nil
            #expect(answer == nil)
        }
    }

    // MARK: Priority

    @Test(arguments: ["hash_seed", "equalizing", "proportional"])
    func `the priority attribute decides over the percentage`(mode: String) throws {
        func run(_ percentage: Int, _ value: [UInt8]) throws -> Bool {
            let trace = Trace(id: id("80000000000000"), priority: value)
            return try sample("{mode: \(mode), sampling_percentage: \(percentage)}", [trace])[0] != nil
        }
        for value in [Wire.int(0), Wire.double(0), Wire.string("0")] { #expect(try !run(100, value)) }
        for value in [Wire.int(1), Wire.double(0.5), Wire.string("2")] { #expect(try run(0, value)) }
        for value in [Wire.int(-1), Wire.string("x"), Wire.bool(false)] {
            #expect(try run(100, value))
            #expect(try !run(0, value))
        }
    }

    // MARK: The hash mode

    @Test func `hash_seed records its threshold in 14 bits and its randomness`() throws {
        let rules = { (percentage: Double) in "{sampling_percentage: \(percentage)}" }
        for (percentage, digits) in [(50.0, "8"), (25, "c"), (10, "e668"), (100, "0")] {
            let states = try sample(rules(percentage), (0..<200).map { Trace(id: random(UInt64($0))) }).compactMap {
                $0
            }
            #expect(!states.isEmpty)
            for state in states {
                #expect(
                    state.hasPrefix("ot=rv:") && state.hasSuffix(";th:\(digits)") && state.count == 24 + digits.count)
            }
        }
        #expect(try sample(rules(50), "ffffffffffffff", state: "ot=th:8") == nil)
    }

    @Test func `seeds choose different traces`() throws {
        let traces = (0..<2_000).map { Trace(id: random(UInt64($0))) }
        let one = try sample("{sampling_percentage: 50, hash_seed: 1}", traces).map { $0 != nil }
        let same = try sample("{sampling_percentage: 50, hash_seed: 1}", traces).map { $0 != nil }
        let other = try sample("{sampling_percentage: 50, hash_seed: 22}", traces).map { $0 != nil }
        #expect(one == same)
        let both = zip(one, other).filter { $0 && $1 }.count
        #expect((400...600).contains(both), "\(both)")
    }
}

/// A trace id from a counter, mixed well (SplitMix64).
func random(_ index: UInt64) -> String {
    func mix(_ value: UInt64) -> UInt64 {
        var value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
    let step: UInt64 = 0x9E37_79B9_7F4A_7C15
    let words = [mix((index &* 2 &+ 1) &* step), mix((index &* 2 &+ 2) &* step)]
    return words.map { word in
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
}
