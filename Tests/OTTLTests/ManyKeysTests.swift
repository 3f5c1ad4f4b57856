import OTLP
import OTTL
import Telemetry
import TestSupport
import Testing

/// Editors of maps against lists that are searched one by one, and on more keys than such a search can bear.
@Suite(.timeLimit(.minutes(5))) struct ManyKeysTests {
    struct Member: Equatable {
        var key: String
        var value: Int64

        init(_ key: String, _ value: Int) {
            self.key = key
            self.value = Int64(value)
        }
    }

    // MARK: The bench

    private static func append(_ members: [Member], tag: UInt32, to output: inout ByteColumn) {
        for member in members {
            let attribute = output.beginMessage(tag: tag, guess: 32)
            let key = Array(member.key.utf8)
            key.withUnsafeBytes { output.appendField(tag: 0x0A, Text($0)) }
            let value = output.beginMessage(tag: 0x12, guess: 10)
            output.append(0x18 as UInt8)
            output.appendVarint(UInt64(bitPattern: member.value))
            output.endMessage(value)
            output.endMessage(attribute)
        }
    }

    /// One span with attributes, of a resource with attributes.
    private static func request(_ members: [Member], _ others: [Member]) -> [UInt8] {
        var output = ByteColumn()
        let container = output.beginMessage(tag: 0x0A, guess: 1 << 16)
        let resource = output.beginMessage(tag: 0x0A, guess: 1 << 16)
        append(others, tag: 0x0A, to: &output)
        output.endMessage(resource)
        let scope = output.beginMessage(tag: 0x12, guess: 1 << 16)
        let span = output.beginMessage(tag: 0x12, guess: 1 << 16)
        append(members, tag: 0x4A, to: &output)
        output.endMessage(span)
        output.endMessage(scope)
        output.endMessage(container)
        return [UInt8](output.bytes)
    }

    /// The attributes of the span and its name after a statement.
    private static func run(
        _ source: String, on members: [Member], and others: [Member] = []
    ) throws -> (members: [Member], name: String) {
        try run(source, on: request(members, others))
    }

    private static func run(_ source: String, on request: [UInt8]) throws -> (members: [Member], name: String) {
        var keys = KeyTable.Builder()
        let statement = try OTTLStatement(source, context: .span, keys: &keys)
        let table = keys.build()
        return try request.withUnsafeBytes { bytes throws -> (members: [Member], name: String) in
            var batch = RecordBatch()
            _ = try OTLPReader.read(Text(bytes), signal: .traces, keys: table, into: &batch)
            var state = EvaluationState()
            state.beginRecord()
            let place = Lab.place(.span, batch)
            try statement.run(&batch, at: place, &state)
            var after: [Member] = []
            for index in batch.range(of: batch.spans[0].set) {
                let attribute = batch.attributes[index]
                after.append(Member(batch.text(attribute.key).string, Int(Int64(bitPattern: attribute.payload))))
            }
            return (after, batch.text(batch.spans[0].name).string)
        }
    }

    // MARK: Random maps

    private static func random(_ generator: inout SeededRandom) -> [Member] {
        let names = Int.random(in: 1...40, using: &generator)
        return (0..<Int.random(in: 0...60, using: &generator)).map { value in
            Member("k\(Int.random(in: 0..<names, using: &generator))", value)
        }
    }

    private static func put(_ member: Member, into map: inout [Member]) {
        if let place = map.firstIndex(where: { $0.key == member.key }) {
            map[place].value = member.value
        } else {
            map.append(member)
        }
    }

    @Test(arguments: UInt64(0)..<200)
    func `editors of maps do on many keys what they do on few`(seed: UInt64) throws {
        var generator = SeededRandom(seed)
        let (members, others) = (Self.random(&generator), Self.random(&generator))

        var flat: [Member] = []
        for member in members { Self.put(member, into: &flat) }
        #expect(try Self.run("flatten(attributes)", on: members).members == flat)

        var resolved: [Member] = []
        for member in members {
            var (key, number) = (member.key, 0)
            while resolved.contains(where: { $0.key == key }) {
                key = "\(member.key).\(number)"
                number += 1
            }
            resolved.append(Member(key, Int(member.value)))
        }
        #expect(try Self.run("flatten(attributes, resolveConflicts=true)", on: members).members == resolved)

        var merged = members
        for other in others { Self.put(other, into: &merged) }
        let merge = "merge_maps(attributes, resource.attributes, \"upsert\")"
        #expect(try Self.run(merge, on: members, and: others).members == merged)

        var replaced: [Member] = []
        for other in others { Self.put(other, into: &replaced) }
        let set = "set(attributes, resource.attributes)"
        #expect(try Self.run(set, on: members, and: others).members == replaced)

        let list = others.map { "\"\($0.key)\"" }.joined(separator: ", ")
        let kept = members.filter { member in others.contains { $0.key == member.key } }
        #expect(try Self.run("keep_keys(attributes, [\(list)])", on: members).members == kept)

        let left = members.filter { !$0.key.hasPrefix("k1") }
        #expect(try Self.run("delete_matching_keys(attributes, \"^k1\")", on: members).members == left)
    }

    @Test(arguments: UInt64(0)..<100)
    func `of members whose keys become the same the last stays`(seed: UInt64) throws {
        var generator = SeededRandom(seed)
        var members: [Member] = []
        for member in Self.random(&generator) { Self.put(member, into: &members) }
        // k1x becomes kx, which may be there, before or behind it.
        var renamed: [Member] = []
        for member in members {
            let isMeant = member.key.count == 3 && member.key.hasPrefix("k1")
            let key = isMeant ? "k\(member.key.dropFirst(2))" : member.key
            renamed.removeAll { $0.key == key }
            renamed.append(Member(key, Int(member.value)))
        }
        let statement = "replace_all_patterns(attributes, \"key\", \"^k1(.)$\", \"k$1\")"
        #expect(try Self.run(statement, on: members).members == renamed)
    }

    @Test func `a key that is replaced makes room for the next`() throws {
        let statement = "replace_all_patterns(attributes, \"key\", \"^x\", \"\")"
        let members = [Member("xxa", 1), Member("xa", 2)]
        #expect(try Self.run(statement, on: members).members == [Member("xa", 1), Member("a", 2)])
    }

    @Test(arguments: UInt64(0)..<100) func `maps of many members are equal in any order`(seed: UInt64) throws {
        var generator = SeededRandom(seed)
        let members = Self.random(&generator)
        var last: [String: Int64] = [:]
        for member in members { last[member.key] = member.value }
        let statement = "set(name, \"same\") where attributes == resource.attributes"
        let plain = last.map { Member($0.key, Int($0.value)) }
        #expect(try Self.run(statement, on: plain.shuffled(using: &generator), and: plain).name == "same")
        guard let one = plain.first else { return }
        let other = plain.dropFirst() + [Member(one.key, -1)]
        #expect(try Self.run(statement, on: Array(other), and: plain).name == "")
        #expect(try Self.run(statement, on: Array(plain.dropFirst() + [Member("z", 1)]), and: plain).name == "")
    }

    @Test(arguments: UInt64(0)..<100) func `of a map's members with one key the last is compared`(
        seed: UInt64
    ) throws {
        var generator = SeededRandom(seed)
        let members = Self.random(&generator)
        var last: [Member] = []
        for member in members { Self.put(member, into: &last) }
        let statement = "set(name, \"same\") where attributes == resource.attributes"
        let others = last.shuffled(using: &generator)
        #expect(try Self.run(statement, on: members, and: others).name == "same")
        #expect(try Self.run(statement, on: others, and: members).name == "same")
        guard let one = members.first else { return }
        let changed = others.map { $0.key == one.key ? Member($0.key, -1) : $0 }
        #expect(try Self.run(statement, on: members, and: changed).name == "")
        #expect(try Self.run(statement, on: changed, and: members).name == "")
        let fewer = others.filter { $0.key != one.key }
        #expect(try Self.run(statement, on: members, and: fewer).name == "")
        #expect(try Self.run(statement, on: fewer, and: members).name == "")
    }

    // MARK: Values that take long to compare

    /// An AnyValue that is a map, with members of one key.
    private static func map(_ values: [[UInt8]]) -> [UInt8] {
        WireBytes.build {
            $0.message(6) { list in
                for value in values {
                    list.message(1) {
                        $0.text(1, "k")
                        $0.data(2, value)
                    }
                }
            }
        }
    }

    /// Maps without a member, the second of which takes long to look through.
    private static let plain = map([])
    private static let long = WireBytes.build { $0.message(6) { for _ in 0..<200_000 { $0.number(1_000, 1) } } }

    /// Attributes that are all called `k`.
    private static func attributes(_ field: UInt32, _ values: [[UInt8]], to message: inout WireBytes) {
        for value in values {
            message.message(field) {
                $0.text(1, "k")
                $0.data(2, value)
            }
        }
    }

    private static func request(_ values: [[UInt8]], _ others: [[UInt8]]) -> [UInt8] {
        let span = WireBytes.build {
            $0.ids()
            attributes(9, values, to: &$0)
        }
        return WireBytes.request(resource: { attributes(1, others, to: &$0) }, records: [span])
    }

    @Test func `one key very many times is compared once`() throws {
        let plain = [[UInt8]](repeating: Self.plain, count: Self.many)
        var long = plain
        long[Self.many - 1] = Self.long
        let statement = "set(name, \"same\") where attributes == resource.attributes"
        #expect(try Self.run(statement, on: Self.request(plain, long)).name == "same")
        #expect(try Self.run(statement, on: Self.request(long, plain)).name == "same")
    }

    @Test func `one key many times on every level is compared once on each`() throws {
        var (wide, narrow) = (Self.plain, Self.long)
        for _ in 0..<4 {
            wide = Self.map([[UInt8]](repeating: wide, count: 16))
            narrow = Self.map([[UInt8]](repeating: Self.plain, count: 15) + [narrow])
        }
        let statement = "set(name, \"same\") where attributes[\"k\"] == resource.attributes[\"k\"]"
        #expect(try Self.run(statement, on: Self.request([wide], [narrow])).name == "same")
        #expect(try Self.run(statement, on: Self.request([narrow], [wide])).name == "same")
    }

    // MARK: Very many keys

    private static let many = 200_000
    private static let distinct = (0..<many).map { Member("\($0)", $0) }

    @Test func `flatten bears very many keys`() throws {
        #expect(try Self.run("flatten(attributes)", on: Self.distinct).members == Self.distinct)
    }

    @Test func `flatten bears one key very many times`() throws {
        let same = (0..<Self.many).map { Member("", $0) }
        #expect(try Self.run("flatten(attributes)", on: same).members == [Member("", Self.many - 1)])
        let resolved = try Self.run("flatten(attributes, resolveConflicts=true)", on: same).members
        #expect(resolved.count == Self.many && resolved.last == Member(".\(Self.many - 2)", Self.many - 1))
    }

    @Test(arguments: ["insert", "update", "upsert"]) func `merge_maps bears very many keys`(strategy: String) throws {
        let others = Self.distinct.map { Member($0.key + "0", Int($0.value)) }
        let statement = "merge_maps(attributes, resource.attributes, \"\(strategy)\")"
        let after = try Self.run(statement, on: Self.distinct, and: others).members
        // A tenth of the keys are those of others with a zero behind them.
        #expect(after.count == (strategy == "update" ? Self.many : Self.many / 10 * 19 + 1))
    }

    @Test(arguments: [
        ("keep_keys(attributes, [\"199999\"])", 1), ("keep_matching_keys(attributes, \"9$\")", 20_000),
        ("delete_matching_keys(attributes, \"[02468]$\")", 100_000), ("limit(attributes, 7, [\"199999\"])", 7),
        ("replace_all_patterns(attributes, \"key\", \"^1\", \"\")", 111111), ("set(attributes, attributes)", 200_000),
        ("set(name, \"x\") where attributes == resource.attributes", 200_000),
    ]) func `other editors bear very many keys`(statement: String, count: Int) throws {
        let after = try Self.run(statement, on: Self.distinct, and: Self.distinct.reversed())
        #expect(after.members.count == count)
        if statement.hasPrefix("set(name") { #expect(after.name == "x") }
    }
}
