import Gateway
import Glibc
import Logging
import Pipeline
import Testing

@Suite(.timeLimit(.minutes(15))) struct LogWriterTests {
    @Test(arguments: [false, true])
    func `never waits for its reader, and tells how many lines were lost`(isJSON: Bool) throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let writer = LogWriter(descriptor: ends[1])
        let handler = GatewayLogHandler(level: .info, isJSON: isJSON, writer: writer, now: { "now" })
        let log = Logger(label: "test") { _ in handler }
        let count = 2_000
        for number in 0..<count { log.info("\(number) \(String(repeating: "x", count: 400))") }
        #expect(writer.lostLines > 0)
        #expect(!writer.flush(atMost: .milliseconds(20)))

        var lines = readLines(ends[0]) { $0.hasSuffix("nobody read it") || $0.contains("nobody read it\"") }
        let told = lines.removeLast()
        #expect(told.contains("\(writer.lostLines) lines of the log were lost"))
        #expect(told.hasPrefix(isJSON ? "{\"ts\":\"now\",\"level\":\"warning\"" : "now\twarning\t"))
        #expect(lines.count + writer.lostLines == count)
        #expect(lines.indices.allSatisfy { lines[$0].contains("\($0) xxx") }, "whole and in order")
        #expect(writer.flush(atMost: .seconds(20)))
        log.info("again")
        #expect(readLines(ends[0]) { _ in true }.first?.contains("again") == true)
        for end in ends { close(end) }
    }

    @Test func `counts what a closed pipe does not take`() throws {
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        close(ends[0])
        let writer = LogWriter(descriptor: ends[1])
        writer.write(Array("one\n".utf8)) { _ in [] }
        #expect(writer.flush(atMost: .seconds(20)))
        #expect(writer.lostLines == 1)
        close(ends[1])
    }

    @Test(arguments: [Logger.Level.debug, .info, .error], [false, true])
    func `words of destinations are left out of the log but at debug level`(level: Logger.Level, isJSON: Bool) throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let handler = GatewayLogHandler(
            level: level, isJSON: isJSON, writer: LogWriter(descriptor: ends[1]), now: { "now" })
        let log = Logger(label: "test") { _ in handler }
        for words in ["a prompt", "\"a prompt\" of a \"user\"", "\u{301}a prompt", ""] {
            let said = QuotedWords.quote(words)
            log.error("exporter x: HTTP 503\(said.isEmpty ? "" : ", ")\(said) (2 more)")
            let line = try #require(readLines(ends[0]) { _ in true }.first)
            #expect(line.contains("exporter x: HTTP 503") && line.contains(" (2 more)"), "\(line)")
            #expect(line.contains("a prompt") == (level == .debug && !words.isEmpty), "\(line)")
            #expect(line.contains("sluice queue") == (level != .debug && !words.isEmpty), "\(line)")
        }
        for end in ends { close(end) }
    }

    /// Lines up to the first that `isLast`.
    private func readLines(_ descriptor: Int32, until isLast: (String) -> Bool) -> [String] {
        var lines: [String] = []
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(descriptor, &byte, 1) == 1 {
            guard byte == UInt8(ascii: "\n") else {
                line.append(byte)
                continue
            }
            lines.append(String(decoding: line, as: UTF8.self))
            line = []
            if isLast(lines[lines.count - 1]) { break }
        }
        return lines
    }
}
