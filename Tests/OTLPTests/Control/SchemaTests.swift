import Foundation
import Testing

/// Names every point where the compiled schema, its text and the table of the protocol differ.
struct SchemaComparison {
    var rows: [SchemaRow]
    var catalog: SchemaCatalog
    var text: SchemaText

    /// Messages that carry others and that the table leaves to protobuf itself.
    static let carriers: Set<String> = ["google.protobuf.Any", "google.protobuf.Duration"]

    func mismatches() -> [String] {
        let fields = rows.filter { $0.kind == "field" }
        return fields.flatMap(mismatches(of:)) + oneofMismatches(fields) + surplus(fields) + enumMismatches()
            + reservedMismatches() + rpcMismatches()
    }

    private func mismatches(of row: SchemaRow) -> [String] {
        let place = "\(row.owner) \(row.number) \(row.name)"
        guard let field = catalog.messages[row.owner]?.first(where: { $0.number == row.number }) else {
            return ["\(place): not in Proto/"]
        }
        var found: [String] = []
        if field.name != row.name { found.append("\(place): named \(field.name)") }
        let type = resolve(row.type, in: row)
        let typeInC = type == "string" ? "bytes" : type
        if field.type != typeInC { found.append("\(place): type \(field.type), not \(type)") }
        let isText = text.strings[row.owner]?.contains(row.number) ?? false
        if isText != (type == "string") { found.append("\(place): declared \(isText ? "" : "not ")as a string") }
        if field.isRepeated != row.label.hasPrefix("repeated") { found.append("\(place): label, not \(row.label)") }
        if field.isPacked != (row.label == "repeated packed") { found.append("\(place): packed, not \(row.label)") }
        let inOneof = row.label == "optional" || row.label.hasPrefix("oneof ")
        if (field.oneof != nil) != inOneof { found.append("\(place): presence, not \(row.label)") }
        if field.isRequiredOrOptional { found.append("\(place): not a proto3 label") }
        if field.hasDefault { found.append("\(place): has a default value") }
        return found
    }

    /// The full name of a type of the table, which leaves out packages; scalars stay.
    private func resolve(_ type: String, in row: SchemaRow) -> String {
        let bare = type.hasPrefix("enum ") ? String(type.dropFirst(5)) : type
        if bare.hasPrefix("google.") { return bare }
        let homes = rows.filter { ($0.kind == "field" || $0.kind == "enum") && $0.message.prefix { $0 != "(" } == bare }
        let home = homes.first { $0.package == row.package } ?? homes.first
        return home?.owner ?? bare
    }

    /// Members of one oneof share its case, members of different ones do not, and an optional field is alone.
    private func oneofMismatches(_ fields: [SchemaRow]) -> [String] {
        let members = fields.filter { $0.label == "optional" || $0.label.hasPrefix("oneof ") }
        return Dictionary(grouping: members, by: \.owner).flatMap { owner, rows in
            let wanted = Dictionary(grouping: rows) { $0.label == "optional" ? "_\($0.name)" : $0.label }
                .values.map { Set($0.map(\.number)) }
            let actual = Dictionary(grouping: catalog.messages[owner]?.filter { $0.oneof != nil } ?? [], by: \.oneof)
                .values.map { Set($0.map(\.number)) }
            return Set(wanted) == Set(actual) ? [] : ["\(owner): oneofs \(actual), not \(wanted)"]
        }
    }

    private func surplus(_ fields: [SchemaRow]) -> [String] {
        let known = Dictionary(grouping: fields, by: \.owner).mapValues { Set($0.map(\.number)) }
        return catalog.messages.flatMap { name, fields -> [String] in
            guard !Self.carriers.contains(name) else { return [] }
            guard let numbers = known[name] else { return ["\(name): not in the table"] }
            return fields.filter { !numbers.contains($0.number) }
                .map { "\(name) \($0.number) \($0.name): not in the table" }
        }
    }

