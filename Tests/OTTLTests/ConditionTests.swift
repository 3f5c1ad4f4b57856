import OTTL
import Telemetry
import Testing

/// Tables from the language's documentation: paths, literals, comparison rules, operators.
@Suite struct ConditionTests {
    static let truths: [String] = [
        // Literals and operators.
        "true", "not false", "true or false and false", "(true or false) and true", "not (true and false)",
        "1 == 1", "1 == 1.0", "1 < 1.5", "-1 < 0", "- 1 < 0", "2 - 1 == 1", "1 + 2 * 3 == 7", "(1 + 2) * 3 == 9",
        "7 / 2 == 3", "7.0 / 2.0 == 3.5", "-7 / 2 == -3", ".5 == 0.5", "1.5e1 == 15.0",
        "\"a\" < \"b\"", "\"a\" != \"b\"", "\"a\\tb\" == \"a\\x09b\"", "\"\\u00e4\" == \"ä\"",
        "0x0102 == 0x0102", "nil == nil", "not (nil != nil)", "not (nil < nil)", "false < true",
        // Values of different kinds are not equal, and only that.
        "\"1\" != 1", "not (\"1\" == 1)", "not (\"1\" < 2)", "true != 1", "nil != 0", "nil != \"\"",
        "[1, \"a\"] == [1, \"a\"]", "[1] != [2]", "{\"a\": 1, \"b\": [2]} == {\"b\": [2], \"a\": 1}",
        "{\"a\": 1} != {\"a\": 2}", "[1] != 1",
        // Attributes.
        "attributes[\"text\"] == \"hello world\"", "attributes[\"count\"] == 5", "attributes[\"count\"] >= 4.5",
        "attributes[\"ratio\"] < 1", "attributes[\"flag\"] == true", "attributes[\"data\"] == 0x0102",
        "attributes[\"none\"] == nil", "attributes[\"void\"] == nil", "attributes[\"text\"] != nil",
        "not (attributes[\"none\"] < 3)", "attributes[\"none\"] != 3",
        "attributes[\"tags\"] == [\"a\", \"b\", 3]", "attributes[\"tags\"][1] == \"b\"",
        "attributes[\"map\"][\"x\"] == 1", "attributes[\"map\"][\"in\"][\"y\"] == \"z\"",
        "attributes[\"map\"][\"no\"] == nil", "attributes[\"no\"][\"no\"] == nil",
        "attributes[Concat([\"te\", \"xt\"], \"\")] == \"hello world\"",
        "span.attributes[\"count\"] + 1 == 6", "attributes[\"ratio\"] * 2.0 == 1.0",
        "attributes[\"count\"] * 0.5 == 2.5", "attributes[\"ratio\"] * 2 == 1.0", "1 / 2.0 + attributes[\"count\"] > 5",
        // Fields.
        "name == \"GET /user/7\"", "span.name == name", "kind == SPAN_KIND_SERVER", "kind.string == \"Server\"",
        "kind.deprecated_string == \"SPAN_KIND_SERVER\"", "status.code == STATUS_CODE_ERROR",
        "status.message == \"broken\"", "trace_id == TraceID(0x0102030405060708090a0b0c0d0e0f10)",
        "trace_id == TraceID(\"0102030405060708090a0b0c0d0e0f10\")",
        "trace_id.string == \"0102030405060708090a0b0c0d0e0f10\"", "span_id == SpanID(0xa102030405060708)",
        "parent_span_id.string == \"b102030405060708\"", "parent_span_id != SpanID(0x0000000000000000)",
        "trace_state[\"svc\"] == \"one\"", "trace_state[\"none\"] == nil", "trace_state == \"svc=one,other=two\"",
        "start_time_unix_nano == 1000000000", "end_time_unix_nano - start_time_unix_nano == 2500000000",
        "end_time - start_time == Duration(\"2.5s\")", "end_time - start_time > Duration(\"2s\")",
        "start_time + Duration(\"2500ms\") == end_time", "dropped_attributes_count == 4",
        "dropped_events_count == 2", "dropped_links_count == 0", "not IsRootSpan()",
        "Len(events) == 1 and Len(span.links) == 0", "Len(attributes[\"text\"]) > Len(events)",
        "resource.attributes[\"service.name\"] == \"shop\"", "instrumentation_scope.name == \"lib\"",
        "scope.version == \"1.2\"", "cache[\"a\"] == nil",
    ]

