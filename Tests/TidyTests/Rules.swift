/// The rules of the house that a reader of text can hold. The compiler and the formatter hold the others.
enum Rules {
    static let all: [Rule] = [
        Rule(name: "file size", check: fileSize),
        Rule(name: "function size", check: functionSize),
        Rule(name: "line width", check: lineWidth),
        Rule(name: "banned call", check: bannedCalls),
        Rule(name: "access", check: access),
        Rule(name: "unchecked", check: unchecked),
        Rule(name: "open end", check: openEnds),
        Rule(name: "import", check: imports),
        Rule(name: "machine path", check: machinePaths),
        Rule(name: "readme size", check: readmeSize),
    ]

    static func rule(_ name: String) -> Rule? { all.first { $0.name == name } }

    static let sourceLinesMax = 600
    static let testLinesMax = 1_000
    static let functionLinesMax = 70
    static let columnsMax = 120
    static let readmeLinesMax = 150

    private static func fileSize(_ file: SourceFile) -> [Finding] {
        guard file.isSource || file.isTest else { return [] }
        let limit = file.isTest ? testLinesMax : sourceLinesMax
        let count = file.text.lineCount
        return count > limit ? [file.finding(limit + 1, "\(count) lines; at most \(limit): split it by topic")] : []
    }

    private static func functionSize(_ file: SourceFile) -> [Finding] {
        guard file.isSwift, file.isSource || file.isTest else { return [] }
        return FunctionScan(code: file.code).functions().filter { $0.length > functionLinesMax }.map {
            file.finding($0.line, "function of \($0.length) lines; at most \(functionLinesMax): name its parts")
        }
    }

    private static func lineWidth(_ file: SourceFile) -> [Finding] {
        // Prose, and tables whose rows are lines.
        guard ![".md", ".yaml", ".yml"].contains(where: { file.path.hasSuffix($0) }) else { return [] }
        return (1...file.text.lineCount).compactMap { number in
            let line = file.text.line(number)
            guard line.count > columnsMax else { return nil }
            let columns = String(decoding: line, as: UTF8.self).count
            return columns > columnsMax ? file.finding(number, "\(columns) columns; at most \(columnsMax)") : nil
        }
    }

    private static func bannedCalls(_ file: SourceFile) -> [Finding] {
        guard file.isSwift else { return [] }
        return BannedCall.all.filter { $0.applies(to: file.path) }.flatMap { call in
            file.code.places(of: call.text).filter { !isOwn($0, in: file.code.bytes) }.map { place in
                file.finding(file.code.line(of: place), "\(call.text) is banned: \(call.instead)")
            }
        }
    }

    /// Whether the name at `place` is a method of ours that happens to be called like a banned function.
    private static func isOwn(_ place: Int, in code: [UInt8]) -> Bool {
        code[..<place].suffix(5).elementsEqual("func ".utf8)
            || code[..<place].last == UInt8(ascii: ".") && !code[..<place].suffix(6).elementsEqual("Swift.".utf8)
    }

    private static func access(_ file: SourceFile) -> [Finding] {
        // Telemetry is public and inlinable: Swift 6.3 does not inline package members across modules, and decoding
        // was five times slower with them.
        guard file.isSwift, file.isSource || file.isTest, !file.path.hasPrefix("Sources/Telemetry/") else { return [] }
        let declarations: Set = [
            "actor", "class", "enum", "extension", "func", "import", "init", "let", "protocol", "static", "struct",
            "subscript", "typealias", "var", "final", "override", "private(set)", "internal(set)", "package(set)",
        ]
        return ["public", "open"].flatMap { access in
            file.code.places(of: access).map(file.code.line(of:)).compactMap { number in
                let words = String(decoding: file.code.line(number), as: UTF8.self).split(separator: " ")
                guard let index = words.firstIndex(where: { $0 == access }), index + 1 < words.count else { return nil }
                let next = words[index + 1].prefix { $0 != "(" || words[index + 1].hasSuffix("(set)") }
                guard declarations.contains(String(next)) else { return nil }
                return file.finding(number, "nothing is \(access): write package, or nothing")
            }
        }
    }

    /// A promise that the compiler cannot check needs its reason beside it.
    private static func unchecked(_ file: SourceFile) -> [Finding] {
        guard file.isSwift else { return [] }
        let promises = Set(
            ["@unchecked Sendable", "nonisolated(unsafe)"].flatMap(file.code.places(of:)).map(file.code.line(of:)))
        return promises.sorted().compactMap { number in
            // Promises one below the other share the reason above the first.
            var first = number
            while promises.contains(first - 1) { first -= 1 }
            if (max(1, first - 3)...number).contains(where: file.commentLines.contains) { return nil }
            return file.finding(number, "unchecked for the compiler: say in a comment why it is safe")
        }
    }

    private static func openEnds(_ file: SourceFile) -> [Finding] {
        ["TODO", "FIXME", "XXX", "HACK"].flatMap { word in
            file.occurrences(of: word, in: file.text, message: "\(word): do it, or file it")
        }
    }

    private static func imports(_ file: SourceFile) -> [Finding] {
        guard file.isSwift, let module = file.module else { return [] }
        guard let allowed = ImportTable.modules[module] else {
            return [file.finding(1, "module \(module) has no row in the import table of Tests/TidyTests")]
        }
        return file.code.places(of: "import").map(file.code.line(of:)).compactMap { number in
            let line = String(decoding: file.code.line(number), as: UTF8.self)
            guard let name = ImportTable.importedModule(in: line) else { return nil }
            if allowed.contains(name) || ImportTable.everywhere.contains(name) { return nil }
            return file.finding(number, "\(module) may not import \(name): see the import table of Tests/TidyTests")
        }
    }

    private static func machinePaths(_ file: SourceFile) -> [Finding] {
        let text = file.text.bytes
        return ["/work", "/root", "/home"].flatMap { path in
            file.text.places(of: path).compactMap { start in
                let before = text[..<start].last ?? UInt8(ascii: " ")
                let behind = start + path.utf8.count
                let isURL = text[..<start].suffix(2).elementsEqual("//".utf8)
                let isRelative = !isURL && (before.isWordByte || "./-*})>".utf8.contains(before))
                let isLonger = behind < text.count && text[behind] == UInt8(ascii: "-")
                if isRelative || isLonger { return nil }
                let line = file.text.line(of: start)
                return file.finding(line, "path of one machine (\(path)): find it from #filePath or take an option")
            }
        }
    }

    private static func readmeSize(_ file: SourceFile) -> [Finding] {
        guard file.path == "README.md", file.text.lineCount > readmeLinesMax else { return [] }
        return [file.finding(readmeLinesMax + 1, "\(file.text.lineCount) lines; at most \(readmeLinesMax)")]
    }
}
