import Configuration
import Testing

struct ByteSizeTextTests {
    @Test func `reads decimal and binary units in any case`() {
        #expect(ByteSizeText.parse("512") == 512)
        #expect(ByteSizeText.parse("512b") == 512)
        #expect(ByteSizeText.parse("4 MB") == 4_000_000)
        #expect(ByteSizeText.parse("64MiB") == 64 << 20)
        #expect(ByteSizeText.parse("64mib") == 64 << 20)
        #expect(ByteSizeText.parse("1.5GiB") == 3 << 29)
        #expect(ByteSizeText.parse(".5KB") == 500)
        #expect(ByteSizeText.parse("2TiB") == 2 << 40)
    }

    @Test(arguments: ["", "MB", "-1", "1XB", "1.2.3MB", "0x10", "1 M B", "8388608TiB", "99999999999999999999", "9.3e3"])
    func `refuses what is no size`(text: String) {
        #expect(ByteSizeText.parse(text) == nil)
    }

    @Test func `writes the largest unit that divides the count`() {
        #expect(ByteSizeText.format(64 << 20) == "64MiB")
        #expect(ByteSizeText.format(1500) == "1500")
        #expect(ByteSizeText.format(0) == "0")
    }
}
