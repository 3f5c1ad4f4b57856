import Foundation

/// The files of the project, found from the place of this very file.
enum SourceTree {
    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// All text files below Sources and Tests, but for generated code and fixtures, and the other texts of the project.
    static func load() throws -> [SourceFile] {
        var paths = ["Package.swift", "README.md", "ARCHITECTURE.md", "CHANGELOG.md"].filter {
            FileManager.default.fileExists(atPath: root.appending(path: $0).path)
        }
        for folder in ["Sources", "Tests", "Proto", "Config", "Benchmarks", "Fuzz", "script", ".ci"] {
            let base = root.appending(path: folder).resolvingSymlinksInPath()
            guard let walk = FileManager.default.enumerator(atPath: base.path) else { continue }
            for case let name as String in walk {
                let type = walk.fileAttributes?[.type] as? FileAttributeType
                if type == .typeRegular { paths.append("\(folder)/\(name)") }
            }
        }
        return try paths.sorted().compactMap { path in
            guard !isSkipped(path) else { return nil }
            let data = try Data(contentsOf: root.appending(path: path))
            return String(data: data, encoding: .utf8).map { SourceFile(path: path, text: $0) }
        }
    }

    /// Generated code and recorded data have their own makers.
    private static func isSkipped(_ path: String) -> Bool {
        path.hasPrefix("Sources/COTLP/") || path.hasPrefix("Tests/Fixtures/") || path.hasPrefix("Tests/Corpus/")
    }
}
