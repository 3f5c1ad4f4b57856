import FoundationEssentials

/// A version of a dataset: a folder with a file per split and a manifest.
package struct DatasetManifest: Codable, Sendable, Equatable {
    /// A file of the version, named relative to its folder.
    package struct Split: Codable, Sendable, Equatable {
        package var file: String
        package var records: Int
        /// Of the file's content, 32 hexadecimal digits.
        package var hash: String
    }

    package var format = "sluice.dataset-manifest/1"
    /// v1, v2 and so on.
    package var name: String
    /// Hash of the examples, their splits and what is expected of them.
    package var version: String
    /// The version that this one was built behind.
    package var parent: String?
    package var output: String
    package var records: Int
    package var splits: [String: Split]
    package var findings: [String: Int]
    package var agents: [String: Int]
    package var expected: Int
    package var sources: [String]
}

/// Something about files of a dataset is not as it should be.
package struct DatasetFault: Error, CustomStringConvertible {
    package var description: String
}

/// Reading, building and comparing datasets.
package enum DatasetFiles {
    /// The examples of a file in the format jsonl, of a version, or of the newest version in a folder.
    package static func read(_ path: String) throws(DatasetFault) -> [DatasetRecord] {
        guard let folder = versionFolder(path) else { return try lines(path) }
        var records: [DatasetRecord] = []
        let manifest = try self.manifest(folder)
        for name in manifest.splits.keys.sorted() {
            guard let split = manifest.splits[name] else { continue }
            guard split.file.hasSuffix(".jsonl"), manifest.output == DatasetFormat.jsonl.rawValue else {
                throw DatasetFault(description: "\(folder): only versions in the format jsonl can be read")
            }
            records += try lines(folder + "/" + split.file)
        }
        return records
    }

    /// The folder of a version; of several the newest. Nil when the path is none.
    private static func versionFolder(_ path: String) -> String? {
        if FileManager.default.fileExists(atPath: path + "/manifest.json") { return path }
        return newest(path).map { "\(path)/v\($0)" }
    }

    /// Number of the newest version in a folder.
    static func newest(_ folder: String) -> Int? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { FileManager.default.fileExists(atPath: "\(folder)/\($0)/manifest.json") }
            .compactMap { $0.hasPrefix("v") ? Int($0.dropFirst()) : nil }.max()
    }

    /// Reads the manifest in the folder of a version.
    package static func manifest(_ folder: String) throws(DatasetFault) -> DatasetManifest {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: folder + "/manifest.json")),
            let manifest = try? JSONDecoder().decode(DatasetManifest.self, from: data)
        else { throw DatasetFault(description: "\(folder)/manifest.json: cannot be read") }
        return manifest
    }

    /// Whether a file holds examples, rather than telemetry.
    package static func holdsExamples(_ path: String) -> Bool {
        if versionFolder(path) != nil { return true }
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else { return false }
        let first = data.prefix { $0 != 0x0A }
        return (try? JSONDecoder().decode(DatasetRecord.self, from: first)) != nil
    }

    private static func lines(_ path: String) throws(DatasetFault) -> [DatasetRecord] {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw DatasetFault(description: "\(path): cannot be read")
        }
        var records: [DatasetRecord] = []
        for (number, line) in data.split(separator: 0x0A).enumerated() {
            guard let record = try? JSONDecoder().decode(DatasetRecord.self, from: line) else {
                throw DatasetFault(
                    description: "\(path): line \(number + 1) is no example of \(DatasetRecord.formatName)")
            }
            records.append(record)
        }
        return records
    }

    // MARK: Building

    /// Writes the next version of a dataset: every example once, in the order of ids, what people expect of an example
    /// carried over from the version before. Nil when nothing differs from that.
    package static func build(
        _ records: [DatasetRecord], into folder: String, splits: DatasetSplits, format: DatasetFormat,
        sources: [String]
    ) throws(DatasetFault) -> DatasetManifest? {
        let number = newest(folder)
        var before: DatasetManifest?
        if let number { before = try self.manifest("\(folder)/v\(number)") }
        var known: [String: JSONValue] = [:]
        if let number, before?.output == DatasetFormat.jsonl.rawValue {
            for record in try read("\(folder)/v\(number)") { known[record.id] = record.expected }
        }
        var unique: [String: DatasetRecord] = [:]
        for record in records {
            var record = record
            if record.expected == nil || record.expected == .null {
                record.expected = unique[record.id]?.expected ?? known[record.id]
            }
            record.split = splits.split(of: record)
            // Of equal examples the first run stays, so that the order of the sources does not matter.
            if let other = unique[record.id], (other.time, other.trace_id) <= (record.time, record.trace_id) {
                if other.expected == nil { unique[record.id]?.expected = record.expected }
                continue
            }
            unique[record.id] = record
        }
        let sorted = unique.values.sorted { $0.id < $1.id }
        var manifest = summary(sorted, format: format, sources: sources)
        if manifest.version == before?.version { return nil }
        manifest.name = "v\((number ?? 0) + 1)"
        manifest.parent = before?.version
        try write(sorted, &manifest, format, splits, to: "\(folder)/\(manifest.name)")
        return manifest
    }

    /// The counts of examples.
    package static func summary(
        _ records: [DatasetRecord], format: DatasetFormat = .jsonl, sources: [String] = []
    ) -> DatasetManifest {
        var manifest = DatasetManifest(
            name: "", version: "", output: format.rawValue, records: records.count, splits: [:], findings: [:],
            agents: [:], expected: 0, sources: sources.sorted())
        var content: [UInt8] = Array(format.rawValue.utf8)
        for record in records.sorted(by: { $0.id < $1.id }) {
            content += Array("\(record.id) \(record.split) ".utf8) + DatasetText.encode(record.expected ?? .null)
            content += DatasetText.encode(record.findings.map { [$0.name, $0.rule, $0.tier] })
            manifest.splits[record.split, default: DatasetManifest.Split(file: "", records: 0, hash: "")].records += 1
            for name in Set(record.findings.map(\.name)) { manifest.findings[name, default: 0] += 1 }
            manifest.agents[record.agent, default: 0] += 1
            if record.expected != nil, record.expected != .null { manifest.expected += 1 }
        }
        manifest.version = DatasetText.hash(content)
        return manifest
    }

    private static func write(
        _ records: [DatasetRecord], _ manifest: inout DatasetManifest, _ format: DatasetFormat,
        _ splits: DatasetSplits, to folder: String
    ) throws(DatasetFault) {
        do {
            // The manifest comes last: a folder without one is no version.
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            for name in splits.shares.map(\.name) {
                let own = records.filter { $0.split == name }
                let bytes = own.reduce(into: format.head) { $0 += format.line($1) }
                let file = "\(name).\(format.ending)"
                try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(file)"), options: .atomic)
                manifest.splits[name] = DatasetManifest.Split(
                    file: file, records: own.count, hash: DatasetText.hash(bytes))
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            try encoder.encode(manifest).write(
                to: URL(fileURLWithPath: "\(folder)/manifest.json"), options: .atomic)
        } catch { throw DatasetFault(description: "\(folder): cannot be written: \(error)") }
    }

    // MARK: Comparing

    /// What separates two versions, each list by id.
    package struct Difference: Sendable, Equatable {
        package var added: [DatasetRecord] = []
        package var removed: [DatasetRecord] = []
        /// Examples that are in both, with the names of what differs.
        package var changed: [(record: DatasetRecord, what: [String])] = []

        package var isEmpty: Bool { added.isEmpty && removed.isEmpty && changed.isEmpty }

        package static func == (left: Difference, right: Difference) -> Bool {
            left.added == right.added && left.removed == right.removed
                && left.changed.elementsEqual(right.changed) { $0 == $1 }
        }
    }

    /// Compares by id. Changed is an example of another split, expectation or set of findings.
    package static func difference(_ old: [DatasetRecord], _ new: [DatasetRecord]) -> Difference {
        let before = Dictionary(old.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let after = Dictionary(new.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var result = Difference()
        for id in Set(before.keys).union(after.keys).sorted() {
            switch (before[id], after[id]) {
            case (nil, let record?): result.added.append(record)
            case (let record?, nil): result.removed.append(record)
            case (let old?, let new?):
                var what: [String] = []
                if old.split != new.split { what.append("split") }
                if old.expected != new.expected { what.append("expected") }
                func names(_ record: DatasetRecord) -> Set<String> { Set(record.findings.map { $0.name + $0.tier }) }
                if names(old) != names(new) { what.append("findings") }
                if !what.isEmpty { result.changed.append((new, what)) }
            case (nil, nil): continue
            }
        }
        return result
    }
}
