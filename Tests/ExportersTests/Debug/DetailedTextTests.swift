import Telemetry
import Testing

@testable import Exporters

/// The layout is the Collector's: `otlptext` of its debug exporter.
@Suite struct DetailedTextTests {
    private func lines(_ request: [UInt8], _ signal: Signal) throws -> [String] {
        let text = try request.withUnsafeBytes { try DebugPrinter(verbosity: .detailed).text(Text($0), signal: signal) }
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    /// The lines in front of the first record.
    private func head(_ summary: String, _ resource: String, _ scope: String) -> [String] {
        [
            summary, "\(resource) #0", "Resource SchemaURL: ", "Resource attributes:",
            "     -> service.name: Str(agent)", "\(scope) #0", "\(scope) SchemaURL: ", "InstrumentationScope tests ",
        ]
    }

    private let ones = String(repeating: "01", count: 16)
    private let twos = String(repeating: "02", count: 8)

    @Test func `a span has its resource, scope, ids, times, status, events and links`() throws {
        let span = TestSpan(
            id: 3, parent: 2, name: "call", start: 20, end: 5_000_020, status: 2, message: "no\u{1B}[31m",
            attributes: [
                ("tool", .text("search")), ("n", .int(-4)), ("share", .double(0.5)), ("ok", .flag(true)),
                ("map", .map([("a", .int(1))])), ("list", .list([.text("x")])), ("raw", .data([104, 105])),
                ("nothing", .none),
            ], events: [("exception", [("k", .text("v"))])], links: [7])
        let sevens = String(repeating: "07", count: 8)
        let wanted: [String] = [
            "Span #0",
            "    Trace ID       : \(ones)",
            "    Parent ID      : \(twos)",
            "    ID             : 0303030303030303",
            "    Name           : call",
            "    Kind           : Internal",
            "    Start time     : 1970-01-01 00:00:00.00000002 +0000 UTC",
            "    End time       : 1970-01-01 00:00:00.00500002 +0000 UTC",
            "    Status code    : Error",
            "    Status message : no\\u{1b}[31m",
            "Attributes:",
            "     -> tool: Str(search)", "     -> n: Int(-4)", "     -> share: Double(0.5)", "     -> ok: Bool(true)",
            "     -> map: Map({\"a\":1})", "     -> list: Slice([\"x\"])", "     -> raw: Bytes(aGk=)",
            "     -> nothing: Empty()",
            "Events:", "SpanEvent #0", "     -> Name: exception",
            "     -> Timestamp: 1970-01-01 00:00:00.00000002 +0000 UTC", "     -> DroppedAttributesCount: 0",
            "     -> Attributes::", "          -> k: Str(v)",
            "Links:", "SpanLink #0", "     -> Trace ID: \(sevens)\(sevens)", "     -> ID: \(sevens)",
            "     -> TraceState: ", "     -> DroppedAttributesCount: 0",
        ]
        let shown = try lines(TestRequest.traces([span]), .traces)
        #expect(shown == head("traces: 1 spans, 1 resources", "ResourceSpans", "ScopeSpans") + wanted)
    }

    @Test func `a log record has its times, severity, body and ids`() throws {
        let request = TestRequest.request("agent") { scope in
            scope.message(2) { log in
                log.fixed64(1, 1_500_000_000)
                log.number(2, 14)
                log.text(3, "warning")
                log.data(5, TestValue.map([("a", .flag(false))]).bytes)
                log.attribute(6, "k", .int(1))
                log.number(7, 2)
                log.data(9, [UInt8](repeating: 1, count: 16))
                log.data(10, [UInt8](repeating: 2, count: 8))
                log.text(12, "user.login")
            }
        }
        let wanted: [String] = [
            "LogRecord #0", "ObservedTimestamp: 1970-01-01 00:00:00 +0000 UTC",
            "Timestamp: 1970-01-01 00:00:01.5 +0000 UTC", "SeverityText: warning", "SeverityNumber: Warn2(14)",
            "EventName: user.login", "Body: Map({\"a\":false})", "Attributes:", "     -> k: Int(1)",
            "    DroppedAttributesCount: 2", "Trace ID: \(ones)", "Span ID: \(twos)", "Flags: 0",
        ]
        let shown = try lines(request, .logs)
        #expect(shown == head("logs: 1 records, 1 resources", "ResourceLog", "ScopeLogs") + wanted)
    }

    @Test func `numbers and histograms have all their values`() throws {
        let wanted: [String] = [
            "Metric #0", "Descriptor:", "     -> Name: tokens", "     -> Description: ", "     -> Unit: {token}",
            "     -> DataType: Gauge",
            "NumberDataPoints #0", "Data point attributes:", "     -> model: Str(m)",
            "StartTimestamp: 1970-01-01 00:00:00 +0000 UTC", "Timestamp: 1970-01-01 00:00:00.000000007 +0000 UTC",
            "Value: 42",
            "NumberDataPoints #1", "StartTimestamp: 1970-01-01 00:00:00 +0000 UTC",
            "Timestamp: 1970-01-01 00:00:00.000000008 +0000 UTC", "Value: 1.5",
            "Metric #1", "Descriptor:", "     -> Name: latency", "     -> Description: ", "     -> Unit: ",
            "     -> DataType: Histogram", "     -> AggregationTemporality: Delta",
            "HistogramDataPoints #0", "StartTimestamp: 1970-01-01 00:00:00 +0000 UTC",
            "Timestamp: 1970-01-01 00:00:00.000000009 +0000 UTC", "Count: 3", "Sum: 6.0",
            "Buckets #0, Count: 1", "Buckets #1, Count: 2",
        ]
        let shown = try lines(TestRequest.metrics(), .metrics)
        #expect(
            shown == head("metrics: 2 metrics, 3 points, 1 resources", "ResourceMetrics", "ScopeMetrics") + wanted)
    }

