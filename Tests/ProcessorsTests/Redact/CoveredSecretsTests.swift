import Foundation
import Processors
import Telemetry
import Testing

@testable import Processors

/// Secrets that something covers: characters without width, words before them, base64.
@Suite struct CoveredSecretsTests {
    @Test(arguments: ["\u{200B}", "\u{200C}", "\u{200D}", "\u{2060}", "\u{FEFF}"])
    func `a character without width hides nothing, and goes with what it hid only`(sign: String) throws {
        let before = "the\(sign) key A\(sign)KIAIOSFODNN7EX\(sign)AMPLE of j\(sign)o@example.c\(sign)om, and 1\(sign)2"
        let after = "the\(sign) key [REDACTED:AWS_KEY] of [REDACTED:EMAIL], and 1\(sign)2"
        #expect(try redact(before).text == after)
        #expect(try redact(after).text == after)
        let json = "{\"a\":[\"\(before)\",1]}"
        #expect(try redact(json).text == "{\"a\":[\"\(after)\",1]}")
    }

    @Test(arguments: [
        "xAKIAIOSFODNN7EXAMPLE", "key_AKIAIOSFODNN7EXAMPLE", "tokenghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "my_glpat-abcDEF123456ghiJKL789", "envsk_live_4eC39HqLyjWDarjtT1zdp7dc",
    ]) func `a key of an unmistakable shape is found behind a letter or underscore`(text: String) throws {
        let after = try redact("set \(text) now").text
        #expect(after.contains("[REDACTED:") && after.hasSuffix(" now"), "\(after)")
        #expect(!after.contains(text.suffix(12)), "\(after)")
    }

    @Test(arguments: [
        "xAKIAIOSFODNN7EXAMPLEAGAIN", "MAKIAIOSFODNN7EXAMPLE", "backpackghp_the_quick_brown_fox_jumps_over",
        "cachekey-5d41402abc4b2a76b9719d911017c592", "monkey_AKIA_was_here",
        "task_npm_run_build_and_test_everything_now",
    ]) func `what only looks like one stays`(text: String) throws {
        #expect(try redact("set \(text) now").text == "set \(text) now")
    }

    static let glued: [(String, String)] = [
        ("ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a", "GITHUB_TOKEN"),
        ("sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc", "STRIPE_KEY"),
        ("dop_v1_" + String(repeating: "0a", count: 32), "API_KEY"),
    ]

    @Test(arguments: glued) func `a key right behind another one is masked too`(key: String, name: String) throws {
        let mask = "[REDACTED:\(name)]"
        #expect(try redact("of \(key)\(key) now").text == "of \(mask)\(mask) now")
        #expect(try redact("of \(key)\(key)\(key)").text == "of \(mask)\(mask)\(mask)")
        let mixed = try redact("\(key)ghp_" + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-x").text
        #expect(mixed == "\(mask)[REDACTED:GITHUB_TOKEN]-x")
    }

    @Test func `base64 of text that holds a secret is masked whole, where that is asked for`() throws {
        for plant in SecretCorpus.plants {
            let data = Data("the text: \(plant.text), that was it".utf8)
            let url = data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
                .replacing("=", with: "")
            for token in [data.base64EncodedString(), url] {
                let before = "{\"data\":\"\(token)\",\"n\":1}"
                let (after, found) = try redact(before, decodesBase64: true)
                #expect(!after.contains(token.prefix(20)) && after.hasSuffix(",\"n\":1}"), "\(plant): \(after)")
                #expect(!found.isEmpty)
            }
        }
    }

    @Test func `base64 of what is clean, short or no text stays`() throws {
        var texts = SecretCorpus.lookalikes.map { Data($0.utf8).base64EncodedString() }
        texts.append(Data((0..<600).map { UInt8(truncatingIfNeeded: $0 &* 37) }).base64EncodedString())
        texts.append(Data("jo@example.com".utf8).base64EncodedString())
        texts.append("/usr/share/applications/thing/somewhere/else")
        for text in texts {
            let before = "data \(text) end"
            let plain = try redact(before).text
            #expect(try redact(before, decodesBase64: true).text == plain)
        }
        let mail = Data("please write to jo@example.com".utf8).base64EncodedString()
        #expect(try redact(mail).text == mail)
    }
}
