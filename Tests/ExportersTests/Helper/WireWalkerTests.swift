@testable import Exporters
import Telemetry
import Testing

/// OTLP has no groups, and readers pass those that they do not know (protobuf encoding, "Groups").
@Suite struct WireWalkerTests {
    /// Field 100: a group with a number, a text, and a group in it.
    static let group: [UInt8] = [0xA3, 0x06, 0x08, 0x05, 0x12, 0x01, 0x61, 0x1B, 0x0D, 1, 2, 3, 4, 0x1C, 0xA4, 0x06]

    private func tags(_ bytes: [UInt8]) -> [UInt32] {
        bytes.withUnsafeBytes { raw in
            var walker = WireWalker(Text(raw))
            var tags: [UInt32] = []
            while let field = walker.next() { tags.append(field.tag) }
            return tags
        }
    }

    @Test func `a group is a field with a place, and what follows it is found`() {
        let bytes: [UInt8] = [0x08, 1] + Self.group + [0x10, 2]
        #expect(tags(bytes) == [0x08, 100 << 3 | 3, 0x10])
        bytes.withUnsafeBytes { raw in
            var walker = WireWalker(Text(raw))
            _ = walker.next()
            #expect(walker.next()?.range == 2..<2 + Self.group.count)
        }
    }

    @Test(arguments: [
        [0xA3, 0x06, 0x08], [0xA3, 0x06, 0x0C], [0xA4, 0x06], [0xA3, 0x06],
        [UInt8](repeating: 0x0B, count: 65) + [UInt8](repeating: 0x0C, count: 65),
    ])
    func `a group without its end, or nested deeper than readers take, ends the walk`(bytes: [UInt8]) {
        #expect(tags([0x08, 1] + bytes + [0x10, 2]) == [0x08])
    }

    @Test func `groups may nest to the limit`() {
        let bytes = [UInt8](repeating: 0x0B, count: 64) + [UInt8](repeating: 0x0C, count: 64)
        #expect(tags(bytes + [0x10, 2]) == [0x0B, 0x10])
    }

    private func json(_ list: [UInt8]) -> String {
        list.withUnsafeBytes { raw in
            var output = ByteColumn()
            ValueJSON.appendMap(Text(raw), depth: 1, to: &output)
            return output.text.string
        }
    }

    /// A member `k` of a map, whose other fields are these.
    private func member(_ fields: [UInt8]) -> [UInt8] {
        let pair = [0x0A, 1, UInt8(ascii: "k")] + fields
        return [0x0A, UInt8(pair.count)] + pair
    }

    private func value(_ content: [UInt8]) -> [UInt8] { [0x12, UInt8(content.count)] + content }

    @Test func `a value keeps what is known of it, whatever unknown is around it`() {
        let number: [UInt8] = [0x18, 7]
        let unknown: [UInt8] = [0xA0, 0x06, 5]
        #expect(json(member(value(number + unknown))) == #"{"k":7}"#)
        #expect(json(member(value(unknown + number + Self.group))) == #"{"k":7}"#)
        #expect(json(member(Self.group + value(number)) + Self.group + member(value(number))) == #"{"k":7,"k":7}"#)
    }

    @Test func `lists in pieces are one, in one value and in several of a pair`() {
        let (one, two): ([UInt8], [UInt8]) = ([0x2A, 4, 0x0A, 2, 0x18, 1], [0x2A, 4, 0x0A, 2, 0x18, 2])
        #expect(json(member(value(one + [0xA0, 0x06, 5] + two))) == #"{"k":[1,2]}"#)
        #expect(json(member(value(one) + value(two))) == #"{"k":[1,2]}"#)
        #expect(json(member(value(one + [0x18, 3] + two))) == #"{"k":[2]}"#)
    }
}
