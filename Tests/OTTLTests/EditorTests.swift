import OTTL
import Telemetry
import Testing

/// Tables from the documented behaviour of each editor. A row has statements and what the span must answer afterwards.
@Suite struct EditorTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var statements: [String]
        var then: String
        var context = OTTLContext.span
        var testDescription: String { statements.joined(separator: "; ") }

        init(_ statements: String..., then: String, in context: OTTLContext = .span) {
            self.statements = statements
            self.then = then
            self.context = context
        }
    }

    static let fields: [Row] = [
        Row("set(name, \"new\")", then: "name == \"new\""),
        Row("set(name, attributes[\"none\"])", then: "name == \"GET /user/7\""),
        Row("set(name, \"new\") where kind == 1", then: "name == \"GET /user/7\""),
        Row(
            "set(kind, SPAN_KIND_CLIENT)",
            then: "kind == 3 and name == \"GET /user/7\" and end_time_unix_nano == 3500000000"),
        Row("set(kind.string, \"Producer\")", then: "kind == SPAN_KIND_PRODUCER"),
        Row("set(span.kind.deprecated_string, \"SPAN_KIND_CLIENT\")", then: "kind.string == \"Client\""),
        Row("set(status.code, STATUS_CODE_OK)", then: "status.code == 1 and status.message == \"broken\""),
        Row("set(status.message, \"\")", then: "status.message == \"\" and status.code == 2"),
        Row("set(start_time_unix_nano, 5)", then: "start_time_unix_nano == 5 and end_time_unix_nano == 3500000000"),
        Row("set(end_time, start_time + Duration(\"1s\"))", then: "end_time_unix_nano == 2000000000"),
        Row("set(trace_state[\"svc\"], \"x\")", then: "trace_state == \"svc=x,other=two\""),
        Row("set(trace_state[\"a\"], \"b\")", then: "trace_state == \"a=b,svc=one,other=two\""),
        Row(
            "set(parent_span_id, SpanID(0x0000000000000000))",
            then: "IsRootSpan() and span_id.string == \"a102030405060708\""),
        Row("set(trace_id.string, \"ff02030405060708090a0b0c0d0e0f10\")", then: "HasPrefix(trace_id.string, \"ff02\")"),
        Row("set(instrumentation_scope.name, \"n\")", then: "scope.name == \"n\" and scope.version == \"1.2\""),
        Row(
            "set(name, \"x\")", "set(time_unix_nano, 9)", then: "name == \"x\" and time_unix_nano == 9",
            in: .spanevent),
        Row(
            "set(severity_number, 9)", "set(severity_text, \"INFO\")",
            then:
                "severity_number == 9 and severity_text == \"INFO\" and time_unix_nano == 1000"
                + " and event_name == \"boom\"",
            in: .log),
        Row("set(body, \"text\")", then: "body == \"text\"", in: .log),
        Row("set(body[\"code\"], 1)", then: "body == {\"msg\": \"failed\", \"code\": 1}", in: .log),
        Row("set(attributes[\"m\"], body[\"msg\"])", then: "attributes[\"m\"] == \"failed\"", in: .log),
        Row("merge_maps(attributes, body, \"insert\")", then: "attributes[\"code\"] == 500", in: .log),
        Row(
            "set(name, \"n\")", "set(unit, \"s\")",
            then:
                "name == \"n\" and unit == \"s\" and description == \"all\" and type == METRIC_DATA_TYPE_SUM",
            in: .metric),
        Row("set(attributes[\"x\"], value_int)", then: "attributes[\"x\"] == 42", in: .datapoint),
        Row(
            "set(value_int, value_int * 2)", then: "value_int == 84 and attributes[\"code\"] == \"200\"", in: .datapoint
        ),
        Row("set(value_double, 1.5)", then: "value_double == 1.5", in: .datapoint),
        Row("set(time_unix_nano, 8)", then: "time_unix_nano == 8 and start_time_unix_nano == 3", in: .datapoint),
        Row("set(start_time, time)", then: "start_time_unix_nano == time_unix_nano", in: .datapoint),
        Row("set(flags, 1)", then: "flags == FLAG_NO_RECORDED_VALUE and value_int == 42", in: .datapoint),
        Row("set(attributes[\"env\"], \"prod\")", then: "attributes[\"env\"] == \"prod\"", in: .resource),
        Row(
            "set(flags, 4294967295)",
            then: "flags == 4294967295 and dropped_attributes_count == 4 and end_time_unix_nano == 3500000000"),
        Row("set(flags, 3)", "set(flags, 0)", then: "flags == 0 and name == \"GET /user/7\""),
        Row(
            "set(dropped_attributes_count, 0)",
            then: "dropped_attributes_count == 0 and dropped_events_count == 2 and kind == 2"),
        Row(
            "set(dropped_events_count, 0)", "set(dropped_links_count, 4294967295)",
            then:
                "dropped_events_count == 0 and dropped_links_count == 4294967295 and dropped_attributes_count == 4"),
        Row(
            "set(resource.dropped_attributes_count, 9)", "set(instrumentation_scope.dropped_attributes_count, 8)",
            then:
                "resource.dropped_attributes_count == 9 and scope.dropped_attributes_count == 8 and Len(events) == 1"
                + " and scope.version == \"1.2\" and resource.attributes[\"service.name\"] == \"shop\""),
        Row(
            "set(dropped_attributes_count, 9)", "set(dropped_attributes_count, 0)",
            then: "dropped_attributes_count == 0", in: .resource),
        Row(
            "set(dropped_attributes_count, 3)", "set(span.dropped_events_count, 1)",
            then: "dropped_attributes_count == 3 and span.dropped_events_count == 1 and attributes[\"n\"] == 1",
            in: .spanevent),
        Row(
            "set(log.dropped_attributes_count, 6)", "set(severity_number, 9)",
            then: "dropped_attributes_count == 6 and severity_text == \"ERROR\" and body[\"code\"] == 500",
            in: .log),
        Row(
            "set(resource.dropped_attributes_count, 2)",
            then: "resource.dropped_attributes_count == 2 and scope.name == \"lib\" and value_int == 42",
            in: .datapoint),
        Row(
            "set(resource.schema_url, \"https://x/1\")",
            then: "resource.schema_url == \"https://x/1\" and resource.attributes[\"service.name\"] == \"shop\""),
        Row(
            "set(scope.schema_url, \"u\")", "set(scope.version, \"2\")",
            then: "scope.schema_url == \"u\" and scope.version == \"2\" and resource.schema_url == \"\""),
        Row("set(schema_url, \"a\")", "set(schema_url, \"b\")", then: "schema_url == \"b\"", in: .resource),
        Row("set(schema_url, \"a\")", "set(schema_url, \"\")", then: "schema_url == \"\"", in: .scope),
    ]

    static let values: [Row] = [
        Row("set(attributes[\"count\"], 6)", then: "attributes[\"count\"] == 6"),
        Row("set(attributes[\"new\"], attributes[\"map\"])", then: "attributes[\"new\"][\"in\"][\"y\"] == \"z\""),
        Row("set(attributes[\"new\"], [1, {\"a\": true}])", then: "attributes[\"new\"] == [1, {\"a\": true}]"),
        Row("set(attributes[\"new\"], span_id)", then: "attributes[\"new\"] == 0xa102030405060708"),
        Row(
            "set(attributes[\"map\"][\"in\"][\"y\"], 5)",
            then: "attributes[\"map\"] == {\"x\": 1, \"in\": {\"y\": 5}}"),
        Row("set(attributes[\"tags\"][1], \"c\")", then: "attributes[\"tags\"] == [\"a\", \"c\", 3]"),
        Row("set(attributes[\"new\"][\"a\"], 1)", then: "attributes[\"new\"] == {\"a\": 1}"),
        Row("set(attributes[name], 1)", then: "attributes[\"GET /user/7\"] == 1"),
        Row("set(attributes, {\"a\": 1})", then: "attributes == {\"a\": 1}"),
        Row("set(cache[\"a\"], 5)", "set(attributes[\"b\"], cache[\"a\"] + 1)", then: "attributes[\"b\"] == 6"),
        Row(
            "set(cache, ParseJSON(attributes[\"json\"]))", "set(attributes[\"c\"], cache[\"b\"][\"c\"])",
            then: "attributes[\"c\"] == \"d\""),
        Row(
            "set(attributes[\"a\"], Concat([name, \"!\"], \"\"))", "set(attributes[\"b\"], attributes[\"a\"])",
            then:
                "attributes[\"b\"] == \"GET /user/7!\" and attributes[\"a\"] == attributes[\"b\"]"),
        Row("append(attributes[\"tags\"], \"z\")", then: "attributes[\"tags\"] == [\"a\", \"b\", 3, \"z\"]"),
        Row(
            "append(attributes[\"text\"], values=[\"x\", \"y\"])",
            then: "attributes[\"text\"] == [\"hello world\", \"x\", \"y\"]"),
        Row("append(attributes[\"new\"], attributes[\"tags\"])", then: "attributes[\"new\"] == [\"a\", \"b\", 3]"),
        Row("delete_index(attributes[\"tags\"], 0)", then: "attributes[\"tags\"] == [\"b\", 3]"),
        Row("delete_index(attributes[\"tags\"], 0, 2)", then: "attributes[\"tags\"] == [3]"),
        Row(
            "delete_index(attributes[\"tags\"], Len(attributes[\"tags\"]) - 1)",
            then: "attributes[\"tags\"] == [\"a\", \"b\"]"),
    ]

    static let maps: [Row] = [
        Row("delete_key(attributes, \"text\")", then: "attributes[\"text\"] == nil and Len(attributes) == 9"),
        Row("delete_key(attributes[\"map\"], \"x\")", then: "attributes[\"map\"] == {\"in\": {\"y\": \"z\"}}"),
        Row("delete_key(resource.attributes, \"service.name\")", then: "Len(resource.attributes) == 0"),
        Row(
            "delete_matching_keys(attributes, \"(?i)^T\")", then: "Len(attributes) == 8 and attributes[\"tags\"] == nil"
        ),
        Row("keep_matching_keys(attributes, \"^t\")", then: "Keys(attributes) == [\"text\", \"tags\"]"),
        Row("keep_keys(attributes, [\"count\", \"text\", \"zzz\"])", then: "Keys(attributes) == [\"text\", \"count\"]"),
        Row("limit(attributes, 3, [\"pairs\", \"json\"])", then: "Keys(attributes) == [\"text\", \"json\", \"pairs\"]"),
        Row("limit(attributes, 100, [])", then: "Len(attributes) == 10"),
        Row("truncate_all(attributes, 5)", then: "attributes[\"text\"] == \"hello\" and attributes[\"count\"] == 5"),
        Row("truncate_all(attributes, 6, truncation_marker=\"..\")", then: "attributes[\"text\"] == \"hell..\""),
        Row("set(attributes[\"text\"], \"aäb\")", "truncate_all(attributes, 2)", then: "attributes[\"text\"] == \"a\""),
        Row(
            "stringify_all(attributes)",
            then: "attributes[\"count\"] == \"5\" and attributes[\"flag\"] == \"true\""
                + " and attributes[\"data\"] == \"AQI=\" and attributes[\"void\"] == \"\""
                + " and attributes[\"ratio\"] == \"0.5\""
        ),
        Row(
            "merge_maps(attributes, ParseJSON(attributes[\"json\"]), \"upsert\")",
            then: "attributes[\"b\"] == {\"c\": \"d\"}"),
        Row(
            "merge_maps(attributes, {\"text\": 1, \"new\": 2}, \"insert\")",
            then: "attributes[\"text\"] == \"hello world\" and attributes[\"new\"] == 2"),
        Row(
            "merge_maps(attributes, {\"text\": 1, \"new\": 2}, \"update\")",
            then: "attributes[\"text\"] == 1 and attributes[\"new\"] == nil"),
        Row(
            "merge_maps(attributes, resource.attributes, \"upsert\")",
            then: "attributes[\"service.name\"] == \"shop\""),
        Row("flatten(attributes[\"map\"])", then: "attributes[\"map\"] == {\"x\": 1, \"in.y\": \"z\"}"),
        Row(
            "keep_keys(attributes, [\"map\", \"tags\"])", "flatten(attributes)",
            then:
                "Keys(attributes) == [\"tags.0\", \"tags.1\", \"tags.2\", \"map.x\", \"map.in.y\"]"),
        Row(
            "keep_keys(attributes, [\"map\"])", "flatten(attributes, \"p\", 1)",
            then:
                "attributes == {\"p.map.x\": 1, \"p.map.in\": {\"y\": \"z\"}}"),
        Row(
            "set(attributes, {\"o\": [\"a\", \"b\"]})", "flatten(attributes, resolveConflicts=true)",
            then:
                "attributes == {\"o\": \"a\", \"o.0\": \"b\"}"),
    ]

    static let replacements: [Row] = [
        Row("replace_pattern(name, \"/user/(\\\\d+)\", \"/user/{id}\")", then: "name == \"GET /user/{id}\""),
        Row("replace_pattern(name, \"(\\\\w+) /(\\\\w+)\", \"$2.$1\")", then: "name == \"user.GET/7\""),
        Row("replace_pattern(name, \"(?P<verb>\\\\w+) \", \"${verb}$$\")", then: "name == \"GET$/user/7\""),
        Row("replace_pattern(attributes[\"text\"], \"o\", \"0\")", then: "attributes[\"text\"] == \"hell0 w0rld\""),
        Row(
            "replace_pattern(attributes[\"text\"], \"x*\", \"-\")",
            then: "attributes[\"text\"] == \"-h-e-l-l-o- -w-o-r-l-d-\""),
        Row(
            "replace_pattern(attributes[\"text\"], \"world\", \"x\", SHA256, \"<%s>\")",
            then:
                "attributes[\"text\"] == Concat([\"hello <\", SHA256(\"x\"), \">\"], \"\")"),
        Row("replace_pattern(attributes[\"count\"], \"5\", \"6\")", then: "attributes[\"count\"] == 5"),
        Row("replace_match(name, \"GET /user/*\", \"GET /user/{id}\")", then: "name == \"GET /user/{id}\""),
        Row("replace_match(name, \"POST*\", \"x\")", then: "name == \"GET /user/7\""),
        Row("replace_match(name, \"*\", \"a\", ToUpperCase, \"/%s\")", then: "name == \"/A\""),
        Row(
            "replace_all_matches(attributes, \"hello*\", \"bye\")",
            then: "attributes[\"text\"] == \"bye\" and attributes[\"count\"] == 5"),
        Row(
            "replace_all_patterns(attributes, \"value\", \"world|v1\", \"X\")",
            then:
                "attributes[\"text\"] == \"hello X\" and HasPrefix(attributes[\"pairs\"], \"k1=X\")"),
        Row(
            "replace_all_patterns(attributes, \"key\", \"^(t)(.*)\", \"k8s.$1.$2\")",
            then:
                "attributes[\"k8s.t.ext\"] == \"hello world\" and attributes[\"text\"] == nil and Len(attributes) == 10"
        ),
    ]

    @Test(arguments: fields + values + maps + replacements) func `changes what is written`(_ row: Row) throws {
        let sample =
            switch Lab.signal(row.context) {
            case .traces: Sample.span
            case .logs: Sample.log
            case .metrics: Sample.metric
            }
        let changed = try Lab.run(row.statements, row.context, on: sample)
        #expect(try Lab.holds(row.then, row.context, on: changed), "\(changed)")
    }

    @Test(arguments: [
        "set(name, 5)", "set(attributes[\"a\"], Now())", "set(kind, \"a\")", "set(span_id, 0x01)",
        "delete_key(attributes[\"text\"], \"a\")",
        "merge_maps(attributes, attributes[\"text\"], \"insert\")", "set(attributes[\"text\"][\"a\"], 1)",
        "limit(attributes, 1 - 2, [])",
        "truncate_all(attributes, 2 - 1, truncation_marker=\"...\")", "delete_index(attributes[\"tags\"], 5)",
        "set(attributes[\"tags\"][7], 1)", "append(attributes[\"map\"], 1)",
        "set(dropped_links_count, 4294967296)", "set(resource.dropped_attributes_count, 0 - 1)",
        "set(scope.dropped_attributes_count, \"1\")",
    ]) func `fails without changing anything`(_ statement: String) throws {
        var failure: OTTLFailure?
        do { _ = try Lab.run([statement], .span, on: Sample.span) } catch let error as OTTLFailure { failure = error }
        #expect(failure != nil)
    }

    @Test func `many edits of one record do not disturb each other`() throws {
        var statements: [String] = []
        for index in 0..<200 {
            statements.append(
                "set(attributes[\"k\(index)\"], Concat([attributes[\"k\(max(0, index - 1))\"], \"x\"], \"\"))")
        }
        let changed = try Lab.run(["set(attributes[\"k0\"], \"\")"] + statements, .span, on: Sample.span)
        #expect(try Lab.holds("Len(attributes[\"k199\"]) == 200 and attributes[\"k1\"] == \"xx\"", .span, on: changed))
    }
}
