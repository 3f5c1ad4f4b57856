import Configuration
import Testing

struct ExpansionTests {
    private func value(
        _ text: String, _ variables: [String: String] = [:], files: [String: String] = [:]
    ) -> ConfigValue? {
        let loaded = load("v: \(text)\n", variables: variables, files: files)
        #expect(loaded.headlines == [])
        return loaded.tree["v"]?.plain
    }

    @Test func `a whole reference takes the type of its text`() {
        #expect(value("${env:N}", ["N": "42"]) == .int(42))
        #expect(value("\"${env:N}\"", ["N": "42"]) == .int(42))
        #expect(value("${N}", ["N": "true"]) == .bool(true))
        #expect(value("${N}", ["N": ""]) == .null)
        #expect(value("${N}", ["N": "[a, 1]"]) == .list([.string("a"), .int(1)]))
        #expect(value("${N}", ["N": "\"7\""]) == .string("\"7\""))
        #expect(value("${N}", ["N": "'a b'"]) == .string("'a b'"))
        #expect(value("${N}", ["N": "[\"7\"]"]) == .list([.string("7")]))
        #expect(value("${N}", ["N": "[broken"]) == .string("[broken"))
        #expect(value("${file:f}", files: ["f": "a: 1\nb: 2\n"]) == .map([("a", .int(1)), ("b", .int(2))]))
        #expect(value("${file:f}", files: ["f": "secret\n"]) == .string("secret"))
        #expect(value("${yaml:[1]}") == .list([.int(1)]))
    }

    @Test func `a reference inside a text is text`() {
        #expect(value("a-${env:N}-b", ["N": "42"]) == .string("a-42-b"))
        #expect(value("${A}${B}", ["A": "1", "B": "2"]) == .string("12"))
        #expect(value("${env:H:-localhost}:${env:P:-4318}") == .string("localhost:4318"))
    }

    @Test func `defaults stand in for unset variables only`() {
        #expect(value("${env:N:-7}") == .int(7))
        #expect(value("${N:-7}") == .int(7))
        #expect(value("${env:N:-}") == .null)
        #expect(value("${env:N:-a:-b}") == .string("a:-b"))
        #expect(value("${env:N:-7}", ["N": ""]) == .null)
        #expect(value("${env:N:-${env:M:-5}}") == .int(5))
        #expect(value("${env:${WHICH}}", ["WHICH": "N", "N": "3"]) == .int(3))
    }

    @Test func `two dollar signs are one, and one alone is left as it is`() {
        #expect(value("$$5") == .string("$5"))
        #expect(value("$${env:N}") == .string("${env:N}"))
        #expect(value("$$$${N}") == .string("$${N}"))
        #expect(value("$$${N}", ["N": "x"]) == .string("$x"))
        #expect(value("cost $5 $x") == .string("cost $5 $x"))
        #expect(value("${N}", ["N": "pa$word$"]) == .string("pa$word$"))
        #expect(value("${N}", ["N": "pa${word"]) == .string("pa${word"))
    }

    @Test func `two dollar signs are one in what references stand for too`() {
        #expect(value("${N}", ["N": "pa$$word$"]) == .string("pa$word$"))
        #expect(value("x-${N}-$$", ["N": "$$$$1"]) == .string("x-$$1-$"))
        #expect(value("${N}", ["N": "$${M}", "M": "5"]) == .string("${M}"))
        #expect(value("${N}", ["N": "$$-${M}", "M": "$$5"]) == .string("$-$5"))
        #expect(value("${N}", ["N": "a: $$$$1\nb: $${M}"]) == .map([("a", .string("$$1")), ("b", .string("${M}"))]))
        #expect(value("${file:f}", files: ["f": "a$$b\n"]) == .string("a$b"))
        let (read, loaded) = options(
            ThingOptions.self, "name: ${N}\nkey: ${K}\n", variables: ["N": "$$1", "K": "a$$b"])
        #expect(loaded.headlines == [] && read.name == "$1" && read.key?.reveal() == "a$b")
    }

    @Test func `keys are never expanded`() {
        #expect(load("${N}: 1\n", variables: ["N": "x"]).tree.plain == .map([("${N}", .int(1))]))
    }

