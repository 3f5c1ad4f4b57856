#if DEBUG || FUZZ

    import Logging
    import NIOCore
    import NIOEmbedded
    import Pipeline
    @testable import Receivers
    import Synchronization
    import Telemetry

    /// A connection of HTTP/1.1 on an embedded channel. The first byte chooses the pieces in which the rest arrives
    /// a second time, a third time each request has a read of its own, so that heads that come again are known: the
    /// requests that are handed on must not depend on them.
    enum HTTPFuzz {
        /// Hands nothing on but remembers what came.
        final class Recorder: Ingest {
            struct Call: Equatable {
                var signal: Signal
                var encoding: WireEncoding
                var body: [UInt8]
            }

            private let calls = Mutex<[Call]>([])

            func accepts(_ signal: Signal) -> Bool { signal != .metrics }

            func ingest(_ request: IngestRequest, reply: @escaping @Sendable (IngestReply) -> Void) {
                let call = Call(signal: request.signal, encoding: request.encoding, body: Array(request.body))
                calls.withLock { $0.append(call) }
                reply(call.body.first == 0 ? .invalid(message: "zero") : .accepted)
            }

            func flush() {}

            func take() -> [Call] {
                calls.withLock { calls in
                    defer { calls = [] }
                    return calls
                }
            }
        }

        private static let recorder = Recorder()
        private static let shared = makeShared(recorder)

        /// What the connections of one target share; another target may run at the same time.
        static func makeShared(_ recorder: Recorder) -> ReceiverShared {
            let sizeMax = 1 << 16
            let metrics = ReceiverMetrics(SelfMetrics(), id: "fuzz")
            return ReceiverShared(
                check: HeadCheck(
                    paths: RequestPaths(), accepted: [.traces, .logs], bodySizeMax: sizeMax, codings: .all,
                    cors: CORSPolicy(allowedOrigins: ["https://*.example"], allowedHeaders: [], maxAge: 1)),
                timeouts: ConnectionTimeouts(), keepsAlive: true, encoder: AnswerEncoder(),
                intake: RequestIntake(ingest: recorder, bodySizeMax: sizeMax, metrics: metrics),
                budget: AdmissionBudget(limitBytes: 1 << 20),
                log: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() })
        }

        static func run(_ input: UnsafeRawBufferPointer) -> String? {
            guard let first = input.first else { return nil }
            let bytes = Array(input[1...])
            let whole = exchange([bytes[...]])
            let size = 1 + Int(first) % 16
            let pieces = stride(from: 0, to: bytes.count, by: size).map { bytes[$0..<min($0 + size, bytes.count)] }
            let inPieces = exchange(pieces)
            let apart = exchange(requests(in: bytes, splitsBodies: first >= 0x80))
            if shared.budget.used != 0 { return "\(shared.budget.used) bytes stay reserved" }
            if whole != apart { return "\(whole.count) requests in one piece, \(apart.count) in reads of their own" }
            return whole == inPieces
                ? nil : "\(whole.count) requests in one piece, \(inPieces.count) in pieces of \(size)"
        }

        /// Cut before each "POST ", and with `splitsBodies` behind empty lines.
        private static func requests(in bytes: [UInt8], splitsBodies: Bool) -> [ArraySlice<UInt8>] {
            var pieces: [ArraySlice<UInt8>] = []
            var start = 0
            for place in bytes.indices where place > start {
                let isHead = bytes[place...].starts(with: "POST ".utf8)
                let isBody = splitsBodies && bytes[..<place].suffix(4).elementsEqual("\r\n\r\n".utf8)
                guard isHead || isBody else { continue }
                pieces.append(bytes[start..<place])
                start = place
            }
            return pieces + [bytes[start...]]
        }

        private static func exchange(_ pieces: [ArraySlice<UInt8>]) -> [Recorder.Call] {
            connect(pieces) { channel, now in
                try ConnectionSetup.configureHTTP1(
                    channel.pipeline.syncOperations, shared, LoopResources(of: channel.eventLoop),
                    hasPlainSocket: false, now)
            }
            return recorder.take()
        }

        /// A connection on which these bytes come, and then its end.
        static func connect(
            _ pieces: [ArraySlice<UInt8>], _ configure: (EmbeddedChannel, NIODeadline) throws -> Void
        ) {
            let loop = EmbeddedEventLoop()
            let channel = EmbeddedChannel(loop: loop)
            // Failures show as answers or an end; what matters is what is handed on.
            try? configure(channel, loop.now)
            if let address { channel.connect(to: address, promise: nil) }
            for piece in pieces {
                _ = try? channel.writeInbound(ByteBuffer(bytes: piece))
                loop.run()
                while (try? channel.readOutbound(as: ByteBuffer.self)) != nil {}
            }
            channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            _ = try? channel.finish(acceptAlreadyClosed: true)
        }

        private static let address = try? SocketAddress(ipAddress: "127.0.0.1", port: 1)
    }

#endif
