import OTLP
import OTTL
package import Pipeline
package import Telemetry

/// Runs OTTL statements on records: the Collector's `transform` processor.
package struct TransformProcessor: Processor {
    private struct Group: Sendable {
        var context: OTTLContext
        var errorMode: OTTLErrorMode
        var conditions: RuleSet
        var statements: [Statement]

        /// Whether some statement changes what a metric is.
        var isReshaping: Bool { statements.contains { $0.statement.isReshaping } }
    }

    private struct Statement: Sendable {
        var statement: OTTLStatement
        /// Tells of failures; nil where none shall be told.
        var faults: OTTLFaultLog?
    }

    private var groups: [Group] = []
    private let errors: Counter
    private let id: String
    private let pool = EvaluationPool()
    private let reshapers = MetricReshaperPool()
    /// Nil where no statement adds metrics.
    private var added: Counter?

    package init(options: TransformOptions, build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        id = build.id
        errors = build.metrics.counter(
            "sluice_ottl_errors_total", "Records on which a condition or statement failed.", build.labels)
        for option in options.groups(of: build.signal) {
            let conditions = option.conditions.enumerated().map { index, text in
                ConditionOption(
                    label: "\(option.label).conditions[\(index)]", text: text, context: option.context,
                    errorMode: option.errorMode)
            }
            let rules = try RuleSet(conditions, option.context, errors: errors, &build)
            let statements = try TransformProcessor.compile(option, &build)
            groups.append(
                Group(
                    context: option.context, errorMode: option.errorMode, conditions: rules, statements: statements))
        }
        added = nil
        guard groups.contains(where: \.isReshaping) else { return }
        added = build.metrics.counter(
            "sluice_transform_added_metric_points_total",
            "Data points that statements added, beyond those that they took away in the same request.", build.labels)
    }

    private static func compile(
        _ option: StatementGroup, _ build: inout ProcessorBuild
    ) throws(ProcessorBuildFailure) -> [Statement] {
        let (log, place) = (build.log, "processor \(build.id) of \(build.pipeline)")
        var statements: [Statement] = []
        for text in option.statements {
            do throws(OTTLProblem) {
                let statement = try OTTLStatement(text, context: option.context, keys: &build.keys)
                let faults = OTTLFaultLog(option.errorMode, owner: place) { log(.warn, $0) }
                statements.append(Statement(statement: statement, faults: faults))
            } catch {
                throw ProcessorBuildFailure("statement \(text): \(error)")
            }
        }
        return statements
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        let memory = pool.take()
        defer { pool.give(memory) }
        for group in groups {
            if group.isReshaping {
                try reshape(group, &batch, &memory.state)
            } else {
                try run(group, &batch, &memory.state)
            }
        }
    }

    private func run(
        _ group: Group, _ batch: inout RecordBatch, _ state: inout EvaluationState
    ) throws(ProcessFailure) {
        switch group.context {
        case .resource:
            for index in batch.resources.indices { try run(group, Place(resource: index), &batch, &state) }
        case .scope:
            for index in batch.scopes.indices { try run(group, Place(scope: index, batch), &batch, &state) }
        case .span:
            for index in batch.spans.indices where !batch.isRemoved(span: index) {
                try run(group, Place(span: index, batch), &batch, &state)
            }
        case .spanevent:
            for index in batch.events.indices where !batch.events[index].edits.contains(.removed) {
                if batch.isRemoved(span: Int(batch.events[index].span)) { continue }
                try run(group, Place(event: index, batch), &batch, &state)
            }
        case .log:
            for index in batch.logs.indices where !batch.isRemoved(log: index) {
                try run(group, Place(log: index, batch), &batch, &state)
            }
        case .metric:
            for index in batch.metrics.indices where !batch.metrics[index].edits.contains(.removed) {
                try run(group, Place(metric: index, batch), &batch, &state)
            }
        case .datapoint:
            for index in batch.points.indices where !batch.isRemoved(point: index) {
                try run(group, Place(point: index, batch), &batch, &state)
            }
        case .request: return
        }
    }

    private func run(
        _ group: Group, _ place: Place, _ batch: inout RecordBatch, _ state: inout EvaluationState
    ) throws(ProcessFailure) {
        state.beginRecord()
        if !group.conditions.isEmpty, try group.conditions.firstMatch(batch, at: place, &state) == nil { return }
        for statement in group.statements {
            do throws(OTTLFailure) {
                try statement.statement.run(&batch, at: place, &state)
            } catch {
                try failed(statement, group, error)
            }
        }
    }

    private func failed(
        _ statement: Statement, _ group: Group, _ failure: OTTLFailure
    ) throws(ProcessFailure) {
        errors.add()
        statement.faults?.tell(failure)
        if group.errorMode == .propagate { throw ProcessFailure(reason: "\(id): \(failure)") }
    }
}

// MARK: Metrics that become others

extension TransformProcessor {
    private func reshape(
        _ group: Group, _ batch: inout RecordBatch, _ state: inout EvaluationState
    ) throws(ProcessFailure) {
        let reshaper = reshapers.take()
        defer { reshapers.give(reshaper) }
        let before = batch.liveCount
        var request = ByteColumn()
        OTLPWriter.write(batch, into: &request)
        do {
            try reshaper.run(request.text, batch.keys, &state) { reshaper, state in
                try run(group, on: reshaper, &state)
            }
            batch.transcoded.removeAll()
            batch.transcoded.append(reshaper.output.text)
            _ = try OTLPReader.read(batch.transcoded.text, signal: .metrics, keys: batch.keys, into: &batch)
        } catch let failure as ProcessFailure {
            throw failure
        } catch {
            let words = (error as? DecodeFailure)?.message ?? "\(error)"
            throw ProcessFailure(reason: "\(id): metrics could not be changed: \(words)")
        }
        batch.markEdited()
        if batch.liveCount > before { added?.add(batch.liveCount - before) }
    }

    /// The statements of a group on the one metric of a reshaper.
    private func run(_ group: Group, on reshaper: MetricReshaper, _ state: inout EvaluationState) throws {
        guard group.context == .datapoint else {
            try run(group, on: reshaper, point: nil, done: [], &state)
            return
        }
        var done = Set<Int>()
        var point = 0
        // No editor for data points takes some away.
        while point < reshaper.batch.points.count {
            done = try run(group, on: reshaper, point: point, done: done, &state)
            point += 1
        }
    }

    /// Returns the statements that were done on the metric as a whole, `done` included.
    @discardableResult
    private func run(
        _ group: Group, on reshaper: MetricReshaper, point: Int?, done: Set<Int>, _ state: inout EvaluationState
    ) throws -> Set<Int> {
        var done = done
        // The metric is the first of its batch whatever it becomes.
        let place = point.map { Place(point: $0, reshaper.batch) } ?? Place(metric: 0, reshaper.batch)
        state.beginRecord()
        if !group.conditions.isEmpty,
            try group.conditions.firstMatch(reshaper.batch, at: place, &state) == nil
        {
            return done
        }
        for (index, statement) in group.statements.enumerated() {
            do {
                guard try statement.statement.run(&reshaper.batch, at: place, &state) else { continue }
                guard statement.statement.isReshaping else { continue }
                _ = try reshaper.reshape(
                    statement.statement, point: point, isFirst: !done.contains(index), &state)
                done.insert(index)
            } catch let failure as OTTLFailure {
                try failed(statement, group, failure)
            }
        }
        return done
    }
}
