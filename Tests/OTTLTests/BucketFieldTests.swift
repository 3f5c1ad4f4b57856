import OTTL
import Testing

/// Fields of exponential histograms.
@Suite struct BucketFieldTests {
    private static let sample = """
        {"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{"name":"lib"},"metrics":[
        {"name":"size","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[
         {"timeUnixNano":"7","count":"6","sum":3.5,"scale":1,"zeroCount":"1","zeroThreshold":0.25,
          "positive":{"offset":-2,"bucketCounts":["1","2"]},"negative":{"offset":3,"bucketCounts":["2"]}}]}}]}]}]}
        """

    @Test(arguments: [
        "zero_threshold == 0.25", "positive.offset == -2", "datapoint.positive.bucket_counts == [1, 2]",
        "negative.offset == 3", "negative.bucket_counts[0] == 2", "Len(positive.bucket_counts) == 2",
    ])
    func `buckets on both sides of zero can be read`(_ condition: String) throws {
        #expect(try Lab.holds(condition, .datapoint, on: Self.sample))
    }

    @Test(arguments: ["zero_threshold", "positive.offset", "positive.bucket_counts", "negative.bucket_counts"])
    func `other points have none`(_ field: String) throws {
        #expect(try Lab.holds("\(field) == nil", .datapoint, on: Sample.metric))
        #expect(throws: OTTLFailure.self) { try Lab.run(["set(\(field), 1)"], .datapoint, on: Sample.metric) }
    }

    @Test func `one field changes and the others stay`() throws {
        let changed = try Lab.run(
            ["set(zero_threshold, 0.5)", "set(positive.offset, 4)", "set(negative.bucket_counts, [5, 6])"],
            .datapoint, on: Self.sample)
        for condition in [
            "zero_threshold == 0.5", "positive.offset == 4", "positive.bucket_counts == [1, 2]",
            "negative.offset == 3", "negative.bucket_counts == [5, 6]", "scale == 1", "zero_count == 1",
            "count == 6", "sum == 3.5", "time_unix_nano == 7",
        ] {
            #expect(try Lab.holds(condition, .datapoint, on: changed), "\(condition) in \(changed)")
        }
    }

    @Test(arguments: [
        "set(positive.offset, 2147483648)", "set(positive.offset, \"1\")", "set(negative.bucket_counts, [1, -1])",
        "set(positive.bucket_counts, [\"1\"])", "set(zero_threshold, 1)",
    ])
    func `a value that does not fit changes nothing`(_ statement: String) {
        #expect(throws: OTTLFailure.self) { try Lab.run([statement], .datapoint, on: Self.sample) }
    }
}