    @Test func `references in what references stand for are resolved to a depth`() {
        #expect(value("${A}", ["A": "${B}", "B": "5"]) == .int(5))
        let loaded = load("v: ${A}\n", variables: ["A": "${B}", "B": "${A}"])
        #expect(loaded.headlines.count == 1)
        #expect(loaded.headlines[0].contains("nested deeper than 4; look for a reference to itself"))
    }

    @Test func `references that multiply are cut off`() {
        let ten = String(repeating: "${B}", count: 200)
        let loaded = load(
            "v: ${A}\n",
            variables: [
                "A": ten, "B": ten.replacing("B", with: "C"), "C": ten.replacing("B", with: "D"), "D": "x",
            ])
        #expect(loaded.headlines.first?.contains("more than 10000 references") == true)
    }

    @Test(arguments: [
        ("${}", "the reference ${} is empty"), ("${env:}", "names no environment variable"),
        ("${1A}", "names no environment variable"), ("${A-B}", "names no environment variable"),
        ("${http://x}", "names no source that is known"),
        ("${file:gone}", "the file gone cannot be read: no such file"),
        ("${env:GONE}", "the environment variable GONE is not set; set it, or give a default: ${env:GONE:-value}"),
        ("x${A", "a reference is not closed"),
    ])
    func `a reference that fails is a problem with place and path`(text: String, message: String) {
        let loaded = load("a:\n  v: '\(text)'\n")
        #expect(loaded.headlines.count == 1)
        #expect(loaded.headlines.first?.hasPrefix("c.yaml:2:6: error: a.v: ") == true)
        #expect(loaded.headlines.first?.contains(message) == true, "\(loaded.headlines)")
    }

    @Test func `an option that wants a string takes the text as it came`() {
        let (read, loaded) = options(
            ThingOptions.self, "name: ${N}\nsize: ${S}\nkey: ${K}\n",
            variables: ["N": "00123", "S": "12", "K": "a: b #c"])
        #expect(loaded.headlines == [])
        #expect(read.name == "00123")
        #expect(read.size == 12)
        #expect(read.key?.reveal() == "a: b #c")
    }

    @Test func `the value of a variable is not put in messages`() {
        let loaded = options(
            ThingOptions.self, "size: ${S}\nwait: ${S}\nmode: ${S}\nlimit: ${S}\nratio: ${R}\nenabled: ${S}\n",
            variables: ["S": "hunter2", "R": "777"]
        ).loaded
        #expect(loaded.headlines.count == 6)
        #expect(!loaded.problems.report().contains("hunter2"))
        #expect(!loaded.problems.report().contains("777"))
    }

    @Test func `a required option whose reference failed is told once`() {
        var loaded = load("address: ${GONE}\n")
        _ = readOptions(RequiredOptions.self, node: loaded.tree, path: "x", problems: &loaded.problems)
        #expect(loaded.headlines.filter { $0.contains("address") }.count == 1)
    }

    @Test func `what may follow from a reference that failed is not told`() {
        var loaded = load("a: ${GONE}\nlist: ['${GONE}']\ngroup: ${GONE}\nfine: 5\nvoid: ${VOID:-}\n")
        readSettings(node: loaded.tree, path: "x", problems: &loaded.problems) { settings in
            let isThere = settings.optionalString("a", "A text.") != nil
            _ = settings.strings("list", default: [], "Texts.")
            settings.group("group", "A group.") { _ = $0.requiredString("name", "A name.") }
            let fine = settings.int("fine", default: 0, in: 0...9, "A number.")
            _ = settings.value("void", "Anything.")
            if !isThere {
                settings.problem("needs a or b")
                settings.problem("needs one of them", at: "a")
                settings.problem("needs it", at: "b")
                settings.warning("does nothing without it")
            }
            if fine > 4 { settings.problem("is too large", at: "fine") }
            if settings.isPresent("void") { settings.problem("is empty", at: "void") }
        }
        let headlines = loaded.headlines
        #expect(headlines.count == 5 && headlines.count { $0.contains("GONE is not set") } == 3, "\(headlines)")
    }
}
