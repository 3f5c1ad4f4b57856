import Foundation
package import Telemetry

/// One recorded request body of Tests/Fixtures/Corpus.
package struct CorpusPayload: Sendable, CustomStringConvertible {
    /// `set/scenario/NNN.signal.pb` or `.json`.
    package let name: String
    package let signal: Signal
    package let isJSON: Bool
    package let bytes: [UInt8]

    package var description: String { name }

    /// The name without `.pb` or `.json`: a payload recorded in both has it twice.
    package var stem: String { String(name.prefix(name.utf8.count - (isJSON ? 5 : 3))) }

    /// All payloads, by name.
    package static let all: [CorpusPayload] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/Corpus").resolvingSymlinksInPath()
        let names = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
        return names.sorted().compactMap { name in
            let isJSON = name.hasSuffix(".json")
            guard isJSON || name.hasSuffix(".pb") else { return nil }
            guard let signal = Signal.allCases.first(where: { name.contains(".\($0).") }) else { return nil }
            guard let data = try? Data(contentsOf: folder.appending(path: name)) else { return nil }
            return CorpusPayload(name: name, signal: signal, isJSON: isJSON, bytes: [UInt8](data))
        }
    }()

    package static let protobuf = all.filter { !$0.isJSON }
    package static let json = all.filter { $0.isJSON }
}
