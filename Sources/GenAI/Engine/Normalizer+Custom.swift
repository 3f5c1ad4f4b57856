import Telemetry

/// An attribute name of the operator's and the one that its values go to.
struct CustomMapping {
    var from: Text
    var to: Text

    init(_ mapping: (from: String, to: String), _ tables: Tables, _ options: NormalizerOptions, _ pool: TextPool) {
        from = pool.text(mapping.from)
        to = pool.text(mapping.to)
    }
}

extension Normalizer {
    /// Copies what the operator listed, before any dialect.
    mutating func mapCustom(_ batch: borrowing RecordBatch) {
        facts.rule = EngineStep.custom
        facts.removes = options.removeOriginals
        for index in custom.indices { map(custom[index].from, to: custom[index].to, batch) }
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
