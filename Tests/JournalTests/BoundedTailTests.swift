import Pipeline
import Telemetry
import Testing

@testable import Journal

/// The newest frames that a journal keeps in memory.
@Suite struct BoundedTailTests {
    private func frames(_ numbers: Range<Int>, bytes: Int) -> [PlacedFrame] {
        numbers.map { number in
            let frame = Frame(
                header: FrameHeader(signal: .traces, itemCount: 1), bytes: [UInt8](repeating: 1, count: bytes))
            func place(_ number: Int) -> Place { Place(segment: 1, offset: number * bytes, frame: number) }
            return PlacedFrame(
                stored: StoredFrame(sequence: Sequence(UInt64(number)), frame: frame), place: place(number),
                next: place(number + 1))
        }
    }

    @Test func `keeps no more bytes than it may, however few and large the frames are`() {
        var tail = BoundedTail(bytesMax: 300)
        for number in 0..<200 {
            tail.append(frames(number..<number + 1, bytes: 100), endingAt: 0)
            #expect(tail.payloadBytes == min(number + 1, 3) * 100)
        }
        tail.append(frames(200..<220, bytes: 100), endingAt: 0)
        #expect(tail.payloadBytes == 300 && tail.start?.frame == 217)
        tail.drop(before: Place(segment: 1, offset: 21_900, frame: 219))
        #expect(tail.payloadBytes == 100)
        tail.append(frames(220..<221, bytes: 1_000), endingAt: 0)
        #expect(tail.payloadBytes == 0 && tail.start == nil)
    }
}
