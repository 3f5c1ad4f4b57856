import Pipeline
import Telemetry

/// What destinations stumble over, as one request per signal, and what stands in the columns afterwards. docs/sql.md
/// states the rules.
enum HostileRequest {
    static let textSize = 10 << 20
    static let name = "a\u{0}b'\";--\\\n\r\t$$ %s {x} \u{1F600}\u{202E}"
    /// What databases hold of it: none of them stores a NUL.
    static let storedName = "a\u{FFFD}b'\";--\\\n\r\t$$ %s {x} \u{1F600}\u{202E}"

    /// In the order of the spans: name, milliseconds, kind, status, output tokens, length of the input messages.
    static let stored: [[String]] = [
        [storedName, "0", "internal", "unset", "\(Int64.min)", "\(textSize)"],
        ["", "0", "99", "77", "-", "0"],
        ["ends before it starts", "-", "internal", "error", "-", "0"],
        ["good", "250", "internal", "unset", "7", "0"],
    ]

    /// Columns of `stored`, as each dialect asks for them.
    static func select(text: String, integer: String, length: String = "length") -> String {
        "SELECT name, coalesce(CAST(CAST(duration_ms AS \(integer)) AS \(text)), '-'), kind, status_code, "
            + "coalesce(CAST(output_tokens AS \(text)), '-'), "
            + "CAST(coalesce(\(length)(input_messages), 0) AS \(text)) FROM spans ORDER BY span_id"
    }

    static var spans: [TestSpan] {
        var deep = TestValue.text("bottom")
        for _ in 0..<30 { deep = .list([deep]) }
        let everything = TestSpan(
            id: 5, name: name, start: .max, end: .max,
            attributes: [
                ("gen_ai.operation.name", .text("chat")), ("gen_ai.usage.cost", .double(.nan)),
                ("gen_ai.usage.input_tokens", .double(1e300)), ("gen_ai.usage.output_tokens", .int(.min)),
                ("gen_ai.usage.reasoning.output_tokens", .text("99999999999999999999")),
                ("gen_ai.input.messages", .text(String(repeating: "x", count: textSize))),
                ("gen_ai.tool.call.arguments", deep), ("gen_ai.tool.name", .none), ("user.id", .data([0xFF, 0])),
                ("k'\"\n\u{0}\\;--", .text("v\u{0}\\u0000")), ("inf", .double(-.infinity)), ("nan", .double(.nan)),
                ("same", .int(1)), ("same", .int(2)), ("", .text("")),
                ("map", .map([("", .none), ("a\u{0}", .map([])), ("'", .double(.infinity))])),
            ],
            events: [("e\u{0}'", [("k'", .none)]), ("", [])], links: [1])
        let nothing = TestSpan(id: 6, name: "", start: 0, end: 0, status: 77, kind: 99)
        let backwards = TestSpan(id: 7, name: "ends before it starts", start: 5_000_000_000, end: 1, status: 2)
        let good = TestSpan(id: 8, name: "good", attributes: [("gen_ai.usage.output_tokens", .int(7))])
        return [everything, nothing, backwards, good]
    }

    static var traces: ExportBatch {
        ExportBatch(
            signal: .traces, itemCount: 4, bytes: TestRequest.traces(spans, service: "s'\u{0}"), tenant: "o'neil")
    }

    static var logs: ExportBatch {
        let bytes = TestRequest.request("agent") { scope in
            scope.message(2) { log in
                log.fixed64(1, .max)
                log.number(2, 255)
                log.text(3, "\u{0}")
                log.data(5, TestValue.map([("k'", .text(name)), ("n", .double(.nan))]).bytes)
                log.attribute(6, name, .text(name))
            }
            scope.message(2) { _ in }
        }
        return ExportBatch(signal: .logs, itemCount: 2, bytes: bytes)
    }

    static var metrics: ExportBatch {
        let bytes = TestRequest.request("agent") { scope in
            scope.message(2) { metric in
                metric.text(1, name)
                metric.text(3, "\u{0}")
                metric.message(5) { gauge in
                    for value in [Double.nan, .infinity, -.infinity, .greatestFiniteMagnitude] {
                        gauge.message(1) { point in
                            point.fixed64(3, .max)
                            point.fixed64(4, value.bitPattern)
                        }
                    }
                    gauge.message(1) { $0.fixed64(6, UInt64(bitPattern: Int64.min)) }
                }
            }
            scope.message(2) { metric in
                metric.message(9) { histogram in
                    histogram.message(1) { point in
                        point.fixed64(4, .max)
                        point.fixed64(5, Double.nan.bitPattern)
                        point.fixed64(11, Double.infinity.bitPattern)
                    }
                }
            }
        }
        return ExportBatch(signal: .metrics, itemCount: 6, bytes: bytes)
    }

    /// Text that is not UTF-8 never comes this far: receivers refuse the request. So here the request as a whole is
    /// refused, and those beside it are not.
    static var broken: ExportBatch {
        let mark = "NOT-UTF-8"
        var bytes = TestRequest.traces([TestSpan(id: 9, name: mark)])
        let pattern = Array(mark.utf8)
        let place = bytes.indices.first { bytes[$0...].starts(with: pattern) }
        if let place { bytes.replaceSubrange(place..<place + pattern.count, with: pattern.map { _ in 0xFE }) }
        return ExportBatch(signal: .traces, itemCount: 1, bytes: bytes)
    }
}
