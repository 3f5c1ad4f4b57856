import OTLP
import Telemetry
import TestSupport
import Testing

/// Edits are made twice: on our records, and on what libprotobuf-c read. What we write must read as the second.
@Suite struct `An edited request reads as if libprotobuf-c's tree had been edited` {
    static let appended = OracleMessage.attribute("sluice.test", "appended")

    @Test(arguments: CorpusPayload.protobuf)
    func `when every attribute set gets one more, in recorded payloads`(payload: CorpusPayload) throws {
        try checkAppending(payload.bytes, payload.signal)
    }

    @Test(arguments: Signal.allCases)
    func `when every attribute set gets one more, in random requests`(signal: Signal) throws {
        var requests = RandomRequests(seed: 500 + UInt64(signal.rawValue))
        for _ in 0..<80 { try checkAppending(requests.next(signal), signal) }
    }

    private func checkAppending(_ request: [UInt8], _ signal: Signal) throws {
        var expected = try #require(OracleMessage.decode(request, .request(signal)))
        AttributeTree(signal).change(&expected) { $0.append(Self.appended) }
        let written = try Rewriting.rewrite(request, signal) { batch in
            let key = batch.addText(Text("sluice.test"))
            let value = batch.addText(Text("appended"))
            for set in batch.allSets { batch.append(key: key, .string(value), to: set) }
        }
        #expect(OracleMessage.decode(written, .request(signal)) == expected)
    }

    @Test(arguments: Signal.allCases)
    func `when attributes are replaced, renamed and removed at random`(signal: Signal) throws {
        var requests = RandomRequests(seed: 900 + UInt64(signal.rawValue))
        var builder = KeyTable.Builder()
        let renamed = builder.intern("renamed")
        let keys = builder.build()
        for round in 0..<80 {
            let request = requests.next(signal)
            var expected = try #require(OracleMessage.decode(request, .request(signal)))
            var places = 0
            AttributeTree(signal).change(&expected) { list in
                // From the back, so that removing does not move what is still to come.
                for index in list.indices.reversed() { Self.change(&list, index, round &+ index &+ list.count) }
                places += list.count
            }
            let written = try Rewriting.rewrite(request, signal, keys: keys) { batch in
                let value = batch.addText(Text("replaced"))
                for set in batch.allSets {
                    let range = batch.range(of: set)
                    for index in range.indices.reversed() {
                        let place = index - range.lowerBound
                        let left = batch.range(of: set).count
                        switch (round &+ place &+ left) % 4 {
                        case 0: batch.setValue(.string(value), at: index, in: set)
                        case 1: batch.rename(at: index, to: renamed, in: set)
                        case 2: batch.remove(at: index, from: set)
                        default: break
                        }
                    }
                }
            }
            #expect(OracleMessage.decode(written, .request(signal)) == expected, "round \(round)")
        }
    }

    private static func change(_ list: inout [OracleMessage], _ index: Int, _ choice: Int) {
        switch choice % 4 {
        case 0:
            // Of the old value what no schema knows stays.
            var value = attribute("", "replaced").messages(2)[0]
            value.unknown = list[index].messages(2).first?.unknown ?? []
            list[index].fields[2] = [.message(value)]
        case 1: list[index].fields[1] = [.bytes(Array("renamed".utf8))]
        case 2: list.remove(at: index)
        default: break
        }
    }

    private static func attribute(_ key: String, _ value: String) -> OracleMessage { .attribute(key, value) }

    @Test(arguments: Signal.allCases)
    func `when records are removed at random`(signal: Signal) throws {
        var requests = RandomRequests(seed: 1_300 + UInt64(signal.rawValue))
        for round in 0..<80 {
            let request = requests.next(signal)
            var expected = try #require(OracleMessage.decode(request, .request(signal)))
            var index = 0
            var removes = false
            expected.update(1) { resource in
                resource.update(2) { scope in
                    let items = scope.messages(2)
                    let kept = items.filter { _ in
                        defer { index += 1 }
                        return (index &+ round) % 3 != 0
                    }
                    removes = removes || kept.count != items.count
                    scope.fields[2] = kept.isEmpty ? nil : kept.map { .message($0) }
                    // A mark for the envelopes that go: those that lost all they had.
                    if kept.isEmpty && !items.isEmpty { scope.fields[0] = [.number(1)] }
                }
            }
            Self.dropEmptied(&expected)
            let written = try Rewriting.rewrite(request, signal) { batch in
                for record in 0..<index where (record &+ round) % 3 == 0 {
                    switch signal {
                    case .traces: batch.removeSpan(record)
                    case .logs: batch.removeLog(record)
                    case .metrics: batch.removeMetric(record)
                    }
                }
            }
            if !removes { #expect(written == request) }
            #expect(OracleMessage.decode(written, .request(signal)) == expected, "round \(round)")
        }
    }

    private static func dropEmptied(_ request: inout OracleMessage) {
        func isGone(_ scope: OracleMessage) -> Bool { scope.fields[0] != nil }
        let resources = request.messages(1).compactMap { resource -> OracleMessage? in
            var resource = resource
            let scopes = resource.messages(2)
            let kept = scopes.filter { !isGone($0) }
            if kept.count == scopes.count { return resource }
            if kept.isEmpty { return nil }
            resource.fields[2] = kept.map { .message($0) }
            return resource
        }
        request.fields[1] = resources.isEmpty ? nil : resources.map { .message($0) }
    }
}

/// Finds all attribute lists of a request that libprotobuf-c read.
struct AttributeTree {
    let signal: Signal

    init(_ signal: Signal) { self.signal = signal }

    /// Runs `change` on every list of KeyValues that belongs to a record of ours; a resource or scope is made where
    /// there is none and the list is not empty afterwards.
    func change(_ request: inout OracleMessage, _ change: (inout [OracleMessage]) -> Void) {
        request.update(1) { container in
            inner(&container, 1, change)
            container.update(2) { scopeContainer in
                inner(&scopeContainer, 3, change)
                scopeContainer.update(2) { record in self.record(&record, change) }
            }
        }
    }

    private func record(_ record: inout OracleMessage, _ change: (inout [OracleMessage]) -> Void) {
        switch signal {
        case .traces:
            list(&record, 9, change)
            record.update(11) { list(&$0, 3, change) }
            record.update(13) { list(&$0, 4, change) }
        case .logs: list(&record, 6, change)
        case .metrics:
            list(&record, 12, change)
            for (data, attributes) in [(5, 7), (7, 7), (9, 9), (10, 1), (11, 7)] as [(UInt32, UInt32)] {
                record.update(data) { $0.update(1) { list(&$0, attributes, change) } }
            }
        }
    }

    /// The Resource or InstrumentationScope in field 1 of its container.
    private func inner(
        _ container: inout OracleMessage, _ number: UInt32, _ change: (inout [OracleMessage]) -> Void
    ) {
        var message = container.messages(1).first ?? OracleMessage()
        list(&message, number, change)
        if container.fields[1] != nil || message != OracleMessage() { container.fields[1] = [.message(message)] }
    }

    private func list(
        _ owner: inout OracleMessage, _ number: UInt32, _ change: (inout [OracleMessage]) -> Void
    ) {
        var all = owner.messages(number)
        change(&all)
        owner.fields[number] = all.isEmpty ? nil : all.map { .message($0) }
    }
}
