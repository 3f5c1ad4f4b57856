import Foundation
import Processors
import Telemetry
import Testing

@testable import Processors

/// Every planted secret in every wrapping, on the text walk alone.
@Suite struct PlantedTextTests {
    @Test func `the corpus has at least forty shapes and as many look-alikes, and a plant for every detector`() {
        #expect(SecretCorpus.plants.count >= 40)
        #expect(SecretCorpus.lookalikes.count >= SecretCorpus.plants.count)
        #expect(Set(SecretCorpus.plants.map(\.detector)) == Set(Detector.allCases))
        #expect(Detector.allCases.count >= 25)
    }

    @Test(arguments: Wrapping.allCases)
    func `no planted secret is left in any form`(wrapping: Wrapping) throws {
        for plant in SecretCorpus.plants {
            let before = wrapping.wrap(plant.text)
            let (after, found) = try redact(before)
            for form in plant.forms + [wrapping.form(of: plant.secret)] {
                #expect(!after.contains(form), "\(plant) in \(after)")
            }
            #expect(found.contains(plant.detector), "\(plant): \(found) in \(after)")
            if wrapping.isJSON { expectSameJSON(before, after) }
        }
    }

    @Test(arguments: Wrapping.allCases)
    func `no look-alike is touched`(wrapping: Wrapping) throws {
        for text in SecretCorpus.lookalikes {
            let before = wrapping.wrap(text)
            let (after, found) = try redact(before)
            #expect(after == before, "\(found)")
        }
    }

    @Test func `members whose names are secrets stay members`() throws {
        let before = #"{"a@example.com":1,"b@example.com":{"c@example.com":2},"x":[{"d@example.com":3}]}"#
        let once = try redact(before).text
        let after = #"{"E":1,"E#2":{"E#3":2},"x":[{"E#4":3}]}"#.replacing("E", with: "[REDACTED:EMAIL]")
        #expect(once == after)
        #expect(try redact(once).text == once)
        let nested = try redact("{\"arguments\":\"\(jsonEscaped(before))\"}").text
        #expect(nested.contains(#"[REDACTED:EMAIL]#2\":{"#))
        // Pseudonyms differ by themselves.
        let hashed = try redact(before, mask: Mask(pseudonymKey: [1, 2, 3])).text
        #expect(!hashed.contains("#") && !hashed.contains("@"))
    }

    @Test func `only the address goes from a sentence in any script`() throws {
        let sentences = [
            ("请联系jo@example.com谢谢", "请联系*谢谢"), ("„jo@example.com“ schrieb", "„*“ schrieb"),
            ("写给用户@例子.公司。谢谢", "*。谢谢"), ("à jörg@exämple.com, à", "à *, à"),
            ("а иван@пример.рф, б", "а *, б"), ("mail\u{A0}jo@example.com…", "mail\u{A0}*…"),
            ("„@example.com“ und é@é", "„@example.com“ und é@é"),
        ]
        for (before, after) in sentences {
            #expect(try redact(before).text == after.replacing("*", with: "[REDACTED:EMAIL]"))
        }
    }

    @Test func `text around a find keeps its bytes`() throws {
        for plant in SecretCorpus.plants {
            let (after, _) = try redact(plant.text)
            let parts = plant.text.components(separatedBy: plant.secret)
            // The plus of a phone number goes with it, as it stands or escaped.
            let kept = parts[0].dropLast(parts[0].hasSuffix("%2B") ? 3 : 1)
            #expect(after.hasPrefix(kept), "\(after)")
            #expect(after.hasSuffix(parts[1]), "\(after)")
        }
    }

    @Test func `redacting twice changes nothing more`() throws {
        for plant in SecretCorpus.plants {
            for wrapping in Wrapping.allCases {
                let once = try redact(wrapping.wrap(plant.text)).text
                #expect(try redact(once).text == once)
            }
        }
    }

    /// Same types in the same places, other strings allowed to differ.
    private func expectSameJSON(_ before: String, _ after: String) {
        func parse(_ text: String) -> Any? {
            try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
        }
        guard let old = parse(before), let new = parse(after) else {
            Issue.record("no JSON: \(after)")
            return
        }
        #expect(shape(old) == shape(new), "\(after)")
    }

    private func shape(_ value: Any) -> String {
        switch value {
        case let list as [Any]: "[" + list.map(shape).joined(separator: ",") + "]"
        case let map as [String: Any]:
            "{"
                + map.map { key, value in
                    ["role", "type", "id", "n"].contains(key) ? "\(key)=\(value)" : "?:" + shape(value)
                }.sorted().joined(separator: ",") + "}"
        case is String: "text"
        default: "\(value)"
        }
    }
}
