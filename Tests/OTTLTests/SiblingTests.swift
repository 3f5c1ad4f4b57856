import OTLP
import OTTL
import Telemetry
import TestSupport
import Testing

/// Edits inside of maps and lists against the very bytes that stood beside the edited part.
@Suite struct SiblingTests {
    // MARK: The bench

    /// The request after a statement ran on its first record.
    private static func run(_ source: String, _ context: OTTLContext, on record: [UInt8]) throws -> [UInt8] {
        var keys = KeyTable.Builder()
        let statement = try OTTLStatement(source, context: context, keys: &keys)
        let table = keys.build()
        return try WireBytes.request(records: [record]).withUnsafeBytes { bytes throws -> [UInt8] in
            var batch = RecordBatch()
            _ = try OTLPReader.read(Text(bytes), signal: Lab.signal(context), keys: table, into: &batch)
            var state = EvaluationState()
            state.beginRecord()
            let place = Lab.place(context, batch)
            try statement.run(&batch, at: place, &state)
            var output = ByteColumn()
            OTLPWriter.write(batch, into: &output)
            return [UInt8](output.bytes)
        }
    }

    /// A span with one attribute. `field` is the kind of value: 5 a list, 6 a map.
    private static func span(_ key: String, _ field: UInt32, _ content: [UInt8]) -> [UInt8] {
        WireBytes.build { record in
            record.data(1, [UInt8](repeating: 1, count: 16))
            record.data(2, [UInt8](repeating: 2, count: 8))
            record.message(9) { attribute in
                attribute.text(1, key)
                attribute.message(2) { $0.data(field, content) }
            }
        }
    }

    /// The statement on a span with one attribute makes it the other.
    private static func expect(
        _ source: String, on key: String, _ field: UInt32, _ before: [UInt8], gives after: [UInt8]
    ) throws {
        let written = try run(source, .span, on: span(key, field, before))
        #expect(written == WireBytes.request(records: [span(key, field, after)]), "\(source)")
    }

    // MARK: Values that are not as they would be written

    /// A list of one number, as the field of an AnyValue.
    private static func list(_ number: UInt64) -> [UInt8] {
        WireBytes.build { value in value.message(5) { list in list.message(1) { $0.number(3, number) } } }
    }

    /// AnyValues: a list in two pieces, a string of another table, a kind of a later schema, a number with more.
    private static let values: [[UInt8]] = [
        list(1) + list(2),
        WireBytes.build { $0.number(8, 9) },
        WireBytes.build { $0.text(99, "kind") },
        WireBytes.build {
            $0.text(98, "before")
            $0.number(3, 7)
            $0.text(99, "behind")
        },
    ]

    private static let elements = WireBytes.build { list in
        for value in values { list.data(1, value) }
    }

    private static let members = WireBytes.build { map in
        for (index, value) in values.enumerated() {
            map.message(1) { member in
                member.text(1, "v\(index)")
                member.data(2, value)
                member.text(97, "beside")
            }
        }
        map.message(1) { member in
            member.text(1, "twice")
            member.data(2, list(1))
            member.data(2, list(2))
        }
        map.message(1) { member in
            member.number(3, 5)
            member.data(2, list(3))
        }
    }

    private static let unknown = WireBytes.build { $0.text(77, "of a later schema") }

    private static func member(_ key: String, _ text: String) -> [UInt8] {
        WireBytes.build { $0.attribute(1, key, text) }
    }

    // MARK: Maps and lists

    @Test(
        arguments: [
            ("set(attributes[\"m\"][\"k\"], \"new\")", "new"), ("delete_key(attributes[\"m\"], \"k\")", nil),
            ("keep_matching_keys(attributes[\"m\"], \"^(v.|twice)?$\")", nil),
            ("replace_all_patterns(attributes[\"m\"], \"value\", \"old\", \"new\")", "new"),
            ("merge_maps(attributes[\"m\"], {\"k\": \"new\"}, \"upsert\")", "new"),
        ] as [(String, String?)])
    func `members beside the edited one stay as they came`(statement: String, text: String?) throws {
        let edited = text.map { Self.member("k", $0) } ?? []
        try Self.expect(
            statement, on: "m", 6, Self.members + Self.member("k", "old") + Self.members + Self.unknown,
            gives: Self.members + edited + Self.members + Self.unknown)
    }

    @Test func `a new member leaves all others as they came`() throws {
        try Self.expect(
            "set(attributes[\"m\"][\"n\"], \"new\")", on: "m", 6, Self.members + Self.unknown,
            gives: Self.members + Self.member("n", "new") + Self.unknown)
    }

    @Test func `elements beside the edited one stay as they came`() throws {
        let old = WireBytes.build { list in list.message(1) { $0.text(1, "old") } }
        let new = WireBytes.build { list in list.message(1) { $0.text(1, "new") } }
        let before = Self.elements + old + Self.elements + Self.unknown
        try Self.expect(
            "set(attributes[\"a\"][4], \"new\")", on: "a", 5, before,
            gives: Self.elements + new + Self.elements + Self.unknown)
        try Self.expect(
            "delete_index(attributes[\"a\"], 4)", on: "a", 5, before,
            gives: Self.elements + Self.elements + Self.unknown)
    }

    @Test func `members of a body stay as they came`() throws {
        func record(_ text: String) -> [UInt8] {
            WireBytes.build { log in
                log.message(5) { $0.data(6, Self.members + Self.member("k", text) + Self.unknown) }
            }
        }
        let written = try Self.run("set(body[\"k\"], \"new\")", .log, on: record("old"))
        #expect(written == WireBytes.request(records: [record("new")]))
    }

    // MARK: Deeper

