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
        var piece = piece
        var place = passing
        while let frame = FrameHead(piece, at: place) {
            let start = place
            place += FrameHead.bytes + frame.length
            // Settings of a stream are a fault, which the library finds (RFC 9113, 6.5).
            guard frame.isSettings, frame.stream == 0 else { continue }
            if !frame.isAcknowledgement, place <= piece.readableBytes {
                ClientSettings.limit(&piece, from: start + FrameHead.bytes, to: place)
                guard phase == .start else { continue }
                phase = .acknowledged
                piece = Self.inserting(Self.acknowledgement, at: place, in: piece)
                place += Self.acknowledgement.count
            } else if frame.isAcknowledgement, frame.length == 0, phase == .acknowledged {
                // The library has had it, and would take another one for a fault.
                phase = .end
                piece.setInteger(Self.unknownType, at: piece.readerIndex + start + FrameHead.typeOffset)
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

/// Keeps a client from setting what the library holds and does for it, in every frame of settings that comes.
///
/// The library takes the client's word (swift-nio-http2 1.46): its table of the headers that it has sent grows up to
/// 4 GiB, it remembers each number that it does not know, and it goes through all streams for each new window.
enum ClientSettings {
    /// Bytes of the table, which each client has unless it asks for fewer; fewer than it offers may always be used
    /// (RFC 9113, 6.5.2, and RFC 7541, 4.2).
    static let headerTableSizeMax: UInt32 = 4_096
    /// The number of no setting, which all must ignore (RFC 9113, 6.5.2 and 11.3).
    private static let noSetting: UInt16 = 0
    private static let settingBytes = 6

    /// Limits the settings between two places of `piece`, from its front.
    static func limit(_ piece: inout ByteBuffer, from start: Int, to end: Int) {
        let front = piece.readerIndex
        var window: Int?
        for place in stride(from: front + start, through: front + end - settingBytes, by: settingBytes) {
            guard let (number, value) = piece.getMultipleIntegers(at: place, as: (UInt16, UInt32).self) else { return }
            switch number {
            case 1 where value > headerTableSizeMax: piece.setInteger(headerTableSizeMax, at: place + 2)
            case 4 where value <= Int32.max:
                // Of several windows the last one holds. One that is too large is a fault, which the library finds.
                if let window { piece.setInteger(noSetting, at: window) }
                window = place
            case 0...6, 8: break
            default: piece.setInteger(noSetting, at: place)
            }
        }
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
