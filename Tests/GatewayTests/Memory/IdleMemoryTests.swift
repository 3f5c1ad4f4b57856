import Testing

@testable import Gateway

@Suite struct IdleMemoryTests {
    @Test func `memory goes back once when a burst is over`() {
        var memory = IdleMemory()
        func look(_ mebibytes: UInt64, reserved: Int = 0) -> Bool {
            memory.givesBack(released: mebibytes << 20, reserved: reserved << 20)
        }
        #expect(!look(0) && !look(40) && !look(40), "too little to look for")
        #expect(!look(400), "it comes in still")
        #expect(!look(400, reserved: 5), "and is in memory")
        #expect(look(401))
        #expect(!look(401) && !look(401))
        #expect(!look(460) && !look(460), "too little since")
        #expect(!look(480) && look(480))
    }
}
