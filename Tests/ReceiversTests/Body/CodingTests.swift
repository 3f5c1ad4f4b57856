import NIOCore
import NIOEmbedded
import Testing

@testable import Receivers

/// zstd, lz4 and snappy bodies.
@Suite struct CodingTests {
    private let budget = AdmissionBudget(limitBytes: 1 << 30)

    private func inflate(
        _ bytes: [UInt8], _ coding: ContentCoding, sizeMax: Int = 64 << 20,
        resources: LoopResources = LoopResources(of: EmbeddedEventLoop())
    ) -> Result<[UInt8], BodyFault> {
        let ticket = AdmissionTicket(budget: budget)
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

    static let codings: [ContentCoding] = [.zstd, .lz4, .snappy, .snappyFramed]

    static func compress(_ plain: [UInt8], _ coding: ContentCoding) -> [UInt8] {
        switch coding {
        case .identity: plain
        case .gzip: Compressed.gzip(plain)
        case .zlib: Compressed.zlib(plain)
        case .zstd: Compressed.zstd(plain)
        case .lz4: Compressed.lz4(plain)
        case .snappy: Compressed.snappy(plain)
        case .snappyFramed: Compressed.snappyFramed(plain)
        }
    }

    @Test(arguments: Self.codings) func `gives back what was compressed`(coding: ContentCoding) {
        for count in [1, 15, 1000, 300_000] {
            let plain = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ ($0 >> 7)) }
            #expect(inflate(Self.compress(plain, coding), coding) == .success(plain))
        }
        let zeros = [UInt8](repeating: 0, count: 5_000_000)
        #expect(inflate(Self.compress(zeros, coding), coding) == .success(zeros))
    }

    @Test(arguments: Self.codings) func `a body of exactly the cap passes and one byte more does not`(
        coding: ContentCoding
    ) {
        let plain = [UInt8](repeating: 1, count: 100_000)
        let bytes = Self.compress(plain, coding)
        #expect(inflate(bytes, coding, sizeMax: 100_000) == .success(plain))
        #expect(inflate(bytes, coding, sizeMax: 99_999) == .failure(.tooLarge(inflated: true)))
        #expect(budget.used == 0)
    }

    @Test(arguments: Self.codings) func `a bomb is stopped at the cap`(coding: ContentCoding) {
        let bomb = Self.compress([UInt8](repeating: 0, count: 64 << 20), coding)
        #expect(inflate(bomb, coding, sizeMax: 1 << 20) == .failure(.tooLarge(inflated: true)))
        #expect(budget.used == 0)
    }

    @Test(arguments: Self.codings) func `every cut and every garbled byte is refused or harmless`(coding: ContentCoding)
    {
        let plain = Array("the same words again and again, the same words. ".utf8)
        let bytes = Self.compress(plain, coding)
        let resources = LoopResources(of: EmbeddedEventLoop())
        for length in 0..<bytes.count {
            switch inflate(Array(bytes[..<length]), coding, resources: resources) {
            // The framed form may end behind any chunk.
            case .success(let output): #expect(coding == .snappyFramed && output.isEmpty)
            case .failure(let fault): if case .corrupt = fault {} else { Issue.record("cut at \(length): \(fault)") }
            }
        }
        for place in bytes.indices {
            var garbled = bytes
            garbled[place] ^= 0x55
            if case .success(let output) = inflate(garbled, coding, sizeMax: 10_000, resources: resources) {
                #expect(output.count <= 10_000)
            }
        }
        // A decoder that is used again shows nothing of what failed before.
        #expect(inflate(bytes, coding, resources: resources) == .success(plain))
        #expect(budget.used == 0)
    }

    /// The forms that a body has in a coding: with its length and checksums, and without.
    private static func forms(_ plain: [UInt8], _ coding: ContentCoding) -> [[UInt8]] {
        let choices = [(false, false), (false, true), (true, false), (true, true)]
        return switch coding {
        case .gzip: [Compressed.gzip(plain), Compressed.gzip(plain, damage: 0)]
        case .zstd: choices.map { Compressed.zstd(plain, tellsLength: $0.0, hasChecksum: $0.1) }
        case .lz4: choices.map { Compressed.lz4(plain, tellsLength: $0.0, hasChecksums: $0.1) }
        case .snappyFramed: [false, true].map { Compressed.snappyFramed(plain, isStored: $0) }
        case .identity, .zlib, .snappy: [compress(plain, coding)]
        }
    }

    @Test(arguments: [ContentCoding.gzip, .zlib] + Self.codings)
    func `a body that is cut, damaged or too large leaves nothing behind in the decoder`(coding: ContentCoding) {
        let plain = (0..<70_000).map { UInt8(truncatingIfNeeded: ($0 &* $0 &* 2_654_435_761) >> 13) }
        let forms = Self.forms(plain, coding)
        let resources = LoopResources(of: EmbeddedEventLoop())
        func expectsAll(_ behind: String) {
            for form in forms {
                let isRead = inflate(form, coding, resources: resources) == .success(plain)
                #expect(isRead, "\(behind)")
            }
        }
        for (index, form) in forms.enumerated() {
            let steps = Array(stride(from: 0, to: form.count, by: max(1, form.count / 9)))
            for place in [1, 4, 6, 7, 8, 15, 16, form.count - 8, form.count - 4, form.count - 1] + steps {
                _ = inflate(Array(form[..<place]), coding, resources: resources)
                expectsAll("form \(index) cut at \(place)")
                var garbled = form
                garbled[place] ^= 0x55
                _ = inflate(garbled, coding, resources: resources)
                expectsAll("form \(index) garbled at \(place)")
            }
            let result = inflate(form, coding, sizeMax: plain.count / 2, resources: resources)
            #expect(result == .failure(.tooLarge(inflated: true)))
            expectsAll("form \(index) beyond the cap")
        }
        #expect(budget.used == 0)
    }

    @Test(arguments: [ContentCoding.zstd, .lz4]) func `several frames are one body`(coding: ContentCoding) {
        let parts = [[UInt8](repeating: 7, count: 500_000), [1, 2, 3]]
        #expect(inflate(parts.flatMap { Self.compress($0, coding) }, coding) == .success(parts.flatMap(\.self)))
    }

    @Test func `a zstd window over 8 MiB is refused`() {
        let plain = [UInt8](repeating: 5, count: 9 << 20)
        #expect(inflate(Compressed.zstd(plain, windowLog: 23), .zstd) == .success(plain))
        guard case .failure(.corrupt(let why)) = inflate(Compressed.zstd(plain, windowLog: 27), .zstd) else {
            Issue.record("a window of 128 MiB was taken")
            return
        }
        #expect(why.contains("memory"))
    }

    @Test func `a snappy length that the block cannot yield takes no memory`() {
        // 2 GiB, and 1 MiB from 12 bytes.
        for length: [UInt8] in [[0x80, 0x80, 0x80, 0x80, 0x08], [0x80, 0x80, 0x40]] {
            let result = inflate(length + [0, 0, 0, 0, 0, 0, 0], .snappy)
            guard case .failure(.corrupt) = result else {
                Issue.record("\(result)")
                return
            }
        }
    }

    @Test func `both forms of snappy are known by their first bytes`() {
        let plain = [UInt8](repeating: 3, count: 200_000)
        #expect(inflate(Compressed.snappyFramed(plain), .snappy) == .success(plain))
        #expect(inflate(Compressed.snappyFramed(plain, isStored: true), .snappyFramed) == .success(plain))
        guard case .failure(.corrupt) = inflate(Compressed.snappy(plain), .snappyFramed) else {
            Issue.record("a block was taken for the framed form")
            return
        }
    }

    @Test func `a wrong checksum of a snappy chunk is refused`() {
        var bytes = Compressed.snappyFramed(Array("abc".utf8), isStored: true)
        bytes[bytes.count - 1] ^= 1
        #expect(inflate(bytes, .snappyFramed) == .failure(.corrupt("a checksum of the framed snappy data is wrong")))
    }
}
