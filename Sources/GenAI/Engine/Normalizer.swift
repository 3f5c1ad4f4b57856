package import Telemetry

/// Rewrites GenAI attributes of the spans of a batch into the current OpenTelemetry GenAI conventions.
///
/// Holds the scratch memory of one span and is reused; nothing is kept from span to span but memory. Not for use by two
/// threads at once: the processor keeps a pool of these.
package struct Normalizer: ~Copyable {
    package let tables: Tables
    package let options: NormalizerOptions
    let enabled: UInt64
    /// Dialects whose originals are removed, and those whose values replace what is there.
    let removing: UInt64
    let overwriting: UInt64
    /// Whether an original may have to go.
    let removesAny: Bool
    let custom: [CustomMapping]
    /// Owns the texts of `custom`.
    private let customPool = TextPool()
    var binding: KeyBinding
    var reader: MessageReader
    var flat = FlatMessages()
    /// By name: stamp in the high half, place in the span's set in the low half.
    var slots = Column<UInt64>()
    var drafts = Column<Draft>()
    /// One bit per rule that the record calls for.
    var due = Column<UInt64>()
    /// Asked pattern and place of each key that falls under one.
    var matched = Column<UInt64>()
    /// By pattern: stamp in the high half, how many keys fall under it in the low half.
    var matchCounts = Column<UInt64>()
    /// Parsed document per attribute: 0 not tried, -1 none, else index + 1.
    var parsed = Column<Int32>()
    /// What becomes of each attribute with `remove_originals`.
    var spending = Column<Spending>()
    /// Documents of attributes of which rules used members.
    var readings = Column<Reading>()
    /// Python literals that were read, by attribute.
    var literals = Column<(local: Int32, ref: JSONRef)>()
    /// Attributes of which a rule over indexed keys made something.
    var placing = Column<Int32>()
    /// Attributes of which the message in the making was assembled.
    var assembledFrom = Column<Int32>()
    /// Targets whose names the record has.
    var held = Column<TargetID>()
    /// Targets that were touched, in order.
    var touched = Column<Int16>()
    /// Working memory for putting them in order.
    var order = Column<UInt64>()
    /// Message events that the span got.
    var eventCount = 0
    var output = ByteColumn()
    var assembled = Column<MessagePart>()
    var fingerprints = Column<UInt64>()
    var added = Column<AddedAttribute>()
    var truncated = Column<Int32>()
    /// Attributes that were cut or are beyond the bounds.
    var unreadables = Column<Int32>()
    /// Names of targets that a decision looked for in vain in this pass, by name: the pass's stamp.
    let missedNames: NameMarks
    /// The same for patterns, by pattern.
    let missedPatterns: NameMarks
    /// A value came to a target after a decision had found none: the span is looked at once more.
    var isUnsettled = false
    /// Targets that this pass changed, when somebody wants to know; below zero former names of targets.
    var explained = Column<Int32>()
    /// Tool spans of the batch whose arguments lack the parameter's name.
    var bareTools = Column<Int32>()
    package var tally: RuleTally
    var stamp: UInt32 = 0
    var facts = SpanFacts()
    /// Body of the log record at hand.
    var pendingBody: (event: LogEvent, source: SourceValue)?
    var pendingFinish = MadeValue(kind: .empty)
    var pendingStatusMessage = Text.empty
    var pendingError = false
    /// Spans and log records that got or changed an attribute.
    package internal(set) var changedSpans = 0
    /// Spans and log records with a sign of GenAI.
    package internal(set) var seenSpans = 0
    /// Passes beyond the first one over spans.
    package private(set) var extraPasses = 0
    /// Values that a rule could not read; their source stays.
    package var unreadable = 0

    /// An attribute under a name that is made at run time.
    struct AddedAttribute: BitwiseCopyable {
        /// The key in the output buffer.
        var key: PoolRange
        var value: MadeValue
        /// Whether it takes the place of an attribute of that name.
        var overwrites: Bool
    }

    package init(_ tables: Tables, _ options: NormalizerOptions) {
        self.tables = tables
        self.options = options
        binding = KeyBinding(.empty, tables)
        reader = MessageReader(limits: options.limits, roles: tables.layout.roles)
        var mask: UInt64 = 0
        for (index, dialect) in tables.layout.dialects.enumerated()
        where (options.sources?.contains(dialect.name.string) ?? true)
            && !options.excluded.contains(dialect.name.string)
        {
            mask |= 1 << UInt64(index)
        }
        enabled = mask
        removing = Normalizer.mask(tables, options.removeOriginals, options.sourceOptions, \.removeOriginals)
        overwriting = Normalizer.mask(tables, options.overwrite, options.sourceOptions, \.overwrite)
        missedNames = NameMarks(count: tables.names.count)
        missedPatterns = NameMarks(count: tables.layout.patterns.count)
        tally = RuleTally(rules: tables.layout.rules.count)
        let pool = customPool
        custom = CustomMapping.all(tables, options, pool)
        removesAny = removing & enabled != 0 || custom.contains { $0.removes }
        for _ in tables.names { slots.append(0) }
        for _ in tables.layout.patterns.indices { matchCounts.append(0) }
        for _ in tables.layout.targetNames { drafts.append(Draft()) }
    }

    /// The dialects for which a switch is on: its own setting, else that of all.
    static func mask(
        _ tables: Tables, _ all: Bool, _ own: [String: SourceOptions], _ flag: KeyPath<SourceOptions, Bool?>
    ) -> UInt64 {
        var mask: UInt64 = 0
        for (index, dialect) in tables.layout.dialects.enumerated()
        where own[dialect.name.string]?[keyPath: flag] ?? all {
            mask |= 1 << UInt64(index)
        }
        return mask
    }

    /// Normalizes every live span, log record or data point of the batch.
    package mutating func normalize(_ batch: inout RecordBatch, binding: KeyBinding) {
        self.binding = binding
        changedSpans = 0
        seenSpans = 0
        extraPasses = 0
        unreadable = 0
        tally.reset()
        switch batch.signal {
        case .traces: normalizeSpans(&batch)
        case .logs: normalizeLogs(&batch)
        case .metrics: normalizeMetrics(&batch)
        }
    }

    private mutating func normalizeSpans(_ batch: inout RecordBatch) {
        bareTools.removeAll()
        for scope in batch.scopes.indices {
            let items = batch.scopes[scope].items.range
            if items.isEmpty { continue }
            let common = scopeMask(scope, batch)
            for span in items where !batch.spans[span].edits.contains(.removed) {
                let mask = detect(span, common, batch)
                if mask & enabled == 0 && custom.isEmpty { continue }
                seenSpans += 1
                if settleSpan(span, mask & (enabled | Tables.valueCheckBit), common, &batch) { changedSpans += 1 }
            }
        }
        if bareTools.count > 0 { joinTools(&batch) }
    }

    /// Most passes over one span: rules that feed each other settle in two, and none may go on for ever.
    private static let passes = 4

    /// Runs the rules until another run would change nothing, which makes the result the same however often a request
    /// passes. One pass is enough unless a rule decided before another one gave what it asked for.
    private mutating func settleSpan(
        _ span: Int, _ mask: UInt64, _ common: UInt64, _ batch: inout RecordBatch
    ) -> Bool {
        var isChanged = false
        var mask = mask
        for pass in 0..<Normalizer.passes {
            if pass > 0 {
                extraPasses += 1
                mask = detect(span, common, batch) & (enabled | Tables.valueCheckBit)
            }
            begin(span, batch)
            guard rewrite(mask, &batch) else { break }
            isChanged = true
            if facts.hasBareInput { bareTools.append(Int32(span)) }
            if !isUnsettled { break }
        }
        if options.profile == .semconv136, writeMessageEvents(span, &batch) { isChanged = true }
        if options.rewritesSpanNames, rewriteName(span, &batch) { isChanged = true }
        return isChanged
    }

    // MARK: Detection

    /// Dialects that the scope or the resource reveals.
    func scopeMask(_ scope: Int, _ batch: borrowing RecordBatch) -> UInt64 {
        let record = batch.scopes[scope]
        let name = batch.text(record.name)
        var mask: UInt64 = 0
        for (sign, dialect) in tables.layout.scopeChecks {
            switch sign {
            case .scopeName(let text): if name == text { mask |= 1 << UInt64(dialect) }
            case .scopePrefix(let text): if ScopeName.hasPrefix(name, text) { mask |= 1 << UInt64(dialect) }
            default: continue
            }
        }
        let resource = batch.resources[Int(record.resource)].set
        for (attribute, value, dialect) in tables.layout.resourceChecks {
            let key = binding.keyOfName[Int(attribute.value)]
            guard key != .unknown, let text = batch.string(key, in: resource) else { continue }
            if text == value { mask |= 1 << UInt64(dialect) }
        }
        return mask
    }

    /// Dialects of one span. The loop is all that a span without GenAI attributes costs.
    @inline(__always)
    private func detect(_ span: Int, _ common: UInt64, _ batch: borrowing RecordBatch) -> UInt64 {
        var mask = common
        let record = batch.spans[span]
        for index in batch.range(of: record.set) {
            let key = batch.attributes[index].keyID
            if key == .unknown {
                mask |= tables.detects(batch.text(batch.attributes[index].key))
            } else {
                mask |= binding.masks[Int(key.value)]
            }
        }
        if record.events.count > 0 { mask |= eventMask(record.events, batch) }
        if record.name.length > 0 {
            let name = batch.text(record.name)
            for (prefix, dialect) in tables.layout.spanNameChecks where name.hasPrefix(prefix) {
                mask |= 1 << UInt64(dialect)
            }
        }
        return mask
    }

    private func eventMask(_ events: IndexRange, _ batch: borrowing RecordBatch) -> UInt64 {
        var mask: UInt64 = 0
        for event in events.range {
            let name = batch.text(batch.events[event].name)
            for (wanted, dialect) in tables.layout.eventChecks where name == wanted { mask |= 1 << UInt64(dialect) }
        }
        return mask
    }

    // MARK: One span

    /// One pass over the record that was begun. True when anything changed.
    mutating func rewrite(_ mask: UInt64, _ batch: inout RecordBatch) -> Bool {
        // In one call, because a batch that is held for writing is copied for each one that only reads it.
        decide(mask, batch)
        return commit(&batch)
    }

    /// Runs all rules that the record calls for.
    private mutating func decide(_ mask: UInt64, _ batch: borrowing RecordBatch) {
        collect(batch)
        facts.active = mask & enabled
        if mask & Tables.valueCheckBit != 0 || facts.isLog { facts.active |= valueMask(batch) & enabled }
        for check in tables.layout.allOfChecks where holdsAll(check.signs, batch) {
            facts.active |= 1 << UInt64(check.dialect) & enabled
        }
        if !custom.isEmpty { mapCustom(batch) }
        takeBody(batch)
        if facts.active != 0 {
            // What a dialect writes has current names, so the last resort looks at every span.
            if let last = tables.layout.order.last { facts.active |= 1 << UInt64(last) & enabled }
            for dialect in tables.layout.order where facts.active >> UInt64(dialect) & 1 == 1 {
                runRules(dialect, batch)
                finishAssembly(batch)
            }
            settle(batch)
        }
    }

    private mutating func begin(_ span: Int, _ batch: borrowing RecordBatch) {
        let record = batch.spans[span]
        let range = batch.range(of: record.set)
        restart()
        facts.span = span
        facts.set = record.set
        facts.start = range.lowerBound
        facts.count = range.count
        facts.name = batch.text(record.name)
        facts.scope = batch.text(batch.scopes[Int(record.scope)].name)
        facts.startTime = record.start
        facts.status = record.statusCode
        facts.isRoot = record.parentID.isEmpty
        facts.events = record.events
    }

    /// Forgets the last record.
    mutating func restart() {
        facts = SpanFacts()
        facts.overwrites = options.overwrite
        isUnsettled = false
        stamp &+= 1
        if stamp == 0 {
            // After 2^32 spans: old stamps could look new.
            for index in slots.indices { slots[index] = 0 }
            for index in matchCounts.indices { matchCounts[index] = 0 }
            for index in drafts.indices { drafts[index].stamp = 0 }
            missedNames.clear()
            missedPatterns.clear()
            stamp = 1
        }
        reader.reset()
        flat.removeAll()
        matched.removeAll()
        parsed.removeAll()
        spending.removeAll()
        readings.removeAll()
        literals.removeAll()
        assembledFrom.removeAll()
        held.removeAll()
        touched.removeAll()
        output.removeAll()
        assembled.removeAll()
        fingerprints.removeAll()
        added.removeAll()
        truncated.removeAll()
        unreadables.removeAll()
        explained.removeAll()
        pendingBody = nil
        pendingFinish = MadeValue(kind: .empty)
        pendingStatusMessage = .empty
        pendingError = false
    }

    /// Notes where each name and each indexed key stands, and calls for the rules that ask for them.
    mutating func collect(_ batch: borrowing RecordBatch) {
        scheduleStanding()
        let names = binding.names
        let meanings = tables.layout.nameFacts
        let place = UInt64(stamp) << 32
        for local in 0..<facts.count {
            parsed.append(0)
            let name = Int(names[Int(batch.attributes[facts.start + local].keyID.value)])
            guard name != 0 else {
                collectForeign(batch.text(batch.attributes[facts.start + local].key), local)
                continue
            }
            let known = meanings[name]
            slots[name] = place | UInt64(local)
            if !known.rules.isEmpty { schedule(known.rules) }
            if !known.patterns.isEmpty { matchAll(known.patterns, local) }
            if known.target.exists { held.append(known.target) }
        }
        if removesAny { startSpending() }
        // Values that are there under a current name are looked at even when no rule asks; now that all are known.
        for index in held.indices { _ = state(held[index], batch) }
    }

    private mutating func matchAll(_ patterns: PoolRange, _ local: Int) {
        for index in patterns.range { match(tables.layout.patternPool[index], local) }
    }

    private mutating func collectForeign(_ key: Text, _ local: Int) {
        guard key.count >= 2 else { return }
        for index in tables.layout.patternBuckets[Int(key[0])] {
            let pattern = tables.layout.patterns[Int(index)]
            if pattern.isAsked, pattern.matches(key) { match(index, local) }
        }
    }

    private mutating func match(_ pattern: UInt16, _ local: Int) {
        matched.append(UInt64(pattern) << 32 | UInt64(local))
        let known = matchCounts[Int(pattern)]
        matchCounts[Int(pattern)] = known >> 32 == UInt64(stamp) ? known &+ 1 : UInt64(stamp) << 32 | 1
        schedule(tables.layout.schedule.byPattern[Int(pattern)])
    }

    private mutating func valueMask(_ batch: borrowing RecordBatch) -> UInt64 {
        var mask: UInt64 = 0
        for (sign, dialect) in tables.layout.valueChecks where holds(sign, batch) { mask |= 1 << UInt64(dialect) }
        return mask
    }

    private mutating func holdsAll(_ signs: PoolRange, _ batch: borrowing RecordBatch) -> Bool {
        for index in signs.range where !holds(tables.layout.signs[index], batch) { return false }
        return true
    }

    private mutating func holds(_ sign: Detection, _ batch: borrowing RecordBatch) -> Bool {
        switch sign {
        case .scopeName(let text): return facts.scope == text
        case .scopePrefix(let text): return ScopeName.hasPrefix(facts.scope, text)
        case .attribute(let name): return place(of: name) != nil
        case .attributeEquals(let name, let value): return string(of: name, batch).map { $0 == value } ?? false
        case .attributeHasPrefix(let name, let value): return string(of: name, batch)?.hasPrefix(value) ?? false
        case .attributePrefix(let pattern): return count(of: pattern) > 0
        case .spanNamePrefix(let text): return facts.name.hasPrefix(text)
        case .eventName, .resourceEquals: return false
        }
    }
}

/// Instrumentation scope names.
enum ScopeName {
    /// Whether the prefix ends at a boundary of the name, so that `…openai` does not stand for `…openai_v2`.
    static func hasPrefix(_ name: Text, _ prefix: Text) -> Bool {
        guard name.hasPrefix(prefix) else { return false }
        guard name.count > prefix.count, prefix.count > 0 else { return name.count == prefix.count }
        let last = ASCII.lower(prefix[prefix.count - 1])
        if last < 0x61 || last > 0x7A { return true }
        let next = name[prefix.count]
        return next == UInt8(ascii: ".") || next == UInt8(ascii: "/") || next == UInt8(ascii: " ")
    }
}
