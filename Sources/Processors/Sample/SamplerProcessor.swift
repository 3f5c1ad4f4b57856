package import Pipeline
package import Telemetry

/// A processor cannot be built for the pipeline it stands in: says what to change.
package struct ProcessorBuildFailure: StartFault, Equatable {
    package var description: String
    package var option: String?
    package var fix: String?
    package var isOfMachine = false

    package init(_ description: String, at option: String? = nil, fix: String? = nil) {
        self.description = description
        self.option = option
        self.fix = fix
    }
}

/// Keeps a share of traces or log records, consistently: the same trace gets the same answer everywhere, and a higher
/// percentage keeps all that a lower one keeps.
///
/// The threshold that was applied is recorded, for spans in `tracestate` (`ot=th:`), for logs in attributes, so that
/// back ends can count back. The rules are those of the Collector's processor.
package struct SamplerProcessor: Processor {
    private let rule: SamplerRule
    private let priority: KeyID
    private let randomnessKey: KeyID
    private let thresholdKey: KeyID
    private let fromAttribute: KeyID
    private let logPriority: KeyID
    private let usesTraceID: Bool
    private let failClosed: Bool
    private let precision: Int
    private let counters: SamplerCounters

    /// Fails for metrics, which have no trace to be consistent with.
    package init(options: SamplerOptions, build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        guard build.signal != .metrics else {
            throw ProcessorBuildFailure(
                "cannot sample metrics, and \(build.pipeline) names it",
                fix: "take it out of that pipeline; traces and logs work")
        }
        rule = SamplerRule(options)
        priority = build.keys.intern("sampling.priority")
        randomnessKey = build.keys.intern("sampling.randomness")
        thresholdKey = build.keys.intern("sampling.threshold")
        fromAttribute = options.fromAttribute.isEmpty ? .unknown : build.keys.intern(options.fromAttribute)
        logPriority = options.samplingPriority.isEmpty ? .unknown : build.keys.intern(options.samplingPriority)
        usesTraceID = options.source == .traceID
        failClosed = options.failClosed
        precision = options.precision
        counters = SamplerCounters(build)
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        var tally = SamplerTally()
        switch batch.signal {
        case .traces:
            for index in batch.spans.indices where !batch.isRemoved(span: index) {
                let (policy, isKept) = decide(span: index, &batch)
                tally.add(policy, isKept)
                if !isKept { batch.removeSpan(index) }
            }
        case .logs:
            for index in batch.logs.indices where !batch.isRemoved(log: index) {
                let (policy, isKept) = decide(log: index, &batch)
                tally.add(policy, isKept)
                if !isKept { batch.removeLog(index) }
            }
        case .metrics: return
        }
        counters.add(tally, &context)
    }

    // MARK: Spans

    private func decide(span index: Int, _ batch: inout RecordBatch) -> (SamplerPolicy, Bool) {
        let span = batch.spans[index]
        let wish = priority(of: span.set, batch)
        var state = TraceState(batch.text(span.traceState))
        var randomness: UInt64?
        var policy = SamplerPolicy.missing
        var isFaulty = state == nil
        if rule.isNever {
            randomness = nil
            isFaulty = false
        } else if rule.mode == .hashSeed {
            if let hashed = hashed(batch.text(span.traceID)) {
                randomness = hashed
                policy = .hash
                // Randomness or a threshold that is already there belongs to another way of sampling.
                if state?.randomness != nil || state?.threshold != nil { isFaulty = true }
                if !isFaulty { state?.setRandomness(hashed) }
            }
        } else if let explicit = state?.randomness {
            randomness = explicit
            policy = .explicit
        } else if state != nil, let own = SamplerRule.randomness(ofTraceID: batch.text(span.traceID)) {
            randomness = own
            policy = .traceID
        }
        if !rule.isNever, !isFaulty {
            if randomness == nil { isFaulty = true }
            if let randomness, let threshold = state?.threshold, !threshold.keeps(randomness) {
                state?.clearThreshold()
                isFaulty = true
            }
        }
        var threshold = isFaulty ? (failClosed ? .never : .always) : rule.threshold(over: state?.threshold)
        if let wish {
            threshold = wish ? .always : .never
            policy = .priority
        }
        guard threshold.keeps(randomness ?? SamplingThreshold.range - 1) else { return (policy, false) }
        if var state {
            // Nobody knows the weight of a span that passes in spite of a fault, so it gets no threshold.
            if !isFaulty || wish != nil { state.update(threshold) }
            store(state, index, span, &batch)
        }
        return (policy, true)
    }

    private func store(_ state: TraceState, _ index: Int, _ span: SpanRecord, _ batch: inout RecordBatch) {
        // The text is at most 1 KiB and a few digits; it lies in the request or in earlier edits, so it is built aside.
        var written = ByteColumn(capacity: 128)
        state.write(to: &written)
        if written.text == batch.text(span.traceState) { return }
        let reference = batch.addText(written.text)
        batch.setTraceState(reference, ofSpan: index)
    }

    /// The `sampling.priority` of OpenTracing: 0 drops, above keeps, anything else says nothing.
    private func priority(of set: SetIndex, _ batch: borrowing RecordBatch) -> Bool? {
        guard let index = batch.find(priority, in: set) else { return nil }
        switch batch.attributes[index].value {
        case .int(let number): return number < 0 ? nil : number > 0
        case .double(let number): return number >= 0 ? number > 0 : nil
        case .string(let reference):
            guard let number = NumberText.double(batch.text(reference)), number >= 0 else { return nil }
            return number > 0
        default: return nil
        }
    }

    private func hashed(_ traceID: Text) -> UInt64? {
        guard SamplerRule.randomness(ofTraceID: traceID) != nil else { return nil }
        return HashedRandomness.of(traceID.bytes, seed: rule.seed)
    }

    // MARK: Log records

    private func decide(log index: Int, _ batch: inout RecordBatch) -> (SamplerPolicy, Bool) {
        let log = batch.logs[index]
        let arrived = ArrivedSampling(log.set, randomnessKey, thresholdKey, batch)
        var policy = SamplerPolicy.missing
        var randomness: UInt64?
        var isFaulty = arrived.isFaulty
        var writesRandomness = false
        if rule.isNever {
            isFaulty = false
        } else if rule.mode == .hashSeed {
            if usesTraceID, let hashed = hashed(batch.text(log.traceID)) {
                randomness = hashed
                policy = .hash
            } else if let hashed = hashedAttribute(log.set, batch) {
                randomness = hashed
                policy = .attribute
            }
            if arrived.randomness != nil || arrived.threshold != nil { isFaulty = true }
            writesRandomness = randomness != nil && !isFaulty
        } else if let explicit = arrived.randomness {
            randomness = explicit
            policy = .explicit
        } else if let own = SamplerRule.randomness(ofTraceID: batch.text(log.traceID)) {
            randomness = own
            policy = .traceID
        }
        var dropsThreshold = false
        if !rule.isNever, !isFaulty {
            if randomness == nil { isFaulty = true }
            if let randomness, let threshold = arrived.threshold, !threshold.keeps(randomness) {
                dropsThreshold = true
                isFaulty = true
            }
        }
        var threshold = isFaulty ? (failClosed ? .never : .always) : rule.threshold(over: arrived.threshold)
        if let wish = wish(log.set, batch), wish == .never || wish < threshold {
            threshold = wish
            policy = .priority
        }
        guard threshold.keeps(randomness ?? SamplingThreshold.range - 1) else { return (policy, false) }
        if arrived.isFaulty { return (policy, true) }
        if writesRandomness, let randomness {
            let text = batch.buildText { $0.appendHex(randomness, digits: SamplingThreshold.digits) }
            batch.upsert(randomnessKey, .string(text), in: log.set)
        }
        if isFaulty, policy != .priority {
            if dropsThreshold, let index = batch.find(thresholdKey, in: log.set) {
                batch.remove(at: index, from: log.set)
            }
            return (policy, true)
        }
        let old = dropsThreshold ? nil : arrived.threshold
        if old.map({ threshold > $0 }) ?? true {
            let text = batch.buildText { $0.append(threshold: threshold) }
            batch.upsert(thresholdKey, .string(text), in: log.set)
        }
        return (policy, true)
    }

    /// Threshold of the record's own percentage; nil when it has none.
    private func wish(_ set: SetIndex, _ batch: borrowing RecordBatch) -> SamplingThreshold? {
        guard logPriority != .unknown, let index = batch.find(logPriority, in: set) else { return nil }
        switch batch.attributes[index].value {
        case .int(let number): return SamplingThreshold(probability: Double(number) / 100, precision: precision)
        case .double(let number) where !number.isNaN:
            return SamplingThreshold(probability: number / 100, precision: precision)
        default: return nil
        }
    }

    private func hashedAttribute(_ set: SetIndex, _ batch: borrowing RecordBatch) -> UInt64? {
        guard fromAttribute != .unknown, let index = batch.find(fromAttribute, in: set) else { return nil }
        switch batch.attributes[index].value {
        case .string(let reference), .bytes(let reference):
            return HashedRandomness.of(batch.text(reference).bytes, seed: rule.seed)
        case let value:
            var text = ByteColumn(capacity: 64)
            ValueText.append(value, batch, to: &text)
            return HashedRandomness.of(text.bytes, seed: rule.seed)
        }
    }
}

/// Sampling attributes that a log record arrived with.
private struct ArrivedSampling {
    var randomness: UInt64?
    var threshold: SamplingThreshold?
    /// One of them is not what it should be.
    var isFaulty = false

    init(_ set: SetIndex, _ randomnessKey: KeyID, _ thresholdKey: KeyID, _ batch: borrowing RecordBatch) {
        if let text = batch.string(randomnessKey, in: set), !text.isEmpty {
            randomness = TraceState.randomness(text)
            if randomness == nil { isFaulty = true }
        }
        if let text = batch.string(thresholdKey, in: set), !text.isEmpty {
            threshold = TraceState.threshold(text)
            if threshold == nil { isFaulty = true }
        }
    }
}
