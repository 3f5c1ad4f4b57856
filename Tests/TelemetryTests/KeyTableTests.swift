import Telemetry
import TestSupport
import Testing

@Suite struct `The key table` {
    private func id(_ name: String, in table: KeyTable) -> KeyID {
        Array(name.utf8).withUnsafeBytes { table.id(of: Text($0)) }
    }

    @Test func `gives every key one number, the same however often it is asked for`() {
        var builder = KeyTable.Builder()
        let names = (0..<2_000).map { "gen_ai.key.\($0)" } + ["", "a", "é", "exactly8", "a key of exactly 24 byt"]
        let ids = names.map { builder.intern($0) }
        #expect(Set(ids).count == names.count)
        #expect(names.map { builder.intern($0) } == ids)
        let table = builder.build()
        #expect(table.count == names.count)
        for (name, number) in zip(names, ids) {
            #expect(id(name, in: table) == number)
            #expect(table.name(of: number) == name)
            #expect(table.text(of: table.reference(of: number)).string == name)
        }
    }

    @Test func `does not know names that differ in one byte anywhere`() {
        var builder = KeyTable.Builder()
        let name = Array("gen_ai.usage.input_tokens.of.a.long.name".utf8)
        _ = builder.intern(String(decoding: name, as: UTF8.self))
        let table = builder.build()
        for place in name.indices {
            var other = name
            other[place] ^= 1
            #expect(other.withUnsafeBytes { table.id(of: Text($0)) } == .unknown)
        }
        for length in name.indices {
            #expect(name.prefix(length).withUnsafeBytes { table.id(of: Text($0)) } == .unknown)
        }
    }

    @Test func `an empty table knows nothing`() {
        #expect(id("a", in: .empty) == .unknown)
        #expect(id("", in: .empty) == .unknown)
    }
}

@Suite struct `A text` {
    @Test func `is valid UTF-8 exactly when Swift's own decoder takes it`() {
        var random = SeededRandom(11)
        let starts: [[UInt8]] = [[], Array("plain ascii text, longer than one vector of bytes".utf8)]
        var valid = 0
        var wrong: [[UInt8]] = []
        for round in 0..<20_000 {
            var bytes = starts[round % 2]
            for _ in 0...random.below(3) {
                // Bytes around the edges of the table of well-formed sequences.
                let edges: [UInt8] = [
                    0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5,
                    0x41,
                ]
                bytes += (0...random.below(4)).map { _ in random.pick(edges) }
                if random.chance(percent: 40) { bytes += Array("é田🙂".utf8) }
            }
            let expected = String(validating: bytes, as: UTF8.self) != nil
            if expected { valid += 1 }
            if bytes.withUnsafeBytes({ Text($0).isValidUTF8 }) != expected { wrong.append(bytes) }
        }
        #expect(wrong == [])
        #expect(valid > 300)
    }

    @Test func `compares whole contents, prefixes and suffixes`() {
        let text = Text("gen_ai.system")
        #expect(text == "gen_ai.system")
        #expect(!(text == "gen_ai.systen"))
        #expect(!(text == "gen_ai.syste"))
        #expect(text.hasPrefix("gen_ai.") && !text.hasPrefix("gen_ai.system."))
        #expect(text.hasSuffix(Text("system")) && !text.hasSuffix(Text("systems")))
        #expect(text.firstIndex(of: UInt8(ascii: "s"), from: 8) == 9)
        #expect(text.firstIndex(of: UInt8(ascii: "s"), from: 13) == nil)
        #expect(text[4..<6] == "ai")
    }
}
