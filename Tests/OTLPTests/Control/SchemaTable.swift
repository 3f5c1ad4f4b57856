import Foundation

/// One row of Tests/Fixtures/otlp/fields.tsv: what the protocol says about a field, an enum value, a reserved number or
/// a remote procedure.
struct SchemaRow {
    var kind: String
    var file: String
    var message: String
    var number: Int
    var name: String
    var jsonName: String
    var type: String
    var label: String

    /// The package of the schema file that the row belongs to.
    var package: String {
        if file.hasPrefix("google/rpc/") { return "google.rpc" }
        let folder = file.split(separator: "/").dropLast().joined(separator: ".")
        return "opentelemetry.proto.\(folder)"
    }

    /// Full name of the message, enum or service of the row.
    var owner: String {
        if kind == "rpc" { return message }
        return "\(package).\(message.prefix { $0 != "(" })"
    }
}

enum SchemaTable {
    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The rows of the signals that Sluice carries; profiles are outside.
    static func load() throws -> [SchemaRow] {
        let file = root.appending(path: "Tests/Fixtures/otlp/fields.tsv")
        let text = try String(contentsOf: file, encoding: .utf8)
        return text.split(separator: "\n").dropFirst().compactMap { line in
            let cells = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard cells.count >= 8, !cells[1].contains("profiles") else { return nil }
            return SchemaRow(
                kind: cells[0], file: cells[1], message: cells[2], number: Int(cells[3]) ?? 0, name: cells[4],
                jsonName: cells[5], type: cells[6], label: cells[7])
        }
    }
}

/// What only the text of Proto/ tells: the compiled form keeps neither reserved numbers nor the difference between
/// `string` and `bytes`.
struct SchemaText {
    /// Reserved numbers by full message name.
    var reserved: [String: Set<Int>] = [:]
    /// Numbers of fields declared `string` and kept as bytes in C, by full message name.
    var strings: [String: Set<Int>] = [:]

    static func load() throws -> SchemaText {
        var schema = SchemaText()
        let folder = SchemaTable.root.appending(path: "Proto").resolvingSymlinksInPath()
        for case let path as String in FileManager.default.enumerator(atPath: folder.path) ?? .init() {
            guard path.hasSuffix(".proto") else { continue }
            schema.read(try String(contentsOf: folder.appending(path: path), encoding: .utf8))
        }
        return schema
    }

    private mutating func read(_ text: String) {
        var package = ""
        var blocks: [String?] = []
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { " ;,".contains($0) })
            guard let first = words.first, !first.hasPrefix("//") else { continue }
            let owner = ([package] + blocks.compactMap { $0 }).joined(separator: ".")
            if first == "package" {
                package = String(words[1])
            } else if first == "}" {
                blocks.removeLast()
            } else if words.last == "{" {
                // A oneof opens a block, but its members belong to the message around it.
                blocks.append(first == "oneof" ? nil : String(words[1]))
            } else if first == "reserved" {
                reserved[owner, default: []].formUnion(words.compactMap { Int($0) })
            } else if let type = words.firstIndex(of: "string"), type <= 1, words.count > type + 3,
                line.contains("[(pb_c_field).string_as_bytes = true]"), let number = Int(words[type + 3])
            {
                strings[owner, default: []].insert(number)
            }
        }
    }
}
