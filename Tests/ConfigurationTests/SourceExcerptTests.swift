import Configuration
import Testing

/// What problems quote of their lines.
struct SourceExcerptTests {
    /// The quoted line and the column of the caret, nil when nothing is quoted.
    private func excerpt(_ text: String) -> (line: String, caret: Int)? {
        let lines = options(ThingOptions.self, text).loaded.problems.report()
            .split(separator: "\n", omittingEmptySubsequences: false)
        guard let index = lines.firstIndex(where: { $0.hasSuffix("^") && $0.dropLast().allSatisfy { $0 == " " } })
        else { return nil }
        return (String(lines[index - 1].dropFirst(4)), lines[index].count - 5)
    }

    @Test(arguments: [
        // The value at fault, beside others.
        ("{name: a, size: big, ratio: 1}", "… size: big …", 8),
        ("nested: {depth: x}", "… depth: x …", 9),
        ("size: big # was 12", "size: big …", 6),
        // The key at fault.
        ("siez: 12", "siez: …", 0), ("{name: a, siez: 12}", "… siez: …", 2),
        // A list, and one element of it.
        ("tags: [a, [b], c]", "…", 1), ("tags: [a, 5, c]", "… 5 …", 2), ("tags: [5]", "… 5 …", 2),
        ("labels: {a: [1, 2]}", "… a: …", 5),
        // A URL in the value at fault.
        ("size: https://u:p@h/x", "size: https://u:[REDACTED]@h/x", 6),
    ])
    func `the entry at fault is shown with the caret on it`(text: String, line: String, caret: Int) throws {
        let shown = try #require(excerpt(text))
        #expect(shown.line == line)
        #expect(shown.caret == caret)
    }

    @Test(arguments: [
        "{name: a, key: s3cr3t, size: big}", "{size: big, headers: {X-Team: s3cr3t}}",
        "{headers: {X-Team: s3cr3t}, size: big}", "headers:\n  X-Team: s3cr3t\n  X-Other: [s3cr3t]",
        "headers:\n  - s3cr3t\n  - {name: a, value: s3cr3t, valeu: s3cr3t}",
        // Faults of the file itself, where no option tells what is a secret.
        "headers:\n  X-Team: s3cr3t: x", "headers: {X-Team: s3cr3t", "headers: {X-Team: s3cr3t]",
        "  key: s3cr3t\n name: b", "tokens:\n- s3cr3t: {\n", "tokens:\n  - \"s3cr3t\n", "auth: {x: s3cr3t: y}",
        "private_key: |\n  s3cr3t: x\n s3cr3t: y\n", "name: 'a'\n  s3cr3t\nsize: [",
        // Keys that are misspelt.
        "kye: s3cr3t", "{tokenn: s3cr3t}", "hedaers: {X-Team: s3cr3t}", "hedaers:\n  X-Team: s3cr3t",
        // A fault of the mapping as a whole has the place of its first entry.
        "tls: [s3cr3t]", "rules:\n  - token: s3cr3t\n",
    ])
    func `a secret on the line of a fault is not quoted`(text: String) {
        let loaded = options(ThingOptions.self, text).loaded
        #expect(!loaded.problems.isEmpty)
        let report = loaded.problems.report()
        #expect(!report.contains("s3cr3t"), "\(report)")
    }

    static let planted = """
        name: a
        size: 12
        key: "5ecret-one"
        headers:
          X-Team: 5ecret-two
          authorization: 'Bearer 5ecret-three'
        nested: {depth: 1}
        rules:
          - {action: go, api_key: 5ecret-four}
          - action: stay
            password: 5ecret-five
        open:
          private_key: |
            5ecret-six
            5ecret-seven
          url: https://u:5ecret-eight@h/x
        """

    /// Line breaks are left out: what they make of a value is a key, and keys are told in paths. Each sign comes to
    /// every third place, the signs together to all of them.
    @Test(arguments: Array(["{", "}", "[", "]", ",", ":", " ", "\"", "'", "#", "*", "&", "!", "|", "-"].enumerated()))
    func `no report quotes a secret, whatever sign is put anywhere into the file`(number: Int, sign: String) {
        let text = Self.planted.unicodeScalars
        for (place, index) in text.indices.enumerated() where (place + number) % 3 == 0 {
            var changed = text
            changed.replaceSubrange(index...index, with: sign.unicodeScalars)
            check(String(changed))
            changed = text
            changed.insert(contentsOf: sign.unicodeScalars, at: index)
            check(String(changed))
        }
    }

    @Test func `no report quotes a secret, wherever the file ends`() {
        let text = Self.planted.unicodeScalars
        for index in text.indices { check(String(text[..<index])) }
    }

    @Test(arguments: [
        "sk-proj-4f9aB7c1D2e3F4a5B6c7: x", "size: {sk-proj-4f9aB7c1D2e3F4a5B6c7: 1}", "Bearer 4f9aB7c1D2e3F4a5B6c7: x",
        "headers: {4f9aB7c1D2e3F4a5B6c7: [1]}", "key: {4f9a: x}", "password: {4f9a: x}", "https://u:4f9a@h/x: y",
        "4f9a@h: y", "4f9aB7c1D2e3F4a5B6c7: x\n4f9aB7c1D2e3F4a5B6c7: y", "nested: {4f9aB7c1D2e3F4a5B6c7: y, z: a}",
    ])
    func `a secret in the place of a key is not told`(text: String) {
        let loaded = options(ThingOptions.self, text).loaded
        #expect(!loaded.problems.isEmpty)
        let report = loaded.problems.report()
        #expect(!report.contains("4f9a"), "\(report)")
    }

    @Test(arguments: ["sendBatchMaxSize", "nested.depth_of_everything", "otlp_http/backend-2", "k8s.pod.name_of_it"])
    func `an ordinary key is told`(key: String) {
        let report = options(ThingOptions.self, "\(key): 1").loaded.problems.report()
        #expect(report.contains("\(key): unknown key"), "\(report)")
    }

    private func check(_ text: String) {
        let quoted = options(ThingOptions.self, text).loaded.problems.report().split(separator: "\n")
            .filter { $0.hasPrefix("    ") }
        #expect(!quoted.contains { $0.contains("5ecret") }, "\(text)\n\n\(quoted.joined(separator: "\n"))")
    }
}
