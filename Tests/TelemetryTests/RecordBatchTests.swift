import OTLP
import Telemetry
import TestSupport
import Testing

/// A batch of two spans in one scope, with an event and a link on the first.
private struct World {
    let old: KeyID
    let new: KeyID
    let other: KeyID
    let keys: KeyTable

    init() {
        var builder = KeyTable.Builder()
        old = builder.intern("llm.model")
        new = builder.intern("gen_ai.request.model")
        other = builder.intern("other")
        keys = builder.build()
    }

    static func span(_ id: UInt8) -> [UInt8] {
        WireBytes.build {
            $0.ids(span: id)
            $0.text(5, "chat")
            $0.attribute(9, "llm.model", "m\(id)")
            $0.attribute(9, "unknown.key", "u")
            $0.attribute(9, "llm.model", "again")
            if id == 1 {
                $0.message(11) {
                    $0.text(2, "event")
                    $0.attribute(3, "llm.model", "e")
                }
                $0.message(13) {
                    $0.ids(trace: 7, span: 7)
                    $0.attribute(4, "llm.model", "l")
                }
                $0.message(15) { $0.text(2, "it failed") }
            }
        }
    }

    static let request = WireBytes.request(
        resource: { $0.attribute(1, "service.name", "agent") }, scope: { $0.attribute(3, "llm.model", "s") },
        records: [span(1), span(2)])

    /// Runs `use` on the batch and returns what is written afterwards.
    @discardableResult
    func run(_ use: (inout RecordBatch) -> Void) throws -> OracleMessage {
        let bytes = try Rewriting.rewrite(Self.request, .traces, keys: keys, use)
        return try #require(OracleMessage.decode(bytes, .request(.traces)))
    }

    static func spans(_ request: OracleMessage) -> [OracleMessage] {
        request.messages(1).flatMap { $0.messages(2) }.flatMap { $0.messages(2) }
    }

    static func keys(_ span: OracleMessage) -> [String] {
        span.messages(9).map { String(decoding: $0.bytes(1), as: UTF8.self) }
    }
}

@Suite struct `Attributes of a batch` {
    private let world = World()

    @Test func `the last of several equal keys is found`() throws {
        try world.run { batch in
            let set = batch.spans[0].set
            let index = batch.find(world.old, in: set)
            #expect(index == batch.range(of: set).upperBound - 1)
            #expect(batch.find(name: Text("unknown.key"), in: set) == batch.range(of: set).lowerBound + 1)
            #expect(batch.string(world.old, in: set)?.string == "again")
            #expect(batch.find(world.new, in: set) == nil)
            #expect(batch.find(name: Text("missing"), in: set) == nil)
        }
    }

    @Test func `renaming keeps value and place`() throws {
        let request = try world.run { batch in
            let set = batch.spans[0].set
            batch.rename(at: batch.range(of: set).lowerBound, to: world.new, in: set)
            #expect(batch.summary(set) == ["gen_ai.request.model=m1", "unknown.key=u", "llm.model=again"])
            #expect(batch.find(world.new, in: set) == batch.range(of: set).lowerBound)
        }
        let spans = World.spans(request)
        #expect(World.keys(spans[0]) == ["gen_ai.request.model", "unknown.key", "llm.model"])
        #expect(spans[0].messages(9)[0].messages(2)[0].bytes(1) == Array("m1".utf8))
        #expect(World.keys(spans[1]) == ["llm.model", "unknown.key", "llm.model"])
    }

    @Test func `an upsert replaces the last attribute with the key, or appends one`() throws {
        let request = try world.run { batch in
            let set = batch.spans[1].set
            batch.upsert(world.old, .int(-5), in: set)
            batch.upsert(world.other, .bool(true), in: set)
            batch.upsert(world.other, .double(0.5), in: set)
            #expect(batch.summary(set) == ["llm.model=m2", "unknown.key=u", "llm.model=-5", "other=0.5"])
        }
        let pairs = World.spans(request)[1].messages(9)
        #expect(pairs[2].messages(2)[0].number(3) == UInt64(bitPattern: -5))
        #expect(pairs[3].messages(2)[0].number(4) == 0.5.bitPattern)
    }

    @Test func `appending moves a run to the end once and leaves the other runs alone`() throws {
        let request = try world.run { batch in
            let first = batch.spans[0].set
            let second = batch.spans[1].set
            for round in 0..<3 {
                batch.append(world.new, .string(batch.addText(Text("a"))), to: first)
                batch.append(world.other, .int(Int64(round)), to: second)
            }
            let start = ["llm.model=m1", "unknown.key=u", "llm.model=again"]
            #expect(batch.summary(first) == start + [String](repeating: "gen_ai.request.model=a", count: 3))
            #expect(batch.summary(second).suffix(3) == ["other=0", "other=1", "other=2"])
            #expect(batch.summary(batch.events[0].set) == ["llm.model=e"])
        }
        #expect(World.spans(request).map { $0.messages(9).count } == [6, 6])
    }

    @Test func `removing closes the gap`() throws {
        let request = try world.run { batch in
            let set = batch.spans[0].set
            batch.remove(at: batch.range(of: set).lowerBound, from: set)
            #expect(batch.summary(set) == ["unknown.key=u", "llm.model=again"])
            batch.remove(at: batch.range(of: set).upperBound - 1, from: set)
            batch.remove(at: batch.range(of: set).lowerBound, from: set)
            #expect(batch.range(of: set).isEmpty)
        }
        #expect(World.spans(request).map { $0.messages(9).count } == [0, 3])
    }