    @Test(arguments: truths) func `holds on the sample span`(_ source: String) throws {
        #expect(try Lab.holds(source, .span, on: Sample.span))
    }

    static let others: [(OTTLContext, String)] = [
        (.spanevent, "name == \"tick\" and span.name == \"GET /user/7\""),
        (.spanevent, "attributes[\"n\"] == 1 and event_index == 0"),
        (.spanevent, "time_unix_nano == 2000000000 and Len(span.events) == 1"),
        (.datapoint, "Len(exemplars) == 0 and Len(datapoint.exemplars) < 1"),
        (.resource, "attributes[\"service.name\"] == \"shop\""),
        (.resource, "resource.attributes[\"service.name\"] == \"shop\""),
        (.scope, "name == \"lib\" and version == \"1.2\" and resource.attributes[\"service.name\"] == \"shop\""),
        (.log, "severity_number >= SEVERITY_NUMBER_ERROR and severity_number < SEVERITY_NUMBER_FATAL"),
        (.log, "severity_text == \"ERROR\" and event_name == \"boom\" and log.event_name == event_name"),
        (.log, "body[\"msg\"] == \"failed\" and body[\"code\"] == 500 and IsMap(body)"),
        (.log, "body.string == \"{\\\"code\\\":500,\\\"msg\\\":\\\"failed\\\"}\""),
        (.log, "time_unix_nano == 1000 and observed_time_unix_nano == 2000"),
        (.log, "trace_id == TraceID(0x00000000000000000000000000000000)"),
        (.metric, "name == \"requests\" and unit == \"1\" and description == \"all\""),
        (.metric, "type == METRIC_DATA_TYPE_SUM and is_monotonic == true"),
        (.metric, "aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE"),
        (.metric, "HasAttrKeyOnDatapoint(\"code\") and HasAttrOnDatapoint(\"code\", \"200\")"),
        (.metric, "not HasAttrOnDatapoint(\"code\", \"500\")"),
        (.datapoint, "value_int == 42 and metric.name == \"requests\""),
        (.datapoint, "attributes[\"code\"] == \"200\" and time_unix_nano == 7 and start_time_unix_nano == 3"),
        (.datapoint, "count == nil"), (.datapoint, "quantile_values == nil and exemplars != nil"),
        (.datapoint, "Len(metric.data_points) == 1"),
        (.metric, "Len(data_points) == 1 and nil != metric.data_points"),
        (.span, "events != nil and not (span.links == nil)"),
    ]

    @Test(arguments: others) func `holds in its context`(_ context: OTTLContext, _ source: String) throws {
        let sample =
            switch Lab.signal(context) {
            case .traces: Sample.span
            case .logs: Sample.log
            case .metrics: Sample.metric
            }
        #expect(try Lab.holds(source, context, on: sample))
    }

