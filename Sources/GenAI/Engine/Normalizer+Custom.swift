import Telemetry

/// An attribute name of the operator's and the one that its values go to.
struct CustomMapping {
    var from: Text
    var to: Text
    /// Dialects of which one must be recognized.
    var dialects: UInt64
    var removes: Bool
    var overwrites: Bool

    /// All mappings in their order: those for all dialects, then those of single ones.
    static func all(_ tables: Tables, _ options: NormalizerOptions, _ pool: TextPool) -> [CustomMapping] {
        var all = options.customMappings.map {
            CustomMapping(
                from: pool.text($0.from), to: pool.text($0.to), dialects: .max, removes: options.removeOriginals,
                overwrites: options.overwrite)
        }
        for mapping in options.sourceMappings {
            let own = options.sourceOptions[mapping.source]
            var dialects: UInt64 = mapping.dialects.isEmpty ? .max : 0
            for (index, dialect) in tables.layout.dialects.enumerated()
            where mapping.dialects.contains(dialect.name.string) {
                dialects |= 1 << UInt64(index)
            }
            all.append(
                CustomMapping(
                    from: pool.text(mapping.from), to: pool.text(mapping.to), dialects: dialects,
                    removes: own?.removeOriginals ?? options.removeOriginals,
                    overwrites: own?.overwrite ?? options.overwrite))
        }
        return all
    }
}

extension Normalizer {
    /// Copies what the operator listed, before any dialect.
    mutating func mapCustom(_ batch: borrowing RecordBatch) {
        facts.rule = EngineStep.custom
        for index in custom.indices {
            let mapping = custom[index]
            guard mapping.dialects == .max || mapping.dialects & facts.active != 0 else { continue }
            facts.removes = mapping.removes
            facts.overwrites = mapping.overwrites
            map(mapping.from, to: mapping.to, batch)
        }
    }

    private mutating func map(_ from: Text, to: Text, _ batch: borrowing RecordBatch) {
        guard let index = batch.find(name: from, in: facts.set) else { return }
        let source = source(at: index - facts.start, batch)
        guard source.exists else { return }
        let key = batch.keys.id(of: to)
        let name = key == .unknown ? 0 : Int(binding.names[Int(key.value)])
        let target = name == 0 ? TargetID.none : tables.layout.nameTargets[name]
        if target.exists, let value = cast(source, to: tables.layout.targetTypes[Int(target.value)]) {
            if offer(target, value, nil, batch) { spend(source, .whole) }
        } else {
            add(to, .empty, MadeValue(kind: source.kind, bits: source.bits, text: source.text))
            spend(source, .whole)
        }
    }
}
