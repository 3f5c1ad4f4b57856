import OTLP
import Telemetry
import TestSupport
import Testing

/// Input that somebody damaged: it may be refused or read as something else, but never traps and is never read beyond
/// its end. The bytes lie in front of memory that must not be touched.
@Suite struct `Damaged requests` {
    private static let seeds: [(signal: Signal, bytes: [UInt8])] = {
        var seeds: [(signal: Signal, bytes: [UInt8])] = []
        for signal in Signal.allCases {
            var requests = RandomRequests(seed: 41 + UInt64(signal.rawValue), elementsMax: 24)
            seeds += (0..<15).map { _ in (signal, requests.next(signal)) }
            let recorded = CorpusPayload.protobuf.filter { $0.signal == signal }.min { $0.bytes.count < $1.bytes.count }
            if let recorded { seeds.append((signal, recorded.bytes)) }
        }
        return seeds
    }()

    /// Reads, edits and writes; what is written must be readable again. Returns whether it was read at all.
    private func exercise(_ input: Text, _ signal: Signal, _ batch: inout RecordBatch) -> Bool {
        do throws(DecodeFailure) {
            _ = try OTLPReader.read(input, signal: signal, keys: .empty, into: &batch)
        } catch {
            return false
        }
        let text = batch.addText(Text("new"))
        for set in batch.sets.indices {
            let set = SetIndex(set)
            if let index = batch.range(of: set).first { batch.setValue(.string(text), at: index, in: set) }
            batch.append(key: text, .string(text), to: set)
        }
        for span in batch.spans.indices { batch.setStatusMessage(text, ofSpan: span) }
        var output = ByteColumn()
        OTLPWriter.write(batch, into: &output)
        var json = ByteColumn()
        OTLPJSONWriter.write(output.text, signal: signal, into: &json)
        var again = RecordBatch()
        do throws(DecodeFailure) {
            _ = try OTLPReader.read(output.text, signal: signal, keys: .empty, into: &again)
        } catch {
            Issue.record("what was written cannot be read: \(error.message)")
        }
        if again.liveCount != batch.liveCount { Issue.record("\(again.liveCount) records, not \(batch.liveCount)") }
        return true
    }

    @Test func `cut at any byte are read or refused`() throws {
        let memory = try #require(GuardedBytes(capacity: 1 << 20))
        var batch = RecordBatch()
        var read = 0
        var tried = 0
        for seed in Self.seeds {
            let step = max(1, seed.bytes.count / 40)
            for length in stride(from: 0, to: seed.bytes.count, by: step) {
                let wasRead = memory.with(Array(seed.bytes.prefix(length))) {
                    exercise(Text($0), seed.signal, &batch)
                }
                read += wasRead ? 1 : 0
                tried += 1
            }
        }
        // Only the empty request and a cut between two resources are whole messages.
        #expect(tried > 1_500)
        #expect(read > 30 && read < tried / 4)
    }

    @Test func `with changed bytes are read or refused`() throws {
        let memory = try #require(GuardedBytes(capacity: 1 << 20))
        var random = SeededRandom(0xBAD)
        var batch = RecordBatch()
        var read = 0
        let rounds = 4_000
        for round in 0..<rounds {
            let seed = Self.seeds[round % Self.seeds.count]
            let mutated = mutate(seed.bytes, &random)
            let signal = random.chance(percent: 90) ? seed.signal : random.pick(Signal.allCases)
            if memory.with(mutated, { exercise(Text($0), signal, &batch) }) { read += 1 }
        }
        #expect(read > rounds / 20 && read < rounds)
    }

