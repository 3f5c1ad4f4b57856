import OTTL
import Synchronization
import Testing

@Suite struct FaultLogTests {
    private func failure() throws -> OTTLFailure {
        do {
            _ = try Lab.holds("1 / (attributes[\"count\"] - 5) == 0", .span, on: Sample.span)
        } catch let failure as OTTLFailure { return failure }
        throw Missing()
    }

    private struct Missing: Error {}

    @Test func `a statement is told at once, then at most once an interval, with how often it failed`() throws {
        let time = Mutex<Int64>(5)
        let lines = Mutex<[String]>([])
        let log = OTTLFaultLog(now: { time.withLock { $0 } }, write: { line in lines.withLock { $0.append(line) } })
        let failure = try failure()
        for _ in 0..<4 { log.tell(failure) }
        #expect(lines.withLock { $0.count } == 1)
        time.withLock { $0 += OTTLFaultLog.interval - 1 }
        log.tell(failure)
        #expect(lines.withLock { $0.count } == 1)
        time.withLock { $0 += 1 }
        log.tell(failure)
        let told = lines.withLock { $0 }
        #expect(told.count == 2)
        #expect(told.first?.contains("division by zero") == true && told.first?.contains("times") == false, "\(told)")
        #expect(told.last?.hasSuffix("(5 times)") == true, "\(told)")
    }

    @Test func `a silent mode has no log`() {
        #expect(OTTLFaultLog(.silent, owner: "x", write: { _ in }) == nil)
        #expect(OTTLFaultLog(.ignore, owner: "x", write: { _ in }) != nil)
        #expect(OTTLFaultLog(.propagate, owner: "x", write: { _ in }) != nil)
    }
}
