import OTLP
import Telemetry
import TestSupport
import Testing

/// Where a field that the schema does not know can stand.
enum UnknownPlace: String, CaseIterable, CustomTestStringConvertible {
    case request, resourceContainer, resource, scopeContainer, scope
    case span, event, link, status, log, metric
    case gauge, sum, histogram, exponentialHistogram, summary
    case gaugePoint, sumPoint, histogramPoint, exponentialPoint, summaryPoint
    case keyValue, anyValue, arrayValue, mapValue

    var testDescription: String { rawValue }

    var signal: Signal {
        switch self {
        case .log: .logs
        case .metric, .gauge, .sum, .histogram, .exponentialHistogram, .summary, .gaugePoint, .sumPoint,
            .histogramPoint, .exponentialPoint, .summaryPoint:
            .metrics
        default: .traces
        }
    }

    /// A group, a varint and a text that say which level they belong to.
    var field: [UInt8] {
        WireBytes.build {
            $0.tag(1_900, 3)
            $0.text(1, "group of \(rawValue)")
            $0.tag(1_900, 4)
            $0.number(1_901, 42)
            $0.text(1_902, "unknown of \(rawValue)")
        }
    }
}

/// Requests with an unknown field at one place, in front of an attribute and behind it.
struct UnknownRequest {
    let place: UnknownPlace

    private func mark(_ here: UnknownPlace, _ output: inout WireBytes) {
        if here == place { output.bytes += place.field }
    }

    var bytes: [UInt8] {
        WireBytes.build { request in
            mark(.request, &request)
            request.message(1) { container in
                mark(.resourceContainer, &container)
                container.message(1) {
                    mark(.resource, &$0)
                    $0.attribute(1, "neighbour", "x")
                }
                container.message(2) { scopeContainer in
                    mark(.scopeContainer, &scopeContainer)
                    scopeContainer.message(1) {
                        $0.attribute(3, "neighbour", "x")
                        mark(.scope, &$0)
                    }
                    scopeContainer.data(2, record)
                }
            }
        }
    }

    private var record: [UInt8] {
        switch place.signal {
        case .traces: span
        case .logs:
            WireBytes.build {
                $0.attribute(6, "neighbour", "x")
                mark(.log, &$0)
            }
        case .metrics: metric
        }
    }

    private var span: [UInt8] {
        WireBytes.build { span in
            span.ids()
            mark(.span, &span)
            span.attribute(9, "neighbour", "x")
            span.message(9) { pair in
                pair.text(1, "holder")
                mark(.keyValue, &pair)
                pair.message(2) { value in
                    mark(.anyValue, &value)
                    if place == .mapValue {
                        value.message(6) {
                            mark(.mapValue, &$0)
                            $0.attribute(1, "k", "v")
                        }
                    } else {
                        value.message(5) {
                            $0.message(1) { $0.text(1, "member") }
                            mark(.arrayValue, &$0)
                        }
                    }
                }
            }
            span.message(11) {
                $0.attribute(3, "neighbour", "x")
                mark(.event, &$0)
            }
            span.message(13) {
                mark(.link, &$0)
                $0.attribute(4, "neighbour", "x")
            }
            span.message(15) {
                $0.text(2, "failed")
                mark(.status, &$0)
            }
        }
    }

    private var metric: [UInt8] {
        let kinds: [(data: UInt32, attributes: UInt32, here: UnknownPlace, point: UnknownPlace)] = [
            (5, 7, .gauge, .gaugePoint), (7, 7, .sum, .sumPoint), (9, 9, .histogram, .histogramPoint),
            (10, 1, .exponentialHistogram, .exponentialPoint), (11, 7, .summary, .summaryPoint),
        ]
        let kind = kinds.first { $0.here == place || $0.point == place } ?? kinds[0]
        return WireBytes.build { metric in
            metric.text(1, "tokens")
            mark(.metric, &metric)
            metric.message(kind.data) { data in
                mark(kind.here, &data)
                data.message(1) { point in
                    point.attribute(kind.attributes, "neighbour", "x")
                    mark(kind.point, &point)
                }
            }
            metric.attribute(12, "neighbour", "x")
        }
    }
}