    @Test func `of JSON, cut or changed, are read or refused`() throws {
        let memory = try #require(GuardedBytes(capacity: 1 << 20))
        var random = SeededRandom(0xBAD2)
        var read = 0
        let rounds = 3_000
        var wronglyRead = 0
        var texts: [(signal: Signal, bytes: [UInt8])] = []
        for seed in Self.seeds {
            var json = ByteColumn()
            seed.bytes.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: seed.signal, into: &json) }
            texts.append((seed.signal, [UInt8](json.bytes)))
        }
        for round in 0..<rounds {
            let seed = texts[round % texts.count]
            let isCut = random.chance(percent: 30)
            let cut = Array(seed.bytes.prefix(random.below(seed.bytes.count)))
            let bytes = isCut ? cut : mutate(seed.bytes, &random)
            let wasRead = memory.with(bytes) { readJSON(Text($0), seed.signal) }
            if isCut && wasRead { wronglyRead += 1 }
            read += wasRead ? 1 : 0
        }
        #expect(wronglyRead == 0)
        #expect(read > rounds / 50 && read < rounds)
    }

    private func readJSON(_ json: Text, _ signal: Signal) -> Bool {
        var output = ByteColumn()
        do throws(DecodeFailure) {
            try OTLPJSONReader.transcode(json, signal: signal, into: &output)
        } catch {
            return false
        }
        var batch = RecordBatch()
        do throws(DecodeFailure) {
            _ = try OTLPReader.read(output.text, signal: signal, keys: .empty, into: &batch)
        } catch {
            // Whatever JSON can say is protobuf, but for what `@unknown` brings and for what nests too deeply.
            let isUsual = error.reason == .tooDeep || error.reason == .invalidUTF8
            if !isUsual && !json.string.contains("@unknown") { Issue.record("\(error.message): \(json.string)") }
        }
        return true
    }

    /// One to four small damages: a byte changed, a piece taken out, doubled or overwritten by another piece.
    private func mutate(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = bytes
        for _ in 0...random.below(4) where !bytes.isEmpty {
            let place = random.below(bytes.count)
            let end = min(bytes.count, place + 1 + random.below(12))
            switch random.below(6) {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes[place] ^= 1 << UInt8(random.below(8))
            case 2: bytes.removeSubrange(place..<end)
            case 3: bytes.insert(contentsOf: bytes[place..<end], at: random.below(bytes.count))
            case 4: bytes[place] = random.pick([0x00, 0x7F, 0x80, 0xFF, 0x22, 0x5C, 0x7B, 0x5D])
            default: bytes.replaceSubrange(place..<end, with: bytes.prefix(random.below(12)))
            }
        }
        return Array(bytes.prefix(1 << 20))
    }
}

@Suite struct `Budgets of the readers` {
    /// A value that nests `levels` arrays or maps.
    private func value(_ levels: Int, isMap: Bool) -> [UInt8] {
        var value = WireBytes.build { $0.text(1, "core") }
        for _ in 0..<levels {
            let inner = value
            value = WireBytes.build { outer in
                if isMap {
                    outer.message(6) { map in map.message(1) { $0.data(2, inner) } }
                } else {
                    outer.message(5) { $0.data(1, inner) }
                }
            }
        }
        return value
    }

    /// A span whose attribute nests `levels` arrays or maps.
    private func nested(_ levels: Int, isMap: Bool) -> [UInt8] {
        WireBytes.request(
            records: [
                WireBytes.build { span in
                    span.ids()
                    span.message(9) { $0.data(2, value(levels, isMap: isMap)) }
                }
            ])
    }

    /// A request that has the value wherever one may stand.
    private func everywhere(_ value: [UInt8], _ signal: Signal) -> [UInt8] {
        func pair(_ field: UInt32, _ owner: inout WireBytes) {
            owner.message(field) {
                $0.text(1, "k")
                $0.data(2, value)
            }
        }
        func metric(_ kind: UInt32, attributes: UInt32, exemplars: UInt32?) -> [UInt8] {
            WireBytes.build { metric in
                metric.message(kind) { data in
                    data.message(1) { point in
                        pair(attributes, &point)
                        if let exemplars { point.message(exemplars) { pair(7, &$0) } }
                    }
                }
                pair(12, &metric)
            }
        }
        let records: [[UInt8]]
        switch signal {
        case .traces:
            let span = WireBytes.build { span in
                span.ids()
                pair(9, &span)
                span.message(11) { pair(3, &$0) }
                span.message(13) { link in
                    link.ids()
                    pair(4, &link)
                }
            }
            records = [span]
        case .logs:
            let log = WireBytes.build { log in
                log.data(5, value)
                pair(6, &log)
            }
            records = [log]
        case .metrics:
            records = [
                metric(5, attributes: 7, exemplars: 5), metric(7, attributes: 7, exemplars: 5),
                metric(9, attributes: 9, exemplars: 8), metric(10, attributes: 1, exemplars: 11),
                metric(11, attributes: 7, exemplars: nil),
            ]
        }
        return WireBytes.request(resource: { pair(1, &$0) }, scope: { pair(3, &$0) }, records: records)
    }

