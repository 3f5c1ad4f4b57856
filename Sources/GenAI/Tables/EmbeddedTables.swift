internal import CGenAITables
internal import Telemetry

extension Tables {
    /// Texts of the embedded table files by name.
    static func embeddedFiles() -> [(name: String, text: String)] {
        (0..<sluice_genai_table_count()).map { index in
            let table = sluice_genai_table_at(index)
            let bytes = UnsafeBufferPointer(start: table.bytes, count: table.count)
            return (String(cString: table.name), String(decoding: bytes, as: UTF8.self))
        }
    }

    /// Tables that are no dialects: what all of them share.
    private static let common = ["targets", "value-maps", "parameters"]

    /// Names that the `sources` option takes, without reading the tables.
    package static var embeddedDialects: [String] {
        (0..<sluice_genai_table_count()).map { String(cString: sluice_genai_table_at($0).name) }
            .filter { !common.contains($0) }
    }

    /// Beginning of our own attribute names unless the operator wants another.
    package static let usualPrefix = "sluice.genai."

    /// Our one name that is not about GenAI alone.
    private static let tags = "sluice.tags"

    /// Compiles the embedded tables. Costs some tens of milliseconds: do it once. `prefix` stands in place of
    /// `sluice.genai.` in all names, and before `tags`.
    package static func embedded(prefix: String = usualPrefix) throws(TableProblem) -> Tables {
        guard prefix != usualPrefix else { return try compile(embeddedFiles()) }
        let files = embeddedFiles().map {
            ($0.name, $0.text.replacing(usualPrefix, with: prefix).replacing(tags, with: prefix + "tags"))
        }
        return try compile(files, prefix: prefix)
    }

    /// The embedded tables, compiled on first use. A broken file is a fault of the build that a test finds; the result
    /// carries it so that start can refuse with the file and line.
    package static let shared: Result<Tables, TableProblem> = {
        do throws(TableProblem) { return .success(try embedded()) } catch { return .failure(error) }
    }()

    /// Compiles table files given by name and text. `targets`, `value-maps` and `parameters` are common to all; every
    /// other file is a dialect.
    package static func compile(
        _ files: [(name: String, text: String)], prefix: String = usualPrefix
    ) throws(TableProblem) -> Tables {
        var compiler = TableCompiler(prefix: prefix)
        var dialects: [TableNode] = []
        var common: [String: TableNode] = [:]
        for (name, text) in files {
            let node = try TableNode.parse(text, file: name + ".yaml")
            if Tables.common.contains(name) { common[name] = node } else { dialects.append(node) }
        }
        if let targets = common["targets"] { try compiler.addTargets(targets) }
        if let maps = common["value-maps"] { try compiler.addMaps(maps) }
        if let parameters = common["parameters"] { try compiler.addParameters(parameters) }
        for dialect in dialects { try compiler.addDialect(dialect) }
        return compiler.finish()
    }
}
