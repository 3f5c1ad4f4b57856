#if DEBUG || FUZZ

    import Logging
    import NIOCore
    import NIOEmbedded
    import Pipeline
    import Telemetry
    @testable import Receivers

    /// A connection through the very pipeline of a listener, which finds out what is spoken. The first byte chooses the
    /// listener, for HTTP or for gRPC, and the pieces in which the rest arrives.
    ///
    /// Which requests are handed on may depend on the pieces: an error of the connection ends what came with it.
    enum HTTP2Fuzz {
        private static let recorder = HTTPFuzz.Recorder()
        private static let shared = HTTPFuzz.makeShared(recorder)
        private static let calls = GRPCShared(
            accepted: [.traces, .logs], auth: nil, keepsMetadata: true, timeouts: ConnectionTimeouts(),
            intake: shared.intake, budget: shared.budget, log: shared.log)

        static func run(_ input: UnsafeRawBufferPointer) -> String? {
            guard let first = input.first else { return nil }
            let bytes = Array(input[1...])
            let service: ConnectionSetup.Service = first & 1 == 0 ? .http(shared) : .grpc(calls)
            let size = first & 2 == 0 ? max(bytes.count, 1) : 1 + Int(first >> 2)
            let pieces = stride(from: 0, to: bytes.count, by: size).map { bytes[$0..<min($0 + size, bytes.count)] }
            let setup = ConnectionSetup(
                service: service, tls: nil, startTimeout: .zero, lifetime: HTTP2Lifetime(), streamsMax: 8,
                cuts: CutLog(log: shared.log, id: "otlp"), resources: [:])
            HTTPFuzz.connect(pieces) { channel, _ in try setup.configure(channel) }
            let used = shared.budget.used
            if used != 0 { return "\(used) bytes stay reserved" }
            return recorder.take().contains { $0.signal == .metrics } ? "a signal that no pipeline takes" : nil
        }
    }

#endif
