import Configuration
import Testing

struct MergingTests {
    @Test func `mappings are merged key by key, lists and scalars replaced`() {
        var problems = ConfigProblems()
        let sources: [ConfigSource] = [
            .text(name: "one.yaml", "a: {x: 1, y: [1, 2]}\nb: 1\n"),
            .text(name: "two.yaml", "a: {y: [3], z: 4}\nb: {c: 1}\n"),
        ]
        let tree = ConfigLoader(environment: world()).load(sources, problems: &problems)
        #expect(problems.isEmpty)
        #expect(
            tree.plain
                == .map([
                    ("a", .map([("x", .int(1)), ("y", .list([.int(3)])), ("z", .int(4))])),
                    ("b", .map([("c", .int(1))])),
                ]))
        #expect(tree["a"]?["y"]?.place.file == "two.yaml")
    }

    @Test func `overrides are laid over the files, with dots or double colons`() {
        let loaded = load(
            "exporters: {debug: {verbosity: basic}}\n",
            set: [
                "exporters.debug.verbosity=normal", "exporters::debug::verbosity=detailed", "a.b=[1, {c: d=e}]",
                "m::x.y=1", "empty.value=", "flow={k: v}",
            ])
        #expect(loaded.headlines == [])
        #expect(
            loaded.tree.plain
                == .map([
                    ("exporters", .map([("debug", .map([("verbosity", .string("detailed"))]))])),
                    ("a", .map([("b", .list([.int(1), .map([("c", .string("d=e"))])]))])),
                    ("m", .map([("x.y", .int(1))])), ("empty", .map([("value", .null)])),
                    ("flow", .map([("k", .string("v"))])),
                ]))
        #expect(loaded.tree["exporters"]?["debug"]?["verbosity"]?.place == ConfigPlace(file: "--set"))
    }

    @Test func `faulty overrides are problems of --set`() {
        #expect(
            load("", set: ["a.b", "a..b=1", "=1", "a.b=[1", "a.b=*x"]).headlines == [
                "--set: error: \"a.b\" has no value; write --set path.to.option=value",
                "--set: error: \"a..b\" is no path of an option; write --set path.to.option=value",
                "--set: error: \"\" is no path of an option; write --set path.to.option=value",
                "--set: error: a.b: bad YAML: did not find expected ',' or ']' (while "
                    + "parsing a flow sequence in line 1); "
                    + "close the bracket, or separate the elements with commas",
                "--set: error: a.b: the alias has no anchor before it; define it with &name",
            ])
    }

    @Test func `a problem with an overridden option names --set`() {
        var loaded = load("size: 5\n", set: ["size=many"])
        _ = readOptions(ThingOptions.self, node: loaded.tree, path: "x", problems: &loaded.problems)
        #expect(
            loaded.headlines == [
                "--set: error: x.size: expects an integer, not the string \"many\"; write e.g. `size: 10`"
            ])
    }
}
