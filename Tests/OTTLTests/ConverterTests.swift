import OTTL
import Testing

/// Tables from the documented behaviour of each converter, on the sample span.
@Suite struct ConverterTests {
    static let tests: [String] = [
        "IsMatch(name, \"^GET /user/\\\\d+$\")", "not IsMatch(name, \"POST\")", "IsMatch(\"string\", \".*ring\")",
        "IsMatch(attributes[\"count\"], \"^5$\")", "not IsMatch(attributes[\"none\"], \".*\")",
        "IsMatch(attributes[\"flag\"], \"true\")", "IsMatch(attributes[\"tags\"], \"\\\"a\\\",\\\"b\\\",3\")",
        "IsMatch(attributes[\"data\"], \"^AQI=$\")",
        "IsMap(attributes[\"map\"])", "IsMap(attributes)", "not IsMap(attributes[\"tags\"])", "IsMap({\"a\": 1})",
        "IsString(attributes[\"text\"])", "not IsString(1)", "IsInt(attributes[\"count\"])", "not IsInt(1.0)",
        "IsDouble(attributes[\"ratio\"])", "IsBool(attributes[\"flag\"])", "IsList(attributes[\"tags\"])",
        "IsList([1])",
        "not IsList(attributes[\"none\"])",
        "IsEmpty(attributes[\"none\"])", "IsEmpty(attributes[\"void\"])", "IsEmpty(\"\")", "IsEmpty(0)", "IsEmpty({})",
        "not IsEmpty(attributes[\"text\"])", "IsEmpty(SpanID(0x0000000000000000))",
        "HasPrefix(name, \"GET\")", "not HasPrefix(name, \"POST\")", "HasSuffix(name, \"/7\")",
        "ContainsValue(attributes[\"tags\"], \"a\")", "ContainsValue([1, 2, 3], 3)", "not ContainsValue([1], \"1\")",
        "IsInCIDR(\"192.0.2.1\", [\"192.0.2.0/24\"])",
        "not IsInCIDR(\"192.0.3.1\", [\"192.0.2.0/24\", \"10.0.0.0/8\"])",
        "IsInCIDR(\"10.1.2.3\", [\"192.0.2.0/24\", \"10.0.0.0/9\"])", "not IsInCIDR(\"10.129.2.3\", [\"10.0.0.0/9\"])",
        "IsInCIDR(\"2001:db8::1\", [\"2001:db8::/33\"])", "not IsInCIDR(\"2001:db8::1\", [\"0.0.0.0/0\"])",
        "IsInCIDR(\"::ffff:10.0.0.1\", [\"10.0.0.0/8\"])", "IsInCIDR(\"1.2.3.4\", [\"0.0.0.0/0\"])",
        "ContainsValue([1.1, 4.4], 4.4)", "IsValidLuhn(\"17893729974\")", "not IsValidLuhn(17893729975)",
    ]

