import Pipeline
import Testing

@testable import Exporters

/// When deliveries may begin.
@Suite struct DeliveryWindowTests {
    @Test func `only its width of deliveries run at once`() {
        var window = DeliveryWindow(width: 2, bytesMax: 1000)
        #expect(!window.isFull(for: 10))
        window.begin(10)
        #expect(!window.isFull(for: 10))
        window.begin(10)
        #expect(window.isFull(for: 10))
        window.end(10)
        #expect(!window.isFull(for: 10))
    }

    @Test func `a delivery with more bytes than all may have runs alone`() {
        var window = DeliveryWindow(width: 10, bytesMax: 1000)
        #expect(!window.isFull(for: 5000))
        window.begin(5000)
        #expect(window.isFull(for: 1))
        window.end(5000)
        window.begin(600)
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
            window.begin(1)
            window.end(1)
        }
        #expect(writes == [0, 3, 6, 9])
    }

    @Test(arguments: 1...5)
    func `running and unwritten deliveries are never more than its width`(width: Int) {
        var window = DeliveryWindow(width: width, bytesMax: 1000)
        let random = SeededRandom(UInt64(width))
        var running = 0
        var (ended, written) = (0, 0)
        for _ in 0..<1000 {
            if running > 0, random.next() % 2 == 0 {
                running -= 1
                ended += 1
                window.end(1)
                continue
            }
            if window.isFull(for: 1) { continue }
            if window.mustWrite {
                written = ended
                window.written = ended
                if window.mustWrite { continue }
            }
            window.begin(1)
            running += 1
            #expect(running + ended - written <= width)
        }
        #expect(ended > 300)
    }

    @Test func `a drain that ends takes none for running`() {
        var window = DeliveryWindow(width: 2, bytesMax: 10)
        window.begin(8)
        window.begin(2)
        window.endAll()
        #expect(window.running == 0)
        #expect(!window.isFull(for: 10))
    }
}
