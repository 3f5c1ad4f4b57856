import Configuration
import Exporters
import Foundation
import Journal
import Pipeline
import Synchronization
import Telemetry
import Testing

@testable import Gateway

/// What of a configuration stays when another one takes its place.
@Suite struct ReloadPlanTests {
    private func plan(_ text: String) throws -> GatewayPlan {
        let loaded = LoadedConfiguration.load([.text(name: "test", text)])
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        return loaded.plan
    }

    private func configuration(
        receiver: String = "{protocols: {http: {endpoint: \"127.0.0.1:0\"}}}", processors: String = "",
        telemetry: String = "{}", token: String = "one", pipelines: String = "traces"
    ) -> String {
        """
        receivers: {otlp: \(receiver)}
        processors: {attributes: {actions: [{key: a, value: b, action: insert}]}}
        exporters: {debug: {}}
        extensions: {bearertokenauth: {token: \(token)}}
        service:
          extensions: [bearertokenauth]
          telemetry: \(telemetry)
          pipelines: {\(pipelines): {receivers: [otlp], processors: [\(processors)], exporters: [debug]}}
        """
    }

    @Test func `a receiver is the same whatever stands behind it`() throws {
        let traits = try plan(configuration()).receiverTraits
        #expect(traits["otlp"] != nil)
        #expect(try plan(configuration(processors: "attributes")).receiverTraits == traits)
        #expect(try plan(configuration(token: "two")).receiverTraits == traits, "it does not ask for the token")
        let moved = "\n\n# elsewhere\n" + configuration()
        #expect(try plan(moved).receiverTraits == traits)
    }

    @Test func `a receiver is another one when anything differs that it is made from`() throws {
        let traits = try plan(configuration()).receiverTraits
        let secured = "{protocols: {http: {endpoint: \"127.0.0.1:0\", auth: {authenticator: bearertokenauth}}}}"
        let others = [
            configuration(receiver: "{protocols: {http: {endpoint: \"127.0.0.1:1\"}}}"),
            configuration(receiver: "{protocols: {http: {endpoint: \"127.0.0.1:0\"}, grpc: {}}}"),
            configuration(receiver: secured), configuration(receiver: secured, token: "two"),
            configuration(telemetry: "{logs: {level: debug}}"), configuration(pipelines: "logs"),
        ]
        let all = try others.map { try plan($0).receiverTraits } + [traits]
        #expect(Set(all.compactMap { $0["otlp"] }).count == all.count)
    }

