import Testing

@testable import Exporters

@Suite struct SpinGuardTests {
    @Test func `slows down what brings nothing about, and lets go when something does`() {
        var spin = SpinGuard()
        for _ in 0..<3 {
            #expect((0..<SpinGuard.roundsMax).allSatisfy { _ in spin.stood() == 0 })
            #expect((0..<10).allSatisfy { _ in spin.stood() == SpinGuard.pause })
            spin.moved()
            #expect(spin.stood() == 0)
            spin.moved()
        }
    }
}
