import Configuration
import Pipeline
import Processors
import Telemetry
import Testing

/// Runs the attributes processor on one span.
private func run(
    _ actions: String, _ attributes: [(String, [UInt8])], tenant: String = "",
    metadata: RequestMetadata = RequestMetadata()
) throws -> [(key: String, value: String)] {
    var bench = Bench()
    var build = bench.build(.traces)
    let read = options(AttributesOptions.self, "{actions: [\(actions)]}")
    #expect(read.headlines == [])
    let processor = try AttributesProcessor(options: read.options, build: &build)
    let request = Wire.traces(span: Wire.attributes(9, attributes))
    return try DecodedRequest(Bench.run(processor, build, request, tenant: tenant, metadata: metadata).bytes, .traces)
        .sets[.span] ?? []
}

private func text(_ pairs: [(key: String, value: String)]) -> [String] {
    pairs.map { "\($0.key)=\($0.value)" }
}

/// What each action of the Collector's `attributes` processor does, as its documentation says.
@Suite struct ActionTests {
    private let one: [(String, [UInt8])] = [("a", Wire.string("1"))]

    @Test(arguments: [
        ("insert", ["a=\"1\"", "b=\"2\""], ["a=\"1\""]),
        ("update", ["a=\"1\""], ["a=\"2\""]),
        ("upsert", ["a=\"1\"", "b=\"2\""], ["a=\"2\""]),
    ])
    func `insert adds, update changes, upsert does both`(
        action: String, absent: [String], present: [String]
    ) throws {
        #expect(text(try run("{key: b, value: \"2\", action: \(action)}", one)) == absent)
        #expect(text(try run("{key: a, value: \"2\", action: \(action)}", one)) == present)
    }

    @Test(arguments: [
        ("\"x\"", "\"x\""), ("2245", "2245"), ("1.5", "1.5d"), ("true", "true"), ("[1, a]", "array 9"),
        ("{k: v}", "map 10"),
    ])
    func `a value keeps its type`(value: String, written: String) throws {
        #expect(text(try run("{key: b, value: \(value), action: insert}", [])) == ["b=\(written)"])
    }

