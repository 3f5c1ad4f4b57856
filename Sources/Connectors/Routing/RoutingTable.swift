import OTLP
import OTTL
import Pipeline
import Telemetry

/// A routing table with its conditions compiled: says for every record of a batch which outputs get it.
struct RoutingTable: Sendable {
    /// Outputs as bits.
    typealias Outputs = UInt64

    /// Why a routing table cannot be used with the pipelines around it.
    struct Failure: Error, CustomStringConvertible {
        var description: String
        var option: String?
        var fix: String?
    }

    private enum Rule: Sendable {
        case condition(OTTLCondition)
        case statement(OTTLStatement)
    }

    private struct Route: Sendable {
        var context: RouteContext
        var match: RouteMatch
        var moves: Bool
        var rule: Rule
        var outputs: Outputs
        /// Tells of failures; nil where none shall be told.
        var faults: OTTLFaultLog?
    }

    private var routes: [Route] = []
    private let defaults: Outputs
    private let errorMode: OTTLErrorMode

    /// Most pipelines that one connector can feed.
    static let outputsMax = 64

    init(
        _ options: RoutingOptions, build: ConnectorBuild, keys: inout KeyTable.Builder
    ) throws(Failure) {
        let (outputs, signal, log) = (build.outputs, build.inputSignal, build.log)
        let place = "connector \(build.id) behind \(build.input)"
        errorMode = options.errorMode
        guard outputs.count <= Self.outputsMax else { throw Failure(description: "feeds more than 64 pipelines") }
        defaults = try Self.bits(options.defaultPipelines, outputs, at: "default_pipelines")
        for (index, option) in options.table.enumerated() {
            let contexts = OTTLContext.all(of: signal)
            guard option.context == .request || contexts.contains(option.context.language) else {
                throw Failure(
                    description: "the context \(option.context.rawValue) is not one of \(signal), which come from "
                        + build.input,
                    option: "table[\(index)].context",
                    fix: "write one of \(contexts.map(\.rawValue).joined(separator: ", ")), request")
            }
            let rule: Rule
            do throws(OTTLProblem) {
                let context = option.context.language
                if option.statement.isEmpty {
                    rule = .condition(try OTTLCondition(option.condition, context: context, keys: &keys))
                } else {
                    rule = .statement(try OTTLStatement(option.statement, context: context, keys: &keys))
                }
            } catch { throw Failure(description: "\(error)", option: "table[\(index)]") }
            routes.append(
                Route(
                    context: option.context, match: option.match, moves: option.action == .move, rule: rule,
                    outputs: try Self.bits(option.pipelines, outputs, at: "table[\(index)].pipelines"),
                    faults: OTTLFaultLog(errorMode, owner: place) { log(.warn, $0) }))
        }
    }

    private static func bits(
        _ pipelines: [String], _ outputs: [ConnectorOutput], at option: String
    ) throws(Failure) -> Outputs {
        var bits: Outputs = 0
        for pipeline in pipelines {
            guard let index = outputs.firstIndex(where: { $0.pipeline == pipeline }) else {
                throw Failure(
                    description: "routes to \(pipeline), which does not read from it", option: option,
                    fix: "name the connector under receivers of that pipeline")
            }
            bits |= 1 << Outputs(index)
        }
        return bits
    }

    // MARK: Assigning

    /// What is known while one batch is routed.
    private struct Assignment {
        /// By span, log record or data point.
        var outputs: [Outputs]
        /// Whether a route moved the record; one that copies leaves it to those behind it and to the defaults.
        var isSettled: [Bool]
        var errors = 0
    }

    /// The outputs of every span, log record or data point, and on how many records a condition failed. Statements may
    /// change the batch.
    func assign(
        _ batch: inout RecordBatch, _ state: inout EvaluationState
    ) throws(ProcessFailure) -> (outputs: [Outputs], errors: Int) {
        let count = batch.recordCount
        var work = Assignment(
            outputs: [Outputs](repeating: 0, count: count), isSettled: [Bool](repeating: false, count: count))
        for route in routes { try apply(route, &batch, &state, &work) }
        for index in work.outputs.indices where !work.isSettled[index] { work.outputs[index] |= defaults }
        return (work.outputs, work.errors)
    }

    private func apply(
        _ route: Route, _ batch: inout RecordBatch, _ state: inout EvaluationState, _ work: inout Assignment
    ) throws(ProcessFailure) {
        switch route.context {
        case .request:
            if batch.resources.count > 0 {
                try ask(route, Place(resource: 0), 0..<work.outputs.count, &batch, &state, &work)
            }
        case .resource:
            for index in batch.resources.indices {
                let records = self.records(ofResource: index, batch)
                try ask(route, Place(resource: index), records, &batch, &state, &work)
            }
        case .span: try apply(toSpans: route, &batch, &state, &work)
        case .log:
            for index in batch.logs.indices where !work.isSettled[index] {
                try ask(route, Place(log: index, batch), index..<index + 1, &batch, &state, &work)
            }
        case .metric:
            for index in batch.metrics.indices {
                let points = batch.metrics[index].points.range
                try ask(route, Place(metric: index, batch), points, &batch, &state, &work)
            }
        case .datapoint:
            for index in batch.points.indices where !work.isSettled[index] {
                try ask(route, Place(point: index, batch), index..<index + 1, &batch, &state, &work)
            }
        }
    }