    static let texts: [String] = [
        "Concat([name, 1, true, 2.5], \"-\") == \"GET /user/7-1-true-2.5\"", "Concat([], \"-\") == \"\"",
        "Concat([span_id, \"x\"], \":\") == \"a102030405060708:x\"",
        "Concat([attributes[\"none\"]], \"\") == \"<nil>\"", "Concat([[1, 2], \"x\"], \",\") == \"[1,2],x\"",
        "String(1.5e20) == \"150000000000000000000\"", "String(0.00005) == \"0.00005\"",
        "String(-0.00125) == \"-0.00125\"", "String(0.00000015) == \"1.5e-7\"", "String(1.5e21) == \"1.5e+21\"",
        "String(12345678901234567.0) == \"12345678901234568\"",
        "Split(\"A|B|C\", \"|\") == [\"A\", \"B\", \"C\"]", "Split(name, \" \")[1] == \"/user/7\"",
        "Split(\"abc\", \"|\") == [\"abc\"]", "Split(\"ab\", \"\") == [\"a\", \"b\"]",
        "Substring(\"123456789\", 3, 3) == \"456\"", "Substring(\"äöü\", 0, 3, true) == \"ä\"",
        "ToLowerCase(\"MY_Metric\") == \"my_metric\"", "ToUpperCase(\"äb\") == \"ÄB\"",
        "ToSnakeCase(\"myMetricName\") == \"my_metric_name\"", "ToSnakeCase(\"HTTPServer\") == \"http_server\"",
        "ToCamelCase(\"my_metric\") == \"MyMetric\"", "ConvertCase(\"fooBar\", \"snake\") == \"foo_bar\"",
        "Trim(\" this is a test \") == \"this is a test\"",
        "Trim(\"!!this is a test!!\", \"!!\") == \"this is a test\"",
        "TrimPrefix(\"ingest_service\", \"ingest_\") == \"service\"", "TrimSuffix(\"a_b\", \"_b\") == \"a\"",
        "TrimPrefix(\"a\", \"b\") == \"a\"", "Base64Encode(\"test string\") == \"dGVzdCBzdHJpbmc=\"",
        "Base64Encode(\"??>\", \"base64-raw-url\") == \"Pz8-\"",
        "Base64Decode(\"aGVsbG8gd29ybGQ=\") == \"hello world\"",
        "Decode(\"aGVsbG8gd29ybGQ\", \"base64-raw\") == \"hello world\"", "Decode(\"abc\", \"us-ascii\") == \"abc\"",
        "Hex(\"1\") == \"31\"", "Hex(12) == \"000000000000000c\"", "Hex(true) == \"01\"",
        "Hex(1.1) == \"3ff199999999999a\"",
        "Format(\"%s: %04d (%.2f%%)\", [name, 7, 12.345]) == \"GET /user/7: 0007 (12.35%)\"",
        "Format(\"%-5s|%5s|%x|%X|%q\", [\"ab\", \"ä\", 255, 255, \"q\"]) == \"ab   |    ä|ff|FF|\\\"q\\\"\"",
        "Format(\"%v %v %v %t\", [1, 2.5, \"x\", true]) == \"1 2.5 x true\"",
        "Format(\"%+d %#x %e\", [5, 16, 1.5]) == \"+5 0x10 1.500000e+00\"",
        "Format(\"%08.3f|%.2s\", [3.14159, \"äöü\"]) == \"0003.142|äö\"",
        "URL(\"http://www.example.com\")[\"url.path\"] == \"\"",
        "URL(\"http://w.org\")[\"url.original\"] == \"http://w.org\"",
        "URL(\"http://me:my%20word@www.example.com:80/a#f\")[\"url.password\"] == \"my word\"",
        "URL(\"http://me:p@www.example.com:80/a/foo.gif?k=v#f\")[\"url.port\"] == 80",
        "URL(\"http://me:p@www.example.com:80/a/foo.gif?k=v#f\")[\"url.extension\"] == \"gif\"",
        "URL(\"http://me:p@www.example.com:80/a/foo.gif?k=v#f\")[\"url.user_info\"] == \"me:p\"",
        "URL(\"https://[::1]:8443/x?a=b?c\")[\"url.domain\"] == \"::1\"",
        "URL(\"https://h/x?a=b?c\")[\"url.query\"] == \"a=b?c\"",
        "URL(\"https://h/x#f\")[\"url.port\"] == nil",
        "CommunityID(\"128.232.110.120\", 34855, \"66.35.250.204\", 80) == \"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\"",
        "CommunityID(\"66.35.250.204\", 80, \"128.232.110.120\", 34855, \"TCP\") == \"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\"",
        "Murmur3Hash(\"hello\") == \"47fa8b24\"", "Murmur3Hash(\"\") == \"00000000\"",
        "Murmur3Hash(\"hello, world\") == \"7fbb9b14\"",
        "Murmur3Hash128(\"hello\") == \"029bbd41b3a7d8cb191dae486a901e5b\"",
        "UUIDv7() == \"018bcfe5-687b-7def-8123-456789abcdef\"",
        "Hex(0x02) == \"02\"", "Hex(attributes[\"none\"]) == nil",
        "ExtractPatterns(name, \"/(?P<what>\\\\w+)/(?P<id>\\\\d+)\") == {\"what\": \"user\", \"id\": \"7\"}",
        "ExtractPatterns(\"x\", \"(?P<a>y)\") == {}", "ExtractPatterns(name, \"(?P<m>^\\\\w+)\")[\"m\"] == \"GET\"",
        "String(5) == \"5\"", "String([1, 2, 3]) == \"[1,2,3]\"", "String(span_id) == \"a102030405060708\"",
        "String(false) == \"false\"", "String(attributes[\"none\"]) == nil", "String(0x0aff) == \"0aff\"",
        "String({\"a\": \"b\"}) == \"{\\\"a\\\":\\\"b\\\"}\"",
        // As Go writes maps: in the order of their keys, at every depth, and fit for HTML.
        "String({\"b\": 1, \"a\": {\"d\": 2, \"c\": [{\"y\": 1, \"x\": 2}]}}) == "
            + "\"{\\\"a\\\":{\\\"c\\\":[{\\\"x\\\":2,\\\"y\\\":1}],\\\"d\\\":2},\\\"b\\\":1}\"",
        "String({\"k\": \"<a&b>\"}) == \"{\\\"k\\\":\\\"\\\\u003ca\\\\u0026b\\\\u003e\\\"}\"",
        "Concat([{\"b\": 1, \"a\": 2}, \"<\"], \"\") == \"{\\\"a\\\":2,\\\"b\\\":1}<\"",
        "SHA256(String({\"b\": 1, \"a\": 2})) == SHA256(String({\"a\": 2, \"b\": 1}))",
        "Format(\"%s\", [{\"b\": 1, \"a\": 2}]) == \"{\\\"a\\\":2,\\\"b\\\":1}\"",
        "IsMatch(attributes[\"map\"], \"^.{2}in.*x\")",
    ]

