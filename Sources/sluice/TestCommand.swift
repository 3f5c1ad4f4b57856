import ArgumentParser
import Configuration
import Exporters
import Gateway

struct Test: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the tests of a configuration.",
        discussion: """
            A file holds `tests:` beside its configuration, or names one with `config:`. Each test gives recorded \
            files, a payload or spans, runs them through the pipelines without opening a port or a file, and checks \
            what comes out. Exit code 5 when a test fails.
            """)

    @Argument(help: "Files with tests.")
    var files: [String]

    func run() throws {
        var passed = 0
        var failed = 0
        for file in files {
            let run = ConfigTestRun(file: file)
            if !run.problems.isEmpty { Terminal.error(run.problems.report()) }
            if run.problems.hasErrors { throw Exit.configuration }
            for result in run.results {
                if result.failures.isEmpty {
                    passed += 1
                    print("ok      \(result.name)")
                } else {
                    failed += 1
                    print("FAILED  \(result.name)")
                    for failure in result.failures { print("        \(EscapedText.make(failure))") }
                }
            }
        }
        print("\(passed) passed, \(failed) failed")
        if failed > 0 { throw Exit.expectation }
    }
}
