import NIOCore
import TestSupport
import Testing

@testable import Receivers

struct FrameCutterTests {
    private static let longest = 9 + HTTP2Limits.frameMax

    /// What a client sends: the preface, then frames of all types and sizes.
    private func connection(_ random: inout SeededRandom) -> (bytes: [UInt8], frames: [H2Frame]) {
        let frames = (0..<40).map { index in
            let size = [0, 1, 5, 8, 9, 100, 3_000, HTTP2Limits.frameMax].randomElement(using: &random) ?? 0
            let type = UInt8.random(in: 0...10, using: &random)
            let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size)
            return H2Frame(type: type, flags: UInt8.random(in: 0...255, using: &random), stream: 1, payload: payload)
        }
        return (ProtocolChooser.preface + frames.flatMap(\.bytes), frames)
    }

    private func pieces(_ cutter: inout FrameCutter, _ bytes: some Sequence<UInt8>) -> [[UInt8]] {
        var buffer = ByteBuffer(bytes: bytes)
        var pieces: [[UInt8]] = []
        while let piece = cutter.next(&buffer) { pieces.append(Array(piece.readableBytesView)) }
        #expect(buffer.readableBytes == 0)
        return pieces
    }

    /// Places at which what was handed on may end: between frames, and within the preface and DATA frames.
    private func ends(_ frames: [H2Frame]) -> Set<Int> {
        var at = ProtocolChooser.preface.count
        var ends = Set(0...at)
        for frame in frames {
            let next = at + frame.bytes.count
            ends.insert(next)
            if frame.type == H2Frame.data { ends.formUnion(at + 9..<next) }
            at = next
        }
        return ends
    }

    @Test(arguments: 0..<60) func `hands on all bytes in order, and only DATA frames in parts`(seed: Int) {
        var random = SeededRandom(UInt64(seed))
        let (bytes, frames) = connection(&random)
        let ends = ends(frames)
        var cutter = FrameCutter()
        var (given, passed) = (0, [UInt8]())
        while given < bytes.count {
            let most = [1, 3, 9, 10, 2_000, 40_000].randomElement(using: &random) ?? 1
            let next = min(bytes.count, given + Int.random(in: 1...most, using: &random))
            for piece in pieces(&cutter, bytes[given..<next]) {
                passed += piece
                #expect(!piece.isEmpty && ends.contains(passed.count), "\(passed.count) of \(given)..<\(next)")
            }
            given = next
            #expect(given - passed.count < Self.longest)
        }
        #expect(passed == bytes)
    }

    @Test func `hands on a frame that is larger than any may be, without the rest of it`() {
        let large: [UInt8] = [0, 0x40, 1, 1, 4, 0, 0, 0, 1]
        var cutter = FrameCutter()
        #expect(pieces(&cutter, ProtocolChooser.preface + large) == [ProtocolChooser.preface + large])
        #expect(pieces(&cutter, [7]) == [[7]])
        // Likewise when its head came in two parts.
        cutter = FrameCutter()
        #expect(pieces(&cutter, ProtocolChooser.preface + large.prefix(4)) == [ProtocolChooser.preface])
        #expect(pieces(&cutter, large.dropFirst(4) + [7, 8]) == [large, [7, 8]])
    }
}
