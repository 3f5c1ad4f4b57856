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
            for form in plant.forms { #expect(!after.contains(form), "\(plant) in \(after)") }
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

    @Test func `text around a find keeps its bytes`() throws {
        for plant in SecretCorpus.plants {
            let (after, _) = try redact(plant.text)
            let parts = plant.text.components(separatedBy: plant.secret)
            #expect(after.hasPrefix(parts[0].dropLast(1)), "\(after)")
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
