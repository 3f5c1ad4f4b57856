import NIOCore
import TestSupport
import Testing

@testable import Receivers

struct SettingsExchangeTests {
    private static let told: [UInt16: UInt32] = [3: 100, 6: 0x0102_0304]

    private static func settings(_ flags: UInt8 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        H2Frame(type: H2Frame.settings, flags: flags, stream: 0, payload: payload).bytes
    }

    private static let ping = H2Frame(type: H2Frame.ping, stream: 0, payload: [UInt8](repeating: 4, count: 8)).bytes
    /// Content that looks like frames of settings.
    private static let data = H2Frame(type: H2Frame.data, stream: 1, payload: settings() + settings(1)).bytes
    private static let unknown = H2Frame(type: SettingsExchange.unknownType, flags: 1, stream: 0).bytes

    /// What a client sends, and what the library is to read.
    private static let frames: [(sent: [UInt8], read: [UInt8])] = [
        (settings(0, [0, 4, 0, 1, 0, 0]), settings(0, [0, 4, 0, 1, 0, 0]) + SettingsExchange.acknowledgement),
        (ping, ping), (data, data), (settings(), settings()), (settings(1), unknown), (data, data),
        (settings(1), settings(1)), (settings(), settings()),
    ]

    @Test(arguments: [1, 2, 9, 10, 20, 1_000])
    func `the library reads an acknowledgement behind the client's settings, and not the client's own`(size: Int) {
        let sent = ProtocolChooser.preface + Self.frames.flatMap(\.sent)
        var (cutter, exchange) = (FrameCutter(), SettingsExchange(told: Self.told))
        var read: [UInt8] = []
        for place in stride(from: 0, to: sent.count, by: size) {
            let bytes = ByteBuffer(bytes: sent[place..<min(place + size, sent.count)])
            if let piece = cutter.cut(bytes) { read += exchange.received(piece).readableBytesView }
        }
        #expect(read == ProtocolChooser.preface + Self.frames.flatMap(\.read))
    }

    @Test func `an acknowledgement before the client's settings, or with a payload, is left to the library`() {
        for frames in [Self.settings(1), Self.settings() + Self.settings(1, [0])] {
            var exchange = SettingsExchange(told: Self.told)
            let read = Array(exchange.received(ByteBuffer(bytes: ProtocolChooser.preface + frames)).readableBytesView)
            #expect(Array(read.suffix(9)) == Array(frames.suffix(9)))
        }
    }

    @Test func `an acknowledgement on a stream is left to the library`() {
        let frame = H2Frame(type: H2Frame.settings, flags: 1, stream: 1).bytes
        var exchange = SettingsExchange(told: Self.told)
        let sent = ByteBuffer(bytes: ProtocolChooser.preface + Self.settings() + frame + Self.settings(1))
        let read = Array(exchange.received(sent).readableBytesView)
        #expect(Array(read.suffix(18)) == frame + Self.unknown)
    }

    @Test func `the client reads other numbers in the library's settings, and all else as it is`() {
        let theirs = Self.settings(0, [0, 3, 0, 0, 1, 44, 0, 4, 0, 16, 0, 0, 0, 6, 0, 4, 0, 0])
        let ours = Self.settings(0, [0, 3, 0, 0, 0, 100, 0, 4, 0, 16, 0, 0, 0, 6, 1, 2, 3, 4])
        var exchange = SettingsExchange(told: Self.told)
        func sent(_ bytes: [UInt8]) -> [UInt8] { Array(exchange.sent(ByteBuffer(bytes: bytes)).readableBytesView) }
        for (bytes, expected) in [(Self.ping, Self.ping), (theirs, ours), (theirs, theirs)] {
            let read = sent(bytes)
            #expect(read == expected)
        }
    }
}
