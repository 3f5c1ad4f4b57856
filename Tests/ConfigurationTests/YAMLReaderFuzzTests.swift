import Configuration
import Testing

/// A small generator with a fixed seed, so that a failure repeats.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

struct YAMLReaderFuzzTests {
    /// Reads everything of a text; what counts is that nothing traps.
    private func readAll(_ text: String) {
        var (configuration, loaded) = gateway(text, variables: ["TOKEN": "a: [b, *c"])
        for component in configuration.components {
            _ = readOptions(ThingOptions.self, node: component.body, path: component.path, problems: &loaded.problems)
        }
        _ = loaded.problems.report()
        _ = ConfigPrinter.print(loaded.tree, secretPaths: loaded.problems.secretPaths)
    }

    @Test(arguments: ["complete.yaml", "wrong-type.yaml", "alias-bomb.yaml", "unset-variable.yaml"])
    func `truncated anywhere, nothing traps`(name: String) throws {
        let bytes = Array(try fixture(name).utf8)
        for length in 0...bytes.count {
            readAll(String(decoding: bytes[..<length], as: UTF8.self))
        }
    }

    @Test(arguments: ["complete.yaml", "wrong-type.yaml", "alias-bomb.yaml"])
    func `mutated anyhow, nothing traps`(name: String) throws {
        let original = Array(try fixture(name).utf8)
        let spice = Array("&*!|>%@`\"'#{}[],?:-~$\t\n\r \u{0}é\\<=.0xe".utf8)
        var generator = SeededGenerator(state: 42)
        for _ in 0..<800 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                let byte = spice[Int.random(in: 0..<spice.count, using: &generator)]
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[index] = byte
                case 1: bytes.insert(byte, at: index)
                case 2: bytes.remove(at: index)
                default:
                    let end = min(bytes.count, index + Int.random(in: 1...40, using: &generator))
                    bytes.insert(contentsOf: bytes[index..<end], at: Int.random(in: 0...index, using: &generator))
                }
            }
            readAll(String(decoding: bytes, as: UTF8.self))
        }
    }

    @Test func `references mutated anyhow, nothing traps`() {
        let pieces = ["$", "{", "}", "env:", "file:", ":-", "A", "$$", "é", "${A}", " ", "yaml:", "[", "LOOP"]
        var generator = SeededGenerator(state: 7)
        for _ in 0..<2_000 {
            var text = ""
            for _ in 0..<Int.random(in: 1...12, using: &generator) {
                text += pieces[Int.random(in: 0..<pieces.count, using: &generator)]
            }
            _ = load("a: '\(text)'", variables: ["A": "x: ${env:B}", "B": "$", "LOOP": "${LOOP}${LOOP}"])
        }
    }
}
