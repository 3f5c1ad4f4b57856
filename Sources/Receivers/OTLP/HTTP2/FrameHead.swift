import NIOCore

/// What stands before the payload of each HTTP/2 frame (RFC 9113, 4.1 and 6).
struct FrameHead {
    static let bytes = 9
    /// Places of the type, of the flags and of the stream's number.
    static let typeOffset = 3
    static let flagsOffset = 4
    static let streamOffset = 5

    /// Bytes of the payload.
    let length: Int
    /// Number of the stream; 0 for the connection.
    let stream: UInt32
    private let type: UInt8
    private let flags: UInt8

    /// The head at `offset` from the front of `bytes`; nil when not all of it is there.
    init?(_ bytes: ByteBuffer, at offset: Int = 0) {
        let start = bytes.readerIndex + offset
        guard start + Self.bytes <= bytes.writerIndex,
            let (high, low, type, flags, stream) = bytes.getMultipleIntegers(
                at: start, as: (UInt8, UInt16, UInt8, UInt8, UInt32).self)
        else { return nil }
        length = Int(high) << 16 | Int(low)
        // Without the bit that is reserved.
        self.stream = stream & 0x7FFF_FFFF
        self.type = type
        self.flags = flags
    }

    var isTooLarge: Bool { length > HTTP2Limits.frameMax }
    /// DATA without padding.
    var isPlainData: Bool { type == 0 && flags & 8 == 0 }
    var isHeaders: Bool { type == 1 }
    /// HEADERS or PUSH_PROMISE.
    var beginsBlock: Bool { type == 1 || type == 5 }
    var isReset: Bool { type == 3 }
    var isSettings: Bool { type == 4 }
    var isGoAway: Bool { type == 7 }
    var isWindowUpdate: Bool { type == 8 }
    var isContinuation: Bool { type == 9 }
    /// END_STREAM.
    var endsStream: Bool { type <= 1 && flags & 1 != 0 }
    /// ACK, of SETTINGS and PING.
    var isAcknowledgement: Bool { flags & 1 != 0 }
    /// END_HEADERS.
    var endsBlock: Bool { flags & 4 != 0 }
}

/// Finds the frames in what the library writes: the head of each begins a buffer of its own, with the payload or before
/// it. A value without effects.
struct WrittenFrames {
    private var payloadLeft = 0

    /// The head of the frame that the next buffer begins; nil when it goes on with a payload.
    mutating func head(of bytes: ByteBuffer) -> FrameHead? {
        let count = bytes.readableBytes
        if payloadLeft > 0 {
            payloadLeft = max(0, payloadLeft - count)
            return nil
        }
        guard let head = FrameHead(bytes) else { return nil }
        payloadLeft = max(0, head.length - (count - FrameHead.bytes))
        return head
    }
}