    @Test func `a file that a receiver names and that changes makes it another one`() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "sluice-token-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("one".utf8).write(to: file)
        let node = ConfigNode(
            .scalar(ConfigScalar(text: file.path, value: .string, isPlain: true)), place: .nowhere)
        let before = node.traits(scalar: SystemFacts.fileTraits)
        #expect(node.traits(scalar: SystemFacts.fileTraits) == before)
        try Data("three".utf8).write(to: file)
        #expect(node.traits(scalar: SystemFacts.fileTraits) != before)
    }

    @Test func `parts are told by name when they come, go and change, with the files that they name`() throws {
        func outline(_ text: String) -> ConfigOutline {
            ConfigOutline(LoadedConfiguration.load([.text(name: "test", text)]).tree)
        }
        let before = outline(configuration())
        #expect(before.difference(to: outline("# the same\n" + configuration())) == ["changed": "nothing"])
        let text = configuration(processors: "attributes", token: "two")
            .replacingOccurrences(of: "exporters: {debug: {}}", with: "exporters: {debug: {}, file: {path: /tmp/x}}")
        #expect(
            before.difference(to: outline(text)) == [
                "added": "exporters.file", "changed": "extensions.bearertokenauth, pipelines.traces",
            ])
        let other = outline(configuration(telemetry: "{logs: {level: debug}}", pipelines: "traces/a"))
        #expect(
            before.difference(to: other) == [
                "added": "pipelines.traces/a", "removed": "pipelines.traces", "changed": "service.telemetry",
            ])
    }

    @Test func `warnings of before are not told again, wherever they stand now`() {
        func problems(_ text: String) -> ConfigProblems {
            LoadedConfiguration.load([.text(name: "test", text)]).problems
        }
        let before = problems(configuration())
        var after = problems("\n\n" + configuration())
        #expect(after.warnings.contains { $0.path == "processors.attributes" })
        after.removeWarnings(toldBy: problems(configuration(processors: "attributes")))
        #expect(after.warnings.contains { $0.path == "processors.attributes" })
        after.removeWarnings(toldBy: before)
        #expect(after.isEmpty, "\(after.report())")
    }

    @Test func `a counter that is registered again goes on from where it was`() {
        let first = SelfMetrics()
        first.counter("sent", "Sent.", [(name: "exporter", value: "a")]).add(3)
        let second = SelfMetrics(continuing: first)
        second.counter("sent", "Sent.", [(name: "exporter", value: "a")]).add(1)
        second.counter("sent", "Sent.", [(name: "exporter", value: "b")]).add(1)
        #expect(second.series.map { $0.read() } == [4, 1])
        // Some register when they count for the first time: what they counted before stays on the page.
        let third = SelfMetrics(continuing: second)
        #expect(third.series.map { $0.read() } == [4, 1])
        third.counter("sent", "Sent.", [(name: "exporter", value: "a")]).add(1)
        #expect(third.series.map { $0.read() } == [5, 1])
    }

    @Test func `at the end nobody waits for a delivery any more`() throws {
        let watch = DeliveryWatch(timeout: .seconds(600))
        let journal = MemoryJournal()
        let cursor = watch.watched(try journal.cursor(named: "a"), named: "a")
        let answers = Mutex<[Reception]>([])
        let frame = StoredFrame(
            sequence: Sequence(0), frame: Frame(header: FrameHeader(signal: .traces, itemCount: 5), bytes: [1]))
        func wait() { watch.wait(for: frame) { answer in answers.withLock { $0.append(answer) } } }
        wait()
        watch.turnAway()
        wait()
        cursor.acknowledge(before: Sequence(5))
        wait()
        let kinds = answers.withLock { $0.map { if case .refused(_, _, false) = $0 { "later" } else { "taken" } } }
        #expect(kinds == ["later", "later", "taken"])
    }

    @Test func `who is stored when nobody waits for deliveries any more is answered at once`() throws {
        let watch = DeliveryWatch(timeout: .seconds(600))
        let journal = MemoryJournal()
        _ = watch.watched(try journal.cursor(named: "a"), named: "a")
        let answers = Mutex<[Reception]>([])
        let frame = StoredFrame(
            sequence: Sequence(0), frame: Frame(header: FrameHeader(signal: .traces, itemCount: 5), bytes: [1]))
        watch.wait(for: frame) { answer in answers.withLock { $0.append(answer) } }
        #expect(answers.withLock { $0.isEmpty })
        watch.end()
        watch.wait(for: frame) { answer in answers.withLock { $0.append(answer) } }
        let taken = answers.withLock { $0.count { if case .taken = $0 { true } else { false } } }
        #expect(taken == 2)
    }

    @Test func `who waits for a delivery is answered by those who are still there`() throws {
        let watch = DeliveryWatch(timeout: .seconds(600))
        let journal = MemoryJournal()
        let old = watch.watched(try journal.cursor(named: "old"), named: "old")
        _ = watch.watched(try journal.cursor(named: "gone"), named: "gone")
        let answered = Atomic(0)
        let frame = StoredFrame(
            sequence: Sequence(0), frame: Frame(header: FrameHeader(signal: .traces, itemCount: 5), bytes: [1]))
        watch.wait(for: frame) { _ in answered.wrappingAdd(1, ordering: .relaxed) }
        old.acknowledge(before: Sequence(5))
        #expect(answered.load(ordering: .relaxed) == 0)
        watch.renew(timeout: .seconds(600))
        watch.retain(exporters: ["old", "new"])
        #expect(answered.load(ordering: .relaxed) == 1, "nobody waits for the one that left")
        let again = watch.watched(try journal.cursor(named: "old"), named: "old")
        watch.wait(for: frame) { _ in answered.wrappingAdd(1, ordering: .relaxed) }
        #expect(answered.load(ordering: .relaxed) == 2, "what it was done with it need not do again")
        again.acknowledge(before: Sequence(5))
        #expect(answered.load(ordering: .relaxed) == 2)
    }
}