    @Test func `the quantiles of a summary are counted, and a metric without data has no points`() throws {
        func request(_ metric: String) -> String {
            #"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[\#(metric)]}]}]}"#
        }
        let summary = request(
            #"{"summary":{"dataPoints":[{"quantileValues":[{"quantile":0.5,"value":2},{"quantile":1}]}]}}"#)
        #expect(try Lab.holds("Len(quantile_values) == 2 and quantile_values != nil", .datapoint, on: summary))
        let empty = request(#"{"name":"m"}"#)
        #expect(try Lab.holds("data_points == nil", .metric, on: empty))
        #expect(throws: (any Error).self) { try Lab.holds("Len(data_points) == nil", .metric, on: empty) }
        #expect(throws: (any Error).self) { try Lab.holds("Len(attributes[\"gone\"]) == nil", .span, on: Sample.span) }
    }

    @Test func `the request context knows facts by name whatever their case`() throws {
        #expect(try Lab.holds("request[\"x-tenant\"] == \"acme\"", .request, on: Sample.span))
        #expect(try Lab.holds("request[\"other\"] == nil", .request, on: Sample.span))
        #expect(try Lab.holds("otelcol.client.metadata[\"x-tenant\"][0] == \"acme\"", .request, on: Sample.span))
        #expect(try Lab.holds("otelcol.grpc.metadata[\"X-Tenant\"] == \"acme\"", .request, on: Sample.span))
        #expect(Lab.problem("otelcol.client.metadata[\"a\"][1] == nil", .request).contains("its index is [0]"))
        #expect(Lab.problem("otelcol.client.addr == nil", .request).contains("knows request[\"name\"] and"))
    }

    @Test(arguments: [
        ("1 / (attributes[\"count\"] - 5) == 0", "division by zero"),
        ("attributes[\"text\"] - 1 == 1", "wrong type"), ("attributes[\"text\"][\"a\"] == 1", "indexed"),
        ("attributes[\"tags\"][9] == 1", "out of range"), ("Concat([\"a\"], \"\")", "truth value"),
        ("HasPrefix(attributes[\"count\"], \"a\")", "wrong type"), ("Duration(attributes[\"text\"]) == nil", "form"),
    ]) func `fails with a reason`(_ source: String, _ words: String) {
        do {
            _ = try Lab.holds(source, .span, on: Sample.span)
            Issue.record("it did not fail")
        } catch {
            #expect("\(error)".contains(words), "\(error)")
        }
    }
}

/// Messages name the character and what was expected.
@Suite struct ProblemTests {
    @Test(arguments: [
        ("atributes[\"a\"] == 1", "character 1: span has no field atributes, did you mean attributes?"),
        ("name = \"a\"", "character 6: equality is written =="),
        ("name == 'a'", "character 9: strings stand in double"),
        ("name == \"a", "character 9: the string is not closed"), ("name == \"\\d\"", "character 10: \\d is no escape"),
        ("name", "character 1: expected a condition: compare name with a value"),
        ("name == ", "character 9: expected a value, not the end"),
        ("name == \"a\" && kind == 1", "character 13: conditions are joined by the words and, or"),
        ("(name == \"a\"", "character 13: expected a closing parenthesis"),
        ("IsMach(name, \"a\")", "character 1: there is no converter IsMach, did you mean IsMatch?"),
        ("GetXML(name, \"/a\") == nil", "there is no converter GetXML; use ParseXML or ParseSimplifiedXML"),
        ("XXH3(name) == 1", "there is no converter XXH3; use FNV, Murmur3Hash or SHA256"),
        ("UserAgent(name) == nil", "there is no converter UserAgent; use ExtractPatterns"),
        ("ProfileID(0x00) == nil", "there is no converter ProfileID; profiles are not taken"),
        ("Any(attributes, (k, v) => k == \"a\")", "character 1: there is no converter Any; functions with lambdas"),
        ("MapEach(attributes, (_, v) => v) == nil", "character 22: a name cannot begin with \"_\"; functions with"),
        ("otelcol.client.addr == nil", "facts about the request are known to routes alone"),
        ("IsMatch(name)", "character 1: pattern is missing: IsMatch(target, pattern)"),
        ("IsMatch(name, \"a\", 1)", "character 20: one argument too many"),
        ("IsMatch(name, \"(\")", "character 15: \"(\" is not a regular expression"),
        ("IsMatch(name, 5)", "character 15: the pattern must be a string"),
        ("IsMatch(name, Concat([\"(\", \"a\"], \"\"))", "character 15: \"(a\" is not a regular expression"),
        ("IsMatch(name, patern=\"a\")", "character 15: IsMatch has no argument patern, did you mean pattern?"),
        ("kind == SPAN_KIND_SERVR", "character 9: unknown name SPAN_KIND_SERVR, did you mean SPAN_KIND_SERVER?"),
        ("SHA256 == 1", "SHA256 is a converter: call it"),
        ("log.body == \"a\"", "character 1: log cannot be read here"),
        ("resource == 1", "character 1: resource is no value"),
        ("severity_number == 1", "character 1: span has no field severity_number"),
        ("Time(name, \"%Y-%Q\") == nil", "format has %Q, which is no directive of times"),
        ("ParseCSV(name, \"a;b\", \"::\") == nil", "delimiter is one character, not \"::\""),
        ("ParseCSV(name, \"a\", \",\", \"\") == nil", "header_delimiter is one character, not \"\""),
        ("ParseCSV(name, \"a\", mode=\"loose\") == nil", "mode is one of strict, lazyQuotes, ignoreQuotes"),
        ("attributes[1] == 1", "attributes are found by strings"), ("name[\"a\"] == 1", "name has no members"),
        ("span.events == 1", "events can only be counted, Len(span.events), and compared with nil"),
        ("span.events < nil", "events can only be counted"), ("span.events[0] == nil", "events can only be counted"),
        ("Len(span.events[0]) == 1", "events can only be counted"),
        ("Len(exemplars) == 1", "span has no field exemplars"),
        ("set(name, \"a\")", "set is an editor"), ("name == \"a\" name", "expected and, or, or the end"),
        ("ä == 1", "character 1: unexpected character \"ä\""), ("\"ä\" == é", "character 8: unexpected character"),
    ]) func `a condition that cannot be used says where and why`(_ source: String, _ words: String) {
        let problem = Lab.problem(source, .span)
        #expect(problem.contains(words), "\(problem)")
    }

    @Test(arguments: [
        ("sett(name, \"a\")", "character 1: there is no editor sett, did you mean set?"),
        ("set(name)", "value is missing: set(target, value)"), ("set(\"a\", 1)", "character 5: set changes a field"),
        ("name == 1", "a statement begins with an editor"),
        ("set(name, \"a\") were kind == 1", "expected where or the end"),
        ("merge_maps(attributes, {}, \"upsrt\")", "strategy is one of insert, update, upsert"),
        ("replace_pattern(name, \"a\", \"b\", Len)", "Len cannot change a replacement"),
        ("truncate_all(attributes, -1)", "limit is -1, which nothing can be cut to"),
        ("truncate_all(attributes, 2, true, \"...\")", "truncation_marker has 3 bytes, more than the limit of 2"),
        ("limit(attributes, -5, [])", "limit is -5"),
    ]) func `a statement that cannot be used says where and why`(_ source: String, _ words: String) {
        let problem = Lab.problem(source, .span, isStatement: true)
        #expect(problem.contains(words), "\(problem)")
    }

    @Test(
        arguments: [
            (.spanevent, "set(event_index, 1)"), (.metric, "set(type, METRIC_DATA_TYPE_SUM)"),
            (.datapoint, "set(metric.is_monotonic, true)"),
        ] as [(OTTLContext, String)])
    func `a field that can only be read is no target`(_ context: OTTLContext, _ source: String) {
        let problem = Lab.problem(source, context, isStatement: true)
        #expect(problem.contains("can be read but not changed"), "\(problem)")
    }

    @Test(arguments: ["extract_sum_metric(\"yes\")", "extract_count_metric(1)", "extract_sum_metric(nil)"])
    func `whether a sum is monotonic is true or false`(_ source: String) {
        let problem = Lab.problem(source, .metric, isStatement: true)
        #expect(problem.contains("is_monotonic is true or false"), "\(problem)")
        #expect(Lab.problem("extract_sum_metric(true)", .metric, isStatement: true) == "no problem")
    }

    /// What runs on values of a record, or with limits that can be kept, is not refused.
    @Test(arguments: ["truncate_all(attributes, 0)", "limit(attributes, 0, [])", "truncate_all(attributes, Len(name))"])
    func `constants that work are taken`(_ source: String) {
        #expect(Lab.problem(source, .span, isStatement: true) == "no problem")
    }
}