    static let numbers: [String] = [
        "Len(name) == 11", "Len(attributes[\"tags\"]) == 3", "Len(attributes[\"map\"]) == 2", "Len(attributes) == 10",
        "Int(\"12\") == 12", "Int(2.9) == 2", "Int(-2.9) == -2", "Int(true) == 1", "Int(\"2.0\") == nil",
        "Int(attributes[\"none\"]) == nil", "Double(\"2.5\") == 2.5", "Double(3) == 3.0", "Double(\"x\") == nil",
        "Bool(\"T\") == true", "Bool(\"0\") == false", "Bool(\"yes\") == nil", "Bool(2) == true",
        "ParseInt(\"12345\", 10) == 12345", "ParseInt(\"0b1111_0000\", 0) == 240", "ParseInt(\"0xFF\", 0) == 255",
        "ParseInt(\"-0xFF\", 0) == -255", "ParseInt(\"-0o123\", 0) == -83", "ParseInt(\"AA\", 16) == 170",
        "ParseInt(\"-20\", 8) == -16", "Log(1) == 0.0", "Index(\"hello world\", \"world\") == 6",
        "Index(attributes[\"tags\"], 3) == 2", "Index(attributes[\"tags\"], \"z\") == -1",
    ]

    static let values: [String] = [
        "ParseJSON(attributes[\"json\"])[\"b\"][\"c\"] == \"d\"",
        "ParseJSON(attributes[\"json\"])[\"a\"] == [1.0, true, nil]",
        "ParseJSON(\"[\\\"attr1\\\",\\\"attr2\\\"]\") == [\"attr1\", \"attr2\"]",
        "ParseJSON(\"{\\\"a\\\":\\\"\\\\u00e4\\\\ud83d\\\\ude00\\\"}\")[\"a\"] == \"ä😀\"",
        "ParseJSON(\"[1e3,-2.5]\") == [1000.0, -2.5]",
        "ParseKeyValue(attributes[\"pairs\"]) == {\"k1\": \"v1\", \"k2\": \"v 2\"}",
        "ParseKeyValue(\"k1!v1_k2!v2_k3!v3\", \"!\", \"_\") == {\"k1\": \"v1\", \"k2\": \"v2\", \"k3\": \"v3\"}",
        "ParseKeyValue(\"a:1;b:2\", delimiter=\":\", pair_delimiter=\";\")[\"b\"] == \"2\"",
        "ParseCSV(\"999,Joe Smith,joe@example.com\", \"phone,name,email\")[\"name\"] == \"Joe Smith\"",
        "ParseCSV(\"a|\\\"b|\\\"\\\"c\\\"\\\"\\\"\", \"x|y\", delimiter=\"|\")"
            + " == {\"x\": \"a\", \"y\": \"b|\\\"c\\\"\"}",
        "ParseCSV(\"\\\"5,Joe\\\",j\", \"a,b,c\", mode=\"ignoreQuotes\")[\"b\"] == \"Joe\\\"\"",
        "ParseCSV(\"1;2\", \"a,b\", delimiter=\";\", headerDelimiter=\",\") == {\"a\": \"1\", \"b\": \"2\"}",
        "Coalesce([attributes[\"none\"], attributes[\"void\"], \"unknown\"]) == \"unknown\"",
        "Coalesce([attributes[\"none\"]]) == nil", "Keys(attributes[\"map\"]) == [\"x\", \"in\"]",
        "Values({\"a\": 1, \"b\": 2}) == [1, 2]", "Sort([3, 1, 2.5]) == [1, 2.5, 3]",
        "Sort([\"b\", \"a\"], \"desc\") == [\"b\", \"a\"]",
        "SliceToMap([{\"name\": \"foo\", \"value\": 2}], [\"name\"], [\"value\"]) == {\"foo\": 2}",
        "SliceToMap([{\"name\": \"foo\"}]) == {\"0\": {\"name\": \"foo\"}}",
        "ToKeyValueString({\"b\": \"2\", \"a\": 1}, \"=\", \"&\", true) == \"a=1&b=2\"",
        "ToKeyValueString({\"k1\": \"v1\", \"k2\": \"v=2\"}) == \"k1=v1 k2=\\\"v=2\\\"\"",
        "ToKeyValueString({\"k\": {\"x\": \"y\"}}) == \"k={\\\\\\\"x\\\\\\\":\\\\\\\"y\\\\\\\"}\"",
    ]

