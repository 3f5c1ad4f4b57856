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

    private static func setting(_ number: UInt16, _ value: UInt32) -> [UInt8] {
        [UInt8(number >> 8), UInt8(number & 255)] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    /// What the library reads of frames that come in reads of `size` bytes.
    private static func read(_ frames: [UInt8], size: Int = .max) -> [UInt8] {
        let sent = ProtocolChooser.preface + frames
        var (cutter, exchange) = (FrameCutter(), SettingsExchange(told: told))
        var read: [UInt8] = []
        for place in stride(from: 0, to: sent.count, by: min(size, sent.count)) {
            let bytes = ByteBuffer(bytes: sent[place..<min(sent.count, place + min(size, sent.count))])
            if let piece = cutter.cut(bytes) { read += exchange.received(piece).readableBytesView }
        }
        return Array(read.dropFirst(ProtocolChooser.preface.count))
    }

    @Test(arguments: [1, 5, 9, 16, 1_000])
    func `no frame of settings makes the table of headers larger, however it is cut`(size: Int) {
        let (large, small) = (Self.setting(1, .max), Self.setting(1, 100))
        let limited = Self.setting(1, ClientSettings.headerTableSizeMax)
        let sent =
            [Self.settings(0, large), Self.settings(1), Self.settings(0, large), Self.data, Self.ping]
            + [Self.settings(0, small + large), Self.settings(0, small), Self.settings(0, Self.setting(1, 4_097))]
        let expected =
            [Self.settings(0, limited), SettingsExchange.acknowledgement, Self.unknown, Self.settings(0, limited)]
            + [Self.data, Self.ping, Self.settings(0, small + limited), Self.settings(0, small)]
            + [Self.settings(0, limited)]
        #expect(Self.read(sent.flatMap(\.self), size: size) == expected.flatMap(\.self))
    }

    @Test func `of many settings those that the library knows stay as they are, and the others have no number`() {
        let numbers: [UInt16] = [2, 3, 4, 5, 6, 8]
        let known: [UInt8] = numbers.flatMap { Self.setting($0, 4_096) } + Self.setting(1, 4_096)
        let others: [UInt16] = Array(9...2_700)
        let unknown: [UInt8] = others.flatMap { Self.setting($0, .max) }
        let nameless: [UInt8] = others.flatMap { _ in Self.setting(0, .max) }
        let read = Self.read(Self.settings(0, known + unknown) + Self.settings(0, Self.setting(7, 1) + known))
        let expected =
            Self.settings(0, known + nameless) + SettingsExchange.acknowledgement
            + Self.settings(0, Self.setting(0, 1) + known)
        #expect(read == expected)
    }

    @Test func `of several windows in a frame the last one holds, and one that is too large stays a fault`() {
        let (small, large, wrong) = (Self.setting(4, 10), Self.setting(4, 1 << 20), Self.setting(4, 1 << 31))
        let read = Self.read(Self.settings(0, small + large + small) + Self.settings(0, large + wrong + small))
        let expected =
            Self.settings(0, Self.setting(0, 10) + Self.setting(0, 1 << 20) + small)
            + SettingsExchange.acknowledgement + Self.settings(0, Self.setting(0, 1 << 20) + wrong + small)
        #expect(read == expected)
    }

    @Test func `settings of a broken length, and those on a stream, are left to the library`() {
        let broken = Self.settings(0, [0, 1, 0xFF, 0xFF, 0xFF])
        let onStream = H2Frame(type: H2Frame.settings, stream: 1, payload: Self.setting(1, .max)).bytes
        #expect(Self.read(broken + onStream) == broken + SettingsExchange.acknowledgement + onStream)
    }

    /// The library tells a new size of its table at the front of the next head (RFC 7541, 6.3).
    private func headStarts(settings: [[UInt8]]) async throws -> [[UInt8]] {
        let head = H2Frame.block([(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")])
        var starts: [[UInt8]] = []
        try await withServer { server in
            let client = try server.connect()
            client.send(ProtocolChooser.preface)
            for (index, settings) in settings.enumerated() {
                let stream = UInt32(index * 2 + 1)
                client.send(
                    Self.settings(0, settings)
                        + H2Frame(type: H2Frame.headers, flags: 5, stream: stream, payload: head).bytes)
                while let frame = client.frame() {
                    guard frame.stream == stream, frame.type == H2Frame.headers else { continue }
                    starts.append(Array(frame.payload.prefix(2)))
                    break
                }
            }
        }
        return starts
    }

    @Test func `the table of headers does not grow with what a client offers, and shrinks as it asks`() async throws {
        let sizes: [UInt32] = [.max, 1 << 16, 100, 1 << 24]
        let starts = try await headStarts(settings: sizes.map { Self.setting(1, $0) })
        try #require(starts.count == 4)
        // The first bits of a new size are 001; 100 is written as 31 and 69, 4,096 as 31 and 4,065.
        #expect(starts[0][0] >> 5 != 1)
        #expect(starts[1][0] >> 5 != 1)
        #expect(starts[2] == [0x3F, 69])
        #expect(starts[3] == [0x3F, UInt8(4_065 & 127 | 128)])
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
