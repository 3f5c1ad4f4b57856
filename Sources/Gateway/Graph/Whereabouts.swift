package import Exporters
import Journal
import Pipeline

/// Where a trace is: what each exporter has done with it, as far as journals and dead letters tell.
package enum Whereabouts {
    /// What one exporter did with the requests of one pipeline that hold the trace.
    package struct Fate: Sendable, Codable, Equatable {
        package var pipeline: String
        package var exporter: String
        /// Requests that it has delivered or given up.
        package var done: Int
        /// Requests that it still has to deliver.
        package var waiting: Int
        /// Unix seconds of the newest record in these requests; nil when it is not known.
        package var newest: Int?
        /// What became of requests that are done, and of how many, as far as the running gateway remembers it.
        package var outcomes: [String: Int] = [:]
        /// Where the requests that are done stand in the journal.
        var places: [Range<UInt64>] = []
        /// No exporter: what is done was gathered into whole traces and stands in the exporters' journal, or was
        /// sampled away.
        package var isGathering = false

        /// Of one request no more ways in which its parts ended are told.
        private static let textsMax = 3

        private enum CodingKeys: CodingKey { case pipeline, exporter, done, waiting, newest, outcomes }

        /// Adds what a running gateway remembers.
        mutating func tell(_ runs: [RecentOutcomes.Run]) {
            for place in places {
                var texts: [String] = []
                for run in runs where run.touches(place) && !texts.contains(run.text) && texts.count < Self.textsMax {
                    texts.append(run.text)
                }
                if !texts.isEmpty { outcomes[texts.joined(separator: "; "), default: 0] += 1 }
            }
        }

        /// Whether something of them was kept as a dead letter, as far as the running gateway remembers it.
        package var hadLetters: Bool {
            let refused = RecentOutcomes.refusedForGood
            return outcomes.keys.contains {
                $0.contains(refused) && !$0.contains(refused + RecentOutcomes.notKept)
            }
        }

        /// Requests that are done in a way that nobody remembers.
        package var forgotten: Int { isGathering ? 0 : max(0, done - outcomes.values.reduce(0, +)) }
    }

    /// A dead letter that holds the trace.
    package struct Letter: Sendable, Codable, Equatable {
        package var id: String
        package var exporter: String
        package var pipeline: String
        package var cause: String
        package var message: String
    }

    package struct Answer: Sendable, Codable, Equatable {
        package var fates: [Fate] = []
        package var letters: [Letter] = []
        /// Pipelines whose queues are in memory, which nobody can look into.
        package var inMemory: [String] = []

        /// Adds what a running gateway remembers of the requests that are done.
        package mutating func tell(_ all: [ExporterOutcomes]) {
            for index in fates.indices {
                let fate = fates[index]
                let known = all.first { $0.exporter == fate.exporter && $0.pipeline == fate.pipeline }
                fates[index].tell(known?.runs ?? [])
            }
        }

        package var isEmpty: Bool { fates.isEmpty && letters.isEmpty }
    }

    /// The sixteen bytes of an id in 32 hexadecimal digits; nil for anything else.
    package static func traceID(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count == 32 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: 32, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16),
                digits[index] != UInt8(ascii: "+")
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    /// Looks through the journals of a plan and the dead letters of a data directory. A gateway may be running there.
    package static func find(_ trace: [UInt8], _ plan: GatewayPlan, dataDirectory: String) throws -> Answer {
        var answer = Answer()
        answer.inMemory = plan.pipelines.filter { $0.storage == nil }.map(\.id)
        for place in try plan.readableJournals() {
            add(try JournalSearch.find(trace, in: place.directory), place, to: &answer)
        }
        if let refusal = DeadLetterFolder.refusal(dataDirectory) { throw PayloadFile.Fault(description: refusal) }
        for folder in DeadLetterFolder.all(dataDirectory) {
            for entry in folder.list() {
                guard let letter = folder.read(entry.id), JournalSearch.holds(letter.bytes, trace) else { continue }
                answer.letters.append(
                    Letter(
                        id: entry.id, exporter: entry.exporter, pipeline: entry.pipeline, cause: entry.cause.rawValue,
                        message: entry.message))
            }
        }
        return answer
    }

    static func add(_ found: JournalSearch.Found, _ place: JournalPlace, to answer: inout Answer) {
        guard let newest = found.hits.map(\.maxTime).max() else { return }
        for exporter in found.cursors {
            let done = found.hits.filter { found.isDone($0, by: exporter) }
            let isGathering = place.readers[exporter] == TraceStage.readerName
            answer.fates.append(
                Fate(
                    pipeline: place.title, exporter: isGathering ? TraceStage.readerName : exporter,
                    done: done.count, waiting: found.hits.count - done.count,
                    newest: newest > 0 ? Int(newest / 1_000_000_000) : nil,
                    places: done.map { $0.sequence.value..<$0.end.value }, isGathering: isGathering))
        }
    }
}
