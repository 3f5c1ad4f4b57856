import Configuration
import OTLP
import Pipeline
import Processors
import Telemetry
import Testing

/// Shares and consistency over 100,000 trace ids.
@Suite struct SamplerShareTests {
    private static let count = 100_000
    private static let request: [UInt8] = {
        var spans: [UInt8] = []
        for index in 0..<UInt64(count) {
            spans += Wire.field(2, Wire.field(1, Wire.id(random(index))) + Wire.field(2, Wire.id("0102030405060708")))
        }
        return Wire.field(1, Wire.field(2, spans))
    }()

    /// Which of the ids are kept.
    private static func kept(_ rules: String) throws -> [Bool] {
        var bench = Bench()
        var build = bench.build(.traces)
        let processor = try SamplerProcessor(options: options(SamplerOptions.self, rules).options, build: &build)
        let keys = build.keys.build()
        var batch = RecordBatch()
        var kept: [Bool] = []
        try request.withUnsafeBytes { input in
            _ = try OTLPReader.read(Text(input), signal: .traces, keys: keys, into: &batch)
            var context = ProcessContext()
            try processor.process(&batch, &context)
            kept = batch.spans.indices.map { !batch.isRemoved(span: $0) }
            #expect(context.droppedItems == kept.count { !$0 })
        }
        return kept
    }

    @Test(arguments: ["hash_seed", "equalizing", "proportional"])
    func `the share kept is within three sigma, and a smaller one lies inside a larger`(mode: String) throws {
        var smaller: [Bool]?
        for percentage in [1.0, 10, 25, 66.6, 90] {
            let kept = try SamplerShareTests.kept("{mode: \(mode), sampling_percentage: \(percentage)}")
            let probability = percentage / 100
            let sigma = (Double(SamplerShareTests.count) * probability * (1 - probability)).squareRoot()
            let share = kept.count { $0 }
            #expect(abs(Double(share) - Double(SamplerShareTests.count) * probability) < 3 * sigma, "\(share)")
            if let smaller { #expect(zip(smaller, kept).allSatisfy { !$0 || $1 }) }
            smaller = kept
        }
    }

    @Test func `the two modes of the specification keep the same traces`() throws {
        let one = try SamplerShareTests.kept("{mode: equalizing, sampling_percentage: 30}")
        #expect(try SamplerShareTests.kept("{mode: proportional, sampling_percentage: 30}") == one)
    }
}
