import CodecFuzz
import Foundation
import ReceiverFuzz
import TestSupport
import Testing

/// Inputs that the fuzzer kept, and those that once showed a fault: Fuzz/README.md says how to add to them.
struct CorpusReplayTests {
    struct Input: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
        var run: @Sendable (UnsafeRawBufferPointer) -> String?
    }

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/fuzz")

    private static let targets = CodecFuzz.targets + ReceiverFuzz.targets

    static func inputs(_ target: String) -> [(name: String, bytes: [UInt8])] {
        let place = folder.appending(path: target)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: place.path)) ?? []
        return names.sorted().compactMap { name in
            (try? Data(contentsOf: place.appending(path: name))).map { (name, [UInt8]($0)) }
        }
    }

    @Test(arguments: CorpusReplayTests.targets.map(\.name))
    func `no input of the corpus shows a fault, each within a second`(
        target: String
    ) throws {
        let run = try #require(Self.targets.first { $0.name == target }).run
        let inputs = Self.inputs(target)
        #expect(inputs.count >= 20)
        for input in inputs {
            let seconds = ProcessorTime.measure {
                let finding = input.bytes.withUnsafeBytes { run($0) }
                #expect(finding == nil, "\(target)/\(input.name)")
            }
            #expect(seconds < 1, "\(target)/\(input.name)")
        }
    }
}