    static let hashes: [String] = [
        "SHA256(\"name\") == \"82a3537ff0dbce7eec35d69edc3a189ee6f17d82f353a553f9aa96cb0be3ce89\"",
        "SHA1(\"name\") == \"6ae999552a0d2dca14d62e2bc8b764d377b1dd6c\"",
        "MD5(\"name\") == \"b068931cc450442b63f5b3d276ea4297\"",
        "Len(SHA512(\"name\")) == 128", "FNV(\"hello world\") == 8618312879776256743",
        "FNV(\"\") == -3750763034362895579",
        "UUID() == \"01234567-89ab-4def-8123-456789abcdef\"",
    ]

    static let documents: [String] = [
        "ParseXML(\"<a x='1'>t<b/></a>\")[\"attributes\"] == {\"x\": \"1\"}",
        "ParseXML(\"<a x='1'>t<b/></a>\")[\"children\"] == [{\"tag\": \"b\"}]",
        "ParseXML(\"<?xml v='1'?><!-- c --><a> x &amp; <![CDATA[<y>]]> &#x41;</a>\")[\"content\"] == \"x &<y>A\"",
        "ParseXML(\"<h name='e.com'/>\") == {\"tag\": \"h\", \"attributes\": {\"name\": \"e.com\"}}",
        "ParseSimplifiedXML(\"<a><b>1</b><c>2</c><c>3</c></a>\") == {\"a\": {\"b\": \"1\", \"c\": [\"2\", \"3\"]}}",
        "ParseSimplifiedXML(\"<a> <b>1</b> <b/> </a>\") == {\"a\": {\"b\": [\"1\"]}}",
        "ParseSimplifiedXML(\"<foo>bar</foo>\") == {\"foo\": \"bar\"}",
        "ParseSimplifiedXML(\"<a>t<b><![CDATA[2]]></b><e/></a>\") == {\"a\": {\"b\": \"2\"}}",
        "ParseSeverity(\"inf\", {\"info\": [{\"range\": \"2xx\"}, {\"equals\": [\"inf\"]}]}) == \"info\"",
        "ParseSeverity(204, {\"info\": [{\"range\": {\"min\": 200, \"max\": 299}}]}) == \"info\"",
        "ParseSeverity(503, {\"info\": [{\"range\": \"2xx\"}], \"error\": [{\"range\": \"5xx\"}]}) == \"error\"",
    ]