    @Test func `exponential histograms and summaries have all their values`() throws {
        let request = TestRequest.request("agent") { scope in
            scope.message(2) { metric in
                metric.text(1, "size")
                metric.message(10) { histogram in
                    histogram.message(1) { Self.addExponential(to: &$0) }
                    histogram.number(2, 2)
                }
            }
            scope.message(2) { metric in
                metric.text(1, "old")
                metric.message(11) { summary in
                    summary.message(1) { point in
                        point.fixed64(4, 7)
                        point.fixed64(5, 9.0.bitPattern)
                        point.message(6) { quantile in
                            quantile.fixed64(1, 0.5.bitPattern)
                            quantile.fixed64(2, 1.25.bitPattern)
                        }
                    }
                }
            }
        }
        let wanted: [String] = [
            "ExponentialHistogramDataPoints #0", "StartTimestamp: 1970-01-01 00:00:00 +0000 UTC",
            "Timestamp: 1970-01-01 00:00:00.000000009 +0000 UTC", "Count: 6", "Sum: 3.5", "Max: 8.0",
            "Bucket [-4.0, -2.0), Count: 2", "Bucket [-2.0, -1.0), Count: 1", "Bucket [0, 0], Count: 1",
            "ZeroThreshold: 0.25", "Bucket (2.0, 4.0], Count: 0", "Bucket (4.0, 8.0], Count: 2",
            "Exemplars:", "Exemplar #0", "     -> Trace ID: \(ones)", "     -> Span ID: \(twos)",
            "     -> Timestamp: 1970-01-01 00:00:00.000000003 +0000 UTC", "     -> Value: 7.5",
            "     -> FilteredAttributes: {\"user\":\"ann\"}",
        ]
        let all = try lines(request, .metrics)
        let point = try #require(all.firstIndex(of: wanted[0]))
        #expect(Array(all[point...].prefix(wanted.count)) == wanted)
        #expect(all[point - 1] == "     -> AggregationTemporality: Cumulative")
        #expect(Array(all.suffix(3)) == ["Count: 7", "Sum: 9.0", "QuantileValue #0: Quantile 0.5, Value 1.25"])
    }

    @Test func `exponential buckets whose bounds are no numbers are shown without`() throws {
        let request = TestRequest.request("agent") { scope in
            scope.message(2) { metric in
                metric.message(10) { histogram in
                    histogram.message(1) { point in
                        Self.addExponential(to: &point)
                        // The least scale there is, in zigzag.
                        point.number(6, 4_294_967_295)
                    }
                }
            }
        }
        let buckets = try lines(request, .metrics).filter { $0.hasPrefix("Bucket") }
        let wanted = [2, 1].map { "Bucket without bounds, Count: \($0)" } + ["Bucket [0, 0], Count: 1"]
        #expect(buckets == wanted + [0, 2].map { "Bucket without bounds, Count: \($0)" })
    }

    /// Scale 0, so that bucket n ends at 2 to the power of n + 1.
    private static func addExponential(to point: inout ProtoBytes) {
        point.fixed64(3, 9)
        point.fixed64(4, 6)
        point.fixed64(5, 3.5.bitPattern)
        point.fixed64(7, 1)
        point.message(8) { buckets in
            buckets.number(1, 2)
            buckets.data(2, [0, 2])
        }
        point.message(9) { $0.data(2, [1, 2]) }
        point.message(11) { exemplar in
            exemplar.fixed64(2, 3)
            exemplar.fixed64(3, 7.5.bitPattern)
            exemplar.data(4, [UInt8](repeating: 2, count: 8))
            exemplar.data(5, [UInt8](repeating: 1, count: 16))
            exemplar.attribute(7, "user", .text("ann"))
        }
        point.fixed64(13, 8.0.bitPattern)
        point.fixed64(14, 0.25.bitPattern)
    }

    @Test func `long values and lists are cut`() throws {
        var span = TestSpan(attributes: [("long", .text(String(repeating: "x", count: 10_000)))])
        for index in 0..<300 { span.attributes.append(("k\(index)", .int(1))) }
        span.links = [UInt8](repeating: 7, count: 250)
        let all = try lines(TestRequest.traces([span]), .traces)
        #expect(all.contains { $0.hasSuffix("x…)") && $0.utf8.count < 300 })
        #expect(all.contains("… 101 more") && all.contains("… 50 more"))
        #expect(!all.contains { $0.contains("k250") })
    }

    @Test func `any scale and offset has bounds`() throws {
        let request = TestRequest.request("agent") { scope in
            scope.message(2) { metric in
                metric.message(10) { histogram in
                    histogram.message(1) { point in
                        point.number(6, UInt64.max)
                        point.message(8) { buckets in
                            buckets.number(1, UInt64.max - 1)
                            buckets.data(2, [UInt8](repeating: 1, count: 250))
                        }
                    }
                }
            }
        }
        #expect(try lines(request, .metrics).last == "… 50 more")
    }
}