    @Test func `an edit marks the owner and what is above it, and nothing beside it`() throws {
        try world.run { batch in
            let wasEdited = batch.isEdited
            #expect(!wasEdited)
            let set = batch.events[0].set
            batch.setValue(.int(1), at: batch.range(of: set).lowerBound, in: set)
            let isEdited = batch.isEdited
            #expect(isEdited)
            #expect(batch.events[0].edits == .attributes)
            #expect(batch.spans[0].edits == .events)
            #expect(batch.spans[1].edits.isEmpty)
            #expect(batch.links[0].edits.isEmpty)
            #expect(batch.scopes[0].edits == .children)
            #expect(batch.resources[0].edits == .children)
        }
    }
}

@Suite struct `Records of a batch` {
    private let world = World()

    @Test func `a removed span is not written and counts once`() throws {
        let request = try world.run { batch in
            #expect(batch.liveCount == 2)
            batch.removeSpan(0)
            batch.removeSpan(0)
            #expect(batch.liveCount == 1)
            #expect(batch.isRemoved(span: 0) && !batch.isRemoved(span: 1))
            #expect(batch.recordCount == 2)
        }
        #expect(World.spans(request).map { $0.bytes(2).first } == [2])
    }

    @Test func `nothing is written when no span is left`() throws {
        let bytes = try Rewriting.rewrite(World.request, .traces) { batch in
            batch.removeSpan(0)
            batch.removeSpan(1)
        }
        #expect(bytes.isEmpty)
    }

    @Test func `name, status message and trace state are replaced, or added where there was none`() throws {
        let request = try world.run { batch in
            for span in 0..<2 {
                batch.setName(batch.addText(Text("renamed")), ofSpan: span)
                batch.setStatusMessage(batch.addText(Text("masked")), ofSpan: span)
                batch.setTraceState(batch.addText(Text("ot=th:8")), ofSpan: span)
            }
            batch.setName(batch.addText(Text("event 2")), ofEvent: 0)
        }
        for span in World.spans(request) {
            #expect(span.bytes(5) == Array("renamed".utf8))
            #expect(span.messages(15)[0].bytes(2) == Array("masked".utf8))
            #expect(span.bytes(3) == Array("ot=th:8".utf8))
        }
        #expect(World.spans(request)[0].messages(11)[0].bytes(2) == Array("event 2".utf8))
        #expect(World.spans(request)[0].messages(13).count == 1)
    }

    @Test func `a log's body is replaced by a value of another kind`() throws {
        let log = WireBytes.build { log in
            log.message(5) { $0.text(1, "secret") }
            log.fixed64(1, 5)
        }
        let bytes = try Rewriting.rewrite(WireBytes.request(records: [log, log]), .logs) { batch in
            batch.setBody(.int(7), ofLog: 0)
            batch.removeLog(1)
            #expect(batch.liveCount == 1)
        }
        let request = try #require(OracleMessage.decode(bytes, .request(.logs)))
        let logs = World.spans(request)
        #expect(logs.count == 1)
        #expect(logs[0].messages(5)[0].number(3) == 7)
        #expect(logs[0].messages(5)[0].fields[1] == nil)
        #expect(logs[0].number(1) == 5)
    }

    @Test func `a metric goes with its last point, and its points go with it`() throws {
        func metric(_ points: Int) -> [UInt8] {
            WireBytes.build { metric in
                metric.text(1, "tokens")
                metric.message(5) { gauge in
                    for number in 0..<points { gauge.message(1) { $0.fixed64(3, UInt64(number + 1)) } }
                }
            }
        }
        let request = WireBytes.request(records: [metric(2), metric(1), metric(0)])
        let bytes = try Rewriting.rewrite(request, .metrics) { batch in
            #expect(batch.liveCount == 3)
            batch.removePoint(0)
            batch.removePoint(2)
            batch.removePoint(2)
            #expect(batch.liveCount == 1)
            #expect(batch.isRemoved(point: 2) == true)
        }
        let metrics = World.spans(try #require(OracleMessage.decode(bytes, .request(.metrics))))
        #expect(metrics.map { $0.messages(5)[0].messages(1).map { $0.number(3) } } == [[2], []])
        try Rewriting.rewrite(request, .metrics) { batch in
            batch.removeMetric(0)
            #expect(batch.liveCount == 1 && batch.isRemoved(point: 1))
        }
    }
}

@Suite struct `Text of a batch` {
    @Test func `lies in the request, in the edits or in the key table, and stays readable while the edits grow`() throws
    {
        let world = World()
        try world.run { batch in
            let fromRequest = batch.spans[0].name
            let made = batch.addText(Text("made"))
            for _ in 0..<1_000 { _ = batch.addText(Text("something to make the side buffer grow")) }
            #expect(batch.text(fromRequest).string == "chat")
            #expect(batch.text(made).string == "made")
            #expect(batch.text(batch.keys.reference(of: world.new)).string == "gen_ai.request.model")
        }
    }

    @Test func `is copied from the side buffer itself, whether or not that has to move for it`() throws {
        try World().run { batch in
            var last = batch.addText(Text("0123456789abcdef"))
            for _ in 0..<100 {
                last = batch.addText(batch.text(last))
                #expect(batch.text(last).string == "0123456789abcdef")
            }
        }
    }

    @Test func `is built in place, with a prefix and a suffix around a part of the request`() throws {
        try World().run { batch in
            let built = batch.buildText { output in
                output.append("one ")
                output.append("two")
            }
            #expect(batch.text(built).string == "one two")
            let name = batch.spans[0].name
            #expect(batch.text(batch.addText(prefix: "<", name, suffix: ">")).string == "<chat>")
            #expect(batch.text(batch.addText(prefix: "[", built, suffix: "]")).string == "[one two]")
        }
    }
}
