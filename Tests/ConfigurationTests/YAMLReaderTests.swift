import Configuration
import Testing

struct YAMLReaderTests {
    @Test func `keeps values with line and column`() throws {
        let tree = load("a:\n  b: [1, two, 3.5]\n  c: \"4\"\n  d:\n").tree
        #expect(
            tree.plain
                == .map([
                    (
                        "a",
                        .map([
                            ("b", .list([.int(1), .string("two"), .double(3.5)])), ("c", .string("4")), ("d", .null),
                        ])
                    )
                ]))
        let two = try #require(tree["a"]?["b"]?.list?[1])
        #expect(two.place == ConfigPlace(file: "c.yaml", line: 2, column: 10))
        #expect(tree["a"]?.entry("c")?.keyPlace == ConfigPlace(file: "c.yaml", line: 3, column: 3))
    }

    @Test(arguments: [
        ("tab-indentation.yaml", "c.yaml:2:1: error: a tab is used for indentation; indent with spaces"),
        ("unclosed-bracket.yaml", "c.yaml:3:1: error: bad YAML: did not find expected node content"),
        (
            "nested-value-on-one-line.yaml",
            "c.yaml:2:10: error: bad YAML: mapping values are not allowed in this context"
        ),
        ("list-at-top.yaml", "c.yaml:1:1: error: the configuration must be a mapping, not a list"),
        ("text-at-top.yaml", "c.yaml:1:1: error: the configuration must be a mapping, not a string"),
        ("two-documents.yaml", "c.yaml:3:1: error: holds more than one YAML document; keep one"),
        ("duplicate-key.yaml", "c.yaml:6:3: error: the key \"debug\" is given twice in one mapping (first in line 2)"),
        ("duplicate-key-of-two-types.yaml", "c.yaml:2:1: error: the key \"1\" is given twice"),
        ("alias-bomb.yaml", "error: aliases expand to more than 4MiB or are nested deeper than 4"),
        ("unset-variable.yaml", "exporters.otlp_http.endpoint: the environment variable NOWHERE_SET is not set"),
        ("reference-without-end.yaml", "c.yaml:1:11: error: endpoint: a reference is not closed"),
        ("reference-to-unknown-source.yaml", "${vault:secret/host} names no source that is known"),
    ])
    func `a fault is told with its place`(name: String, message: String) throws {
        let headlines = load(try fixture(name)).headlines
        #expect(headlines.first?.contains(message) == true, "\(headlines)")
    }

    @Test(arguments: [
        #"set(body, "x") where body == {"m": {"k": 1}}"#, #"set(body, {"m": 1, "n": 2})"#, #"body == {"m": "x"} and y"#,
    ])
    func `a statement that is no YAML without quotes is told so`(statement: String) {
        let headlines = load("a:\n  - \(statement)\n").headlines
        #expect(headlines.first?.contains("bad YAML") == true, "\(headlines)")
        #expect(headlines.first?.contains("behind the dash in single quotes") == true, "\(headlines)")
        #expect(load("a:\n  - '\(statement)'\n").headlines == [])
    }

    @Test func `a line that is no statement has the usual advice`() {
        let headlines = load("a:\n  - b: 1\n   c: 2\n").headlines
        #expect(headlines.first?.contains("bad YAML") == true, "\(headlines)")
        #expect(headlines.first?.contains("behind the dash") == false, "\(headlines)")
    }

    @Test func `both unset variables are told at once`() throws {
        #expect(load(try fixture("unset-variable.yaml")).headlines.count == 2)
    }

    @Test func `aliases and merge keys work within the budget`() {
        let tree = load(
            """
            base: &base {a: 1, b: 2}
            one: {<<: *base, b: 3}
            two: *base
            three: {<<: [{a: 9}, *base]}
            """)
        #expect(tree.headlines == [])
        #expect(tree.tree["one"]?.plain == .map([("b", .int(3)), ("a", .int(1))]))
        #expect(tree.tree["two"]?.plain == .map([("a", .int(1)), ("b", .int(2))]))
        #expect(tree.tree["three"]?.plain == .map([("a", .int(9)), ("b", .int(2))]))
    }

    @Test func `many plain uses of a few anchors are no bomb`() {
        var text = "a: &a {x: 1}\nb: &b {y: *a}\n"
        for number in 0..<200 { text += "k\(number): [*a, *b]\n" }
        #expect(load(text).headlines == [])
    }

    @Test func `wide and deep texts are refused, not crashed on`() {
        let tooDeep = "a: " + String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        #expect(load(tooDeep).headlines.first?.contains("nested deeper than 64 levels") == true)
        for open in ["[", "{a: ", "- ", "? ", "{? "] {
            let text = String(repeating: open, count: 50_000)
            #expect(load(text).problems.hasErrors, "\(open)")
        }
        let wide = "a: [" + String(repeating: "1,", count: 100_001) + "]"
        #expect(load(wide).headlines.first?.contains("more than 100000 values") == true)
        let big = "a: \"" + String(repeating: "x", count: 2 << 20) + "\""
        #expect(load(big).headlines == ["c.yaml: error: is larger than 1MiB; a configuration must be smaller"])
        let chained = "a: &a [[[[x]]]]\nb: &b [*a]\nc: &c [*b]\nd: &d [*c]\ne: &e [*d]\nf: [*e]\n"
        #expect(load(chained).problems.hasErrors)
    }

    @Test func `deep parts joined by aliases are read within the stack`() {
        let open = String(repeating: "[", count: 900)
        let close = String(repeating: "]", count: 900)
        var text = "k0: &k0 \(open)x\(close)\n"
        for number in 1..<4 { text += "k\(number): &k\(number) \(open)*k\(number - 1)\(close)\n" }
        #expect(load(text + "? *k3\n: 1\n").headlines.first?.contains("nested deeper than 64") == true)
    }

    @Test func `keys inside keys are refused before they cost time`() {
        let text = String(repeating: "? ", count: 900) + "[" + String(repeating: "x,", count: 100_000) + "]"
        #expect(load(text).headlines.first?.contains("too many keys of the form") == true)
        #expect(load("a: what? yes\nb: 'c ? d'\n? e\n: f\n").headlines == [])
    }

    @Test func `keys must be texts and tags are refused`() {
        #expect(load("? [a]\n: 1\n").headlines.first?.contains("a key must be a text") == true)
        #expect(load("'': 1\n").headlines.first?.contains("a key must be a text") == true)
        #expect(load(": 1\n").problems.hasErrors)
        #expect(load("a: !!binary aGk=\n").headlines.first?.contains("2002:binary is not supported") == true)
        #expect(load("a: !!str 5\nb: !!float 2\n").tree.plain == .map([("a", .string("5")), ("b", .double(2))]))
        #expect(load("a: !!int x\n").headlines.first?.contains("does not fit its tag") == true)
    }

    @Test func `an empty file and a byte order mark are no faults`() {
        #expect(load("").headlines == [])
        #expect(load("# nothing\n").tree.map?.isEmpty == true)
        #expect(load("\u{FEFF}a: 1\r\nb: 2\r\n").tree.plain == .map([("a", .int(1)), ("b", .int(2))]))
    }

    @Test(arguments: [
        "---\na: 1\n", "a: 1\n---\n", "---\na: 1\n---\n---\n# the end\n", "---\n---\na: 1\n...\n",
        "# first\n---\na: 1\n--- # nothing\n",
    ])
    func `documents without content do not count`(text: String) {
        let loaded = load(text)
        #expect(loaded.headlines == [])
        #expect(loaded.tree.plain == .map([("a", .int(1))]))
    }

    @Test func `two documents with content are refused with advice, whatever stands between them`() {
        for text in ["a: 1\n---\n---\nb: 2\n", "---\na: 1\n...\n---\n~\n"] {
            let headlines = load(text).headlines
            #expect(headlines.count == 1 && headlines[0].contains("keep one, and give further files"), "\(headlines)")
        }
        #expect(load("---\n---\n").tree.map?.isEmpty == true)
    }

    @Test func `bytes that are no UTF-8, missing files and control characters are told`() {
        var problems = ConfigProblems()
        let environment = ConfigEnvironment(variable: { _ in nil }) { path throws(ConfigReadFailure) in
            if path == "latin1.yaml" { return [0x61, 0x3A, 0xE9] }
            throw ConfigReadFailure(reason: "no such file")
        }
        let loader = ConfigLoader(environment: environment)
        _ = loader.load(
            [.file("latin1.yaml"), .file("gone.yaml"), .text(name: "c.yaml", "a: 1\nb: x\u{1}y")],
            problems: &problems)
        #expect(
            problems.all.map(ConfigProblems.headline) == [
                "c.yaml:2:5: error: has a character that YAML does not allow; remove it",
                "gone.yaml: error: cannot be read: no such file; check the name given with --config",
                "latin1.yaml: error: is not UTF-8 text; save the file as UTF-8",
            ])
    }
}
