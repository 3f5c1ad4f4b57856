import Pipeline
import Telemetry
import Testing

@testable import Receivers

@Suite struct WrongSignalTests {
    /// A delimited field; all numbers and lengths of these tests take one byte.
    private static func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
        [number << 3 | 2, UInt8(content.count)] + content
    }

    private static func fixed64(_ number: UInt8) -> [UInt8] { [number << 3 | 1] + [UInt8](repeating: 1, count: 8) }

    /// A request with one record in one scope of one resource.
    private static func request(_ record: [UInt8]) -> [UInt8] {
        field(1, field(1, []) + field(2, field(1, []) + field(2, record)))
    }

    private static let span =
        field(1, [UInt8](repeating: 1, count: 16)) + field(2, [UInt8](repeating: 2, count: 8)) + field(5, [0x6E])
        + [6 << 3, 1] + fixed64(7) + fixed64(8)
    private static let log = fixed64(1) + [2 << 3, 9] + field(3, [0x61]) + field(5, field(1, [0x62]))
    private static let gauge = field(1, Array("queue.size".utf8)) + field(5, field(1, fixed64(3)))
    private static let sum = field(1, Array("requests".utf8)) + field(7, field(1, fixed64(3)) + [16, 2])

    private func found(_ body: [UInt8], as signal: Signal, _ encoding: WireEncoding = .protobuf) -> Signal? {
        body.withUnsafeBytes { WrongSignal.found(in: $0, sentAs: signal, encoding: encoding) }
    }

    @Test(arguments: [
        (Self.span, Signal.traces), (Self.log, .logs), (Self.gauge, .metrics), (Self.sum, .metrics),
    ])
    func `a record is recognized on the path of every other signal and not on its own`(
        record: [UInt8], signal: Signal
    ) {
        for other in Signal.allCases {
            #expect(found(Self.request(record), as: other) == (other == signal ? nil : signal), "sent as \(other)")
        }
    }

    @Test(arguments: [
        Self.field(1, [1, 2, 3]) + Self.field(2, [UInt8](repeating: 2, count: 8)) + Self.field(5, Array("chat".utf8)),
        Self.field(1, Array("0af7651916cd43dd8448eb211c80319c".utf8)) + Self.field(5, Array("chat".utf8)) + [
            6 << 3, 3,
        ],
        Self.fixed64(7) + Self.fixed64(8), [], Self.field(5, []),
        // Nothing but ids that could be a metric's name and description.
        Self.field(1, Array("abc".utf8)) + Self.field(2, Array("de".utf8)),
        Self.field(1, Array("0af7651916cd43dd8448eb211c80319c".utf8)) + Self.field(2, Array("b7ad6b7169203331".utf8)),
    ])
    func `a span with wrong or missing ids stays a span`(record: [UInt8]) {
        #expect(found(Self.request(record), as: .traces) == nil)
    }

    private static let number10: [UInt8] = [10 << 3, 1]
    private static let group12: [UInt8] = [12 << 3 | 3, 12 << 3 | 4]
    private static let pointData = field(5, field(1, fixed64(3)) + group12)
    /// Its name and description are as long as the ids of a span.
    private static let spanLike =
        field(1, Array("http.server.time".utf8)) + field(2, Array("requests".utf8)) + pointData

    private static let key = field(1, [0x6B]) + field(2, field(1, [0x76]))

    @Test(arguments: [
        // Without a name, of an empty kind, with metadata; as a log record it would be severity, id and event name.
        Self.field(3, [0x73]) + Self.field(9, []) + Self.field(12, Self.key),
        Self.field(3, [0x73]) + Self.field(7, [16, 2]), Self.field(10, []) + Self.field(11, []),
        // The points behind the other fields of their message.
        Self.field(1, [0x6E]) + Self.field(7, [16, 2, 24, 1] + Self.field(1, Self.fixed64(3))),
        // Known numbers in another form are unknown fields: one for the exponential histogram, a group in the data.
        Self.field(3, [0x73]) + Self.pointData + Self.number10,
        Self.field(9, [16, 2] + Self.group12) + Self.field(3, [0x73]), Self.spanLike + Self.number10,
    ])
    func `a metric with odd but valid data stays a metric`(record: [UInt8]) {
        #expect(found(Self.request(record), as: .metrics) == nil)
    }

    @Test func `one record that fits is enough, and one that does not costs no batch`() {
        func request(_ records: [[UInt8]]) -> [UInt8] {
            Self.field(1, Self.field(1, []) + Self.field(2, records.flatMap { Self.field(2, $0) }))
        }
        let odd = Self.field(1, Array("queue".utf8)) + Self.field(5, [])
        #expect(found(request([odd]), as: .traces) == .metrics)
        #expect(found(request([odd, Self.span]), as: .traces) == nil)
        #expect(found(request([Self.log, Self.log]), as: .traces) == .logs)
    }

    @Test func `the first scope with records tells, among the first fields`() {
        let scopes = Self.field(2, []) + Self.field(2, Self.field(1, [])) + Self.field(2, Self.field(2, Self.gauge))
        let request = Self.field(1, []) + Self.field(1, Self.field(1, [])) + Self.field(1, scopes)
        #expect(found(request, as: .logs) == .metrics)
        #expect(found(request, as: .metrics) == nil)
        func behind(_ count: Int) -> [UInt8] {
            (0..<count).flatMap { _ in Self.field(1, []) } + Self.request(Self.span)
        }
        #expect(found(behind(200), as: .logs) == .traces)
        #expect(found(behind(300), as: .logs) == nil)
    }

    @Test func `fields that no schema knows say nothing`() {
        #expect(found(Self.request(Self.log + Self.field(15, [1])), as: .logs) == nil)
        #expect(found(Self.request(Self.field(15, [1])), as: .metrics) == nil)
    }

    @Test func `every cut and garbled byte is judged without a trap`() {
        for record in [Self.span, Self.log, Self.gauge, Self.sum] {
            let body = Self.request(record)
            for signal in Signal.allCases {
                for length in 0..<body.count { _ = found(Array(body[..<length]), as: signal) }
                for place in body.indices {
                    for mask: UInt8 in [0x01, 0x80, 0xFF] {
                        var garbled = body
                        garbled[place] ^= mask
                        _ = found(garbled, as: signal)
                    }
                }
            }
        }
        #expect(found([], as: .traces) == nil)
        #expect(found([UInt8](repeating: 0xFF, count: 40), as: .logs) == nil)
    }

    @Test(arguments: [
        (" {\n \"resourceLogs\": []}", Signal.logs), ("{\"resourceMetrics\":[]}", .metrics),
        ("{\"resourceSpans\":[", .traces), ("{\"x\":1,\"resourceLogs\":[{}]}", .logs),
        (#"{"x":{"a":[1,{"resourceSpans":[]}],"b":"\",}\\"} , "resourceMetrics":[]}"#, .metrics),
    ])
    func `JSON is recognized by the first key that names a signal`(text: String, signal: Signal) {
        for other in Signal.allCases {
            #expect(found(Array(text.utf8), as: other, .json) == (other == signal ? nil : signal))
        }
    }

    @Test func `JSON that names the signal of its path may name others as well`() {
        let filler = String(repeating: "x", count: 100 << 10)
        for note in ["", filler] {
            let text = #"{"resourceLogs":[{"schemaUrl":"\#(note)"}],"resourceSpans":[]}"#
            #expect(found(Array(text.utf8), as: .traces, .json) == nil)
            #expect(found(Array(text.utf8), as: .logs, .json) == nil)
            #expect(found(Array(text.utf8), as: .metrics, .json) == .logs)
        }
    }

    @Test(arguments: [
        "", "{", "{}", "[]", "{\"x\":1}", "{\"resourceSpansX\":1}", "\"resourceLogs\"",
        #"{"x":["resourceSpans"],"y":"resourceLogs"}"#,
        #"{"x":{"resourceLogs":[]}}"#, #"{"x":"\"#, #"{"x":"a\"#, #"{"x":1,"#, #"{"x":[[[[{{{{"#,
    ])
    func `other JSON says nothing`(text: String) {
        #expect(found(Array(text.utf8), as: .metrics, .json) == nil)
    }

    @Test func `only the first bytes of JSON are gone through`() {
        func body(_ count: Int) -> [UInt8] {
            Array("{\"note\": \"".utf8) + [UInt8](repeating: 0x61, count: count)
                + Array("\", \"resourceLogs\": []}".utf8)
        }
        #expect(found(body(60 << 10), as: .traces, .json) == .logs)
        #expect(found(body(70 << 10), as: .traces, .json) == nil)
    }
}
