import Configuration
import Testing

struct ConfigPrinterTests {
    @Test func `masks secrets and keeps the rest`() throws {
        var loaded = load(
            """
            key: hunter2
            headers: {a: hunter2, b: "${S}"}
            open: {signing_key: "${S}", key: http.method, name: "${N}", password: hunter2, use_cookie: true}
            endpoint: http://u:hunter2@h/
            nested:
              - a: 1
                b: [x, "y z", {c: null}]
              - []
            """, variables: ["S": "hunter2", "N": "plain"])
        _ = readOptions(ThingOptions.self, node: loaded.tree, path: "", problems: &loaded.problems)
        let text = ConfigPrinter.print(loaded.tree, secretPaths: loaded.problems.secretPaths)
        #expect(
            text == """
                key: "[REDACTED]"
                headers:
                  a: "[REDACTED]"
                  b: "[REDACTED]"
                open:
                  signing_key: "[REDACTED]"
                  key: http.method
                  name: plain
                  password: "[REDACTED]"
                  use_cookie: true
                endpoint: "http://u:[REDACTED]@h/"
                nested:
                  - a: 1
                    b:
                      - x
                      - y z
                      - c:
                  - []

                """)
    }

    @Test(arguments: [
        "plain", "", "5", "true", "null", "~", " lead", "trail ", "a: b", "a #b", "- x", "[x]", "{x}", "*a", "&a",
        "!t",
        "'q'", "\"q\"", "back\\slash", "line\nbreak", "tab\t", "$5 ${env:X} $$", "é\u{1}\u{7F}\u{85}\u{2028}", "<<",
        "x:",
        "%x", "@x", "`x", "? x", "0x1F", "1e3", ".inf", "a,b", "://",
    ])
    func `what is printed reads back as the same`(text: String) {
        let place = ConfigPlace.nowhere
        let scalar = ConfigNode(.scalar(ConfigScalar(text: text, value: .string, isPlain: false)), place: place)
        var entries = [ConfigNode.Entry(key: "v", keyPlace: place, value: scalar)]
        entries.append(.init(key: "l", keyPlace: place, value: ConfigNode(.list([scalar, scalar]), place: place)))
        let tree = ConfigNode(.map(entries), place: place)
        let again = load(ConfigPrinter.print(tree, secretPaths: []))
        #expect(again.headlines == [])
        #expect(again.tree.plain == tree.plain)
    }

    @Test func `the complete file reads back as the same`() throws {
        let loaded = load(try fixture("complete.yaml"), variables: ["TOKEN": "t"])
        var tree = load(ConfigPrinter.print(loaded.tree, secretPaths: [])).tree
        #expect(tree["exporters"]?["otlp_http/backup"]?["headers"]?["authorization"]?.plain == .string("[REDACTED]"))
        let override = ["exporters::otlp_http/backup::headers::authorization=Bearer t"]
        tree = load(ConfigPrinter.print(loaded.tree, secretPaths: []), set: override).tree
        #expect(tree.plain == loaded.tree.plain)
    }
}

struct ReferencePageTests {
    @Test func `lists components and options in tables`() {
        let page = ReferencePage.markdown(
            [
                .init(
                    kind: .exporter, type: "thing", aliases: ["thingy"], sentence: "Does things.",
                    options: describeOptions(ThingOptions.self)),
                .init(kind: .receiver, type: "none", sentence: "Does nothing.", options: []),
            ], telemetry: [])
        let wanted = [
            "## Receivers\n\n### `none`\n\nDoes nothing.\n\nNo options.\n",
            "## Exporters\n\n### `thing`\n\nDoes things.\n", "Also written `thingy`.",
            "| `size` | integer | `10` | 1 to 1000 batches | How many batches wait. "
                + "Also written `max_size`. |",
            "| `mode` | choice | `fast` | `fast`, `slow`, `very_careful` | How it works \\| or not. |",
            "| `key` | secret | — | — | What opens the door. Never printed. |",
            "| `nested.depth` | integer | `1` | at least 0 | How deep. Also written `deep`. |",
            "| `rules[].action` | string | required | — | The deed. |",
            "| `legacy` | — | — | — | Accepted without effect. Nothing has needed it since. |",
        ]
        for text in wanted { #expect(page.contains(text), "\(text)") }
        #expect(page.firstRange(of: "Receivers")!.lowerBound < page.firstRange(of: "Exporters")!.lowerBound)
    }

    @Test func `the order of the components does not matter`() {
        let one = ComponentReference(kind: .exporter, type: "a", sentence: "A.", options: [])
        let two = ComponentReference(kind: .exporter, type: "b", sentence: "B.", options: [])
        #expect(ReferencePage.markdown([one, two]) == ReferencePage.markdown([two, one]))
        let page = ReferencePage.markdown([one])
        #expect(page.contains("| `metrics.readers[].pull.exporter.prometheus.port` | integer |"))
    }
}
