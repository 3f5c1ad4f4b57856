import NIOCore

/// Cuts what comes on an HTTP/2 connection between its frames (RFC 9113, 4.1): only DATA frames are handed on in parts.
///
/// The library's decoder keeps the beginning of a frame behind the bytes that it has read, and takes their room back
/// only when nothing is left over. A client whose heads never end where a read ends made its buffer as large as all
/// that the connection had brought (swift-nio-http2 1.46: 200 MB for 256). A value without effects.
struct FrameCutter {
    private static let headerBytes = 9
    private static let dataType: UInt8 = 0

    /// Bytes that go on as they are: the rest of a DATA frame, or of the client's preface.
    private var passing = ProtocolChooser.preface.count
    /// A frame is larger than any may be: the library sees it, and says so.
    private var isOpen = false
    /// The beginning of a frame, at most all of it but one byte.
    private var held = ByteBuffer()

    /// Takes from the front of `bytes` what can be handed on together; nil when all that is left is held back.
    mutating func next(_ bytes: inout ByteBuffer) -> ByteBuffer? {
        if held.readableBytes > 0, let frame = fill(&bytes) { return frame }
        guard held.readableBytes == 0, bytes.readableBytes > 0 else { return nil }
        let whole = wholeBytes(of: bytes)
        let piece = bytes.readSlice(length: whole)
        if bytes.readableBytes > 0 { held.writeBuffer(&bytes) }
        return whole > 0 ? piece : nil
    }

    /// Goes on with the frame that is held; gives it when it may go on.
    private mutating func fill(_ bytes: inout ByteBuffer) -> ByteBuffer? {
        move(&bytes, upTo: Self.headerBytes)
        guard let frame = FrameHead(held, at: held.readerIndex) else { return nil }
        if frame.isTooLarge || frame.type == Self.dataType {
            isOpen = frame.isTooLarge
            passing = frame.length
        } else {
            move(&bytes, upTo: Self.headerBytes + frame.length)
            guard held.readableBytes == Self.headerBytes + frame.length else { return nil }
        }
        defer { held = ByteBuffer() }
        return held
    }

    private mutating func move(_ bytes: inout ByteBuffer, upTo count: Int) {
        let missing = min(count - held.readableBytes, bytes.readableBytes)
        guard missing > 0, var part = bytes.readSlice(length: missing) else { return }
        held.writeBuffer(&part)
    }

    /// How many of `bytes`, from their front, can be handed on together.
    private mutating func wholeBytes(of bytes: ByteBuffer) -> Int {
        let count = bytes.readableBytes
        if isOpen { return count }
        var end = min(passing, count)
        passing -= end
        while let frame = FrameHead(bytes, at: bytes.readerIndex + end) {
            let next = end + Self.headerBytes + frame.length
            if frame.isTooLarge {
                isOpen = true
                return count
            }
            if next > count {
                guard frame.type == Self.dataType else { return end }
                passing = next - count
                return count
            }
            end = next
        }
        return end
    }

    private struct FrameHead {
        let length: Int
        let type: UInt8
        var isTooLarge: Bool { length > HTTP2Limits.frameMax }

        /// Nil when not all of it is there.
        init?(_ bytes: ByteBuffer, at start: Int) {
            guard let (high, low, type) = bytes.getMultipleIntegers(at: start, as: (UInt8, UInt16, UInt8).self),
                start + headerBytes <= bytes.writerIndex
            else { return nil }
            length = Int(high) << 16 | Int(low)
            self.type = type
        }
    }
}

/// Stands before the library's handler and hands it frames as `FrameCutter` cuts them.
final class WholeFrames: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var cutter = FrameCutter()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        while let piece = cutter.next(&bytes) { context.fireChannelRead(wrapInboundOut(piece)) }
    }
}