    @Test func `from_attribute copies the value with its type, and nothing when there is none`()
        throws
    {
        let attributes: [(String, [UInt8])] = [("n", Wire.int(7)), ("t", Wire.string("old"))]
        #expect(
            text(try run("{key: b, from_attribute: n, action: upsert}", attributes)) == [
                "n=7", "t=\"old\"", "b=7",
            ])
        #expect(
            text(try run("{key: t, from_attribute: n, action: update}", attributes)) == ["n=7", "t=7"])
        #expect(
            text(try run("{key: t, from_attribute: none, action: upsert}", attributes)) == [
                "n=7", "t=\"old\"",
            ])
        let fallback = "{key: b, from_attribute: none, default_value: d, action: insert}"
        #expect(text(try run(fallback, attributes)) == ["n=7", "t=\"old\"", "b=\"d\""])
    }

    @Test func `from_context writes the tenant of the request`() throws {
        let action = "{key: tenant, from_context: auth.tenant, action: insert}"
        #expect(text(try run(action, [], tenant: "acme")) == ["tenant=\"acme\""])
        #expect(text(try run(action, [])) == [])
        for name in ["auth.subject", "auth.username"] {
            let other = "{key: who, from_context: \(name), action: upsert}"
            #expect(text(try run(other, [], tenant: "acme")) == ["who=\"acme\""])
        }
    }

    @Test func `delete takes all attributes that match and leaves the order of the others`() throws {
        let attributes = ["x1", "a", "x2", "x3", "b", "x1", "c"].enumerated().map { ($1, Wire.int(Int64($0))) }
        #expect(text(try run("{pattern: \"^x\", action: delete}", attributes)) == ["a=1", "b=4", "c=6"])
        #expect(text(try run("{key: x1, action: delete}", attributes)) == ["a=1", "x2=2", "x3=3", "b=4", "c=6"])
    }

    @Test(.timeLimit(.minutes(5))) func `delete bears very many attributes`() throws {
        let attributes = (0..<200_000).map { ($0 < 100_000 ? "x\($0)" : "a\($0)", Wire.int(1)) }
        #expect(try run("{pattern: \"^x\", action: delete}", attributes).count == 100_000)
    }

    @Test func `what is not kept of a request is told`() {
        func headlines(_ context: String) -> [String] {
            options(AttributesOptions.self, "{actions: [{key: k, from_context: \(context), action: insert}]}").headlines
        }
        let address = headlines("client.address")
        #expect(address.count == 1 && address[0].contains("warning") && address[0].contains("metadata.x-forwarded-for"))
        #expect(headlines("auth.group").contains { $0.contains("error") })
        #expect(headlines("x-tenant") == [], "a header, as in older files")
    }

    @Test func `from_context writes a header of the request`() throws {
        let metadata = RequestMetadata([
            RequestMetadata.Field(name: "x-team", value: "a"), RequestMetadata.Field(name: "x-team", value: "b"),
        ])
        let action = "{key: team, from_context: metadata.X-Team, action: upsert, default_value: none}"
        #expect(text(try run(action, [], metadata: metadata)) == ["team=\"a;b\""])
        #expect(text(try run(action, [])) == ["team=\"none\""])
    }

    @Test func `delete takes a key, a pattern or both, and every duplicate`() throws {
        let attributes: [(String, [UInt8])] = [
            ("a", Wire.int(1)), ("http.x", Wire.int(2)), ("a", Wire.int(3)), ("http.y", Wire.int(4)),
            ("z", Wire.int(5)),
        ]
        #expect(
            text(try run("{key: a, action: delete}", attributes)) == ["http.x=2", "http.y=4", "z=5"])
        #expect(
            text(try run("{pattern: '^http\\.', action: delete}", attributes)) == ["a=1", "a=3", "z=5"])
        #expect(
            text(try run("{key: z, pattern: '^http\\.', action: delete}", attributes)) == ["a=1", "a=3"])
    }

    @Test func `hash is SHA-256 of the text, or of the eight bytes of a number from the lowest`()
        throws
    {
        let attributes: [(String, [UInt8])] = [
            ("s", Wire.string("jo@example.com")), ("i", Wire.int(42)), ("d", Wire.double(1.5)),
            ("t", Wire.bool(true)),
            ("f", Wire.bool(false)), ("other", Wire.int(1)),
        ]
        let hashes = [
            "s=\"f4e19df2e6c609fbd59a42b9063d0fadf44260218531ea21ad8c575f205c0453\"",
            "i=\"ed049108bc18f2c64369e8d0ea42850bdd1a7d1dd340cfde716315579702a76c\"",
            "d=\"e163f8cb0f7067a7fc78ca859a77f849aea3214f38fb75b884e4a16be725c905\"",
            "t=\"4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a\"",
            "f=\"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d\"", "other=1",
        ]
        #expect(text(try run("{pattern: '^.$', action: hash}", attributes)) == hashes)
        #expect(text(try run("{key: none, action: hash}", attributes)).last == "other=1")
    }

    @Test func `extract writes the named groups of the first match, over what is there`() throws {
        let action =
            #"{key: url, pattern: '^(?P<proto>.*):\/\/(?P<host>[^\/]*)(?P<path>\/.*)?$', action: extract}"#
        let url = ("url", Wire.string("https://example.com/p?q"))
        #expect(
            text(try run(action, [url, ("host", Wire.int(1))]))
                == [
                    "url=\"https://example.com/p?q\"", "host=\"example.com\"", "proto=\"https\"",
                    "path=\"/p?q\"",
                ])
        #expect(text(try run(action, [("url", Wire.string("nothing"))])) == ["url=\"nothing\""])
        #expect(text(try run(action, [("url", Wire.int(1))])) == ["url=1"])
    }

    @Test(
        arguments: [
            ("int", Wire.string("42"), "42"), ("int", Wire.string("-7"), "-7"),
            ("int", Wire.string("4.2"), "\"4.2\""),
            ("int", Wire.string("x"), "\"x\""), ("int", Wire.double(-3.9), "-3"),
            ("int", Wire.double(1e300), "1e+300d"),
            ("int", Wire.bool(true), "1"), ("int", Wire.int(5), "5"),
            ("int", Wire.string("9223372036854775808"), "\"9223372036854775808\""),
            ("double", Wire.string("1.5"), "1.5d"), ("double", Wire.string("1e3"), "1000.0d"),
            ("double", Wire.string("1,5"), "\"1,5\""), ("double", Wire.int(3), "3.0d"),
            ("double", Wire.bool(false), "0.0d"),
            ("string", Wire.int(-12), "\"-12\""), ("string", Wire.double(1.5), "\"1.5\""),
            ("string", Wire.bool(true), "\"true\""), ("string", Wire.string("s"), "\"s\""),
            ("string", Wire.array([Wire.int(1), Wire.string("a")]), "\"[1,\"a\"]\""),
            ("string", Wire.map([("k", Wire.bool(false))]), "\"{\"k\":false}\""),
            ("string", Wire.bytes([1, 2, 250]), "\"AQL6\""),
        ] as [(String, [UInt8], String)])
    func `convert changes the type where the value allows it`(
        type: String, value: [UInt8], written: String
    ) throws {
        let after = try run("{key: k, action: convert, converted_type: \(type)}", [("k", value)])
        #expect(text(after) == ["k=\(written)"])
    }

    private static func value(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }

    private static let first = Wire.array([Wire.int(1)])
    private static let second = Wire.array([Wire.int(2)])
    private static let unknown = Wire.field(99, "later")
    private static let mapInPieces = value(Wire.map([("a", Wire.int(1))]), Wire.map([("b", Wire.int(2))]))
    private static let twoValues = value(Wire.keyValue("k", first), Wire.field(2, second))
    private static let emptyValue = value(Wire.keyValue("k", first), Wire.field(2, [UInt8]()))

    private static let merged: [([UInt8], String)] = [
        (Wire.array([value(Wire.int(1), unknown)]), "[1]"),
        (Wire.map([("k", value(unknown, Wire.string("v"), unknown))]), "{\"k\":\"v\"}"),
        (Wire.array([unknown]), "[null]"),
        (Wire.array([value(first, second)]), "[[1,2]]"),
        (Wire.array([value(first, unknown, second)]), "[[1,2]]"),
        (Wire.array([value(first, Wire.string("x"), second)]), "[[2]]"),
        (Wire.array([value(first, second, Wire.string("x"))]), "[\"x\"]"),
        (Wire.array([mapInPieces]), "[{\"a\":1,\"b\":2}]"),
        (Wire.field(6, Wire.field(1, twoValues)), "{\"k\":[1,2]}"),
        (Wire.field(6, Wire.field(1, emptyValue)), "{\"k\":[1]}"),
    ]

    @Test(arguments: merged)
    func `the text of nested values has all pieces, and unknown fields hide nothing`(
        value: [UInt8], written: String
    ) throws {
        let after = try run("{key: k, action: convert, converted_type: string}", [("k", value)])
        #expect(text(after) == ["k=\"\(written)\""])
    }

    @Test func `actions run in order, each on what the one before left`() throws {
        let actions = """
            {key: b, from_attribute: a, action: insert}, {key: a, action: delete},
            {key: a, value: again, action: insert}, {key: b, action: hash}, {key: b, value: x, action: update}
            """
        #expect(text(try run(actions, one)) == ["b=\"x\"", "a=\"again\""])
    }

    @Test(arguments: [
        "{key: a, action: insert}", "{action: insert, value: x}", "{key: a, action: remove}",
        "{key: a}",
        "{action: delete}", "{key: a, value: 1, action: delete}", "{key: a, action: extract}",
        "{key: a, pattern: '(x)', action: extract}", "{key: a, pattern: '(', action: delete}",
        "{key: a, action: convert}", "{key: a, action: convert, converted_type: bool}",
        "{key: a, value: 1, from_attribute: b, action: upsert}",
        "{key: a, value: 1, pattern: x, action: insert}",
    ])
    func `a faulty action is a problem`(action: String) {
        #expect(options(AttributesOptions.self, "{actions: [\(action)]}").headlines.count >= 1)
    }

    @Test func `the resource processor changes resources and nothing else`() throws {
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(ResourceOptions.self, "{attributes: [{key: a, value: new, action: upsert}]}")
        #expect(read.headlines == [])
        let processor = ResourceProcessor(options: read.options, build: &build)
        let request = Wire.traces(
            resource: Wire.strings(1, [("a", "old")]), span: Wire.strings(9, [("a", "old")]))
        let after = try DecodedRequest(Bench.run(processor, build, request).bytes, .traces)
        #expect(after.values(.resource) == ["a": "\"new\""] && after.values(.span) == ["a": "\"old\""])
    }
}
