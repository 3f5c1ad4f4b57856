import Configuration
import Testing

struct ScalarResolverTests {
    @Test func `resolves by the core schema`() {
        for text in ["", "~", "null", "Null", "NULL"] { #expect(ScalarResolver.resolve(text) == .null) }
        for text in ["true", "True", "TRUE"] { #expect(ScalarResolver.resolve(text) == .bool(true)) }
        for text in ["false", "False", "FALSE"] { #expect(ScalarResolver.resolve(text) == .bool(false)) }
        for (text, number) in [("0", 0), ("-7", -7), ("+7", 7), ("007", 7), ("0x1F", 31), ("0o17", 15)] {
            #expect(ScalarResolver.resolve(text) == .int(number), "\(text)")
        }
        for (text, number) in [
            ("1.5", 1.5), ("-.5", -0.5), ("1e3", 1000), ("1.", 1), ("1.e2", 100), ("2E-1", 0.2),
            ("9223372036854775808", 9_223_372_036_854_775_808), (".inf", .infinity), ("-.Inf", -.infinity),
        ] {
            #expect(ScalarResolver.resolve(text) == .double(number), "\(text)")
        }
    }

    @Test func `digits may be grouped, as the Collector's files have them`() {
        #expect(ScalarResolver.resolve("100_000") == .int(100_000))
        #expect(ScalarResolver.resolve("-1_000_000") == .int(-1_000_000))
    }

    /// What `confmap` tests of the Collector's reader: digits behind a zero are octal, unless one of them is none.
    @Test func `a zero in front makes octal, as in the Collector`() {
        for (text, number) in [
            ("0123", 83), ("010", 8), ("-010", -8), ("0b101", 5), ("0xdeadbeef", 3_735_928_559), ("-0x1f", -31),
        ] {
            #expect(ScalarResolver.resolve(text) == .int(number), "\(text)")
        }
        #expect(ScalarResolver.resolve("0.5") == .double(0.5))
        #expect(ScalarResolver.resolve("00.5") == .double(0.5))
        #expect(ScalarResolver.resolve("089") == .double(89))
    }

    @Test(arguments: [
        "yes", "no", "on", "off", "tRUE", "nul", "1__000", "_1", "1_", "1_0.5", "_",
        "0x", "0xZZ", "0x-1", "0o8", "0b2", "0b", "1.2.3", "e3", "1e", "1e+",
        ".", "-", "+", "--1", "1 2", "127.0.0.1", "12:30", "+-1", ".e1", "infinity", "nan", "0x1p3", "1a",
    ])
    func `everything else is a string`(text: String) {
        #expect(ScalarResolver.resolve(text) == .string)
    }
}
