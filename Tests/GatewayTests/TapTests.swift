import Configuration
import Foundation
@testable import Gateway
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite struct TapTests {
    private func request(_ names: [String]) throws -> [UInt8] {
        let spans = names.map {
            "{\"traceId\":\"0123456789abcdef0123456789abcdef\",\"spanId\":\"0123456789abcdef\",\"name\":\"\($0)\"}"
        }
        var json = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}"
        var output = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
        }
        return [UInt8](output.bytes)
    }

    private func ask(_ hub: TapHub, _ query: String, isLocal: Bool = true) -> AdminAnswer {
        hub.answer(AdminRequest(uri: "/tap?\(query)", isLocal: isLocal))
    }

    @Test func `shows what comes between two questions, to each tap its own`() throws {
        let hub = TapHub(.processed)
        hub.offer(try request(["early"]), of: "traces", signal: .traces)
        #expect(ask(hub, "id=a").body.isEmpty)
        #expect(ask(hub, "id=b&pipeline=traces%2Fx").body.isEmpty)
        hub.offer(try request(["one"]), of: "traces", signal: .traces)
        hub.offer(try request(["two"]), of: "traces/x", signal: .traces)
        let all = ask(hub, "id=a").body
        #expect(all.split(separator: "\n").count == 2 && all.contains("one") && all.contains("two"))
        #expect(!all.contains("early"))
        let other = ask(hub, "id=b&pipeline=traces%2Fx").body
        #expect(other.contains("two") && !other.contains("one"))
        #expect(ask(hub, "id=a").body.isEmpty)
        let line = try #require(try JSONSerialization.jsonObject(with: Data(other.utf8)) as? [String: Any])
        #expect(line["pipeline"] as? String == "traces/x" && line["request"] is [String: Any])
    }

    @Test func `a condition leaves the records for which it holds`() throws {
        let hub = TapHub(.processed)
        let query = "id=a&where=name%20%3D%3D%20%22b%22%20or%20name%20%3D%3D%20%22c%22"
        #expect(ask(hub, query).body.isEmpty)
        hub.offer(try request(["a", "b", "c"]), of: "traces", signal: .traces)
        hub.offer(try request(["a"]), of: "traces", signal: .traces)
        let body = ask(hub, query).body
        #expect(body.split(separator: "\n").count == 1)
        #expect(body.contains("\"b\"") && body.contains("\"c\"") && !body.contains("\"a\""))
        #expect(ask(hub, "id=a&where=name%20%3D%3D").body.contains("span:"))
    }

    @Test func `raw data needs to be allowed, and nobody from elsewhere gets anything`() throws {
        #expect(ask(TapHub(.processed), "id=a&raw=1").body.contains("tap: raw"))
        #expect(ask(TapHub(.off), "id=a").body.contains("tap: off"))
        #expect(ask(TapHub(.raw), "id=a", isLocal: false).body.contains("this machine only"))
        #expect(ask(TapHub(.raw), "").body.contains("needs an id"))
        let hub = TapHub(.raw)
        #expect(ask(hub, "id=a&raw=1").body.isEmpty)
        let bytes = try request(["secret"])
        bytes.withUnsafeBytes { hub.offer(raw: Text($0), of: "traces", signal: .traces) }
        hub.offer(try request(["masked"]), of: "traces", signal: .traces)
        let body = ask(hub, "id=a&raw=1").body
        #expect(body.contains("secret") && !body.contains("masked"))
    }

    @Test func `a name that is not this machine's gets nothing, though its address is`() {
        let hub = TapHub(.processed)
        for host in ["rebound.example:8888", "127.0.0.1.example", "localhost.example", "a"] {
            let request = AdminRequest(uri: "/tap?id=a", isLocal: true, host: host)
            #expect(hub.answer(request).body.contains("this machine only"), "\(host)")
        }
        for host in ["localhost:8888", "LOCALHOST", "127.0.0.1:8888", "[::1]:8888", "app.localhost", nil] {
            #expect(hub.answer(AdminRequest(uri: "/tap?id=a", isLocal: true, host: host)).body.isEmpty, "\(host ?? "")")
        }
    }

    @Test func `a slow tap is told what it missed, and a silent one is forgotten`() throws {
        let clock = Mutex(0.0)
        let hub = TapHub(.processed, now: { clock.withLock { $0 } })
        _ = ask(hub, "id=a")
        let large = try request([String(repeating: "x", count: 900_000)])
        for _ in 0..<5 { hub.offer(large, of: "traces", signal: .traces) }
        let lines = ask(hub, "id=a").body.split(separator: "\n")
        #expect(lines.count == 3 && lines.first == "{\"skipped\":3}")
        for number in 0..<7 { #expect(ask(hub, "id=n\(number)").body.isEmpty) }
        #expect(ask(hub, "id=late").body.contains("taps already"))
        #expect(ask(hub, "id=n3&end=1").body.isEmpty)
        #expect(ask(hub, "id=late").body.isEmpty)
        #expect(ask(hub, "id=later").body.contains("taps already"))
        clock.withLock { $0 = 3 }
        #expect(ask(hub, "id=later").body.isEmpty)
        clock.withLock { $0 = 15 }
        for number in 10..<18 { #expect(ask(hub, "id=m\(number)").body.isEmpty) }
    }
}

@Suite struct DropLedgerTests {
    @Test func `remembers the last and forgets the oldest`() {
        let ledger = DropLedger(capacity: 3)
        for number in 0..<5 {
            ledger.add(
                DropEntry(
                    time: Double(number), pipeline: "p", processor: "f", rule: "r", traceID: "", spanID: "", count: 1))
        }
        #expect(ledger.entries.map(\.time) == [2, 3, 4])
        #expect(DropLedger.decode(Array(DropLedger.encode(ledger.entries).utf8)) == ledger.entries)
        #expect(DropLedger.decode(Array("no".utf8)) == nil)
    }

    @Test func `names what a connector handed to nobody, and counts what it does not name`() {
        let ledger = DropLedger()
        let book = DropLedger.Book(ledger: ledger, pipeline: "traces/in")
        let records = [DroppedRecord(traceID: [0x01, 0xAB], spanID: [0xFF]), DroppedRecord()]
        book.note(records, count: 10, by: "routing", rule: "unmatched")
        let entries = ledger.entries
        #expect(entries.map(\.count) == [1, 9] && entries.map(\.spanID) == ["ff", ""])
        #expect(entries[0].traceID == "01ab" && entries.allSatisfy { $0.rule == "unmatched" })
        #expect(entries.allSatisfy { $0.pipeline == "traces/in" && $0.processor == "routing" })
    }

    /// Takes out the spans whose name begins with a letter, under a rule of its own each.
    private struct Dropper: Processor {
        let letter: Character
        let counter = Counter()

        func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
            for index in batch.spans.indices where !batch.isRemoved(span: index) {
                let name = batch.text(batch.spans[index].name).string
                guard name.first == letter else { continue }
                batch.removeSpan(index)
                context.dropped(1, counter)
                context.dropping(index, by: name)
            }
        }
    }

    @Test func `names for each span the step and the rule, and counts what it does not name`() throws {
        let ledger = DropLedger()
        let chain = ProcessorChain(
            signal: .traces, steps: [Dropper(letter: "a"), Dropper(letter: "b")], names: ["first", "second"],
            ledger: DropLedger.Book(ledger: ledger, pipeline: "traces"))
        let names = ["a1", "b1", "c", "a2"] + (0..<100).map { "b\(100 + $0)" }
        let spans = names.enumerated().map { index, name in
            "{\"traceId\":\"0123456789abcdef0123456789abcdef\",\"spanId\":\"00000000000000\(10 + index % 90)\","
                + "\"name\":\"\(name)\"}"
        }
        var json = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}"
        var wire = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &wire)
        }
        var summary = ReadSummary()
        let result = chain.prepare(wire.text, origin: RequestOrigin(), keys: .empty, Workspace(), &summary)
        guard case .frame(let frame, 103) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(frame.header.itemCount == 1)
        let entries = ledger.entries
        #expect(entries.prefix(2).map(\.rule) == ["a1", "a2"])
        #expect(entries.prefix(2).allSatisfy { $0.processor == "first" })
        #expect(entries[2].rule == "b1" && entries[2].processor == "second" && entries[2].spanID == "0000000000000011")
        #expect(entries.reduce(0) { $0 + $1.count } == 103)
        #expect(entries.count == 2 + 64 + 1 && entries.last?.count == 37)
    }
}
