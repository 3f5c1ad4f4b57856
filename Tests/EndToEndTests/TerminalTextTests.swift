import Foundation
import TestSupport
import Testing

/// Text of a recording on the terminal of the one who looks at it.
@Suite(.timeLimit(.minutes(15))) struct TerminalTextTests {
    /// A tool that is called with a space too much and finds nothing. Its name clears the screen and turns the text.
    private static let recording = #"""
        {"resourceSpans":[{"scopeSpans":[{"spans":[\#
        {"traceId":"000000000000000000000000000000a7","spanId":"00000000000000a1","name":"invoke_agent a",\#
        "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000001000000000",\#
        "attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"invoke_agent"}}]},\#
        {"traceId":"000000000000000000000000000000a7","spanId":"00000000000000a2","parentSpanId":"00000000000000a1",\#
        "name":"find\u001b[2J\u202eevil\u2066x\u2028y\u200f",\#
        "startTimeUnixNano":"1700000000100000000","endTimeUnixNano":"1700000000200000000",\#
        "attributes":[{"key":"traceloop.span.kind","value":{"stringValue":"tool"}},\#
        {"key":"traceloop.entity.name","value":{"stringValue":"fetch\u202eorders"}},\#
        {"key":"gen_ai.tool.call.arguments","value":{"stringValue":"{\"customer_id\":\" C-1\"}"}},\#
        {"key":"gen_ai.tool.call.result","value":{"stringValue":"[]"}}]}]}]}]}
        """#

    @Test(arguments: ["replay", "normalize"]) func `a recording steers no terminal`(command: String) throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "sluice-text-\(UUID().uuidString).json").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        try Self.recording.write(toFile: file, atomically: true, encoding: .utf8)
        let outcome = try ChildProcess.runBlocking(RunningGateway.binary.path, [command, file])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(
            outcome.output.contains(#"find\u{1b}[2J\u{202e}evil\u{2066}x\u{2028}y\u{200f}"#), "\(outcome.output)")
        let marks: Set<UInt32> = [0x1B, 0x202E, 0x2066, 0x2028, 0x200F]
        #expect(!outcome.output.unicodeScalars.contains { marks.contains($0.value) })
    }
}
