package import Pipeline
package import Telemetry

/// Changes attributes of spans, log records and data points: the Collector's `attributes` processor.
package struct AttributesProcessor: Processor {
    private let program: ActionProgram
    private let include: RecordMatch?
    private let exclude: RecordMatch?

    /// Fails when `include` or `exclude` names what the pipeline's signal does not have.
    package init(options: AttributesOptions, build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        program = ActionProgram(options.actions, &build.keys)
        include = try RecordMatch(options.include, at: "include", &build)
        exclude = try RecordMatch(options.exclude, at: "exclude", &build)
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        let origin = context.origin
        program.withScratch { state in
            switch batch.signal {
            case .traces: spans(&batch, origin, &state)
            case .logs: logs(&batch, origin, &state)
            case .metrics: metrics(&batch, origin, &state)
            }
        }
    }

    private func spans(_ batch: inout RecordBatch, _ origin: RequestOrigin, _ state: inout RedactionState) {
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let span = batch.spans[index]
            if let include, !include.matches(span: span, batch, state) { continue }
            if let exclude, exclude.matches(span: span, batch, state) { continue }
            program.run(on: span.set, &batch, origin: origin, &state)
        }
    }

    private func logs(_ batch: inout RecordBatch, _ origin: RequestOrigin, _ state: inout RedactionState) {
        for index in batch.logs.indices where !batch.isRemoved(log: index) {
            let log = batch.logs[index]
            if let include, !include.matches(log: log, batch, state) { continue }
            if let exclude, exclude.matches(log: log, batch, state) { continue }
            program.run(on: log.set, &batch, origin: origin, &state)
        }
    }

    private func metrics(_ batch: inout RecordBatch, _ origin: RequestOrigin, _ state: inout RedactionState) {
        for index in batch.metrics.indices {
            let metric = batch.metrics[index]
            if let include, !include.matches(metric: metric, batch, state) { continue }
            if let exclude, exclude.matches(metric: metric, batch, state) { continue }
            for point in metric.points.range where !batch.isRemoved(point: point) {
                program.run(on: batch.points[point].set, &batch, origin: origin, &state)
            }
        }
    }
}

/// Changes attributes of resources: the Collector's `resource` processor.
package struct ResourceProcessor: Processor {
    private let program: ActionProgram

    package init(options: ResourceOptions, build: inout ProcessorBuild) {
        program = ActionProgram(options.actions, &build.keys)
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        let origin = context.origin
        program.withScratch { state in
            for index in batch.resources.indices {
                program.run(on: batch.resources[index].set, &batch, origin: origin, &state)
            }
        }
    }
}
