import Telemetry

/// Every place of a request at which text may stand.
enum Place: String, CaseIterable, Sendable {
    case spanAttribute, spanAttributeKey, spanArray, spanMap, spanMapKey, spanDeepMap, spanBytes
    case spanName, statusMessage, eventName, eventAttribute, linkAttribute
    case resourceAttribute, resourceMap, scopeAttribute, scopeName, scopeVersion, resourceSchemaURL, scopeSchemaURL
    case traceState, linkTraceState
    case logBody, logBodyBytes, logBodyMap, logBodyArray, logAttribute, logEventName, logSeverityText
    case metricName, metricDescription, metricUnit
    case gaugeAttribute, sumAttribute, histogramAttribute, exponentialAttribute, summaryAttribute, metricMetadata
    case gaugeExemplar, histogramExemplar, exponentialExemplar

    var signal: Signal {
        switch self {
        case .logBody, .logBodyBytes, .logBodyMap, .logBodyArray, .logAttribute, .logEventName, .logSeverityText: .logs
        case .metricName, .metricDescription, .metricUnit, .gaugeAttribute, .sumAttribute, .histogramAttribute,
            .exponentialAttribute, .summaryAttribute,
            .metricMetadata, .gaugeExemplar, .histogramExemplar, .exponentialExemplar:
            .metrics
        default: .traces
        }
    }

    /// A request with `text` at this place.
    func request(_ text: String) -> [UInt8] {
        let value = Wire.string(text)
        switch self {
        case .spanAttribute: return span(Wire.strings(9, [("gen_ai.x", text), ("other", "stays")]))
        case .spanAttributeKey: return span(Wire.attributes(9, [(text, Wire.int(1))]))
        case .spanArray:
            return span(Wire.attributes(9, [("a", Wire.array([Wire.string("stays"), value, Wire.int(7)]))]))
        case .spanMap: return span(Wire.attributes(9, [("a", Wire.map([("b", value), ("c", Wire.bool(true))]))]))
        case .spanMapKey: return span(Wire.attributes(9, [("a", Wire.map([(text, Wire.int(1))]))]))
        case .spanDeepMap:
            let inner = Wire.map([("b", Wire.array([Wire.map([("c", Wire.array([value]))])]))])
            return span(Wire.attributes(9, [("a", inner), ("z", Wire.double(1.5))]))
        case .spanBytes: return span(Wire.attributes(9, [("a", Wire.bytes(Array(text.utf8)))]))
        case .spanName: return span(Wire.field(5, text))
        case .statusMessage: return span(Wire.field(15, Wire.field(2, text) + [0x18, 2]))
        case .eventName: return span(Wire.field(11, Wire.field(2, text)))
        case .eventAttribute: return span(Wire.field(11, Wire.field(2, "e") + Wire.strings(3, [("k", text)])))
        case .linkAttribute: return span(Wire.field(13, Wire.strings(4, [("k", text)])))
        case .resourceAttribute: return Wire.traces(resource: Wire.strings(1, [("k", text)]), span: [])
        case .resourceMap: return Wire.traces(resource: Wire.attributes(1, [("k", Wire.map([("m", value)]))]), span: [])
        case .scopeAttribute: return Wire.traces(scope: Wire.field(1, "s") + Wire.strings(3, [("k", text)]), span: [])
        case .scopeName: return Wire.traces(scope: Wire.field(1, text), span: [])
        case .scopeVersion: return Wire.traces(scope: Wire.field(1, "s") + Wire.field(2, text), span: [])
        case .resourceSchemaURL:
            return Wire.field(1, Wire.field(1, []) + Wire.field(2, Wire.field(2, Place.bareSpan)) + Wire.field(3, text))
        case .scopeSchemaURL:
            return Wire.field(1, Wire.field(2, Wire.field(2, Place.bareSpan) + Wire.field(3, text)))
        case .traceState: return span(Wire.field(3, text))
        case .linkTraceState: return span(Wire.field(13, Wire.field(3, text)))
        case .logSeverityText: return log(Wire.field(3, text))
        case .metricName: return metric(5, [], name: text)
        case .metricDescription: return metric(5, [], more: Wire.field(2, text))
        case .metricUnit: return metric(5, [], more: Wire.field(3, text))
        case .logBody: return log(Wire.field(5, value))
        case .logBodyBytes: return log(Wire.field(5, Wire.bytes(Array(text.utf8))))
        case .logBodyMap: return log(Wire.field(5, Wire.map([("m", Wire.map([("n", value)]))])))
        case .logBodyArray: return log(Wire.field(5, Wire.array([value, Wire.int(1)])))
        case .logAttribute: return log(Wire.strings(6, [("k", text)]))
        case .logEventName: return log(Wire.field(12, text))
        case .gaugeAttribute: return metric(5, Wire.strings(7, [("k", text)]))
        case .sumAttribute: return metric(7, Wire.strings(7, [("k", text)]))
        case .histogramAttribute: return metric(9, Wire.strings(9, [("k", text)]))
        case .exponentialAttribute: return metric(10, Wire.strings(1, [("k", text)]))
        case .summaryAttribute: return metric(11, Wire.strings(7, [("k", text)]))
        case .metricMetadata: return metric(5, [], more: Wire.strings(12, [("k", text)]))
        case .gaugeExemplar: return metric(5, Wire.field(5, exemplar(text)) + Wire.strings(7, [("k", "stays")]))
        case .histogramExemplar: return metric(9, Wire.field(8, exemplar(text)))
        case .exponentialExemplar: return metric(10, Wire.field(11, exemplar(text)))
        }
    }

    private static let bareSpan =
        Wire.field(1, Wire.id("0102030405060708090a0b0c0d0e0f10")) + Wire.field(2, Wire.id("0102030405060708"))

    private func exemplar(_ text: String) -> [UInt8] {
        [0x19] + [UInt8](repeating: 0, count: 7) + [64] + Wire.strings(7, [("n", "stays"), ("k", text)])
            + Wire.field(4, Wire.id("0102030405060708"))
    }

    private func span(_ content: [UInt8]) -> [UInt8] { Wire.traces(span: content) }
    private func log(_ content: [UInt8]) -> [UInt8] { Wire.logs(records: [content]) }

    /// One point in one metric whose data is field `data`.
    private func metric(_ data: Int, _ point: [UInt8], name: String = "m", more: [UInt8] = []) -> [UInt8] {
        let content = Wire.field(1, name) + more + Wire.field(data, Wire.field(1, point))
        return Wire.field(1, Wire.field(2, Wire.field(2, content)))
    }
}