    /// A member `in` whose map comes in these pieces, between others, with fields that no schema knows at every level.
    private static func outer(_ pieces: [[UInt8]]) -> [UInt8] {
        let member = WireBytes.build { map in
            map.message(1) { member in
                member.text(1, "in")
                member.message(2) { value in
                    value.text(99, "of the value")
                    for piece in pieces { value.data(6, piece) }
                }
                member.text(97, "of the member")
            }
        }
        return members + member + members + unknown
    }

    @Test func `an edit two levels deep leaves what is beside it on both, and all pieces`() throws {
        let before = Self.outer([Self.members, Self.member("k", "old") + Self.unknown])
        try Self.expect(
            "set(attributes[\"m\"][\"in\"][\"k\"], \"new\")", on: "m", 6, before,
            gives: Self.outer([Self.members + Self.member("k", "new") + Self.unknown]))
        try Self.expect(
            "delete_key(attributes[\"m\"][\"in\"], \"k\")", on: "m", 6, before,
            gives: Self.outer([Self.members + Self.unknown]))
    }

    @Test(arguments: [
        "attributes[\"m\"][\"v0\"] == [1, 2]", "attributes[\"m\"][\"twice\"][1] == 2",
        "Len(attributes[\"m\"][\"v0\"]) == 2", "attributes[\"m\"][\"v3\"] == 7", "attributes[\"m\"][\"v2\"] == nil",
    ])
    func `a nested value in pieces is read whole`(condition: String) throws {
        let before = Self.span("m", 6, Self.members)
        let written = try Self.run("set(name, \"hit\") where \(condition)", .span, on: before)
        let after = before + WireBytes.build { $0.text(5, "hit") }
        #expect(written == WireBytes.request(records: [after]))
    }

    private static func expectHit(_ condition: String, on before: [UInt8]) throws {
        let written = try run("set(name, \"hit\") where \(condition)", .span, on: before)
        let after = before + WireBytes.build { $0.text(5, "hit") }
        #expect(written == WireBytes.request(records: [after]), "\(condition)")
    }

    @Test(arguments: [
        #"Values(attributes["m"])[0] == [1, 2]"#, #"Values(attributes["m"])[4] == [1, 2]"#,
        #"ContainsValue(Values(attributes["m"]), [1, 2])"#,
        #"ToKeyValueString(attributes["m"], "=", ";") == "v0=[1,2];v1=;v2=;v3=7;twice=[1,2];=[3]""#,
        #"IsMatch(String(attributes["m"]), "twice.:.1,2.")"#,
    ])
    func `members in pieces are whole in texts and lists of them`(condition: String) throws {
        try Self.expectHit(condition, on: Self.span("m", 6, Self.members))
    }

    @Test(arguments: [
        #"attributes["a"] == [[1, 2], nil, nil, 7]"#, #"not (attributes["a"] == [[2], nil, nil, 7])"#,
        #"attributes["a"] != [[2], nil, nil, 7]"#, #"Index(attributes["a"], [1, 2]) == 0"#,
        #"ContainsValue(attributes["a"], [1, 2])"#, #"not ContainsValue(attributes["a"], [2])"#,
        #"Concat(attributes["a"], ";") == "[1,2];<nil>;<nil>;7""#, #"String(attributes["a"]) == "[[1,2],null,null,7]""#,
        #"Format("%v %v %v %v", attributes["a"]) == "[1,2] <nil> <nil> 7""#, #"Coalesce(attributes["a"]) == [1, 2]"#,
        #"SliceToMap(attributes["a"])["0"] == [1, 2]"#,
    ])
    func `elements in pieces are whole in comparisons and texts`(condition: String) throws {
        try Self.expectHit(condition, on: Self.span("a", 5, Self.elements))
    }

    /// A list of one map that comes in these pieces.
    private static func maps(_ pieces: [[UInt8]]) -> [UInt8] {
        WireBytes.build { list in
            list.message(1) { value in
                // What another kind of value replaces.
                value.data(6, member("k", "old"))
                value.number(3, 1)
                for piece in pieces { value.data(6, piece) }
            }
        }
    }

    /// A member that is a list in two pieces.
    private static let parted = WireBytes.build { map in
        map.message(1) { member in
            member.text(1, "l")
            member.data(2, list(1))
            member.data(2, list(2))
        }
    }

    @Test(arguments: [
        #"attributes["a"] == [{"k": "n", "l": [1, 2]}]"#, #"attributes["a"] != [{"l": [1, 2]}]"#,
        #"attributes["a"] != [{"k": "n", "l": [2]}]"#, #"String(attributes["a"]) == "[{\"k\":\"n\",\"l\":[1,2]}]""#,
        #"SliceToMap(attributes["a"], ["k"], ["l"]) == {"n": [1, 2]}"#,
        #"SliceToMap(attributes["a"], ["k"]) == {"n": {"l": [1, 2], "k": "n"}}"#,
    ])
    func `pieces inside of pieces are whole`(condition: String) throws {
        try Self.expectHit(condition, on: Self.span("a", 5, Self.maps([Self.member("k", "n"), Self.parted])))
    }

    @Test func `maps of many members are compared with all of their pieces`() throws {
        let keys = (0..<40).map { "k\($0)" }
        let pieces = [keys[..<20], keys[20...]].map { half in half.flatMap { Self.member($0, "v") } }
        let members = keys.reversed().map { "\"\($0)\": \"v\"" }.joined(separator: ", ")
        let before = Self.span("a", 5, Self.maps(pieces + [Self.parted]))
        try Self.expectHit("attributes[\"a\"] == [{\(members), \"l\": [1, 2]}]", on: before)
        try Self.expectHit("attributes[\"a\"] != [{\(members), \"l\": [2]}]", on: before)
    }
}
