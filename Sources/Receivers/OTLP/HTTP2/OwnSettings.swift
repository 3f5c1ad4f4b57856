import NIOCore

/// Lets the HTTP/2 library go by other settings than the client is told, from the client's first stream on.
///
/// The library answers a stream or a head beyond the limits that it announced by ending the connection, with all that
/// is open on it. Until the client has acknowledged the settings it does so beyond limits that nobody was told, 100
/// streams and heads of 16 KiB (swift-nio-http2 1.46). So it is given wider limits, in which `RequestStream` refuses
/// single streams by what the client was told, and takes them for acknowledged as soon as the client's settings are
/// there. That is harmless, because all of them allow more than a client may do that has not read ours yet.
///
/// A value without effects.
struct SettingsExchange {
    private enum Phase {
        /// The client's settings are to come.
        case start
        /// The library has an acknowledgement; the client's is to come.
        case acknowledged
        case end
    }

    static let acknowledgement: [UInt8] = [0, 0, 0, 4, 1, 0, 0, 0, 0]
    /// A type of frames that nobody knows and all must ignore (RFC 9113, 5.5).
    static let unknownType: UInt8 = 0xFF

    /// What the client is told, by the number of the setting.
    private let told: [UInt16: UInt32]
    private(set) var isTold = false
    private var phase = Phase.start
    /// Bytes up to the next frame.
    private var passing = ProtocolChooser.preface.count

    init(told: [UInt16: UInt32]) { self.told = told }

    /// What the client is to read in place of what the library writes.
    mutating func sent(_ bytes: ByteBuffer) -> ByteBuffer {
        guard !isTold, let head = FrameHead(bytes), head.isSettings, !head.isAcknowledgement else { return bytes }
        isTold = true
        var bytes = bytes
        var place = bytes.readerIndex + FrameHead.bytes
        while let (number, _) = bytes.getMultipleIntegers(at: place, as: (UInt16, UInt32).self) {
            if let value = told[number] { bytes.setInteger(value, at: place + 2) }
            place += 6
        }
        return bytes
    }

    /// What the library is to read in place of a piece that `FrameCutter` has cut.
    mutating func received(_ piece: ByteBuffer) -> ByteBuffer {
        guard phase != .end else { return piece }
        var piece = piece
        var place = passing
        while phase != .end, let frame = FrameHead(piece, at: place) {
            let start = place
            place += FrameHead.bytes + frame.length
            // Settings of a stream are a fault, which the library finds (RFC 9113, 6.5).
            guard frame.isSettings, frame.stream == 0 else { continue }
            switch (phase, frame.isAcknowledgement) {
            case (.start, false) where place <= piece.readableBytes:
                phase = .acknowledged
                piece = Self.inserting(Self.acknowledgement, at: place, in: piece)
                place += Self.acknowledgement.count
            case (.acknowledged, true) where frame.length == 0:
                // The library has had it, and would take another one for a fault.
                phase = .end
                piece.setInteger(Self.unknownType, at: piece.readerIndex + start + FrameHead.typeOffset)
            default: break
            }
        }
        passing = max(0, place - piece.readableBytes)
        return piece
    }

    private static func inserting(_ bytes: [UInt8], at place: Int, in piece: ByteBuffer) -> ByteBuffer {
        var whole = ByteBuffer()
        whole.reserveCapacity(piece.readableBytes + bytes.count)
        whole.writeBytes(piece.readableBytesView.prefix(place))
        whole.writeBytes(bytes)
        whole.writeBytes(piece.readableBytesView.dropFirst(place))
        return whole
    }
}

/// Stands between the library's handler and those that see the connection's bytes as the client does.
final class OwnSettings: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private var exchange: SettingsExchange

    init(told: [UInt16: UInt32]) { exchange = SettingsExchange(told: told) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireChannelRead(wrapInboundOut(exchange.received(unwrapInboundIn(data))))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !exchange.isTold, case .byteBuffer(let bytes) = unwrapOutboundIn(data) else {
            return context.write(data, promise: promise)
        }
        context.write(wrapOutboundOut(.byteBuffer(exchange.sent(bytes))), promise: promise)
    }
}
