import COTLP
import CProtobufC
import Telemetry
import Testing

@testable import OTLP

@Suite struct `Control messages in protobuf` {
    @Test(arguments: Signal.allCases)
    func `a full success is an empty body`(signal: Signal) {
        #expect(ControlMessages.exportResponse(signal: signal, rejected: 0, message: "", json: false) == [])
    }

    @Test(arguments: Signal.allCases)
    func `a partial success carries count and message under the numbers of the schema`(signal: Signal) {
        let bytes = ControlMessages.exportResponse(signal: signal, rejected: 3, message: "no", json: false)
        #expect(bytes == [0x0A, 0x06, 0x08, 0x03, 0x12, 0x02, 0x6E, 0x6F])
    }

    @Test func `a warning has no count and a bare count has no message`() {
        let warning = ControlMessages.exportResponse(signal: .logs, rejected: 0, message: "no", json: false)
        #expect(warning == [0x0A, 0x04, 0x12, 0x02, 0x6E, 0x6F])
        let count = ControlMessages.exportResponse(signal: .logs, rejected: 300, message: "", json: false)
        #expect(count == [0x0A, 0x03, 0x08, 0xAC, 0x02])
        #expect(ControlMessages.exportResponse(signal: .logs, rejected: -1, message: "", json: false) == [])
    }

    @Test func `a status carries code and message`() {
        let status = ControlMessages.status(code: 3, message: "bad", json: false)
        #expect(status == [0x08, 0x03, 0x12, 0x03, 0x62, 0x61, 0x64])
        let negative = ControlMessages.status(code: -1, message: "", json: false)
        #expect(negative == [0x08] + [UInt8](repeating: 0xFF, count: 9) + [0x01])
        #expect(ControlMessages.status(code: 0, message: "", json: false) == [])
    }

    @Test func `a text with a zero byte is kept whole`() throws {
        let bytes = ControlMessages.status(code: 1, message: "a\u{0}b", json: false)
        #expect(bytes == [0x08, 0x01, 0x12, 0x03, 0x61, 0x00, 0x62])
        #expect(try #require(ControlMessages.decodeStatus(bytes: bytes)).message == "a\u{0}b")
    }

    @Test(arguments: ["a", "é", "田", "🙂"])
    func `a message that does not fit is cut between two characters`(character: String) throws {
        let message = "xy" + String(repeating: character, count: 5 << 20)
        let room = ControlMessages.sizeMax - ControlMessages.framingMax - 2
        let kept = room / character.utf8.count
        let status = ControlMessages.status(code: 3, message: message, json: false)
        #expect(status.count < ControlMessages.sizeMax)
        let back = try #require(ControlMessages.decodeStatus(bytes: status))
        #expect(back.message == "xy" + String(repeating: character, count: kept))
        let response = ControlMessages.exportResponse(
            signal: .metrics, rejected: .max, message: message, json: false)
        #expect(response.count < ControlMessages.sizeMax)
        #expect(ControlMessages.decodeExportResponse(signal: .metrics, bytes: response)?.rejected == .max)
    }
}

@Suite struct `Control messages in JSON` {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test(arguments: Signal.allCases)
    func `a full success is an empty object`(signal: Signal) {
        #expect(text(ControlMessages.exportResponse(signal: signal, rejected: 0, message: "", json: true)) == "{}")
    }

    @Test(arguments: [
        (Signal.traces, "rejectedSpans"), (.logs, "rejectedLogRecords"), (.metrics, "rejectedDataPoints"),
    ])
    func `a partial success names the count after its signal and writes it as a string`(signal: Signal, name: String) {
        let both = ControlMessages.exportResponse(signal: signal, rejected: 3, message: "no", json: true)
        #expect(text(both) == #"{"partialSuccess":{"\#(name)":"3","errorMessage":"no"}}"#)
        let count = ControlMessages.exportResponse(signal: signal, rejected: .max, message: "", json: true)
        #expect(text(count) == #"{"partialSuccess":{"\#(name)":"9223372036854775807"}}"#)
        let warning = ControlMessages.exportResponse(signal: signal, rejected: 0, message: "no", json: true)
        #expect(text(warning) == #"{"partialSuccess":{"errorMessage":"no"}}"#)
    }

    @Test func `a status writes its code as a number`() {
        #expect(text(ControlMessages.status(code: 3, message: "bad", json: true)) == #"{"code":3,"message":"bad"}"#)
        #expect(text(ControlMessages.status(code: -7, message: "", json: true)) == #"{"code":-7}"#)
        #expect(text(ControlMessages.status(code: 0, message: "", json: true)) == "{}")
    }

    @Test func `quotes, backslashes and control characters are escaped, all else stays`() {
        let message = "a\"b\\c/\u{08}\u{0C}\n\r\t\u{00}\u{1F}\u{7F}é田🙂\u{2028}"
        let escaped = #"a\"b\\c/\b\f\n\r\t\u0000\u001f"# + "\u{7F}é田🙂\u{2028}"
        #expect(text(ControlMessages.status(code: 0, message: message, json: true)) == #"{"message":"\#(escaped)"}"#)
    }

    @Test(arguments: ["\u{01}", "\"", "🙂", "a"])
    func `a message that grows beyond the limit by its escapes is cut and stays valid JSON`(character: String) {
        let message = String(repeating: character, count: 5 << 20)
        let body = ControlMessages.exportResponse(signal: .traces, rejected: 1, message: message, json: true)
        #expect(body.count < ControlMessages.sizeMax)
        #expect(body.count > ControlMessages.sizeMax - 2 * ControlMessages.framingMax)
        let unit = character == "\u{01}" ? #"\u0001"# : character == "\"" ? #"\""# : character
        let head = #"{"partialSuccess":{"rejectedSpans":"1","errorMessage":""#
        let kept = (body.count - head.utf8.count - 3) / unit.utf8.count
        #expect(text(body) == head + String(repeating: unit, count: kept) + #""}}"#)
    }
}