@Suite struct `Unknown fields survive at every level` {
    @Test(arguments: UnknownPlace.allCases)
    func `when every neighbouring attribute changes`(place: UnknownPlace) throws {
        try check(place) { batch in
            let value = batch.addText(Text("a new value that is longer"))
            for set in batch.allSets {
                for index in batch.range(of: set) where batch.text(batch.attributes[index].key) == "neighbour" {
                    batch.setValue(.string(value), at: index, in: set)
                }
            }
        }
    }

    @Test(arguments: UnknownPlace.allCases)
    func `when attributes are added and removed, and names and texts change`(place: UnknownPlace) throws {
        try check(place) { batch in
            let text = batch.addText(Text("new"))
            for set in batch.allSets {
                if let index = batch.find(name: Text("neighbour"), in: set) { batch.remove(at: index, from: set) }
                batch.append(key: text, .int(1), to: set)
            }
            for span in batch.spans.indices {
                batch.setName(text, ofSpan: span)
                batch.setStatusMessage(text, ofSpan: span)
                batch.setTraceState(text, ofSpan: span)
            }
            for event in batch.events.indices { batch.setName(text, ofEvent: event) }
            for log in batch.logs.indices { batch.setBody(.string(text), ofLog: log) }
        }
    }

    @Test(arguments: [UnknownPlace.keyValue, .anyValue, .arrayValue, .mapValue])
    func `when the attribute that holds them is renamed`(place: UnknownPlace) throws {
        var builder = KeyTable.Builder()
        let renamed = builder.intern("renamed")
        let request = UnknownRequest(place: place).bytes
        let written = try Rewriting.rewrite(request, .traces, keys: builder.build()) { batch in
            let set = batch.spans[0].set
            let index = batch.range(of: set).upperBound - 1
            batch.rename(at: index, to: renamed, in: set)
        }
        #expect(written.contains(place.field))
        #expect(written.contains(Array("renamed".utf8)))
        #expect(!written.contains(Array("holder".utf8)))
    }

    @Test(arguments: UnknownPlace.allCases)
    func `on the way through JSON and back`(place: UnknownPlace) throws {
        let request = UnknownRequest(place: place).bytes
        var json = ByteColumn()
        request.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: place.signal, into: &json) }
        var back = ByteColumn()
        try OTLPJSONReader.transcode(json.text, signal: place.signal, into: &back)
        #expect([UInt8](back.bytes).contains(place.field))
    }

    @Test(arguments: [UnknownPlace.keyValue, .anyValue])
    func `when the value that holds them is replaced`(place: UnknownPlace) throws {
        try check(place) { batch in
            let set = batch.spans[0].set
            let text = batch.addText(Text("masked"))
            batch.setValue(.string(text), at: batch.range(of: set).upperBound - 1, in: set)
        }
    }

    @Test func `when a value or a body in two pieces is replaced`() throws {
        let field = UnknownPlace.anyValue.field
        let value = WireBytes.build { $0.text(1, "a") }
        let span = WireBytes.build {
            $0.ids()
            $0.message(9) {
                $0.text(1, "k")
                $0.data(2, field + value)
                $0.data(2, value)
            }
        }
        let written = try Rewriting.rewrite(WireBytes.request(records: [span]), .traces) { batch in
            let set = batch.spans[0].set
            batch.setValue(batch.attributes[0].value, at: batch.range(of: set).lowerBound, in: set)
        }
        #expect(written.contains(field + value))
        let log = WireBytes.build {
            $0.data(5, value + field)
            $0.data(5, value)
        }
        let kept = try Rewriting.rewrite(WireBytes.request(records: [log]), .logs) { batch in
            batch.setBody(.int(7), ofLog: 0)
        }
        #expect(kept.contains([0x2A, UInt8(field.count + 2)] + field + [0x18, 7]))
    }

    private func check(_ place: UnknownPlace, _ change: (inout RecordBatch) -> Void) throws {
        let request = UnknownRequest(place: place).bytes
        #expect(request.contains(place.field))
        let written = try Rewriting.rewrite(request, place.signal, change)
        #expect(written != request)
        #expect(written.contains(place.field))
    }
}
