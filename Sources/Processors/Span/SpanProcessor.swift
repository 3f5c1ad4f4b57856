import Patterns
package import Pipeline
package import Telemetry

/// Makes names of spans from attributes, attributes from names, and sets their status: the Collector's `span`
/// processor.
package struct SpanProcessor: Processor {
    private struct Rule: Sendable {
        var pattern: CompiledPattern
        var groups: [(key: KeyID, name: String)]
    }

    private let options: SpanOptions
    private let include: RecordMatch?
    private let exclude: RecordMatch?
    private let sources: [KeyID]
    private let rules: [Rule]
    private let pool = RedactionPool()

    /// Fails when `include` or `exclude` names what spans do not have.
    package init(options: SpanOptions, build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        self.options = options
        include = try RecordMatch(options.include, at: "include", &build)
        exclude = try RecordMatch(options.exclude, at: "exclude", &build)
        var sources: [KeyID] = []
        for key in options.fromAttributes { sources.append(build.keys.intern(key)) }
        self.sources = sources
        var rules: [Rule] = []
        for pattern in options.rules {
            var groups: [(key: KeyID, name: String)] = []
            for name in pattern.groupNames { groups.append((build.keys.intern(name ?? ""), name ?? "")) }
            rules.append(Rule(pattern: pattern, groups: groups))
        }
        self.rules = rules
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        guard batch.signal == .traces else { return }
        let scratch = pool.take()
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let span = batch.spans[index]
            if let include, !include.matches(span: span, batch, scratch.state) { continue }
            if let exclude, exclude.matches(span: span, batch, scratch.state) { continue }
            nameFromAttributes(index, span.set, &batch)
            for rule in rules where take(rule, index, span.set, &batch, scratch.state) && options.breaksAfterMatch {
                break
            }
            setStatus(index, &batch)
        }
        scratch.state.finish()
        pool.give(scratch)
    }

    /// All attributes must be there.
    private func nameFromAttributes(_ index: Int, _ set: SetIndex, _ batch: inout RecordBatch) {
        guard !sources.isEmpty else { return }
        var places: [Int] = []
        for key in sources {
            guard let place = batch.find(key, in: set) else { return }
            places.append(place)
        }
        var name = ByteColumn()
        for (number, place) in places.enumerated() {
            if number > 0 { name.append(string: options.separator) }
            ValueText.append(batch.attributes[place].value, batch, to: &name)
        }
        batch.setName(batch.addText(name.text), ofSpan: index)
    }

    /// Whether the rule matched.
    private func take(
        _ rule: Rule, _ index: Int, _ set: SetIndex, _ batch: inout RecordBatch, _ state: borrowing RedactionState
    ) -> Bool {
        // A copy, since attributes are added while its parts are read.
        let name = batch.addText(batch.text(batch.spans[index].name))
        guard case .found = rule.pattern.find(in: batch.text(name), from: 0, state.matcher) else { return false }
        var parts: [(range: Range<Int>, name: String)] = []
        for (number, group) in rule.groups.enumerated() {
            guard let range = state.matcher.range(number + 1) else { continue }
            let part = TextRef(
                offset: name.offset + UInt32(truncatingIfNeeded: range.lowerBound),
                length: UInt32(truncatingIfNeeded: range.count))
            batch.upsert(group.key, .string(part), in: set)
            parts.append((range, group.name))
        }
        if !options.keepsName { rename(index, name, parts, &batch) }
        return true
    }

    private func rename(
        _ index: Int, _ name: TextRef, _ parts: [(range: Range<Int>, name: String)], _ batch: inout RecordBatch
    ) {
        var new = ByteColumn()
        let old = batch.text(name)
        var at = 0
        // Groups inside groups keep the outer one.
        for part in parts.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) where part.range.lowerBound >= at {
            new.append(old[at..<part.range.lowerBound])
            new.append(string: "{\(part.name)}")
            at = part.range.upperBound
        }
        new.append(old[at..<old.count])
        batch.setName(batch.addText(new.text), ofSpan: index)
    }

    private func setStatus(_ index: Int, _ batch: inout RecordBatch) {
        guard let status = options.status else { return }
        batch.setStatusCode(status.code.code, ofSpan: index)
        if status.code == .error || status.code == .ok {
            let text = batch.buildText { $0.append(string: status.description) }
            batch.setStatusMessage(text, ofSpan: index)
        }
    }
}