    static let times: [String] = [
        "UnixNano(Now()) == 1700000000123456789", "UnixMilli(Now()) == 1700000000123",
        "UnixSeconds(Now()) == 1700000000",
        "Year(Now()) == 2023 and Month(Now()) == 11 and Day(Now()) == 14", "Hour(Now()) == 22 and Minute(Now()) == 13",
        "Second(Now()) == 20 and Nanosecond(Now()) == 123456789", "Weekday(Now()) == 2",
        "Hours(Duration(\"90m\")) == 1.5", "Minutes(Duration(\"1h\")) == 60.0", "Seconds(Duration(\"1500ms\")) == 1.5",
        "Milliseconds(Duration(\"1h\")) == 3600000", "Nanoseconds(Duration(\"1us\")) == 1000",
        "UnixSeconds(Time(\"02/04/2023\", \"%m/%d/%Y\")) == 1675468800",
        "UnixNano(Time(\"2023-05-26 12:34:56.789 +0200\", \"%Y-%m-%d %H:%M:%S.%L %z\")) == 1685097296789000000",
        "UnixSeconds(Time(\"Feb 29, 2024 1:02 pm\", \"%b %d, %Y %I:%M %p\")) == 1709211720",
        "UnixSeconds(Time(\"2006-01-02T15:04:05Z\", \"2006-01-02T15:04:05Z07:00\")) == 1136214245",
        "FormatTime(Time(\"02/04/2023\", \"%m/%d/%Y\"), \"%A %h %e %Y\") == \"Saturday Feb  4 2023\"",
        "FormatTime(start_time, \"%F %T\") == \"1970-01-01 00:00:01\"",
        "TruncateTime(end_time, Duration(\"1s\")) == Unix(3)", "Unix(1, 5) == Unix(1) + Duration(\"5ns\")",
        "Time(\"1960-03-01\", \"%Y-%m-%d\") < start_time",
    ]

    @Test(arguments: tests + texts + numbers + values + documents + hashes + times)
    func `holds as documented`(_ source: String) throws {
        #expect(try Lab.holds(source, .span, on: Sample.span))
    }

    @Test(arguments: [
        "Substring(\"abc\", 2, 5) == \"\"", "ParseJSON(\"{\") == nil", "ParseJSON(\"1 2\") == nil",
        "ParseInt(\"x\", 10) == 1",
        "Len(5) == 1", "ContainsValue(\"a\", \"a\")", "Time(\"2023-02-30\", \"%Y-%m-%d\") == nil",
        "SpanID(0x01) == nil",
        "TraceID(\"zz\") == nil", "Log(0) == nil", "SHA256(5) == \"\"", "IsValidLuhn(\"12a\")",
        "ParseKeyValue(\"a\") == {}",
        "Hour(5) == 1", "ParseCSV(\"1,2\", \"a\") == {}", "Base64Decode(\"a\") == \"\"", "Split(5, \",\") == []",
        "ParseXML(\"<a>\") == {}", "ParseXML(\"<a></b>\") == {}", "ParseXML(\"<a/><b/>\") == {}",
        "ParseXML(\"\") == {}",
        "ParseXML(\"<a x=1/>\") == {}", "ParseXML(\"<a>&nope;</a>\") == {}", "ParseXML(\"x<a/>\") == {}",
        "ParseSeverity(\"x\", {\"info\": [{\"equals\": [\"inf\"]}]}) == \"\"", "URL(\"http://h:x/\") == {}",
        "URL(\"http://h/%zz\") == {}", "IsInCIDR(\"x\", [\"10.0.0.0/8\"])", "IsInCIDR(\"10.0.0.1\", [\"10.0.0.0/33\"])",
        "Format(\"%d\", [\"x\"]) == \"\"", "Format(\"%d %d\", [1]) == \"\"", "Format(\"%\", []) == \"\"",
        "Format(\"%99999d\", [1]) == \"\"", "CommunityID(\"1.2.3.4\", 70000, \"1.2.3.5\", 80) == \"\"",
    ]) func `fails as documented`(_ source: String) {
        #expect(throws: OTTLFailure.self) { try Lab.holds(source, .span, on: Sample.span) }
    }

    @Test func `deep and hostile documents end without harm`() throws {
        let deep = String(repeating: "<a>", count: 5_000) + String(repeating: "</a>", count: 5_000)
        #expect(throws: OTTLFailure.self) { try Lab.holds("ParseXML(\"\(deep)\") == {}", .span, on: Sample.span) }
        for text in [
            "<", "<!", "<![CDATA[", "</", "<a", "<a ", "<a b", "<a b=", "<a b='", "<a b='1'", "<a/", "<!--", "&",
            "<a>&#xFFFFFFFFFF;</a>",
        ] {
            #expect(throws: OTTLFailure.self, "\(text)") {
                try Lab.holds("ParseXML(\"\(text)\") == {}", .span, on: Sample.span)
            }
        }
    }
}
