import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Receivers

struct FrameCutterTests {
    /// The most that may be held back: a head with all its continuations but a byte.
    private static let heldMax = (1 + HTTP2Limits.continuationsMax) * (9 + HTTP2Limits.frameMax) - 1

    /// What a client sends behind its preface: frames of all types and sizes, heads in as many as may be.
    private func frames(_ random: inout SeededRandom) -> [H2Frame] {
        (0..<40).flatMap { index -> [H2Frame] in
            let type: UInt8 = [0, 0, 1, 1, 2, 4, 5, 6, 8, 10].randomElement(using: &random) ?? 0
            let count =
                type == 1 || type == 5 ? Int.random(in: 1...1 + HTTP2Limits.continuationsMax, using: &random) : 1
            return (0..<count).map { place in
                let most = count > 1 ? 10_000 : HTTP2Limits.frameMax
                let size = [0, 1, 5, 8, 9, 100, 3_000, most].randomElement(using: &random) ?? 0
                var flags = UInt8.random(in: 0...255, using: &random) & ~4
                if place == count - 1 { flags |= 4 }
                return H2Frame(
                    type: place == 0 ? type : 9, flags: flags, stream: 1,
                    payload: [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size))
            }
        }
    }

    /// Places at which what was handed on may end: those at which the library's decoder has nothing left over.
    private func ends(_ frames: [H2Frame]) -> Set<Int> {
        var at = ProtocolChooser.preface.count
        var ends = Set(0...at)
        for frame in frames {
            let next = at + frame.bytes.count
            let isBlock = [1, 5, 9].contains(frame.type)
            if !isBlock || frame.flags & 4 != 0 { ends.insert(next) }
            if frame.type == H2Frame.data, frame.flags & 8 == 0, next > at + 10 { ends.formUnion(at + 10..<next) }
            at = next
        }
        return ends
    }

    @Test(arguments: 0..<60) func `hands on all bytes in order, and leaves the decoder without a rest`(seed: Int) {
        var random = SeededRandom(UInt64(seed))
        let frames = frames(&random)
        let bytes = ProtocolChooser.preface + frames.flatMap(\.bytes)
        let ends = ends(frames)
        var cutter = FrameCutter()
        var (given, passed) = (0, [UInt8]())
        while given < bytes.count {
            let most = [1, 3, 9, 10, 2_000, 40_000].randomElement(using: &random) ?? 1
            let next = min(bytes.count, given + Int.random(in: 1...most, using: &random))
            if let piece = cutter.cut(ByteBuffer(bytes: bytes[given..<next])) {
                passed += piece.readableBytesView
                #expect(piece.readableBytes > 0 && ends.contains(passed.count), "\(passed.count) of \(given)..<\(next)")
            }
            given = next
            #expect(given - passed.count <= Self.heldMax)
        }
        #expect(passed == bytes)
    }

    @Test func `hands on what no client may send, and all behind it`() {
        let head = H2Frame(type: 1, stream: 1, payload: [1, 2]).bytes
        let more = H2Frame(type: 9, stream: 1).bytes
        let broken: [[UInt8]] = [
            // A frame that is larger than any may be, another one within a head, a head in too many frames.
            [0, 0x40, 1, 1, 4, 0, 0, 0, 1], head + H2Frame(type: 6, stream: 0).bytes.prefix(9),
            head + [[UInt8]](repeating: more, count: HTTP2Limits.continuationsMax + 1).joined(),
        ]
        for frames in broken {
            for place in 1...frames.count {
                var cutter = FrameCutter()
                var passed: [UInt8] = []
                let front = ProtocolChooser.preface + frames[..<place]
                let parts: [[UInt8]] = [front, Array(frames[place...]), [7], [8, 9]]
                for part in parts {
                    if let piece = cutter.cut(ByteBuffer(bytes: part)) { passed += piece.readableBytesView }
                }
                #expect(passed == ProtocolChooser.preface + frames + [7, 8, 9], "\(frames) in two at \(place)")
            }
        }
    }

    @Test func `holds a head no longer than it may become, by what its next frame announces`() {
        let preface = ByteBuffer(bytes: ProtocolChooser.preface)
        let head = H2Frame(type: 1, stream: 1, payload: [1, 2]).bytes
        let large = H2Frame(type: 9, stream: 1, payload: [UInt8](repeating: 1, count: HTTP2Limits.frameMax)).bytes
        var cutter = FrameCutter()
        #expect(cutter.cut(ByteBuffer(bytes: ProtocolChooser.preface + head)) == preface)
        let most = HTTP2Limits.continuationsMax
        for _ in 0..<most { #expect(cutter.cut(ByteBuffer(bytes: large)) == nil) }
        #expect(cutter.cut(ByteBuffer(bytes: large.prefix(9)))?.readableBytes == head.count + most * large.count + 9)
    }

    @Test(arguments: [true, false])
    func `a read that the end of the connection cuts off ends first, and once`(isCut: Bool) throws {
        let channel = EmbeddedChannel()
        let events = Events()
        try channel.pipeline.syncOperations.addHandlers([
            WholeFrames(budget: AdmissionBudget(limitBytes: 1 << 20)), events,
        ])
        channel.pipeline.fireChannelActive()
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: ProtocolChooser.preface))
        if !isCut { channel.pipeline.fireChannelReadComplete() }
        channel.pipeline.fireChannelInactive()
        #expect(events.names == ["read", "complete", "inactive"])
    }
}

/// What comes through a pipeline, in order.
private final class Events: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    var names: [String] = []

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { names.append("read") }
    func channelReadComplete(context: ChannelHandlerContext) { names.append("complete") }
    func channelInactive(context: ChannelHandlerContext) { names.append("inactive") }
}
