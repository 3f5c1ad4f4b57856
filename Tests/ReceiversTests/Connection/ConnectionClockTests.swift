import NIOCore
import Testing

@testable import Receivers

@Suite struct ConnectionClockTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private let timeouts = ConnectionTimeouts(
        readHeader: .seconds(5), read: .seconds(60), write: .seconds(7), idle: .seconds(9))

    private func after(_ seconds: Int64) -> NIODeadline { start + .seconds(seconds) }

    @Test func `a head has its time from connecting`() {
        var clock = ConnectionClock(timeouts, now: start)
        #expect(clock.expiry(now: after(4)) == nil)
        #expect(clock.expiry(now: after(5)) == .head)
    }

    @Test func `an idle connection has its time from the last answer`() {
        var clock = ConnectionClock(timeouts, now: start)
        clock.enter(.idle, now: after(100))
        #expect(clock.expiry(now: after(108)) == nil)
        #expect(clock.expiry(now: after(109)) == .idle)
    }

    @Test func `who waits for a request, or for the rest of its head, is silent after a while`() {
        let limit = RoomWanted.silenceMax(hasBroughtRequest: false)
        var clock = ConnectionClock(timeouts, now: start)
        for phase in [ConnectionClock.Phase.head, .idle] {
            clock.enter(phase, now: after(10))
            #expect(!clock.isSilent(for: limit, now: after(10) + limit - .milliseconds(1)))
            #expect(clock.isSilent(for: limit, now: after(10) + limit))
        }
        for phase in [ConnectionClock.Phase.body, .reply, .linger] {
            clock.enter(phase, now: after(10))
            #expect(!clock.isSilent(for: limit, now: after(1_000)))
        }
    }

    @Test func `a body must bring bytes in every window`() {
        var clock = ConnectionClock(timeouts, now: start)
        clock.enter(.body, now: start)
        clock.received(ConnectionClock.bodyBytesMin, now: after(1))
        #expect(clock.expiry(now: after(10)) == nil)
        clock.received(ConnectionClock.bodyBytesMin - 1, now: after(12))
        #expect(clock.expiry(now: after(19)) == nil)
        #expect(clock.expiry(now: after(20)) == .body)
    }

    @Test func `when others are refused a body must bring a part of what it holds`() {
        var clock = ConnectionClock(timeouts, now: start)
        func claim(_ refusals: UInt64) -> ConnectionClock.Claim { .init(held: 4 << 20, refusals: refusals) }
        clock.enter(.body, now: start)
        #expect(clock.expiry(now: after(1), claim: claim(7)) == nil)
        clock.received(4096, now: after(2))
        #expect(clock.expiry(now: after(10), claim: claim(7)) == nil, "nobody was refused since")
        clock.received(128 << 10, now: after(12))
        #expect(clock.expiry(now: after(20), claim: claim(8)) == nil)
        clock.received((128 << 10) - 1, now: after(25))
        #expect(clock.expiry(now: after(30), claim: claim(9)) == .body)
    }

    @Test func `a whole request has its time even when it makes progress`() {
        var clock = ConnectionClock(timeouts, now: start)
        clock.enter(.body, now: after(2))
        for second in 3..<60 {
            clock.received(1 << 20, now: after(Int64(second)))
            #expect(clock.expiry(now: after(Int64(second))) == nil)
        }
        #expect(clock.expiry(now: after(60)) == .body)
    }

    @Test func `a reply and a client that does not read have the write timeout`() {
        var clock = ConnectionClock(timeouts, now: start)
        clock.enter(.reply, now: after(1))
        #expect(clock.expiry(now: after(8)) == .reply)
        clock.enter(.idle, now: after(8))
        clock.setStalled(true, now: after(8))
        clock.setStalled(true, now: after(9))
        #expect(clock.expiry(now: after(15)) == .write)
        clock.setStalled(false, now: after(15))
        #expect(clock.expiry(now: after(16)) == nil)
    }

    @Test func `a closing connection waits for a pause but not for ever`() {
        var clock = ConnectionClock(timeouts, now: start)
        clock.enter(.linger, now: start)
        for second in 1..<30 {
            clock.received(1, now: after(Int64(second)))
            #expect(clock.expiry(now: after(Int64(second))) == nil)
        }
        #expect(clock.expiry(now: after(30)) == .linger)
        clock.enter(.linger, now: after(40))
        #expect(clock.expiry(now: after(42)) == .linger)
    }

    @Test func `zero switches a limit off`() {
        let none = ConnectionTimeouts(readHeader: .zero, read: .zero, write: .zero, idle: .zero)
        var clock = ConnectionClock(none, now: start)
        for phase in [ConnectionClock.Phase.head, .idle, .reply] {
            clock.enter(phase, now: start)
            #expect(clock.expiry(now: after(1_000_000)) == nil)
        }
        #expect(ConnectionClock.period(none) == .seconds(1))
    }
}
