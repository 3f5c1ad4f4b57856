import Foundation
import TestSupport
import Testing

/// One rule for all commands: 64 for a wrong command line, 1 for what is not there or cannot be done.
@Suite(.timeLimit(.minutes(15))) struct ExitCodeTests {
    private func run(_ arguments: [String]) throws -> (status: Int32, text: String) {
        let outcome = try ChildProcess.runBlocking(RunningGateway.binary.path, arguments)
        return (outcome.status, outcome.output + outcome.errors)
    }

    /// An empty data directory, and one port that nobody listens at.
    private static let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-exit-codes").path
    private static let nobody = "http://127.0.0.1:1"

    @Test(arguments: [
        ["dlq", "show", "99", "--data-directory", folder], ["dlq", "drop", "99", "--data-directory", folder],
        ["alerts", "pause", "rule", "--data-directory", folder],
        ["alerts", "resume", "rule", "--data-directory", folder],
        ["alerts", "resolve", "rule", "--data-directory", folder],
        ["presets", "nope"], ["send", "/nope.pb"], ["replay", "/nope.json"], ["normalize", "/nope.json"],
        ["alerts", "test", "/nope.json"],
        ["dataset", "stats", "/nope"], ["findings", "--db", "/nope.db"], ["trace", "abcd", "--db", "/nope.db"],
        ["session", "s", "--db", "/nope.db"], ["tap", "--endpoint", nobody], ["drops", "--endpoint", nobody],
        ["where", String(repeating: "a7", count: 16), "--data-directory", folder],
        ["where", "a7a7a7a7", "--data-directory", folder],
    ]) func `what is not there or cannot be done is 1, with the reason`(arguments: [String]) throws {
        try FileManager.default.createDirectory(atPath: Self.folder, withIntermediateDirectories: true)
        let (status, text) = try run(arguments)
        #expect(status == 1, "\(text)")
        #expect(!text.isEmpty && !text.contains("Usage:"), "\(text)")
    }

    @Test(arguments: [
        ["findings", "--since", "banana"], ["trace", "zz"], ["trace", "abc"], ["query", "traces", "--where", "x"],
        ["where", "zz"], ["replay", "--shift", "often", "/nope.json"], ["dlq", "show"], ["dlq", "drop"],
        ["dlq", "drop", "--all", "00000000000000000009"],
        ["alerts", "pause", "rule", "--for", "banana"], ["dataset", "build", "--format", "xml", "--output", "x", "y"],
        ["demo", "--healthy", "-1"], ["nonsense", "more"], ["findings", "--nonsense"],
    ]) func `a wrong command line is 64`(arguments: [String]) throws {
        let (status, text) = try run(arguments)
        #expect(status == 64, "\(text)")
    }

    @Test(arguments: [("vaildate", "validate"), ("print_config", "print-config"), ("finding", "findings")])
    func `a misspelt command is told the one that was meant`(word: String, meant: String) throws {
        let (status, text) = try run([word, "--config", "x.yaml"])
        #expect(status == 64 && text.contains("there is no command \(word); did you mean \"\(meant)\"?"), "\(text)")
    }

    @Test(arguments: [
        ["query", "sql", "SELECT 1", "--since", "1s"], ["trace", "abcd", "--tool", "t"],
        ["session", "s", "--limit", "3"],
        ["query", "sql", "SELECT 1", "--user", "u"],
    ]) func `a filter that the question does not know is refused, with those that it knows`(
        arguments: [String]
    ) throws {
        let (status, text) = try run(arguments)
        let filter = arguments[arguments.count - 2]
        #expect(status == 64 && text.contains("Unknown option '\(filter)'"), "\(text)")
        #expect(text.contains("Usage:") && text.contains("[--format <format>]"), "\(text)")
    }

    @Test(arguments: [
        ["tap", "--endpoint", nobody], ["drops", "--endpoint", nobody], ["demo", "--endpoint", nobody],
    ])
    func `without a gateway the command that starts one is told`(arguments: [String]) throws {
        let (status, text) = try run(arguments)
        #expect(status == 1 && text.contains(Self.nobody) && text.contains("sluice run"), "\(text)")
    }

    @Test func `a URL as configuration is told that only files are read`() throws {
        let (status, text) = try run(["validate", "--config", "http://127.0.0.1:1/c.yaml"])
        #expect(status == 2 && text.contains("only files are read, no URLs"), "\(text)")
    }

    @Test func `too few open files are said so before anything starts`() throws {
        let outcome = try ChildProcess.runBlocking(
            "prlimit",
            ["--nofile=16:16", RunningGateway.binary.path, "run", "--data-directory", "/tmp/sluice-no-files"])
        #expect(outcome.status == 3)
        #expect(outcome.errors.contains("this process may have 16 open files, and needs at least"), "\(outcome.errors)")
    }

    @Test(arguments: ["replay", "normalize"]) func `a file that is not there is said so`(command: String) throws {
        let (_, text) = try run([command, "/nope.json"])
        #expect(text.contains("/nope.json cannot be read: No such file or directory"), "\(text)")
    }

    @Test(arguments: [
        ["replay"], ["replay", "--expect", "/dev/null"], ["normalize"], ["dataset", "build", "--output", "/nope"],
        ["alerts", "test"],
    ]) func `a recording that cannot be read, or holds nothing, is 1 with its name`(command: [String]) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-recordings-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for (name, text) in [("g.pb", "no telemetry"), ("other.json", #"{"a":1}"#), ("empty.jsonl", "")] {
            let path = folder.appending(path: name).path
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            let (status, text) = try run(command + [path])
            #expect(status == 1 && text.contains(path), "\(text)")
        }
    }

    @Test(arguments: [
        ["reference"], ["print-config"], ["version"], ["components"], ["presets"], ["sql", "schema"],
    ]) func `output that cannot be written is 1 with the reason, a reader that has enough is none`(
        command: [String]
    ) throws {
        func run(_ end: String) throws -> (status: Int32, errors: String) {
            let script = "\"$0\" \"$@\" \(end)"
            let outcome = try ChildProcess.runBlocking("bash", ["-c", script, RunningGateway.binary.path] + command)
            return (outcome.status, outcome.errors)
        }
        let full = try run("> /dev/full")
        #expect(full.status == 1 && full.errors.contains("cannot be written: No space left on device"))
        let closed = try run(">&-")
        #expect(closed.status == 1 && closed.errors.contains("cannot be written: Bad file descriptor"))
        let cut = try run("| true")
        #expect(cut.status == 0 && !cut.errors.contains("cannot be written"), "\(cut.errors)")
    }

    @Test(arguments: [
        ["dlq", "list"], ["dlq", "show", "00000000000000000009"], ["dlq", "drop", "--all"], ["findings"], ["queue"],
        ["where", String(repeating: "a7", count: 16)], ["alerts", "pause", "rule"], ["alerts", "resume", "rule"],
        ["replay", "abcdef01"],
    ]) func `a folder that may not be read is not an empty one`(command: [String]) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-foreign-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        var words = [RunningGateway.binary.path] + command + ["--data-directory", folder]
        if command == ["queue"] { words += ["--endpoint", Self.nobody] }
        var advice = "change the mode of \(folder)"
        if geteuid() == 0 {
            // Root without what lets it read all files is a user like any other.
            let rights = "-dac_override,-dac_read_search"
            words = ["setpriv", "--bounding-set=\(rights)", "--inh-caps=\(rights)"] + words
            try #require(chown(folder, 65_534, 65_534) == 0)
            advice = "run this as that user, with `sudo -u "
        }
        try #require(chmod(folder, geteuid() == 0 ? 0o700 : 0) == 0)
        defer { _ = chmod(folder, 0o700) }
        let outcome = try ChildProcess.runBlocking(words[0], Array(words.dropFirst()))
        #expect(outcome.status == 1 && outcome.output.isEmpty, "\(outcome.output)")
        #expect(outcome.errors.contains("\(folder)") && outcome.errors.contains(advice), "\(outcome.errors)")
    }

    @Test func `a damaged letter is listed with its file, told as such, and dropped`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-damaged-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let letters = folder + "/dead-letters/otlp_http"
        try FileManager.default.createDirectory(atPath: letters, withIntermediateDirectories: true)
        let id = "00000000000000000009"
        try Data([1, 2]).write(to: URL(filePath: "\(letters)/\(id).letter"))
        let here = ["--data-directory", folder]
        let list = try run(["dlq", "list"] + here)
        #expect(list.status == 0 && list.text == "\(id)  damaged  2 bytes in \(letters)/\(id).letter\n", "\(list.text)")
        let show = try run(["dlq", "show", id] + here)
        #expect(
            show.status == 1 && show.text.contains("is damaged; what is left of it is in \(letters)"), "\(show.text)")
        #expect(try run(["dlq", "drop", "--all"] + here).text == "\(id): dropped\n")
        #expect(try run(["dlq", "list"] + here).text.contains("no dead letters"))
    }
}
