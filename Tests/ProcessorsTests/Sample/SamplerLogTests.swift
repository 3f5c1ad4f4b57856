import Configuration
import Pipeline
import Processors
import Telemetry
import Testing

/// Runs the sampler on one log record; nil when it is dropped, else its attributes.
private func sample(
    _ text: String, trace: String? = nil, _ attributes: [(String, [UInt8])] = []
) throws -> [String: String]? {
    var bench = Bench()
    var build = bench.build(.logs)
    let read = options(SamplerOptions.self, text)
    #expect(read.headlines == [])
    let processor = try SamplerProcessor(options: read.options, build: &build)
    let record = (trace.map { Wire.field(9, Wire.id($0)) } ?? []) + Wire.attributes(6, attributes)
    let (bytes, kept) = try Bench.run(processor, build, Wire.logs(records: [record]))
    return kept == 0 ? nil : try DecodedRequest(bytes, .logs).values(.log)
}

@Suite struct SamplerLogTests {
    private let high = "aabbccddeeff001122ffffffffffffff"
    private let low = "aabbccddeeff00112200000000000001"

    @Test func `the threshold is recorded in an attribute`() throws {
        let rules = "{mode: equalizing, sampling_percentage: 25}"
        #expect(try sample(rules, trace: high) == ["sampling.threshold": "\"c\""])
        #expect(try sample(rules, trace: low) == nil)
    }

    @Test func `randomness and threshold that arrive are used`() throws {
        let rules = "{mode: proportional, sampling_percentage: 50}"
        let arrived: [(String, [UInt8])] = [
            ("sampling.randomness", Wire.string("e05a99c8df8d32")), ("sampling.threshold", Wire.string("8")),
        ]
        #expect(try sample(rules, trace: low, arrived)?["sampling.threshold"] == "\"c\"")
        let contradiction: [(String, [UInt8])] = [
            ("sampling.randomness", Wire.string("105a99c8df8d32")), ("sampling.threshold", Wire.string("8")),
        ]
        #expect(try sample(rules, trace: high, contradiction) == nil)
        let open = "{mode: proportional, sampling_percentage: 50, fail_closed: false}"
        #expect(try sample(open, trace: high, contradiction) == ["sampling.randomness": "\"105a99c8df8d32\""])
    }

    @Test func `a record without randomness is dropped unless fail_closed is false`() throws {
        #expect(try sample("{mode: equalizing, sampling_percentage: 99}") == nil)
        #expect(try sample("{sampling_percentage: 99}") == nil)
        #expect(try sample("{sampling_percentage: 99, fail_closed: false}") == [:])
    }

    @Test func `an attribute of the record is hashed when there is no trace id, or when asked`() throws {
        let rules = "{sampling_percentage: 50, from_attribute: pod}"
        var kept = 0
        for pod in 0..<400 {
            let first = try sample(rules, [("pod", Wire.string("pod-\(pod)"))])
            if first != nil { kept += 1 }
            #expect(try (sample(rules, [("pod", Wire.string("pod-\(pod)"))]) != nil) == (first != nil))
        }
        #expect((150...250).contains(kept), "\(kept)")
        // By trace id all records of a trace go one way, whatever the attribute.
        let byTrace = try (0..<40).map { try sample(rules, trace: high, [("pod", Wire.string("\($0)"))]) != nil }
        #expect(Set(byTrace).count == 1)
        let byRecord = "{sampling_percentage: 50, from_attribute: pod, attribute_source: record}"
        let answers = try (0..<40).map { try sample(byRecord, trace: high, [("pod", Wire.string("\($0)"))]) != nil }
        #expect(Set(answers).count == 2)
    }

    @Test func `a record's own percentage drops at zero and keeps more than the rule`() throws {
        let rules = "{mode: equalizing, sampling_percentage: 25, sampling_priority: prio}"
        let middle = "aabbccddeeff00112280000000000000"
        #expect(try sample(rules, trace: high, [("prio", Wire.int(0))]) == nil)
        #expect(try sample(rules, trace: low, [("prio", Wire.int(100))])?["sampling.threshold"] == "\"0\"")
        #expect(try sample(rules, trace: low, [("prio", Wire.double(250))]) != nil)
        #expect(try sample(rules, trace: middle) == nil)
        #expect(try sample(rules, trace: middle, [("prio", Wire.int(50))])?["sampling.threshold"] == "\"8\"")
        #expect(try sample(rules, trace: high, [("prio", Wire.string("x"))]) != nil)
        let never = "{mode: equalizing, sampling_percentage: 0, sampling_priority: prio}"
        #expect(try sample(never, trace: low, [("prio", Wire.int(100))]) != nil)
    }

    @Test func `metrics cannot be sampled`() {
        var bench = Bench()
        var build = bench.build(.metrics)
        let read = options(SamplerOptions.self, "{sampling_percentage: 10}").options
        #expect(throws: ProcessorBuildFailure.self) { try SamplerProcessor(options: read, build: &build) }
    }

    @Test(arguments: [
        "{sampling_percentage: -1}", "{hash_seed: 4294967296}", "{mode: random}", "{sampling_precision: 0}",
        "{sampling_precision: 15}", "{attribute_source: record}", "{sampling_percentage: 1.0e-20}", "{percentage: 5}",
    ])
    func `a faulty option is a problem`(text: String) {
        #expect(options(SamplerOptions.self, text).headlines.count == 1)
    }
}
