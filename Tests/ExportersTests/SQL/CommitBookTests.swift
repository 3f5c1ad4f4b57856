@testable import Exporters
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@Suite struct CommitBookTests {
    private typealias Part = JournaledRecords.Part
    private let lane = CommitLane(journal: "0a", exporter: "sqlite")

    private func part(_ frame: UInt64, _ records: Range<UInt32>, checksum: UInt32 = 7) -> Part {
        Part(frame: frame, checksum: checksum, records: records)
    }

    private func journaled(_ parts: [Part], durable: UInt64 = 0) -> JournaledRecords {
        JournaledRecords(lane: lane, durable: durable, parts: parts)
    }

    private func book(_ rows: [[Part]]) -> CommitBook {
        var book = CommitBook()
        book.open(lane, rows.compactMap { CommitRow($0) })
        return book
    }

    @Test func `knows what was committed, whatever pieces it comes in again`() {
        let book = book([[part(10, 0..<4), part(20, 2..<3)], [part(10, 4..<6)]])
        #expect(book.committed(of: journaled([part(10, 0..<8)])) == [part(10, 0..<6)], "joined over rows")
        #expect(
            book.committed(of: journaled([part(10, 5..<8), part(20, 0..<9)])) == [part(10, 5..<6), part(20, 2..<3)])
        #expect(book.committed(of: journaled([part(10, 6..<8), part(30, 0..<1)])) == [])
    }

    @Test func `the place where a piece begins is known of a changed delivery too`() {
        var pieces = journaled([part(10, 4..<8), part(20, 2..<3)])
        #expect(pieces.cuts == [0: 4, 4: 2])
        pieces.isVerbatim = false
        #expect(pieces.cuts == [0: 4])
        pieces.parts.removeFirst()
        pieces.parts[0].records = 0..<3
        #expect(pieces.cuts == [:])
    }

    @Test func `passes over no other frame that has the same sequence`() {
        let book = book([[part(10, 0..<4)]])
        #expect(book.committed(of: journaled([part(10, 0..<4, checksum: 8)])) == [])
        var other = journaled([part(10, 0..<4)])
        other.lane.journal = "0b"
        #expect(book.committed(of: other) == [])
        #expect(!book.isOpen(other.lane) && book.isOpen(lane))
    }

    @Test func `forgets what cannot come again, once`() {
        var book = book([[part(10, 0..<4)], [part(14, 0..<4)]])
        let moves = [14, 14, 3].map { book.forget(lane, before: $0) }
        #expect(moves == [true, false, false])
        #expect(book.committed(of: journaled([part(10, 0..<4), part(14, 0..<4)])) == [part(14, 0..<4)])
        book.close()
        let isKnown = book.forget(lane, before: 99)
        #expect(!book.isOpen(lane) && !isKnown)
    }

    @Test func `rows read as they were written, and any bytes read as something`() throws {
        let row = try #require(CommitRow([part(10, 0..<4), part(10, 4..<5), part(.max - 5, 1..<3)]))
        #expect(row.parts == [part(10, 0..<5), part(.max - 5, 1..<3)])
        #expect(CommitRow(encoded: row.encoded) == row)
        #expect(CommitRow([]) == nil && CommitRow(encoded: []) == nil)
        for count in 0..<row.encoded.count { _ = CommitRow(encoded: Array(row.encoded.prefix(count))) }
        let wild = [UInt8](repeating: 0xFF, count: 60)
        #expect(CommitRow(encoded: wild) == nil, "an empty range is no part")
        _ = CommitRow(encoded: [UInt8](repeating: 0xFF, count: 12) + [0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
    }

    @Test func `commits all but what was refused`() {
        let two = journaled([part(10, 2..<5), part(20, 0..<2)])
        #expect(two.committed(of: 5, refused: []) == two.parts)
        #expect(two.committed(of: 5, refused: [3, 0]) == [part(10, 3..<5), part(20, 1..<2)])
        #expect(two.committed(1..<4, of: 5) == [part(10, 3..<5), part(20, 0..<1)])
        // What processors have changed counts as a whole.
        var changed = two
        changed.isVerbatim = false
        #expect(changed.committed(of: 4, refused: []) == two.parts)
        #expect(changed.committed(of: 4, refused: [0]) == [] && changed.cuts == [0: 2])
        #expect(two.committed(of: 4, refused: [1]) == [], "as is one that has other records than it should")
        #expect(two.cuts == [0: 2])
    }

    @Test func `a batch is cut where its records are committed`() throws {
        let bodies = (0..<6).map { "record \($0)" }
        var batch = ExportBatch(signal: .logs, itemCount: 6, bytes: TestRequest.logs(bodies))
        batch.journaled = journaled([part(10, 2..<5), part(20, 0..<3)])
        let (count, rest) = FrameSplit.without([part(10, 0..<3), part(20, 1..<2)], batch)
        #expect(count == 2)
        #expect(rest?.bytes == TestRequest.logs([1, 2, 3, 5].map { "record \($0)" }))
        #expect(rest?.itemCount == 4)
        #expect(rest?.journaled?.parts == [part(10, 3..<5), part(20, 0..<1), part(20, 2..<3)])
        let all = FrameSplit.without([part(10, 0..<9), part(20, 0..<9)], batch)
        #expect(all.count == 6 && all.rest == nil)
        let none = FrameSplit.without([part(30, 0..<9)], batch)
        #expect(none.count == 0 && none.rest?.bytes == batch.bytes && none.rest?.journaled == nil)
    }

    @Test func `points of one metric are parted too`() {
        // Two points of a gauge and one of a histogram.
        var batch = ExportBatch(signal: .metrics, itemCount: 3, bytes: TestRequest.metrics())
        batch.journaled = journaled([part(10, 0..<3)])
        let cut = FrameSplit.without([part(10, 0..<2)], batch)
        #expect(cut.count == 2 && cut.rest?.itemCount == 1 && cut.rest?.journaled?.parts == [part(10, 2..<3)])
        let inside = FrameSplit.without([part(10, 1..<2)], batch)
        #expect(inside.count == 1 && inside.rest?.journaled?.parts == [part(10, 0..<1), part(10, 2..<3)])
        #expect(inside.rest.map { $0.byteCount < batch.byteCount } == true)
        batch.bytes = [0xFF]
        let broken = FrameSplit.without([part(10, 0..<1)], batch)
        #expect(broken.count == 0 && broken.rest?.bytes == [0xFF] && broken.rest?.journaled == nil)
    }

    @Test func `pieces of a frame take no more together than a few times its bytes`() {
        let resource = String(repeating: "x", count: 1 << 20)
        let records = (0..<2_000).map { number in WireBytes.build { $0.fixed64(1, UInt64(number)) } }
        let bytes = WireBytes.request(resource: { $0.attribute(1, "large", resource) }, records: records)
        let frame = Frame(header: FrameHeader(signal: .logs, itemCount: 2_000), bytes: bytes)
        let stored = StoredFrame(sequence: Sequence(0), frame: frame)
        let pieces = FrameSplit.pieces(of: stored, batch: nil, bytesMax: 1 << 20)
        #expect(pieces.reduce(0) { $0 + $1.items } == 2_000)
        #expect(pieces.reduce(0) { $0 + $1.bytes.count } < 40 << 20)
        let options = BatchOptions(flushTimeout: .zero, minSize: 0, maxSize: 1)
        #expect(FrameSplit.pieces(of: stored, batch: options, bytesMax: .max).map(\.items) == [2_000])
    }

    @Test func `a metric without points is not taken for a record of its own`() throws {
        let points = WireBytes.build { data in for value: UInt64 in [1, 2] { data.message(1) { $0.fixed64(3, value) } }
        }
        let metric = WireBytes.build {
            $0.text(1, "m")
            $0.data(5, points)
        }
        let bytes = WireBytes.request(records: [metric, WireBytes.build { $0.text(1, "empty") }])
        let batch = ExportBatch(signal: .metrics, itemCount: 2, bytes: bytes)
        let letters = FrameSplit.records([1], of: batch)
        let second = WireBytes.build {
            $0.text(1, "m")
            $0.message(5) { data in data.message(1) { $0.fixed64(3, 2) } }
        }
        #expect(letters.map(\.bytes) == [WireBytes.request(records: [second])])
        #expect(letters.map(\.itemCount) == [1])
    }
}
