import FoundationEssentials
package import Pipeline
import Synchronization

/// How the latest requests of one exporter ended, by their place in the journal. What ended alike is one run, so all
/// that was delivered without a fault in between takes one. Bounded: the oldest runs go. A value without effects.
package struct RecentOutcomes: Sendable {
    /// Sequences `start` ..< `end`.
    package struct Run: Sendable, Codable, Equatable {
        package var start: UInt64
        package var end: UInt64
        package var text: String

        /// Whether it is about some of the records.
        package func touches(_ range: Range<UInt64>) -> Bool { start < range.upperBound && range.lowerBound < end }
    }

    package static let runsMax = 1_024
    /// What the texts say of records that a destination never takes, and behind it of those of which no letter is kept.
    package static let refusedForGood = "refused for good"
    package static let notKept = " and not kept"
    /// Longest text in characters.
    static let textMax = 300

    /// By rising start.
    package private(set) var runs: [Run] = []

    package init() {}

    /// Notes how the records of a request, or of a part of it, ended.
    package mutating func add(_ frame: Range<Sequence>, _ text: String) {
        if let last = runs.indices.last, runs[last].end == frame.lowerBound.value, runs[last].text == text {
            // As usual: in order, and as what came before.
            runs[last].end = frame.upperBound.value
            return
        }
        var new = Run(
            start: frame.lowerBound.value, end: frame.upperBound.value, text: String(text.prefix(Self.textMax)))
        var index = firstIndex(startingAfter: new.start)
        if index > 0, runs[index - 1].text == new.text, runs[index - 1].end >= new.start {
            index -= 1
            new.start = runs[index].start
            new.end = max(new.end, runs[index].end)
            runs.remove(at: index)
        }
        while index < runs.count, runs[index].start <= new.end, runs[index].text == new.text {
            new.end = max(new.end, runs[index].end)
            runs.remove(at: index)
        }
        runs.insert(new, at: index)
        if runs.count > Self.runsMax { runs.removeFirst() }
    }

    private func firstIndex(startingAfter start: UInt64) -> Int {
        var (low, high) = (0, runs.count)
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].start <= start { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// What `/outcomes` of the metrics listener tells of one exporter in one pipeline.
package struct ExporterOutcomes: Sendable, Codable, Equatable {
    package var exporter: String
    package var pipeline: String
    package var runs: [RecentOutcomes.Run]

    package init(exporter: String, pipeline: String, runs: [RecentOutcomes.Run]) {
        self.exporter = exporter
        self.pipeline = pipeline
        self.runs = runs
    }

    /// A JSON array.
    package static func encode(_ all: [ExporterOutcomes]) -> String {
        (try? JSONEncoder().encode(all)).map { String(decoding: $0, as: UTF8.self) } ?? "[]"
    }

    /// Reads what `encode` wrote, nil for anything else.
    package static func decode(_ bytes: [UInt8]) -> [ExporterOutcomes]? {
        try? JSONDecoder().decode([ExporterOutcomes].self, from: Data(bytes))
    }
}

extension ExportWorker {
    /// How its latest requests ended; empty for a journal that nobody can look into.
    package var outcomes: ExporterOutcomes {
        ExporterOutcomes(
            exporter: setup.exporterID, pipeline: setup.pipelineID, runs: state.withLock { $0.outcomes.runs })
    }
}
