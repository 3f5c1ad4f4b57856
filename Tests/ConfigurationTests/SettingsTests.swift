import Configuration
import Testing

/// A duration that is usually zero, and an address.
private struct PauseOptions: ComponentOptions {
    init(_ settings: inout Settings) {
        _ = settings.duration("pause", default: .zero, in: .zero ... .seconds(3_600), "Pause.")
        _ = settings.string("endpoint", default: "", "Where to.")
    }
}

struct SettingsTests {
    @Test func `an empty body gives the defaults`() {
        for text in ["", "{}", "size:\nnested:\ntls: {}"] {
            let (read, loaded) = options(ThingOptions.self, text)
            #expect(loaded.headlines == [])
            #expect(read.size == 10 && read.isEnabled && read.ratio == 12.5 && read.tags == ["a"] && read.retry == nil)
            #expect(read.wait == .seconds(5) && read.limit == 64 << 20 && read.mode == .fast && read.depth == 1)
            #expect(read.tls == (text.contains("tls") ? false : nil))
        }
    }

    @Test func `a whole number may have a fraction of nothing or an exponent`() {
        let (read, loaded) = options(ThingOptions.self, "size: 1e+01\nlimit: 2.0e+03")
        #expect(loaded.headlines == [])
        #expect(read.size == 10 && read.limit == 2_000)
        let (_, refused) = options(ThingOptions.self, "size: 1.5")
        #expect(refused.headlines.contains { $0.contains("expects an integer") })
    }

    @Test func `every kind of option is read`() {
        let (read, loaded) = options(
            ThingOptions.self,
            """
            size: 0x10
            name: "5"
            enabled: false
            ratio: 50
            tags: [x, "1"]
            retry: 0
            wait: 1m30s
            limit: 1.5 MiB
            mode: VERY_CAREFUL
            key: hunter2
            headers: {b: one, a: two}
            labels: [{name: n, value: v}]
            open: {k: [1, null]}
            nested: {deep: 3}
            tls:
            rules: [{action: keep}, {action: drop}]
            """)
        #expect(loaded.headlines == [])
        #expect(read.size == 16 && read.name == "5" && !read.isEnabled && read.ratio == 50 && read.tags == ["x", "1"])
        #expect(read.retry == .zero && read.wait == .seconds(90) && read.limit == 3 << 19 && read.mode == .veryCareful)
        #expect(read.key?.reveal() == "hunter2")
        #expect(read.headers.map(\.key) == ["b", "a"] && read.headers.map { $0.value.reveal() } == ["one", "two"])
        #expect(read.labels.map(\.key) == ["n"] && read.labels.map(\.value) == ["v"])
        #expect(read.open == .map([("k", .list([.int(1), .null]))]))
        #expect(read.depth == 3 && read.tls == false && read.rules == ["keep", "drop"])
        #expect(loaded.problems.secretPaths.isSuperset(of: ["x.key", "x.headers.a", "x.headers.b"]))
    }

