/// A function's name and parameters. `~` marks a regular expression, `*` a glob, `@` a target that is changed, `#` a
/// converter passed by name, `^` a time zone (literal), `?` behind the name what may be left out.
struct Signature {
    var name: String
    var function: Function
    var parameters: [Parameter]
    /// Contexts in which it can be used, all when empty.
    var contexts: [OTTLContext]
    /// Whether the result depends on the arguments alone.
    var isPure: Bool

    struct Parameter {
        enum Kind { case value, pattern, glob, target, function, zone }
        var name: String
        var kind: Kind
        var isOptional: Bool
    }

    init(
        _ name: String, _ function: Function, _ parameters: String..., contexts: [OTTLContext] = [],
        isPure: Bool = true
    ) {
        self.name = name
        self.function = function
        self.contexts = contexts
        self.isPure = isPure
        self.parameters = parameters.map { text in
            let isOptional = text.hasSuffix("?")
            let bare = isOptional ? String(text.dropLast()) : text
            let kind: Parameter.Kind? =
                switch bare.first {
                case "~": .pattern
                case "*": .glob
                case "@": .target
                case "#": .function
                case "^": .zone
                default: nil
                }
            return Parameter(
                name: kind == nil ? bare : String(bare.dropFirst()), kind: kind ?? .value, isOptional: isOptional)
        }
    }

    /// As documentation writes it.
    var shown: String {
        "\(name)(\(parameters.map { $0.isOptional ? "[\($0.name)]" : $0.name }.joined(separator: ", ")))"
    }

    /// Whether a name in the text means this parameter: the Collector's documents write snake and camel case.
    static func isSame(_ one: String, _ other: String) -> Bool {
        one.lowercased().filter { $0 != "_" } == other.lowercased().filter { $0 != "_" }
    }
}

/// What a call does.
enum Function: UInt8 {
    // Editors.
    case set, append, deleteKey, deleteMatchingKeys, deleteIndex, keepKeys, keepMatchingKeys, limit, truncateAll
    case stringifyAll, replacePattern, replaceMatch, replaceAllPatterns, replaceAllMatches, mergeMaps, flatten, route
    case setSemconvSpanName
    // Editors of metrics.
    case convertSumToGauge, convertGaugeToSum, extractCountMetric, extractSumMetric, extractPercentileMetric
    case convertSummaryCount, convertSummarySum, convertSummaryQuantile, copyMetric, scaleMetric
    case aggregateOnAttributes, aggregateOnAttributeValue, convertExponentialHistogram, mergeHistogramBuckets
    // Tests.
    case isMatch, isMap, isString, isInt, isDouble, isBool, isList, isEmpty, isRootSpan, isValidLuhn, hasPrefix
    case hasSuffix, containsValue, hasAttributeOnPoint, hasAttributeKeyOnPoint
    // Text.
    case concat, split, substring, toLowerCase, toUpperCase, toSnakeCase, toCamelCase, convertCase, trim, trimPrefix
    case format, url, isInCIDR, communityID, trimSuffix, base64Encode, base64Decode, decode, hex, extractPatterns
    // Numbers and kinds.
    case len, int, double, bool, string, parseInt, log, index
    // Values.
    case parseCLF, parseCEF, parseLEEF, parseELF
    case parseXML, parseSimplifiedXML, parseSeverity, parseJSON, parseKeyValue, parseCSV, coalesce, keys, values, sort,
        sliceToMap, toKeyValueString
    // Hashes and ids.
    case murmur3, murmur3Wide, uuidOfTime, sha1, sha256, sha512, md5, fnv, uuid, spanID, traceID
    // Times.
    case now, time, formatTime, truncateTime, duration, unix, unixNano, unixMicro, unixMilli, unixSeconds
    case hours, minutes, seconds, milliseconds, microseconds, nanoseconds
    case year, month, day, hour, minute, second, nanosecond, weekday

    /// Whether it changes what a metric is, or adds one.
    var isMetricEditor: Bool {
        rawValue >= Function.convertSumToGauge.rawValue && rawValue <= Function.mergeHistogramBuckets.rawValue
    }

    static let editors: [Signature] = generalEditors + metricEditors

