import Testing

@testable import Receivers

@Suite struct DescriptorRoomTests {
    @Test func `a process that can serve nobody says how many files it may have open`() throws {
        let text = try #require(DescriptorRoom.shortage(left: DescriptorRoom.kept, of: 40))
        #expect(text.contains("of the 40 files that this process may have open 16 are left"))
        #expect(DescriptorRoom.shortage(left: 0, of: 40) != nil)
        #expect(DescriptorRoom.shortage(left: DescriptorRoom.kept + 1, of: 40) == nil)
        #expect(DescriptorRoom.shortage == nil)
    }
}