    @Test func `wrong types are all told at once with the mend`() throws {
        var loaded = load(try fixture("wrong-type.yaml"))
        let body = try #require(loaded.tree["queue"])
        _ = readOptions(ThingOptions.self, node: body, path: "queue", problems: &loaded.problems)
        #expect(
            loaded.headlines == [
                "c.yaml:2:9: error: queue.size: expects an integer, not the string \"many\"; write e.g. `size: 10`",
                "c.yaml:3:9: error: queue.name: expects a string, not an integer (12); "
                    + "put it in quotes: `name: \"12\"`",
                "c.yaml:4:12: error: queue.enabled: expects a boolean, not the string \"true\"; "
                    + "write `enabled: true` or `enabled: false`, without quotes",
                "c.yaml:5:10: error: queue.ratio: expects a number, not a list; write e.g. `ratio: 12.5`",
                "c.yaml:6:9: error: queue.tags: expects a list of strings, not an integer (1); write `tags: [\"1\"]`",
                "c.yaml:7:10: error: queue.retry: expects a duration, not a boolean (true); "
                    + "write e.g. `retry: 30s` (units: ns, us, ms, s, m, h)",
                "c.yaml:8:10: error: queue.limit: expects a size, not the string \"3 "
                    + "potatoes\"; write bytes or a number "
                    + "with a unit (KB, KiB, MB, MiB, GB, GiB), e.g. `limit: 64MiB`",
                "c.yaml:9:9: error: queue.mode: expects one of fast, slow, very_careful, not the string \"fastt\"; "
                    + "did you mean \"fast\"?",
                "c.yaml:10:9: error: queue.wait: is a duration without a unit; "
                    + "write e.g. `wait: 30s` (units: ns, us, ms, s, m, h)",
                "c.yaml:11:11: error: queue.nested: expects a mapping of options, not an integer (5); "
                    + "write `key: value` lines indented under `nested:`",
            ])
    }

    @Test func `a text where a list is expected is split at its commas, as in the Collector`() {
        func tags(_ yaml: String) -> [String] { options(ThingOptions.self, "size: 16\n" + yaml).options.tags }
        #expect(tags("tags: one") == ["one"])
        #expect(tags("tags: 'env,system, docker'") == ["env", "system", "docker"])
        #expect(tags("tags: ''") == [])
    }

    @Test func `a duration without a unit counts nanoseconds, with a warning`() {
        let (read, loaded) = options(ThingOptions.self, "{size: 16, wait: 2000000}")
        #expect(read.wait == .milliseconds(2))
        #expect(loaded.headlines.contains { $0.contains("warning: x.wait: has no unit and counts nanoseconds") })
    }

    @Test(arguments: [("1", "1s"), ("90", "90s"), ("5000", "5000ms"), ("-1", "0s"), ("soon", "0s")])
    func `the advice for a duration has the number of the file where it can be one`(text: String, advice: String) {
        let headlines = options(PauseOptions.self, "pause: \(text)").loaded.headlines
        #expect(headlines.count == 1 && headlines[0].contains("write e.g. `pause: \(advice)`"), "\(headlines)")
    }

    @Test func `a port where an address is wanted is to get a host`() {
        let headlines = options(PauseOptions.self, "endpoint: 4318").loaded.headlines
        #expect(headlines.count == 1 && headlines[0].contains("`endpoint: 127.0.0.1:4318`"), "\(headlines)")
        #expect(options(PauseOptions.self, "endpoint: 4318000").loaded.headlines[0].contains("put it in quotes"))
    }

    @Test func `out of range says range and unit`() throws {
        #expect(
            options(ThingOptions.self, try fixture("out-of-range.yaml")).loaded.headlines == [
                "c.yaml:1:7: error: x.size: 0 is out of range; give 1 to 1000 (unit: batches)",
                "c.yaml:2:8: error: x.ratio: 101 is out of range; give 0 to 100 (unit: %)",
                "c.yaml:3:7: error: x.wait: 25h is out of range; give 1ms to 24h",
                "c.yaml:4:8: error: x.limit: 2GiB is out of range; give 1 to 1GiB",
            ])
    }

    @Test func `not a number is in no range`() {
        #expect(options(ThingOptions.self, "ratio: .nan").loaded.problems.hasErrors)
        #expect(options(ThingOptions.self, "ratio: .inf").loaded.problems.hasErrors)
    }

    @Test func `a statement that YAML reads as a mapping is to stand in quotes`() {
        for text in ["set(body, {\"m\": 1})", "tags: [a]\nset(a, 1) where b == {\"m\": 1}"] {
            let headlines = options(ThingOptions.self, text).loaded.headlines
            #expect(headlines.contains { $0.contains("unknown key; put the whole text in single quotes") })
        }
        let headlines = options(ThingOptions.self, "tags:\n  - body == {\"m\": 1}").loaded.headlines
        #expect(headlines.contains { $0.contains("expects a string") && $0.contains("in single quotes") })
    }

    @Test func `unknown keys get a suggestion at every depth`() {
        #expect(
            options(
                ThingOptions.self,
                """
                sise: 1
                nested:
                  dept: 2
                rules:
                  - action: x
                    acton: y
                qqqqqqqq: 1
                """
            ).loaded.headlines == [
                "c.yaml:1:1: error: x.sise: unknown key; did you mean \"size\"?",
                "c.yaml:3:3: error: x.nested.dept: unknown key; did you mean \"depth\"?",
                "c.yaml:6:5: error: x.rules[0].acton: unknown key; did you mean \"action\"?",
                "c.yaml:7:1: error: x.qqqqqqqq: unknown key; known keys: size, name, "
                    + "enabled, ratio, tags, retry, wait, "
                    + "limit, mode, key, headers, labels, …",
            ])
        #expect(
            options(ThingOptions.self, "maxSize: 1").loaded.headlines == [
                "c.yaml:1:1: error: x.maxSize: unknown key; did you mean \"max_size\"?"
            ])
    }

    @Test func `a key that stands beside its group is told where it belongs`() {
        var loaded = load("insecure: true\nage: 5\nenabled: true\n")
        readSettings(node: loaded.tree, path: "x", problems: &loaded.problems) { settings in
            settings.group("tls", "TLS.") { tls in
                _ = tls.bool("insecure", default: false, "No TLS.")
                _ = tls.bool("enabled", default: false, "TLS.")
            }
            settings.group("queue", "A queue.") { queue in
                _ = queue.int("age", default: 0, in: 0...9, "An age.")
                _ = queue.bool("enabled", default: false, "A queue.")
            }
        }
        #expect(
            loaded.headlines == [
                "c.yaml:1:1: error: x.insecure: unknown key; it belongs below `tls`: write `tls: {insecure: true}`",
                "c.yaml:2:1: error: x.age: unknown key; it belongs below `queue`: write `queue: {age: …}`",
                "c.yaml:3:1: error: x.enabled: unknown key; known keys: tls, queue",
            ])
    }

    @Test func `other spellings read as the option, but not both at once`() {
        let (read, loaded) = options(ThingOptions.self, "max_size: 7")
        #expect(read.size == 7 && loaded.headlines == [])
        #expect(
            options(ThingOptions.self, "max_size: 0").loaded.headlines == [
                "c.yaml:1:11: error: x.size: 0 is out of range; give 1 to 1000 (unit: batches)"
            ])
        #expect(
            options(ThingOptions.self, "max_size: 7\nsize: 8").loaded.headlines == [
                "c.yaml:1:1: error: x.max_size: is the older spelling of \"size\", which is given too (line 2); "
                    + "keep one of them"
            ])
    }

    @Test func `required options are told when missing, empty or null`() {
        #expect(options(RequiredOptions.self, "mode: slow\naddress: ''").loaded.headlines.count == 1)
        #expect(
            options(RequiredOptions.self, "mode:\naddress: here").loaded.headlines == [
                "c.yaml:1:1: error: x.mode: is required and missing (one of fast, slow, very_careful); add `mode: fast`"
            ])
        let missing = options(RequiredOptions.self, "{}").loaded.headlines
        #expect(missing.count == 2)
        #expect(missing.first == "c.yaml:1:1: error: x.address: is required and missing (string); add `address: …`")
        let misspelt = options(RequiredOptions.self, "{mode: slow, adress: here}").loaded.headlines
        #expect(misspelt == ["c.yaml:1:14: error: x.adress: unknown key; did you mean \"address\"?"])
    }

    @Test func `accepted options are warnings, cross checks are errors`() {
        let loaded = options(ThingOptions.self, "legacy: {any: thing}\nsize: 600").loaded
        #expect(
            loaded.headlines == [
                "c.yaml:1:1: warning: x.legacy: has no effect here: Nothing has needed it since.",
                "c.yaml:2:7: error: x.size: is too large for the mode fast",
            ])
        #expect(loaded.problems.errors.count == 1 && loaded.problems.warnings.count == 1)
    }

    @Test func `faulty maps, lists and groups are told once`() {
        #expect(
            options(
                ThingOptions.self,
                """
                headers: [1, {nam: x}]
                labels: {a: 1, b: }
                rules: {action: x}
                tags: [1, {}]
                nested: [1]
                """
            ).loaded.headlines == [
                "c.yaml:1:11: error: x.headers[0]: expects a mapping, not an integer; write `- {name: …, value: …}`",
                "c.yaml:1:15: error: x.headers[1].nam: unknown key; did you mean \"name\"?",
                "c.yaml:2:13: error: x.labels.a: expects a string, not an integer (1); "
                    + "put it in quotes: `labels.a: \"1\"`",
                "c.yaml:2:16: error: x.labels.b: has no value; give it one, or \"\" for an empty text",
                "c.yaml:3:8: error: x.rules: expects a list of mappings, not a mapping; "
                    + "start each element with `- ` under `rules:`",
                "c.yaml:4:8: error: x.tags[0]: expects a string, not an integer (1); put "
                    + "it in quotes: `tags[0]: \"1\"`",
                "c.yaml:4:11: error: x.tags[1]: expects a string, not a mapping; write e.g. `tags[1]: \"…\"`",
                "c.yaml:5:9: error: x.nested: expects a mapping of options, not a list; "
                    + "write `key: value` lines indented under `nested:`",
            ])
    }

    @Test func `a body that is no mapping is one problem`() {
        var loaded = load("x: [1]")
        let body = loaded.tree["x"] ?? .null(at: .nowhere)
        _ = readOptions(RequiredOptions.self, node: body, path: "x", problems: &loaded.problems)
        #expect(
            loaded.headlines == [
                "c.yaml:1:4: error: x: expects a mapping of options, not a list; "
                    + "write `key: value` lines under it, or nothing for the defaults"
            ])
    }

    @Test func `describing lists every option with default, range and nesting`() throws {
        let described = describeOptions(ThingOptions.self)
        #expect(
            described.map(\.key) == [
                "size", "name", "enabled", "ratio", "tags", "retry", "wait", "limit", "mode", "key", "headers",
                "labels",
                "open", "nested", "tls", "rules", "legacy",
            ])
        let size = described[0]
        #expect(size.defaultText == "10" && size.range == "1 to 1000" && size.unit == "batches")
        #expect(size.aliases == ["max_size"] && size.type == "integer" && !size.isRequired)
        #expect(described[6].defaultText == "5s" && described[6].range == "1ms to 24h")
        #expect(described[7].defaultText == "64MiB" && described[8].choices == ["fast", "slow", "very_careful"])
        #expect(described[13].nested.map(\.path) == ["nested.depth"] && described[13].nested[0].aliases == ["deep"])
        #expect(described[13].nested[0].range == "at least 0")
        #expect(described[15].nested.map(\.path) == ["rules[].action"] && described[15].nested[0].isRequired)
        #expect(described[16].isAccepted && described[9].isSecret)
    }
}
