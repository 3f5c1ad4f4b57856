import Configuration
import Pipeline
import Processors
import Telemetry
import Testing

/// Every planted secret at every place of a request, through reader, processor and writer.
@Suite struct PlantedRequestTests {
    private func run(_ place: Place, _ request: [UInt8], _ text: String) throws -> [UInt8] {
        var bench = Bench()
        var build = bench.build(place.signal)
        let (options, headlines) = options(RedactionOptions.self, text)
        #expect(headlines == [])
        let processor = RedactionProcessor(options: options, build: &build)
        return try Bench.run(processor, build, request).bytes
    }

    private static let all = "{allow_all_keys: true, detectors: all}"

    @Test(arguments: Place.allCases)
    func `nothing planted is left in the bytes that go on`(place: Place) throws {
        for plant in SecretCorpus.plants {
            for wrapping in [Wrapping.plain, .json, .unicodeInJSON] {
                let after = try run(place, place.request(wrapping.wrap(plant.text)), Self.all)
                for form in plant.forms {
                    #expect(!after.contains(form), "\(plant), \(wrapping) at \(place)")
                }
                #expect(after.contains("[REDACTED:"), "\(plant), \(wrapping) at \(place)")
            }
        }
    }

    @Test(arguments: Place.allCases)
    func `look-alikes leave as the very bytes that came`(place: Place) throws {
        for text in SecretCorpus.lookalikes {
            for wrapping in [Wrapping.plain, .json] {
                let before = place.request(wrapping.wrap(text))
                #expect(try run(place, before, Self.all) == before, "\(text) at \(place)")
            }
        }
    }

    @Test(arguments: Place.allCases)
    func `neighbours of what is masked stay`(place: Place) throws {
        let after = try run(place, place.request("write to jo@example.com"), Self.all)
        let marks: [Place: [String]] = [
            .spanAttribute: ["other", "stays"], .spanAttributeKey: ["\u{18}\u{01}"],
            .spanArray: ["stays", "\u{18}\u{07}"],
            .spanMap: ["\u{10}\u{01}"], .gaugeExemplar: ["stays"], .statusMessage: ["\u{18}\u{02}"],
        ]
        for mark in marks[place] ?? [] { #expect(after.contains(mark), "\(mark)") }
        #expect(after.contains("write to [REDACTED:EMAIL]"))
    }

    @Test(arguments: Place.allCases)
    func `a dry run changes no byte and counts all the same`(place: Place) throws {
        var bench = Bench()
        var build = bench.build(place.signal)
        let rules = "{allow_all_keys: true, detectors: all, dry_run: true, summary: debug}"
        let read = options(RedactionOptions.self, rules)
        #expect(read.headlines == [])
        let processor = RedactionProcessor(options: read.options, build: &build)
        for plant in SecretCorpus.plants {
            let before = place.request(plant.text)
            #expect(try Bench.run(processor, build, before).bytes == before)
        }
        let counts = bench.metrics.series.filter {
            $0.name == "sluice_redaction_matches_total" && $0.labels.contains { $0 == ("dry_run", "true") }
        }
        let found = Set(counts.filter { $0.read() > 0 }.compactMap { $0.labels.first { $0.name == "detector" }?.value })
        #expect(found.isSuperset(of: SecretCorpus.plants.map(\.detector.rawValue)))
    }
}
