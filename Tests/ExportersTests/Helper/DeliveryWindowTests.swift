import Pipeline
import Testing

@testable import Exporters

/// When deliveries may begin.
@Suite struct DeliveryWindowTests {
    @Test func `only its width of deliveries run at once`() {
        var window = DeliveryWindow(width: 2, bytesMax: 1000)
        #expect(!window.isFull(for: 10))
        let first = window.begin(10)
        #expect(!window.isFull(for: 10))
        _ = window.begin(10)
        #expect(window.isFull(for: 10))
        window.end(first, 10, took: .milliseconds(1))
        #expect(!window.isFull(for: 10))
    }

    @Test func `a delivery with more bytes than all may have runs alone`() {
        var window = DeliveryWindow(width: 10, bytesMax: 1000)
        #expect(!window.isFull(for: 5000))
        let large = window.begin(5000)
        #expect(window.isFull(for: 1))
        window.end(large, 5000, took: .milliseconds(1))
        _ = window.begin(600)
        #expect(window.isFull(for: 401))
        #expect(!window.isFull(for: 400))
    }

    @Test func `the cursor's file is written before the first delivery, and then once for as many as may run`() {
        var window = DeliveryWindow(width: 3, bytesMax: 1000)
        var writes: [Int] = []
        for number in 0..<10 {
            if window.mustWrite {
                writes.append(number)
                window.written = window.reaped
            }
            window.end(window.begin(1), 1, took: .milliseconds(1))
        }
        #expect(writes == [0, 3, 6, 9])
    }

    @Test(arguments: 1...5)
    func `running and unwritten deliveries are never more than its width`(width: Int) {
        var window = DeliveryWindow(width: width, bytesMax: 1000)
        let random = SeededRandom(UInt64(width))
        var running = 0
        var (ended, written) = (0, 0)
        var numbers: [Int] = []
        for _ in 0..<1000 {
            if running > 0, random.next() % 2 == 0 {
                running -= 1
                ended += 1
                window.end(numbers.removeFirst(), 1, took: .milliseconds(1))
                continue
            }
            if window.isFull(for: 1) { continue }
            if window.mustWrite {
                written = ended
                window.written = ended
                if window.mustWrite { continue }
            }
            numbers.append(window.begin(1))
            running += 1
            #expect(running + ended - written <= width)
        }
        #expect(ended > 300)
    }

    /// How many deliveries of so many bytes begin before one has to end.
    private func count(_ window: inout DeliveryWindow, of size: Int) -> Int {
        var count = 0
        while !window.isFull(for: size), !window.mustSpare(for: size) {
            _ = window.begin(size)
            count += 1
        }
        return count
    }

    /// A window that delivers a backlog, behind deliveries that took so many microseconds.
    private func sparing(_ took: [Int] = Array(repeating: 300, count: 16), width: Int = 10) -> DeliveryWindow {
        var window = DeliveryWindow(width: width, bytesMax: 32 << 20)
        window.isSparing = true
        for took in took { window.end(window.begin(1), 1, took: .microseconds(took)) }
        return window
    }

    @Test(arguments: [(46_000, 2), (2 << 20, 2), (20_000, 4), (500, 10)])
    func `of a backlog beside what comes in two run, and more of little ones`(size: Int, wanted: Int) {
        var window = sparing()
        #expect(count(&window, of: size) == wanted)
        window.isSparing = false
        #expect(count(&window, of: size) == 10 - wanted)
        var narrow = sparing(width: 1)
        #expect(count(&narrow, of: size) == 1)
    }

    @Test(arguments: [
        [], Array(repeating: 300, count: 15), Array(repeating: 1_001, count: 16),
        Array(repeating: 300, count: 15) + [10_001],
        Array(repeating: 300, count: 16) + Array(repeating: 8_000, count: 16),
    ])
    func `all that may run do to a destination that does not answer at once, or may not`(took: [Int]) {
        var window = sparing(took)
        #expect(count(&window, of: 46_000) == 10)
    }

    @Test func `those that are late do not count, and show that the destination may not answer at once`() {
        var window = sparing()
        #expect(count(&window, of: 46_000) == 2)
        window.passTime()
        #expect(count(&window, of: 46_000) == 0)
        window.passTime()
        #expect(count(&window, of: 46_000) == 8)
        // 17 and 18 hang. Behind sixteen that are quick again they take none of the two places.
        for number in 19...26 { window.end(number, 46_000, took: .microseconds(300)) }
        for _ in 0..<8 { window.end(window.begin(1), 1, took: .microseconds(300)) }
        #expect(window.running == 2)
        #expect(count(&window, of: 46_000) == 2)
        window.end(17, 46_000, took: .seconds(60))
        #expect(count(&window, of: 46_000) == 0)
    }

    @Test func `a drain that ends takes none for running`() {
        var window = DeliveryWindow(width: 2, bytesMax: 10)
        _ = window.begin(8)
        _ = window.begin(2)
        window.endAll()
        #expect(window.running == 0)
        #expect(!window.isFull(for: 10))
    }
}
