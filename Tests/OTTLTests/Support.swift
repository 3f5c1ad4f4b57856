import OTLP
import OTTL
import Telemetry

/// Runs conditions and statements over requests written as OTLP/JSON.
enum Lab {
    /// Time and randomness that tests know.
    static let effects = OTTLEffects(now: { 1_700_000_000_123_456_789 }, random: { 0x0123_4567_89AB_CDEF })

    static func place(_ context: OTTLContext, _ batch: borrowing RecordBatch) -> Place {
        switch context {
        case .resource, .request: Place(resource: 0)
        case .scope: Place(scope: 0, batch)
        case .span: Place(span: 0, batch)
        case .spanevent: Place(event: 0, batch)
        case .log: Place(log: 0, batch)
        case .metric: Place(metric: 0, batch)
        case .datapoint: Place(point: 0, batch)
        }
    }

    static func signal(_ context: OTTLContext) -> Signal {
        switch context {
        case .log: .logs
        case .metric, .datapoint: .metrics
        default: .traces
        }
    }

    /// Decodes a request and hands it to `body`.
    static func withBatch<Result>(
        _ json: String, _ signal: Signal, _ keys: KeyTable, _ body: (inout RecordBatch) throws -> Result
    ) throws -> Result {
        var wire = ByteColumn()
        var text = json
        try text.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: signal, into: &wire)
        }
        var batch = RecordBatch()
        _ = try OTLPReader.read(wire.text, signal: signal, keys: keys, into: &batch)
        return try body(&batch)
    }

    /// Whether a condition holds for the first record of its context.
    static func holds(_ source: String, _ context: OTTLContext, on json: String) throws -> Bool {
        var keys = KeyTable.Builder()
        let condition = try OTTLCondition(source, context: context, keys: &keys)
        return try withBatch(json, signal(context), keys.build()) { batch in
            var state = EvaluationState()
            state.effects = effects
            state.request = [("X-Tenant", "acme")]
            return try condition.isTrue(batch, at: place(context, batch), &state)
        }
    }

    /// The request after statements ran on the first record of their context, as OTLP/JSON.
    static func run(_ sources: [String], _ context: OTTLContext, on json: String) throws -> String {
        var keys = KeyTable.Builder()
        var statements: [OTTLStatement] = []
        for source in sources { statements.append(try OTTLStatement(source, context: context, keys: &keys)) }
        let signal = Lab.signal(context)
        return try withBatch(json, signal, keys.build()) { batch in
            var state = EvaluationState()
            state.effects = effects
            state.beginRecord()
            let place = Lab.place(context, batch)
            for statement in statements { try statement.run(&batch, at: place, &state) }
            var output = ByteColumn()
            OTLPWriter.write(batch, into: &output)
            var written = ByteColumn()
            OTLPJSONWriter.write(output.text, signal: signal, into: &written)
            return written.text.string
        }
    }

    /// The words of the fault in a text that does not compile.
    static func problem(_ source: String, _ context: OTTLContext, isStatement: Bool = false) -> String {
        var keys = KeyTable.Builder()
        do throws(OTTLProblem) {
            if isStatement {
                _ = try OTTLStatement(source, context: context, keys: &keys)
            } else {
                _ = try OTTLCondition(source, context: context, keys: &keys)
            }
            return "no problem"
        } catch {
            return error.description
        }
    }
}

/// Requests that the tables run on.
enum Sample {
    static let attributes = """
        [{"key":"text","value":{"stringValue":"hello world"}},{"key":"count","value":{"intValue":"5"}},
         {"key":"ratio","value":{"doubleValue":0.5}},{"key":"flag","value":{"boolValue":true}},
         {"key":"data","value":{"bytesValue":"AQI="}},{"key":"void","value":{}},
         {"key":"tags","value":{"arrayValue":{"values":[{"stringValue":"a"},{"stringValue":"b"},{"intValue":"3"}]}}},
         {"key":"map","value":{"kvlistValue":{"values":[{"key":"x","value":{"intValue":"1"}},
           {"key":"in","value":{"kvlistValue":{"values":[{"key":"y","value":{"stringValue":"z"}}]}}}]}}},
         {"key":"json","value":{"stringValue":"{\\"a\\":[1,true,null],\\"b\\":{\\"c\\":\\"d\\"}}"}},
         {"key":"pairs","value":{"stringValue":"k1=v1 k2=\\"v 2\\""}}]
        """

    static let span = """
        {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeSpans":[{"scope":{"name":"lib","version":"1.2"},"spans":[
        {"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"a102030405060708","parentSpanId":"b102030405060708",
         "traceState":"svc=one,other=two","name":"GET /user/7","kind":2,"startTimeUnixNano":"1000000000",
         "endTimeUnixNano":"3500000000","attributes":\(attributes),"droppedAttributesCount":4,
         "droppedEventsCount":2,"status":{"code":2,"message":"broken"},
         "events":[{"timeUnixNano":"2000000000","name":"tick","attributes":[
           {"key":"n","value":{"intValue":"1"}}]}]}]}]}]}
        """

    static let log = """
        {"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeLogs":[{"scope":{"name":"lib"},"logRecords":[
        {"timeUnixNano":"1000","observedTimeUnixNano":"2000","severityNumber":17,"severityText":"ERROR",
         "body":{"kvlistValue":{"values":[{"key":"msg","value":{"stringValue":"failed"}},
           {"key":"code","value":{"intValue":"500"}}]}},
         "eventName":"boom","attributes":\(attributes)}]}]}]}
        """

    static let metric = """
        {"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{"name":"lib"},"metrics":[
        {"name":"requests","description":"all","unit":"1","sum":{"aggregationTemporality":2,"isMonotonic":true,
         "dataPoints":[{"timeUnixNano":"7","startTimeUnixNano":"3","asInt":"42","attributes":[
           {"key":"code","value":{"stringValue":"200"}}]}]}}]}]}]}
        """
}