    private static let metricEditors: [Signature] = [
        // Older versions of the Collector have some of these for data points.
        Signature("convert_sum_to_gauge", .convertSumToGauge, contexts: [.metric, .datapoint]),
        Signature(
            "convert_gauge_to_sum", .convertGaugeToSum, "aggregation_temporality", "is_monotonic",
            contexts: [.metric, .datapoint]),
        Signature("extract_count_metric", .extractCountMetric, "is_monotonic", "suffix?", contexts: [.metric]),
        Signature("extract_sum_metric", .extractSumMetric, "is_monotonic", "suffix?", contexts: [.metric]),
        Signature(
            "extract_percentile_metric", .extractPercentileMetric, "percentile", "suffix?", contexts: [.metric]),
        Signature(
            "convert_summary_count_val_to_sum", .convertSummaryCount, "aggregation_temporality", "is_monotonic",
            "suffix?", contexts: [.metric, .datapoint]),
        Signature(
            "convert_summary_sum_val_to_sum", .convertSummarySum, "aggregation_temporality", "is_monotonic",
            "suffix?", contexts: [.metric, .datapoint]),
        Signature(
            "convert_summary_quantile_val_to_gauge", .convertSummaryQuantile, "attributeKey?", "suffix?",
            contexts: [.metric, .datapoint]),
        Signature("copy_metric", .copyMetric, "name?", "desc?", "unit?", contexts: [.metric]),
        Signature("scale_metric", .scaleMetric, "factor", "unit?", contexts: [.metric]),
        Signature(
            "aggregate_on_attributes", .aggregateOnAttributes, "function", "attributes?", contexts: [.metric]),
        Signature(
            "aggregate_on_attribute_value", .aggregateOnAttributeValue, "function", "attribute", "values", "newValue",
            contexts: [.metric]),
        Signature(
            "convert_exponential_histogram_to_histogram", .convertExponentialHistogram, "distribution",
            "explicit_bounds", contexts: [.metric]),
        Signature(
            "merge_histogram_buckets", .mergeHistogramBuckets, "target_value", "method?",
            contexts: [.metric, .datapoint]),
    ]

    private static let generalEditors: [Signature] = [
        Signature("set", .set, "@target", "value"),
        Signature("append", .append, "@target", "value?", "values?"),
        Signature("delete_key", .deleteKey, "@target", "key"),
        Signature("delete_matching_keys", .deleteMatchingKeys, "@target", "~pattern"),
        Signature("delete_index", .deleteIndex, "@target", "start_index", "end_index?"),
        Signature("keep_keys", .keepKeys, "@target", "keys"),
        Signature("keep_matching_keys", .keepMatchingKeys, "@target", "~pattern"),
        Signature("limit", .limit, "@target", "limit", "priority_keys"),
        Signature("truncate_all", .truncateAll, "@target", "limit", "utf8_safe?", "truncation_marker?"),
        Signature("stringify_all", .stringifyAll, "@target"),
        Signature(
            "replace_pattern", .replacePattern, "@target", "~regex", "replacement", "#function?",
            "replacement_format?"),
        Signature(
            "replace_match", .replaceMatch, "@target", "*pattern", "replacement", "#function?", "replacement_format?"),
        Signature(
            "replace_all_patterns", .replaceAllPatterns, "@target", "mode", "~regex", "replacement", "#function?",
            "replacement_format?"),
        Signature(
            "replace_all_matches", .replaceAllMatches, "@target", "*pattern", "replacement", "#function?",
            "replacement_format?"),
        Signature("merge_maps", .mergeMaps, "@target", "source", "strategy"),
        Signature("flatten", .flatten, "@target", "prefix?", "depth?", "resolve_conflicts?"),
        Signature("route", .route),
        Signature(
            "set_semconv_span_name", .setSemconvSpanName, "semconv_version", "original_span_name_attribute?",
            contexts: [.span]),
    ]

    static let converters: [Signature] = tests + texts + numbers + collections + hashes + times

    private static let tests: [Signature] = [
        Signature("IsMatch", .isMatch, "target", "~pattern"),
        Signature("IsMap", .isMap, "value"), Signature("IsString", .isString, "value"),
        Signature("IsInt", .isInt, "value"), Signature("IsDouble", .isDouble, "value"),
        Signature("IsBool", .isBool, "value"), Signature("IsList", .isList, "value"),
        Signature("IsEmpty", .isEmpty, "value"),
        Signature("IsRootSpan", .isRootSpan, contexts: [.span, .spanevent], isPure: false),
        Signature("IsValidLuhn", .isValidLuhn, "value"),
        Signature("IsInCIDR", .isInCIDR, "target", "networks"),
        Signature("HasPrefix", .hasPrefix, "value", "prefix"), Signature("HasSuffix", .hasSuffix, "value", "suffix"),
        Signature("ContainsValue", .containsValue, "target", "item"),
        Signature("HasAttrOnDatapoint", .hasAttributeOnPoint, "key", "value", contexts: [.metric], isPure: false),
        Signature(
            "HasAttrKeyOnDatapoint", .hasAttributeKeyOnPoint, "key", contexts: [.metric], isPure: false),
    ]

