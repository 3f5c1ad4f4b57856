import Telemetry
import Testing

@testable import OTLP

@Suite struct `Reading a backend's answer` {
    @Test(arguments: Signal.allCases)
    func `reads back what it writes`(signal: Signal) throws {
        for (rejected, message) in [(Int64(0), ""), (3, "no"), (0, "warning"), (.max, ""), (1, "田\n")] {
            let bytes = ControlMessages.exportResponse(
                signal: signal, rejected: rejected, message: message, json: false)
            let back = try #require(ControlMessages.decodeExportResponse(signal: signal, bytes: bytes))
            #expect(back == (rejected, message))
        }
    }

    @Test func `reads code and message of a status and skips details and unknown fields`() throws {
        let any: [UInt8] = [0x1A, 0x07, 0x0A, 0x01, 0x74, 0x12, 0x02, 0x00, 0x01]
        let unknown: [UInt8] = [0xA2, 0x06, 0x02, 0x68, 0x69, 0x98, 0x06, 0x01, 0x95, 0x06, 1, 2, 3, 4]
        let bytes = any + [0x08, 0x0E] + unknown + [0x12, 0x04] + Array("down".utf8) + any
        let status = try #require(ControlMessages.decodeStatus(bytes: bytes))
        #expect(status == (14, "down"))
    }

    @Test func `the last of several values wins`() throws {
        let status = try #require(
            ControlMessages.decodeStatus(bytes: [0x12, 0x02, 0x61, 0x61, 0x08, 1, 0x12, 0x01, 0x62, 0x08, 2]))
        #expect(status == (2, "b"))
    }

    @Test func `broken UTF-8 is repaired`() throws {
        let status = try #require(ControlMessages.decodeStatus(bytes: [0x12, 0x02, 0x61, 0xFF]))
        #expect(status.message == "a\u{FFFD}")
    }

    @Test(arguments: [
        "<html><body>502 Bad Gateway</body></html>", #"{"partialSuccess":{}}"#, "upstream connect error", "\n", "\u{0}",
    ])
    func `a body that is not OTLP gives nothing`(body: String) {
        #expect(ControlMessages.decodeStatus(bytes: Array(body.utf8)) == nil)
        for signal in Signal.allCases {
            #expect(ControlMessages.decodeExportResponse(signal: signal, bytes: Array(body.utf8)) == nil)
        }
    }

    @Test func `every cut of an answer is read or refused, never more`() {
        let whole = ControlMessages.exportResponse(signal: .traces, rejected: 300, message: "no room", json: false)
        for length in 1..<whole.count {
            let cut = Array(whole.prefix(length))
            #expect(ControlMessages.decodeExportResponse(signal: .traces, bytes: cut) == nil)
        }
    }

    @Test func `a longer answer than the limit is not read`() {
        // A message of 4 MiB less its own header of 5 bytes, then one byte more.
        func status(textCount: Int) -> [UInt8] {
            var bytes: [UInt8] = [0x12]
            var rest = textCount
            while rest >= 0x80 {
                bytes.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            return bytes + [UInt8(rest)] + [UInt8](repeating: 0x61, count: textCount)
        }
        let fits = status(textCount: ControlMessages.sizeMax - 5)
        #expect(fits.count == ControlMessages.sizeMax)
        #expect(ControlMessages.decodeStatus(bytes: fits)?.message.utf8.count == ControlMessages.sizeMax - 5)
        #expect(ControlMessages.decodeStatus(bytes: fits + [0x61]) == nil)
        #expect(ControlMessages.decodeStatus(bytes: status(textCount: ControlMessages.sizeMax - 4)) == nil)
    }

    @Test func `an answer that would swell in memory is refused`() {
        let details = [UInt8](repeating: 0, count: 4 << 20).indices.map { UInt8($0 % 2 == 0 ? 0x1A : 0) }
        #expect(ControlMessages.decodeStatus(bytes: details) == nil)
        let unknown = [UInt8](repeating: 0, count: 4 << 20).indices.map { UInt8($0 % 2 == 0 ? 0x78 : 0) }
        #expect(ControlMessages.decodeStatus(bytes: unknown) == nil)
        #expect(ControlMessages.decodeExportResponse(signal: .logs, bytes: unknown) == nil)
    }

    @Test func `running out of memory at any point gives nothing`() {
        let any: [UInt8] = [0x1A, 0x07, 0x0A, 0x01, 0x74, 0x12, 0x02, 0x00, 0x01]
        let unknown: [UInt8] = [0xA2, 0x06, 0x02, 0x68, 0x69]
        let status = any + [0x08, 0x0E] + unknown + [0x12, 0x04] + Array("down".utf8) + any + unknown
        var refused = 0
        for memoryMax in 0..<2_048 {
            guard let read = ControlMessages.decodeStatus(bytes: status, memoryMax: memoryMax) else {
                refused += 1
                continue
            }
            #expect(read == (14, "down"))
        }
        #expect(refused > 100 && refused < 2_048)
        let response = ControlMessages.exportResponse(signal: .traces, rejected: 3, message: "no", json: false)
        var kept = 0
        for memoryMax in 0..<2_048 {
            let read = ControlMessages.decodeExportResponse(
                signal: .traces, bytes: response + response, memoryMax: memoryMax)
            guard let read else { continue }
            kept += 1
            #expect(read == (3, "no"))
        }
        #expect(kept > 0 && kept < 2_048)
    }

    @Test func `random bytes never trap`() {
        var state: UInt64 = 0x5EED_0001
        func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
        // Seeds of valid answers with a few bytes changed reach deeper than noise does.
        let responses = Signal.allCases.map {
            ControlMessages.exportResponse(signal: $0, rejected: 9, message: "text", json: false)
        }
        let seeds =
            responses + [[0x1A, 0x07, 0x0A, 0x01, 0x74, 0x12, 0x02, 0x00, 0x01, 0x08, 0x0E, 0x12, 0x01, 0x61]]
        var read = 0
        for round in 0..<20_000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0...Int(next() % 4) { bytes[Int(next()) % bytes.count] = UInt8(truncatingIfNeeded: next()) }
            if round % 3 == 0 { bytes += (0..<Int(next() % 40)).map { _ in UInt8(truncatingIfNeeded: next()) } }
            for signal in Signal.allCases {
                if ControlMessages.decodeExportResponse(signal: signal, bytes: bytes) != nil { read += 1 }
            }
            if ControlMessages.decodeStatus(bytes: bytes) != nil { read += 1 }
        }
        #expect(read > 0)
    }
}
