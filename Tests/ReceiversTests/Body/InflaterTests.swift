import NIOCore
import NIOEmbedded
import Testing

@testable import Receivers

@Suite struct InflaterTests {
    private let budget = AdmissionBudget(limitBytes: 1 << 30)

    private func inflate(
        _ bytes: [UInt8], _ coding: ContentCoding = .gzip, sizeMax: Int = 64 << 20, budget: AdmissionBudget? = nil
    ) -> Result<[UInt8], BodyFault> {
        let resources = LoopResources(of: EmbeddedEventLoop())
        let ticket = AdmissionTicket(budget: budget ?? self.budget)
        return bytes.withUnsafeBytes { input in
            do throws(BodyFault) {
                let output = try resources.inflater.inflate(
                    input, coding: coding, sizeMax: sizeMax, ticket: ticket, resources: resources)
                return .success(Array(output.readableBytesView))
            } catch {
                return .failure(error)
            }
        }
    }

    private let text = Array("the same words again and again, the same words. ".utf8)

    @Test func `gives back what was compressed`() {
        for count in [0, 1, 15, 1000, 300_000] {
            let plain = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ ($0 >> 7)) }
            #expect(inflate(Compressed.gzip(plain)) == .success(plain))
            #expect(inflate(Compressed.zlib(plain), .zlib) == .success(plain))
        }
    }

    @Test func `several members are one body`() {
        let bodies = [text, [], Array(repeating: 7, count: 500_000), text]
        #expect(inflate(bodies.flatMap { Compressed.gzip($0) }) == .success(bodies.flatMap(\.self)))
    }

    @Test func `members whose headers have optional parts are read, with their CRC and without`() {
        let long = String(repeating: "n", count: 70_000)
        for damage in [nil, 0] as [UInt16?] {
            let members = [
                Compressed.gzip(text, damage: damage), Compressed.gzip(text, extra: [], damage: damage),
                Compressed.gzip(text, extra: [UInt8](repeating: 9, count: 65_535), damage: damage),
                Compressed.gzip(text, name: "spans", damage: damage),
                Compressed.gzip(text, name: "", comment: "", damage: damage),
                Compressed.gzip(text, extra: [0, 1, 0], name: long, comment: "made by hand", damage: damage),
            ]
            for member in members { #expect(inflate(member) == .success(text)) }
            #expect(inflate(members.flatMap(\.self)) == .success(members.flatMap { _ in text }))
        }
        // What Python's zlib.crc32 makes of these ten bytes.
        let header: [UInt8] = [0x1F, 0x8B, 8, 2, 0, 0, 0, 0, 0, 0xFF, 0x90, 0xC9]
        #expect(inflate(header + Compressed.gzip(text)[10...]) == .success(text))
    }

    @Test(arguments: [1, 0x100, 0xFFFF] as [UInt16])
    func `a header with a wrong CRC is refused`(damage: UInt16) {
        for member in [
            Compressed.gzip(text, damage: damage),
            Compressed.gzip(text, extra: [1, 2], name: "n", comment: "c", damage: damage),
        ] {
            for body in [member, Compressed.gzip(text) + member, member + Compressed.gzip(text)] {
                guard case .failure(.corrupt(let why)) = inflate(body) else { return #expect(Bool(false)) }
                #expect(why.contains("CRC"))
            }
        }
    }

    @Test func `a header that is cut short or garbled is refused or harmless`() {
        let whole = Compressed.gzip([], extra: [1, 2, 3], name: "name", comment: "comment", damage: 0)
        for length in 0..<whole.count {
            guard case .failure(.corrupt) = inflate(Array(whole[..<length])) else {
                return #expect(Bool(false), "\(length)")
            }
        }
        for index in whole.indices {
            for bit in 0..<8 {
                var bytes = whole
                bytes[index] ^= 1 << UInt8(bit)
                _ = inflate(bytes)
            }
        }
    }

    @Test func `output grows beyond the first guess`() {
        let zeros = [UInt8](repeating: 0, count: 5_000_000)
        #expect(inflate(Compressed.gzip(zeros)) == .success(zeros))
    }

    @Test func `a body of exactly the cap passes and one byte more does not`() {
        let plain = [UInt8](repeating: 1, count: 100_000)
        #expect(inflate(Compressed.gzip(plain), sizeMax: 100_000) == .success(plain))
        #expect(inflate(Compressed.gzip(plain), sizeMax: 99_999) == .failure(.tooLarge(inflated: true)))
    }

    @Test func `a bomb is stopped at the cap`() {
        let budget = AdmissionBudget(limitBytes: 1 << 30)
        let bomb = Compressed.gzip([UInt8](repeating: 0, count: 64 << 20))
        #expect(inflate(bomb, sizeMax: 1 << 20, budget: budget) == .failure(.tooLarge(inflated: true)))
        #expect(budget.used == 0)
    }

    @Test func `a bomb in many members is stopped at the cap`() {
        let bomb = (0..<200).flatMap { _ in Compressed.gzip([UInt8](repeating: 0, count: 10_000)) }
        #expect(inflate(bomb, sizeMax: 1 << 20) == .failure(.tooLarge(inflated: true)))
    }

    @Test func `a length in the trailer that lies is not believed`() {
        var lying = Compressed.gzip(text)
        lying.replaceSubrange((lying.count - 4)..., with: [0xFF, 0xFF, 0xFF, 0xFF])
        let budget = AdmissionBudget(limitBytes: 64 << 10)
        guard case .failure(.corrupt) = inflate(lying, budget: budget) else { return #expect(Bool(false)) }
    }

    @Test func `every cut and every garbled byte is refused or harmless`() {
        let whole = Compressed.gzip(text)
        for length in 0..<whole.count {
            guard case .failure(.corrupt) = inflate(Array(whole[..<length])) else {
                return #expect(Bool(false), "\(length)")
            }
        }
        for index in whole.indices {
            var bytes = whole
            bytes[index] ^= 0xFF
            _ = inflate(bytes)
        }
    }

    @Test func `bytes behind the stream are refused`() {
        guard case .failure(.corrupt) = inflate(Compressed.gzip(text) + [1, 2, 3]) else { return #expect(Bool(false)) }
        guard case .failure(.corrupt) = inflate(Compressed.zlib(text) + [1], .zlib) else { return #expect(Bool(false)) }
    }

    @Test func `too many members are refused`() {
        let empty = Compressed.gzip([])
        let many = [UInt8]((0...Inflater.membersMax).map { _ in empty }.joined())
        guard case .failure(.corrupt) = inflate(many) else { return #expect(Bool(false)) }
    }

    @Test func `memory that the budget does not grant is not taken`() {
        let zeros = Compressed.gzip([UInt8](repeating: 0, count: 1_000_000))
        #expect(inflate(zeros, budget: AdmissionBudget(limitBytes: 100_000)) == .failure(.neverFits))
    }
}