    /// Spans one by one. With `match: trace` the other spans of a trace in which one matches follow it, behind a second
    /// look at all spans; those that a moved trace takes along are not asked.
    private func apply(
        toSpans route: Route, _ batch: inout RecordBatch, _ state: inout EvaluationState, _ work: inout Assignment
    ) throws(ProcessFailure) {
        guard route.match == .trace else {
            for index in batch.spans.indices where !work.isSettled[index] {
                try ask(route, Place(span: index, batch), index..<index + 1, &batch, &state, &work)
            }
            return
        }
        let open = batch.spans.indices.filter { !work.isSettled[$0] }
        var matching: Set<[UInt8]> = []
        for index in open {
            if route.moves, matching.contains(trace(index, batch)) { continue }
            if try ask(route, Place(span: index, batch), index..<index + 1, &batch, &state, &work) {
                matching.insert(trace(index, batch))
            }
        }
        if matching.isEmpty { return }
        for index in open where matching.contains(trace(index, batch)) {
            work.outputs[index] |= route.outputs
            work.isSettled[index] = route.moves
        }
    }

    private func trace(_ span: Int, _ batch: borrowing RecordBatch) -> [UInt8] {
        [UInt8](batch.text(batch.spans[span].traceID).bytes)
    }

    /// Asks one condition and gives the route the records it is about, as far as they are open. Returns whether the
    /// condition holds; one that fails does not.
    @discardableResult
    private func ask(
        _ route: Route, _ place: Place, _ records: Range<Int>, _ batch: inout RecordBatch,
        _ state: inout EvaluationState, _ work: inout Assignment
    ) throws(ProcessFailure) -> Bool {
        guard records.contains(where: { !work.isSettled[$0] }) else { return false }
        state.beginRecord()
        let holds: Bool
        do throws(OTTLFailure) {
            switch route.rule {
            case .condition(let condition): holds = try condition.isTrue(batch, at: place, &state)
            case .statement(let statement) where statement.isRoute:
                holds = try statement.applies(batch, at: place, &state)
            case .statement(let statement): holds = try statement.run(&batch, at: place, &state)
            }
        } catch {
            work.errors += 1
            route.faults?.tell(error)
            if errorMode == .propagate { throw ProcessFailure(reason: "\(error)") }
            return false
        }
        guard holds else { return false }
        for record in records where !work.isSettled[record] {
            work.outputs[record] |= route.outputs
            work.isSettled[record] = route.moves
        }
        return true
    }

    /// Indices of all spans, log records or data points below a resource; they follow each other.
    private func records(ofResource index: Int, _ batch: borrowing RecordBatch) -> Range<Int> {
        var low = Int.max
        var high = 0
        for scope in batch.resources[index].scopes.range {
            let items = batch.scopes[scope].items.range
            guard !items.isEmpty else { continue }
            if batch.signal == .metrics {
                for metric in items {
                    let points = batch.metrics[metric].points.range
                    if points.isEmpty { continue }
                    low = min(low, points.lowerBound)
                    high = max(high, points.upperBound)
                }
            } else {
                low = min(low, items.lowerBound)
                high = max(high, items.upperBound)
            }
        }
        return low < high ? low..<high : 0..<0
    }
}

extension RecordBatch {
    /// Appends the request with only those records to which `isWanted` says yes, and returns how many they are. The
    /// batch is as before afterwards, but for marks that make the writer look at every container.
    mutating func writeSubset(_ isWanted: (Int) -> Bool, into output: inout ByteColumn) -> Int {
        var taken: [Int] = []
        var left = 0
        for index in 0..<recordCount where !isGone(index) {
            if isWanted(index) {
                left += 1
            } else {
                taken.append(index)
                setGone(index, true)
            }
        }
        if left > 0 { OTLPWriter.write(self, into: &output) }
        for index in taken { setGone(index, false) }
        return left
    }

    private func isGone(_ index: Int) -> Bool {
        switch signal {
        case .traces: isRemoved(span: index)
        case .logs: isRemoved(log: index)
        case .metrics: isRemoved(point: index)
        }
    }

    private mutating func setGone(_ index: Int, _ isGone: Bool) {
        switch signal {
        case .traces where isGone: removeSpan(index)
        case .traces:
            spans[index].edits.remove(.removed)
            liveCount += 1
        case .logs where isGone: removeLog(index)
        case .logs:
            logs[index].edits.remove(.removed)
            liveCount += 1
        case .metrics where isGone: removePoint(index)
        case .metrics:
            points[index].edits.remove(.removed)
            liveCount += 1
        }
    }
}
