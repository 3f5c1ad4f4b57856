import OTTL
package import Pipeline
package import Telemetry

/// Drops records for which a condition holds: the Collector's `filter` processor.
///
/// A resource is asked first, then its records, then their parts; what is dropped above is not asked about below.
package struct FilterProcessor: Processor {
    private let resources: FilterRules
    private let scopes: FilterRules
    private let items: FilterRules
    private let parts: FilterRules
    private let reparents: Bool
    private let pool = EvaluationPool()

    package init(options: FilterOptions, build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        let conditions = options.conditions(of: build.signal)
        let errors = build.metrics.counter(
            "sluice_ottl_errors_total", "Records on which a condition or statement failed.", build.labels)
        let item: OTTLContext
        let part: OTTLContext
        switch build.signal {
        case .traces: (item, part) = (.span, .spanevent)
        case .logs: (item, part) = (.log, .request)
        case .metrics: (item, part) = (.metric, .datapoint)
        }
        resources = try FilterRules(conditions, .resource, errors, &build)
        scopes = try FilterRules(conditions, .scope, errors, &build)
        items = try FilterRules(conditions, item, errors, &build)
        parts = try FilterRules(conditions, part, errors, &build)
        reparents = options.reparents && build.signal == .traces
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        let before = batch.liveCount
        let memory = pool.take()
        defer { pool.give(memory) }
        for resource in batch.resources.indices {
            let scopeRange = batch.resources[resource].scopes.range
            if let rule = try resources.match(batch, Place(resource: resource), &memory.state) {
                for scope in scopeRange { drop(scope: scope, &batch, resources, rule, &context) }
                continue
            }
            for scope in scopeRange {
                if let rule = try scopes.match(batch, Place(scope: scope, batch), &memory.state) {
                    drop(scope: scope, &batch, scopes, rule, &context)
                } else {
                    try filter(scope: scope, &batch, &memory.state, &context)
                }
            }
        }
        if reparents, batch.liveCount < before { Reparenting.run(&batch) }
    }

    private func filter(
        scope: Int, _ batch: inout RecordBatch, _ state: inout EvaluationState, _ context: inout ProcessContext
    ) throws(ProcessFailure) {
        guard !items.isEmpty || !parts.isEmpty else { return }
        for item in batch.scopes[scope].items.range {
            switch batch.signal {
            case .traces:
                if batch.isRemoved(span: item) { continue }
                if let rule = try items.match(batch, Place(span: item, batch), &state) {
                    batch.removeSpan(item)
                    items.count(1, rule, &context, at: item)
                } else if !parts.isEmpty {
                    try filterEvents(of: item, &batch, &state)
                }
            case .logs:
                if batch.isRemoved(log: item) { continue }
                if let rule = try items.match(batch, Place(log: item, batch), &state) {
                    batch.removeLog(item)
                    items.count(1, rule, &context, at: item)
                }
            case .metrics:
                if batch.metrics[item].edits.contains(.removed) { continue }
                if let rule = try items.match(batch, Place(metric: item, batch), &state) {
                    let live = batch.liveCount
                    batch.removeMetric(item)
                    items.count(live - batch.liveCount, rule, &context)
                } else if !parts.isEmpty {
                    try filterPoints(of: item, &batch, &state, &context)
                }
            }
        }
    }

    /// Events are no records of their own in the balance, so they are only counted under their rule.
    private func filterEvents(
        of span: Int, _ batch: inout RecordBatch, _ state: inout EvaluationState
    ) throws(ProcessFailure) {
        for event in batch.spans[span].events.range where !batch.events[event].edits.contains(.removed) {
            guard let rule = try parts.match(batch, Place(event: event, batch), &state) else { continue }
            batch.removeEvent(event)
            parts.countPart(rule)
        }
    }

    private func filterPoints(
        of metric: Int, _ batch: inout RecordBatch, _ state: inout EvaluationState, _ context: inout ProcessContext
    ) throws(ProcessFailure) {
        for point in batch.metrics[metric].points.range where !batch.isRemoved(point: point) {
            guard let rule = try parts.match(batch, Place(point: point, batch), &state) else { continue }
            batch.removePoint(point)
            parts.count(1, rule, &context)
        }
    }

    private func drop(
        scope: Int, _ batch: inout RecordBatch, _ rules: FilterRules, _ rule: Int, _ context: inout ProcessContext
    ) {
        let before = batch.liveCount
        for item in batch.scopes[scope].items.range {
            switch batch.signal {
            case .traces: batch.removeSpan(item)
            case .logs: batch.removeLog(item)
            case .metrics: batch.removeMetric(item)
            }
            if batch.signal != .metrics { context.dropping(item, by: rules.labels[rule]) }
        }
        rules.count(before - batch.liveCount, rule, &context)
    }
}

/// The conditions of one context, each with the counter of what it dropped.
private struct FilterRules: Sendable {
    private let rules: RuleSet
    private var counters: [Counter] = []
    /// Where each rule stands in the file.
    private(set) var labels: [String] = []

    init(
        _ options: [ConditionOption], _ context: OTTLContext, _ errors: Counter, _ build: inout ProcessorBuild
    ) throws(ProcessorBuildFailure) {
        rules = try RuleSet(options, context, errors: errors, &build)
        let what =
            switch (build.signal, context) {
            case (_, .spanevent): "spanevents"
            case (.traces, _): "spans"
            case (.logs, _): "logs"
            case (.metrics, _): "datapoints"
            }
        for option in options where option.context == context {
            labels.append(option.label)
            counters.append(
                build.metrics.counter(
                    "otelcol_processor_filter_\(what)_filtered", "Records that a condition dropped.",
                    build.labels + [("rule", option.label)]))
        }
    }

    var isEmpty: Bool { rules.isEmpty }

    func match(
        _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(ProcessFailure) -> Int? {
        try rules.isEmpty ? nil : rules.firstMatch(batch, at: place, &state)
    }

    /// Counts what a rule dropped; `record` is the span or log record, when it was one.
    func count(_ records: Int, _ rule: Int, _ context: inout ProcessContext, at record: Int? = nil) {
        guard records > 0 else { return }
        context.dropped(records, counters[rule])
        if let record { context.dropping(record, by: labels[rule]) } else { context.dropRule = labels[rule] }
    }

    func countPart(_ rule: Int) { counters[rule].add() }
}