    private static let texts: [Signature] = [
        Signature("Concat", .concat, "values", "delimiter"), Signature("Split", .split, "target", "delimiter"),
        Signature("Substring", .substring, "target", "start", "length", "utf8_safe?"),
        Signature("ToLowerCase", .toLowerCase, "target"), Signature("ToUpperCase", .toUpperCase, "target"),
        Signature("ToSnakeCase", .toSnakeCase, "target"), Signature("ToCamelCase", .toCamelCase, "target"),
        Signature("ConvertCase", .convertCase, "target", "to_case"),
        Signature("Trim", .trim, "target", "replacement?"),
        Signature("TrimPrefix", .trimPrefix, "value", "prefix"),
        Signature("TrimSuffix", .trimSuffix, "value", "suffix"),
        Signature("Base64Encode", .base64Encode, "value", "variant?"),
        Signature("Base64Decode", .base64Decode, "value"), Signature("Decode", .decode, "value", "encoding"),
        Signature("Format", .format, "format", "arguments"), Signature("URL", .url, "url"),
        Signature(
            "CommunityID", .communityID, "source_ip", "source_port", "destination_ip", "destination_port", "protocol?",
            "seed?"),
        Signature("Hex", .hex, "value"), Signature("ExtractPatterns", .extractPatterns, "target", "~pattern"),
    ]

    private static let numbers: [Signature] = [
        Signature("Len", .len, "target"), Signature("Int", .int, "value"), Signature("Double", .double, "value"),
        Signature("Bool", .bool, "value"), Signature("String", .string, "value"),
        Signature("ParseInt", .parseInt, "target", "base"), Signature("Log", .log, "value"),
        Signature("Index", .index, "target", "value"),
    ]

    private static let collections: [Signature] = [
        Signature("ParseJSON", .parseJSON, "target"), Signature("ParseXML", .parseXML, "target"),
        Signature("ParseSimplifiedXML", .parseSimplifiedXML, "target"),
        Signature("ParseCLF", .parseCLF, "target", "format?", contexts: [.log]),
        Signature("ParseCEF", .parseCEF, "target", contexts: [.log]),
        Signature("ParseLEEF", .parseLEEF, "target", contexts: [.log]),
        Signature("ParseELF", .parseELF, "target", contexts: [.log]),
        Signature("ParseSeverity", .parseSeverity, "target", "severity_mapping"),
        Signature("ParseKeyValue", .parseKeyValue, "target", "delimiter?", "pair_delimiter?"),
        Signature("ParseCSV", .parseCSV, "target", "headers", "delimiter?", "header_delimiter?", "mode?"),
        Signature("Coalesce", .coalesce, "values"), Signature("Keys", .keys, "target"),
        Signature("Values", .values, "target"), Signature("Sort", .sort, "target", "order?"),
        Signature("SliceToMap", .sliceToMap, "target", "key_path?", "value_path?"),
        Signature("ToKeyValueString", .toKeyValueString, "target", "delimiter?", "pair_delimiter?", "sort_output?"),
    ]

    private static let hashes: [Signature] = [
        Signature("SHA1", .sha1, "value"), Signature("SHA256", .sha256, "value"),
        Signature("SHA512", .sha512, "value"), Signature("MD5", .md5, "value"), Signature("FNV", .fnv, "value"),
        Signature("Murmur3Hash", .murmur3, "target"), Signature("Murmur3Hash128", .murmur3Wide, "target"),
        Signature("UUIDv7", .uuidOfTime, isPure: false), Signature("UUID", .uuid, isPure: false),
        Signature("SpanID", .spanID, "bytes"),
        Signature("TraceID", .traceID, "bytes"),
    ]

    private static let times: [Signature] = [
        Signature("Now", .now, isPure: false), Signature("Time", .time, "target", "format", "^location?", "locale?"),
        Signature("FormatTime", .formatTime, "time", "format"),
        Signature("TruncateTime", .truncateTime, "time", "duration"), Signature("Duration", .duration, "duration"),
        Signature("Unix", .unix, "seconds", "nanoseconds?"), Signature("UnixNano", .unixNano, "time"),
        Signature("UnixMicro", .unixMicro, "time"), Signature("UnixMilli", .unixMilli, "time"),
        Signature("UnixSeconds", .unixSeconds, "time"), Signature("Hours", .hours, "value"),
        Signature("Minutes", .minutes, "value"), Signature("Seconds", .seconds, "value"),
        Signature("Milliseconds", .milliseconds, "value"), Signature("Microseconds", .microseconds, "value"),
        Signature("Nanoseconds", .nanoseconds, "value"), Signature("Year", .year, "value"),
        Signature("Month", .month, "value"), Signature("Day", .day, "value"), Signature("Hour", .hour, "value"),
        Signature("Minute", .minute, "value"), Signature("Second", .second, "value"),
        Signature("Nanosecond", .nanosecond, "value"), Signature("Weekday", .weekday, "value"),
    ]
}
