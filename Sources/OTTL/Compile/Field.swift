/// Every scalar that a path can name.
enum Field: UInt8 {
    case resourceDropped, resourceSchemaURL
    case scopeName, scopeVersion, scopeDropped, scopeSchemaURL
    case spanName, spanKind, spanKindName, spanKindSymbol, statusCode, statusMessage
    case spanTraceID, spanTraceIDText, spanID, spanIDText, parentID, parentIDText, traceState
    case spanStart, spanStartNanos, spanEnd, spanEndNanos
    case spanDropped, spanDroppedEvents, spanDroppedLinks, spanFlags, spanEventCount, spanLinkCount
    case eventName, eventTime, eventTimeNanos, eventDropped, eventIndex
    case logTime, logTimeNanos, logObservedTime, logObservedNanos, severityNumber, severityText
    case body, bodyText, logEventName, logTraceID, logTraceIDText, logSpanID, logSpanIDText, logFlags, logDropped
    case metricName, metricDescription, metricUnit, metricType, metricTemporality, metricIsMonotonic
    case pointStart, pointStartNanos, pointTime, pointTimeNanos, pointInt, pointDouble, pointCount, pointSum
    case pointFlags, pointScale, pointZeroCount, pointMin, pointMax, pointBuckets, pointBounds, pointExemplarCount
    case pointZeroThreshold, pointPositiveOffset, pointNegativeOffset, pointPositiveCounts, pointNegativeCounts
    case pointQuantileCount, metricPointCount

    /// Whether it is the number of records that are no values.
    var isCount: Bool {
        switch self {
        case .spanEventCount, .spanLinkCount, .metricPointCount, .pointExemplarCount, .pointQuantileCount: true
        default: false
        }
    }

    /// Whether an editor can change it.
    var isSettable: Bool {
        switch self {
        case .spanEventCount, .spanLinkCount, .eventIndex, .metricType, .metricTemporality, .metricIsMonotonic,
            .metricPointCount, .pointExemplarCount, .pointQuantileCount:
            false
        default: true
        }
    }

    /// Fields of one context by the path behind its name.
    static func table(of context: OTTLContext) -> [String: Field] {
        switch context {
        case .resource: resource
        case .scope: scope
        case .span: span
        case .spanevent: event
        case .log: log
        case .metric: metric
        case .datapoint: point
        case .request: [:]
        }
    }

    /// Records below one of a context, which are no values: their number can be read, as `Len(events)`, and whether
    /// there can be any, as `quantile_values != nil`.
    static func counted(_ context: OTTLContext, _ name: String) -> Field? {
        switch (context, name) {
        case (.span, "events"): .spanEventCount
        case (.span, "links"): .spanLinkCount
        case (.metric, "data_points"): .metricPointCount
        case (.datapoint, "exemplars"): .pointExemplarCount
        case (.datapoint, "quantile_values"): .pointQuantileCount
        default: nil
        }
    }

    private static let resource: [String: Field] = [
        "dropped_attributes_count": .resourceDropped, "schema_url": .resourceSchemaURL,
    ]

    private static let scope: [String: Field] = [
        "name": .scopeName, "version": .scopeVersion, "dropped_attributes_count": .scopeDropped,
        "schema_url": .scopeSchemaURL,
    ]

    private static let span: [String: Field] = [
        "name": .spanName, "kind": .spanKind, "kind.string": .spanKindName,
        "kind.deprecated_string": .spanKindSymbol, "status.code": .statusCode, "status.message": .statusMessage,
        "trace_id": .spanTraceID, "trace_id.string": .spanTraceIDText, "span_id": .spanID,
        "span_id.string": .spanIDText, "parent_span_id": .parentID, "parent_span_id.string": .parentIDText,
        "trace_state": .traceState, "start_time": .spanStart, "start_time_unix_nano": .spanStartNanos,
        "end_time": .spanEnd, "end_time_unix_nano": .spanEndNanos, "dropped_attributes_count": .spanDropped,
        "dropped_events_count": .spanDroppedEvents, "dropped_links_count": .spanDroppedLinks, "flags": .spanFlags,
    ]

    private static let event: [String: Field] = [
        "name": .eventName, "time": .eventTime, "time_unix_nano": .eventTimeNanos,
        "dropped_attributes_count": .eventDropped, "event_index": .eventIndex,
    ]

    private static let log: [String: Field] = [
        "time": .logTime, "time_unix_nano": .logTimeNanos, "observed_time": .logObservedTime,
        "observed_time_unix_nano": .logObservedNanos, "severity_number": .severityNumber,
        "severity_text": .severityText, "body": .body, "body.string": .bodyText, "event_name": .logEventName,
        "trace_id": .logTraceID, "trace_id.string": .logTraceIDText, "span_id": .logSpanID,
        "span_id.string": .logSpanIDText, "flags": .logFlags, "dropped_attributes_count": .logDropped,
    ]

    private static let metric: [String: Field] = [
        "name": .metricName, "description": .metricDescription, "unit": .metricUnit, "type": .metricType,
        "aggregation_temporality": .metricTemporality, "is_monotonic": .metricIsMonotonic,
    ]

    private static let point: [String: Field] = [
        "start_time": .pointStart, "start_time_unix_nano": .pointStartNanos, "time": .pointTime,
        "time_unix_nano": .pointTimeNanos, "value_int": .pointInt, "value_double": .pointDouble,
        "count": .pointCount, "sum": .pointSum, "flags": .pointFlags, "scale": .pointScale,
        "zero_count": .pointZeroCount, "min": .pointMin, "max": .pointMax, "bucket_counts": .pointBuckets,
        "explicit_bounds": .pointBounds, "zero_threshold": .pointZeroThreshold,
        "positive.offset": .pointPositiveOffset, "positive.bucket_counts": .pointPositiveCounts,
        "negative.offset": .pointNegativeOffset, "negative.bucket_counts": .pointNegativeCounts,
    ]
}

/// Enums of the OTLP schema by their names.
enum Symbol {
    static let table: [String: Int64] = {
        var table: [String: Int64] = [
            "SPAN_KIND_UNSPECIFIED": 0, "SPAN_KIND_INTERNAL": 1, "SPAN_KIND_SERVER": 2, "SPAN_KIND_CLIENT": 3,
            "SPAN_KIND_PRODUCER": 4, "SPAN_KIND_CONSUMER": 5,
            "STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2,
            "SEVERITY_NUMBER_UNSPECIFIED": 0,
            "METRIC_DATA_TYPE_NONE": 0, "METRIC_DATA_TYPE_GAUGE": 1, "METRIC_DATA_TYPE_SUM": 2,
            "METRIC_DATA_TYPE_HISTOGRAM": 3, "METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM": 4,
            "METRIC_DATA_TYPE_SUMMARY": 5,
            "AGGREGATION_TEMPORALITY_UNSPECIFIED": 0, "AGGREGATION_TEMPORALITY_DELTA": 1,
            "AGGREGATION_TEMPORALITY_CUMULATIVE": 2,
            "FLAG_NONE": 0, "FLAG_NO_RECORDED_VALUE": 1,
        ]
        for (step, name) in ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].enumerated() {
            for number in 1...4 {
                let suffix = number == 1 ? "" : String(number)
                table["SEVERITY_NUMBER_\(name)\(suffix)"] = Int64(step * 4 + number)
            }
        }
        return table
    }()
}