    private func enumMismatches() -> [String] {
        let table = Dictionary(grouping: rows.filter { $0.kind == "enum" }, by: \.owner)
        return Set(table.keys).union(catalog.enums.keys).sorted().flatMap { name -> [String] in
            let wanted = Dictionary(
                (table[name] ?? []).map { ($0.number, $0.name) }, uniquingKeysWith: { first, _ in first })
            let actual = catalog.enums[name] ?? [:]
            return Set(wanted.keys).union(actual.keys).sorted().compactMap { number -> String? in
                if wanted[number] == actual[number] { return nil }
                return "\(name) \(number): \(actual[number] ?? "missing"), not \(wanted[number] ?? "missing")"
            }
        }
    }

    private func reservedMismatches() -> [String] {
        rows.filter { $0.kind == "reserved" }.compactMap { row -> String? in
            if catalog.messages[row.owner]?.contains(where: { $0.number == row.number }) == true {
                return "\(row.owner) \(row.number): reserved, but in use"
            }
            if text.reserved[row.owner]?.contains(row.number) == true { return nil }
            return "\(row.owner) \(row.number): not reserved"
        }
    }

    private func rpcMismatches() -> [String] {
        rows.filter { $0.kind == "rpc" }.compactMap { row in
            let ends = row.type.components(separatedBy: " -> ").map { "\(row.package).\($0)" }
            let wanted = ends.joined(separator: " -> ")
            let actual = catalog.methods["\(row.owner).\(row.name)"] ?? "missing"
            return actual == wanted ? nil : "\(row.owner).\(row.name): \(actual), not \(wanted)"
        }
    }
}

@Suite struct `The schema in Proto` {
    let comparison: SchemaComparison

    init() throws {
        comparison = SchemaComparison(
            rows: try SchemaTable.load(), catalog: SchemaCatalog.load(), text: try SchemaText.load())
    }

    @Test func `agrees with the table of the protocol in every field, enum, reserved number and procedure`() {
        #expect(comparison.mismatches() == [])
        let kinds = Dictionary(grouping: comparison.rows, by: \.kind).mapValues(\.count)
        #expect(kinds == ["field": 170, "enum": 45, "reserved": 12, "rpc": 3])
    }

    @Test(arguments: [
        ("field", "Span", "flags", "number"), ("field", "Span", "name", "name"), ("field", "Span", "flags", "type"),
        ("field", "Span", "name", "bytes"), ("field", "Span", "attributes", "label"),
        ("field", "HistogramDataPoint", "bucket_counts", "label"), ("field", "HistogramDataPoint", "sum", "label"),
        ("field", "NumberDataPoint", "as_int", "oneof"), ("field", "Span", "kind", "drop"),
        ("field", "Span", "status", "type"), ("enum", "Status.StatusCode", "STATUS_CODE_OK", "number"),
        ("enum", "SpanFlags", "SPAN_FLAGS_DO_NOT_USE", "drop"), ("reserved", "Metric", "", "number"),
        ("rpc", "opentelemetry.proto.collector.logs.v1.LogsService", "Export", "type"),
    ])
    func `a planted difference is named`(kind: String, message: String, name: String, change: String) throws {
        var planted = comparison
        let index = try #require(
            planted.rows.firstIndex { $0.kind == kind && $0.message == message && $0.name == name })
        switch change {
        case "number": planted.rows[index].number += 100
        case "name": planted.rows[index].name += "s"
        case "type": planted.rows[index].type = "uint32"
        case "bytes": planted.rows[index].type = "bytes"
        case "oneof": planted.rows[index].label = "oneof other"
        case "drop": planted.rows.remove(at: index)
        default: planted.rows[index].label = "single"
        }
        let found = planted.mismatches()
        #expect(!found.isEmpty)
        let short = message.components(separatedBy: ".").last ?? message
        #expect(found.allSatisfy { $0.contains(short) })
    }
}
