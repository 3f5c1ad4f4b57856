@testable import Exporters
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite struct LetterOutcomeTests {
    /// With spans named `span-1.` and so on.
    private func letter(_ count: Int, cause: DeadLetter.Cause = .rejected) -> DeadLetter {
        let spans = (1...count).map { TestSpan(id: UInt8($0), name: "span-\($0).") }
        return DeadLetter(
            exporter: "otlp_http/a", pipeline: "traces", cause: cause, message: "no", signal: .traces,
            itemCount: count, tenant: "t", bytes: TestRequest.traces(spans))
    }

    private static func holdsFirst(_ bytes: [UInt8]) -> Bool {
        String(decoding: bytes, as: UTF8.self).contains("span-1.")
    }

    @Test(arguments: [(3, "it says \"old\""), (0, "it says \"slow down\""), (99, "")])
    func `a partial success leaves nothing to send`(rejected: Int, message: String) async {
        let exporter = ScriptedExporter { _ in .partial(rejected: rejected, message: message) }
        let outcome = await letter(10).deliver(to: exporter)
        #expect(outcome == .done(rejected: min(rejected, 10), message: message))
        let sent = exporter.batches.withLock { $0.count }
        #expect(sent == 1)
    }

    @Test func `a letter that is too large goes in halves, and the records that are too large stay`() async throws {
        let exporter = ScriptedExporter { $0.itemCount > 3 ? .tooLarge(reason: "HTTP 413") : .delivered }
        #expect(await letter(10).deliver(to: exporter) == .done(rejected: 0, message: ""))
        let sent = exporter.batches.withLock { $0 }
        #expect(sent.filter { $0.itemCount <= 3 }.reduce(0) { $0 + $1.itemCount } == 10)
        #expect(sent.allSatisfy { $0.tenant == "t" })

        let picky = ScriptedExporter { batch in
            if batch.itemCount > 1 { return .tooLarge(reason: "HTTP 413") }
            return Self.holdsFirst(batch.bytes) ? .tooLarge(reason: "HTTP 413") : .delivered
        }
        guard case .left(let left, message: "HTTP 413") = await letter(4).deliver(to: picky) else {
            Issue.record("nothing is left")
            return
        }
        #expect(left.map(\.itemCount) == [1] && left.first?.cause == .tooLarge && left.first?.tenant == "t")
        #expect(Self.holdsFirst(left.first?.bytes ?? []) && left.first?.exporter == "otlp_http/a")
    }

    @Test func `a letter of which nothing is taken stays as it is`() async {
        for refusal in [
            ExportOutcome.tooLarge(reason: "no"), .refusedTogether(message: "no"), .permanent(reason: "no"),
            .retry(reason: "no", after: nil), .refused(records: [0, 1, 2, 3], message: "no"),
        ] {
            let exporter = ScriptedExporter { _ in refusal }
            #expect(await letter(4).deliver(to: exporter) == .failed("no"), "\(refusal)")
        }
    }

    @Test func `what nobody has kept before stays with the reason, whole where nothing of it is taken`() async throws {
        let refusing = ScriptedExporter { _ in .tooLarge(reason: "HTTP 413") }
        let refused = await letter(4).attempt(at: refusing)
        let whole = try #require(refused.left.first)
        #expect(refused.tookNothing && refused.left.count == 1 && whole.bytes == letter(4).bytes)
        #expect(whole.cause == .tooLarge && whole.message == "HTTP 413" && refused.message == "HTTP 413")
        let untried = letter(4).untried("no such exporter")
        #expect(untried.tookNothing && untried.left.map(\.message) == ["no such exporter"])
        let taking = ScriptedExporter { _ in .partial(rejected: 1, message: "") }
        let taken = await letter(4).attempt(at: taking)
        #expect(!taken.tookNothing && taken.left.isEmpty && taken.rejected == 1)
    }

    @Test func `what a destination refuses by name stays, and so does the rest once it fails`() async throws {
        let naming = ScriptedExporter { _ in .refused(records: [1, 3], message: "odd") }
        guard case .left(let odd, message: "odd") = await letter(4).deliver(to: naming) else {
            Issue.record("nothing is left")
            return
        }
        #expect(odd.map(\.itemCount) == [2] && odd.allSatisfy { $0.cause == .rejected && $0.message == "odd" })

        let dying = ScriptedExporter { batch in
            if batch.itemCount == 8 { return .tooLarge(reason: "HTTP 413") }
            return Self.holdsFirst(batch.bytes) ? .delivered : .retry(reason: "HTTP 503", after: nil)
        }
        guard case .left(let rest, message: "HTTP 503") = await letter(8, cause: .tooLarge).deliver(to: dying) else {
            Issue.record("nothing is left")
            return
        }
        #expect(rest.map(\.itemCount) == [4] && rest.first?.cause == .tooLarge)
    }

    @Test func `what is left takes the place of a letter, and other drafts are not touched`() throws {
        let directory = TemporaryDirectory()
        let folder = DeadLetterFolder(path: DeadLetterFolder.root(directory.path) + "/otlp_http")
        #expect(folder.makeFolder() == nil)
        let old = try folder.write(letter(4), time: 77).get().id
        let other = try folder.write(letter(2), time: 78).get().id
        #expect(folder.replace(old, with: [letter(1), letter(3)]) == nil)
        let now = folder.list()
        #expect(now.map(\.itemCount).sorted() == [1, 2, 3])
        #expect(now.contains { $0.id == other } && !now.contains { $0.id == old })
        #expect(now.allSatisfy { $0.time < 100 && folder.read($0.id) != nil }, "they are as old as it was")
        #expect(folder.replace("../x", with: [letter(1)]) != nil && folder.list().count == 3)
    }
}
