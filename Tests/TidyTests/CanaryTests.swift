import Testing

@Suite struct `Each rule of the house bites` {
    private func findings(_ rule: String, _ path: String, _ text: String) throws -> [Finding] {
        try #require(Rules.rule(rule)).check(SourceFile(path: path, text: text))
    }

    private func function(lines: Int, head: String = "func long() {") -> String {
        ([head] + Array(repeating: "    work()", count: lines - 2) + ["}"]).joined(separator: "\n")
    }

    @Test func `a long file`() throws {
        let text = String(repeating: "// line\n", count: 601)
        #expect(try findings("file size", "Sources/OTLP/Long.swift", text).map(\.line) == [601])
        #expect(try findings("file size", "Sources/OTLP/Long.swift", String(text.dropFirst(8))) == [])
        #expect(try findings("file size", "Tests/OTLPTests/Long.swift", text) == [])
        let test = String(repeating: "// line\n", count: 1_001)
        #expect(try findings("file size", "Tests/OTLPTests/Long.swift", test).count == 1)
    }

    @Test(arguments: [
        "func long() {", "init(a: Int) {",
        "private static func long<T>(\n    a: T = [\"{\"],\n) -> T where T: Sendable {",
        "deinit {", "subscript(a: Int) -> Int {", "var long: Int {", "func `long { name`() async throws {",
    ])
    func `a long function`(head: String) throws {
        let extra = head.split(separator: "\n").count - 1
        let long = "struct A {\n" + function(lines: 71 - extra, head: head) + "\n}\n"
        let found = try findings("function size", "Sources/OTLP/Long.swift", long)
        #expect(found.map(\.line) == [2])
        #expect(found.first?.message.contains("71 lines") == true)
        let fits = "struct A {\n" + function(lines: 70 - extra, head: head) + "\n}\n"
        #expect(try findings("function size", "Sources/OTLP/Fits.swift", fits) == [])
    }

    @Test func `a requirement or a stored property does not borrow the next body`() throws {
        let text = "protocol P {\n    func a()\n    var b: Int { get }\n    var c: Int\n}\n"
        let rest = function(lines: 60) + "\n" + function(lines: 60)
        #expect(try findings("function size", "Sources/OTLP/P.swift", text + rest) == [])
        let calls = "let x = .init(a)\nself.init(b)\nvar y = [1]\n" + rest
        #expect(try findings("function size", "Sources/OTLP/P.swift", calls) == [])
    }

    @Test func `braces in texts and comments do not count`() throws {
        let odd = #"    let s = "}}\("}")" + #"{"# + " // }}}\n    /* } */\n"
        let text = "func a() {\n" + odd + function(lines: 66, head: "    do {") + "\n}\nfunc b() {}\n"
        #expect(try findings("function size", "Sources/OTLP/A.swift", text) == [])
        #expect(FunctionScan(code: SourceFile(path: "A.swift", text: text).code).functions().map(\.length) == [70, 1])
    }

    @Test func `a wide line`() throws {
        let wide = String(repeating: "ä", count: 121)
        #expect(try findings("line width", "Sources/OTLP/Wide.swift", "\n" + wide).map(\.line) == [2])
        #expect(try findings("line width", "Sources/OTLP/Wide.swift", String(wide.dropFirst())) == [])
    }

    @Test(arguments: [
        ("Sources/Gateway/A.swift", "let a = try! b()"), ("Tests/GatewayTests/A.swift", "let a = try! b()"),
        ("Sources/Gateway/A.swift", "default: fatalError(\"no\")"), ("Sources/Gateway/A.swift", "let now = Date()"),
        ("Sources/Exporters/SQL/A.swift", "try await Task.sleep(for: .seconds(1))"),
        ("Sources/Gateway/A.swift", "let id = UUID().uuidString"), ("Sources/Gateway/A.swift", "Swift.print(a)"),
        ("Sources/Exporters/File/A.swift", "print(line)"),
        ("Sources/Telemetry/A.swift", "import Foundation"), ("Sources/OTLP/A.swift", "package import Foundation"),
        ("Sources/Pipeline/A.swift", "import FoundationEssentials"), ("Sources/Journal/A.swift", "import Foundation"),
    ])
    func `a banned call`(path: String, line: String) throws {
        let found = try findings("banned call", path, "// head\n\(line)\n")
        #expect(found.map(\.line) == [2])
        #expect(found.first?.message.contains(" is banned: ") == true)
    }

