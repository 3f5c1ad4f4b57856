import Foundation
import TestSupport
import Testing

/// Jumps of the machine's clock, with a library that shifts the wall clock of the gateway alone.
@Suite(.serialized, .timeLimit(.minutes(15))) struct ClockJumpTests {
    @Test(arguments: [1, -1])
    func `a clock that jumps by a day and back loses nothing, delays nothing and lets nothing expire`(
        days: Int
    ) async throws {
        let bench = try FaultBench(exporter: ["max_age: 36h"])
        let clock = try ShiftedClock(in: bench.gateway.folder)
        bench.gateway.wrapper = clock.wrapper
        try await bench.gateway.start()
        let clients = LoadClients(
            4, port: bench.gateway.port, ledger: bench.ledger, persistent: true
        ) { first, padding in
            NumberedSpans.request(first, padding: padding, time: UInt64(Date().timeIntervalSince1970 * 1e9))
        }
        try await bench.wait("some load") { bench.ledger.all.count > 200 }
        for seconds in [days * 86_400, 0] {
            // What is held over the jump waits for its next attempt.
            bench.sink.behave(.busy(retryAfter: 1))
            let asked = bench.sink.requests
            try await bench.wait("attempts") { bench.sink.requests >= asked + FaultBench.consumers }
            try clock.shift(by: seconds)
            let count = bench.ledger.all.count
            try await bench.wait("some load after the jump") { bench.ledger.all.count > count + 200 }
            let oldest = try await oldestSeconds(bench)
            // A jump is seen, so the library works, and no age is less than nothing.
            switch seconds {
            case ..<0: #expect(oldest == 0)
            case 0: #expect(oldest > 0 && oldest < 600)
            default: #expect(oldest > 86_000)
            }
            let attempts = bench.sink.requests
            try await bench.wait("attempts after the jump") { bench.sink.requests > attempts }
            bench.sink.behave(.accept)
            let held = bench.ledger.all
            #expect(try await bench.sink.wait(for: held).isEmpty, "retries are stuck")
        }
        await clients.stop()
        #expect(clients.statuses.keys.filter { $0 != 200 }.isEmpty)
        try await bench.expectNothingLost(restart: false)
        #expect(try await bench.gateway.metric("sluice_exporter_dropped_items_total") == 0)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    /// The age of what the exporter holds longest, as `sluice queue` tells it.
    private func oldestSeconds(_ bench: FaultBench) async throws -> Double {
        let text = try await bench.gateway.answer("/queues")
        let queues = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
        return try #require(queues.compactMap { $0["oldestSeconds"] as? Double }.max(), "\(text)")
    }
}

/// The wall clock of a process that is started with `wrapper`.
private final class ShiftedClock {
    let wrapper: [String]
    private let file: Int32

    /// Builds the library in `folder`, whose life this ends with.
    init(in folder: URL) throws {
        let source = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/clock/clock_shift.c").path
        let library = folder.appending(path: "clock_shift.so").path
        let build = try ChildProcess.runBlocking("/usr/bin/env", ["cc", "-shared", "-fPIC", "-o", library, source])
        guard build.status == 0 else { throw RunningGateway.Fault(text: "no library: \(build.errors)") }
        let shift = folder.appending(path: "clock_shift").path
        file = open(shift, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        wrapper = ["/usr/bin/env", "LD_PRELOAD=\(library)", "CLOCK_SHIFT_FILE=\(shift)"]
        try self.shift(by: 0)
    }

    deinit { close(file) }

    /// From now on the clock is so far ahead of the machine's.
    func shift(by seconds: Int) throws {
        let count = withUnsafeBytes(of: Int64(seconds)) { pwrite(file, $0.baseAddress, $0.count, 0) }
        if count != 8 { throw RunningGateway.Fault(text: "the clock's file cannot be written") }
    }
}