    @Test(arguments: Signal.allCases, [false, true])
    func `a value of the most levels goes through JSON and back, wherever it stands`(
        signal: Signal, isMap: Bool
    ) throws {
        let request = everywhere(value(ReadLimits().depth, isMap: isMap), signal)
        #expect(try Rewriting.rewrite(request, signal) == request)
        #expect(try JSONCase.transcode(JSONCase.write(request, signal), signal) == request)
    }

    @Test(arguments: [false, true])
    func `values may nest as deeply as the limit says, and no deeper`(isMap: Bool) throws {
        let limit = ReadLimits().depth
        #expect(try Rewriting.rewrite(nested(limit, isMap: isMap), .traces).count > 0)
        for levels in [limit + 1, 200, 2_000] {
            #expect {
                try Rewriting.rewrite(nested(levels, isMap: isMap), .traces)
            } throws: { ($0 as? DecodeFailure)?.reason == .tooDeep }
        }
    }

    @Test func `groups may nest to a depth of 64`() {
        func groups(_ levels: Int) -> [UInt8] {
            WireBytes.build { request in
                for _ in 0..<levels { request.tag(9, 3) }
                for _ in 0..<levels { request.tag(9, 4) }
            }
        }
        #expect(throws: Never.self) { try Rewriting.rewrite(groups(64), .traces) }
        #expect {
            try Rewriting.rewrite(groups(65), .traces)
        } throws: { ($0 as? DecodeFailure)?.reason == .tooDeep }
    }

    @Test func `empty elements are refused by the memory that they would take, not by their size`() {
        var limits = ReadLimits()
        limits.memory = 1 << 20
        func resources(_ count: Int) -> [UInt8] { (0..<2 * count).map { UInt8($0 % 2 == 0 ? 0x0A : 0) } }
        var batch = RecordBatch()
        #expect(throws: Never.self) {
            try Rewriting.read(resources(1_000), .traces, limits: limits, into: &batch) { _ in }
        }
        #expect {
            try Rewriting.read(resources(50_000), .traces, limits: limits, into: &batch) { _ in }
        } throws: { ($0 as? DecodeFailure)?.reason == .tooManyElements }
        #expect(batch.footprint < 8 << 20)
    }

    @Test(.timeLimit(.minutes(15)))
    func `three million empty records cost no more memory than a cap, whatever the signal`() {
        let records = (0..<6_000_000).map { UInt8($0 % 2 == 0 ? 0x12 : 0) }
        func wrapped(_ tag: UInt8, _ bytes: [UInt8]) -> [UInt8] {
            var size = UInt64(bytes.count)
            var length: [UInt8] = []
            while size >= 0x80 {
                length.append(UInt8(size & 0x7F) | 0x80)
                size >>= 7
            }
            return [tag] + length + [UInt8(size)] + bytes
        }
        let request = wrapped(0x0A, wrapped(0x12, records))
        for signal in [Signal.traces, .logs, .metrics] {
            var batch = RecordBatch()
            #expect {
                try Rewriting.read(request, signal, limits: ReadLimits(), into: &batch) { _ in }
            } throws: { ($0 as? DecodeFailure)?.reason == .tooManyElements }
            #expect(batch.footprint < 512 << 20)
        }
    }

    /// Containers and records of two bytes each, the dearest that a sender can make us keep.
    private static let empties: [(what: String, signal: Signal, request: @Sendable (Int) -> [UInt8])] = [
        ("resources", .traces, { HostileInput.nested([], [0x0A, 0], $0) }),
        ("scopes", .traces, { HostileInput.nested([0x0A], [0x12, 0], $0) }),
        ("spans", .traces, { HostileInput.nested([0x0A, 0x12], [0x12, 0], $0) }),
        ("logs", .logs, { HostileInput.nested([0x0A, 0x12], [0x12, 0], $0) }),
        ("metrics", .metrics, { HostileInput.nested([0x0A, 0x12], [0x12, 0], $0) }),
        ("points", .metrics, { HostileInput.nested([0x0A, 0x12, 0x12, 0x2A], [0x0A, 0], $0) }),
        ("events", .traces, { HostileInput.nested([0x0A, 0x12, 0x12], [0x5A, 0], $0) }),
        ("links", .traces, { HostileInput.nested([0x0A, 0x12, 0x12], [0x6A, 0], $0) }),
        ("attributes", .logs, { HostileInput.nested([0x0A, 0x12, 0x12], [0x32, 0], $0) }),
    ]

    @Test(arguments: empties.indices)
    func `a request holds at most twice its budget of memory, however small its elements`(index: Int) {
        let (what, signal, make) = Self.empties[index]
        let request = make(40_000)
        var limits = ReadLimits()
        limits.memory = 1 << 20
        var batch = RecordBatch()
        #expect {
            try Rewriting.read(request, signal, limits: limits, into: &batch) { _ in }
        } throws: { ($0 as? DecodeFailure)?.reason == .tooManyElements }
        // Columns grow by doubling.
        #expect(batch.footprint < 2 * limits.memory + 1 << 20, "\(what): \(batch.footprint)")
        var few = RecordBatch()
        #expect(throws: Never.self) { try Rewriting.read(make(5_000), signal, into: &few) { _ in } }
    }

    @Test(arguments: CorpusPayload.protobuf)
    func `a recorded request holds at most four times its bytes, and 64 KB`(payload: CorpusPayload) throws {
        var batch = RecordBatch()
        try Rewriting.read(payload.bytes, payload.signal, into: &batch) { _ in }
        #expect(batch.footprint <= 4 * payload.bytes.count + 65_536, "\(batch.footprint) of \(payload.bytes.count)")
    }

    @Test(arguments: ["[", "{\"a\":"])
    func `unknown JSON values may nest to the limit of the reader`(open: String) {
        func text(_ levels: Int) -> [UInt8] {
            let close = open == "[" ? "]" : "}"
            let value =
                String(repeating: open, count: levels) + "1" + String(repeating: close, count: levels)
            return Array(#"{"later":\#(value)}"#.utf8)
        }
        #expect(throws: Never.self) { try JSONCase.transcode(text(200), .traces) }
        for levels in [201, 100_000] {
            #expect {
                try JSONCase.transcode(text(levels), .traces)
            } throws: { ($0 as? DecodeFailure)?.reason == .tooDeep }
        }
    }

    /// A number of one digit has two bytes in JSON and eight in protobuf.
    @Test(arguments: [(1_000_000, "1", true), (2_000_000, "1", false), (2_000_000, "\"1\"", true)])
    func `lists of short numbers in JSON do not become many times as large`(
        count: Int, number: String, isTaken: Bool
    ) throws {
        let list = Array(repeating: number, count: count).joined(separator: ",")
        let json =
            #"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":["#
            + list + "]}]}}]}]}]}"
        var output = ByteColumn()
        var failure: DecodeFailure?
        Array(json.utf8).withUnsafeBytes { bytes in
            do throws(DecodeFailure) {
                try OTLPJSONReader.transcode(Text(bytes), signal: .metrics, into: &output)
            } catch { failure = error }
        }
        #expect(failure?.reason == (isTaken ? nil : .tooManyElements))
        #expect(output.count <= 2 * json.utf8.count + (5 << 20))
    }
}

enum HostileInput {
    /// `count` fields inside messages that are named by their tags, the outermost first.
    static func nested(_ tags: [UInt8], _ field: [UInt8], _ count: Int) -> [UInt8] {
        var content: [UInt8] = []
        for _ in 0..<count { content += field }
        for tag in tags.reversed() {
            var length: [UInt8] = []
            var rest = content.count
            while rest >= 0x80 {
                length.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            content = [tag] + length + [UInt8(rest)] + content
        }
        return content
    }
}