    @Test(arguments: [
        ("Sources/sluice/main.swift", "print(version)"), ("Sources/Exporters/Debug/Tree.swift", "print(tree)"),
        ("Sources/Gateway/A.swift", "footprint(of: a)"),
        ("Sources/Gateway/A.swift", "// try! is banned, and so is Date()"),
        ("Sources/Gateway/A.swift", "let a = \"UUID()\""),
        ("Sources/Exporters/Helper/WorkerEffects.swift", "Task.sleep(a)"),
        ("Sources/Gateway/A.swift", "package func print(_ a: Int) { printer.print(a) }"),
        ("Tests/GatewayTests/A.swift", "func `calls fatalError() on Date()`() {}"),
    ])
    func `what only looks like a banned call is left alone`(path: String, line: String) throws {
        #expect(try findings("banned call", path, line) == [])
    }

    @Test func `a public declaration`() throws {
        let text = "struct A {\n    public var b = 1\n    open func c() {}\n    private let publicName = 2\n"
        let more = "    @inlinable public private(set) var d = open\n    open(path)\n    open = public\n}\n"
        #expect(try findings("access", "Sources/OTLP/A.swift", text + more).map(\.line).sorted() == [2, 3, 5])
    }

    @Test(arguments: ["final class A: @unchecked Sendable {}", "nonisolated(unsafe) let a = b"])
    func `an unchecked promise without a reason`(line: String) throws {
        #expect(try findings("unchecked", "Sources/OTLP/A.swift", "let url = \"http://a\"\n\(line)").map(\.line) == [2])
        let far = "// Guarded by the lock.\n\n\n\n\(line)"
        #expect(try findings("unchecked", "Sources/OTLP/A.swift", far).count == 1)
        #expect(try findings("unchecked", "Sources/OTLP/A.swift", "// Guarded by the lock.\n\n\n\(line)") == [])
        #expect(try findings("unchecked", "Sources/OTLP/A.swift", "\(line)  // Guarded by the lock.") == [])
        let four = "// Guarded by the lock.\n" + String(repeating: line + "\n", count: 5)
        #expect(try findings("unchecked", "Sources/OTLP/A.swift", four) == [])
    }

    @Test(arguments: ["// TODO: later", "/// FIXME", "# TODO(me) later"])
    func `an open end`(line: String) throws {
        for path in ["Sources/OTLP/A.swift", "script/run", "README.md"] {
            #expect(try findings("open end", path, line).count == 1)
        }
        #expect(try findings("open end", "Sources/OTLP/A.swift", "// the TODOS of others") == [])
    }

    @Test(arguments: [
        ("Telemetry", "import OTLP"), ("Telemetry", "import Dispatch"), ("OTLP", "@testable import Pipeline"),
        ("Pipeline", "package import Journal"), ("Processors", "import struct Receivers.A"),
        ("Gateway", "import CCurl"), ("Configuration", "private import Telemetry"), ("Receivers", "import Exporters"),
        ("Unknown", "let a = 1"),
    ])
    func `an import against the table`(module: String, line: String) throws {
        #expect(try findings("import", "Sources/\(module)/A.swift", line).count == 1)
    }

    @Test func `an import that the table has`() throws {
        let text = "// import Journal\n@preconcurrency package import Telemetry\nimport Glibc\nimport struct COTLP.A\n"
        #expect(try findings("import", "Sources/OTLP/A.swift", text) == [])
    }

    @Test(arguments: [
        "cat /work/main", "let a = \"/root/.config\"", "see /home/me/notes", "path=/work", "(/root)", "file:///home/me",
    ])
    func `a path of one machine`(line: String) throws {
        let found = try findings("machine path", "script/run", line)
        #expect(found.count == 1)
        #expect(try findings("machine path", "README.md", "api/work, /workers, ./root/a, $dir/work, /rooted").isEmpty)
    }

    @Test func `a long readme`() throws {
        let text = String(repeating: "line\n", count: 151)
        #expect(try findings("readme size", "README.md", text).count == 1)
        #expect(try findings("readme size", "README.md", String(text.dropFirst(5))) == [])
    }

    @Test func `no rule is without a canary`() {
        let proven: Set = [
            "file size", "function size", "line width", "banned call", "access", "unchecked", "open end", "import",
            "machine path", "readme size",
        ]
        #expect(Set(Rules.all.map(\.name)) == proven)
    }
}
