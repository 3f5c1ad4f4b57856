package import Telemetry

/// What one evaluation looks at, as the Collector names it.
package enum OTTLContext: String, Sendable, CaseIterable {
    case resource, scope, span, spanevent, log, metric, datapoint
    /// Facts about the request: `request["X-Tenant"]`.
    case request

    /// Contexts that a path of this one may name, itself included, the most specific first.
    var reach: [OTTLContext] {
        switch self {
        case .resource: [.resource]
        case .scope: [.scope, .resource]
        case .span: [.span, .scope, .resource]
        case .spanevent: [.spanevent, .span, .scope, .resource]
        case .log: [.log, .scope, .resource]
        case .metric: [.metric, .scope, .resource]
        case .datapoint: [.datapoint, .metric, .scope, .resource]
        case .request: [.request]
        }
    }

    /// The context that a path's first name stands for.
    init?(prefix: String) {
        if prefix == "instrumentation_scope" {
            self = .scope
        } else {
            self.init(rawValue: prefix)
        }
    }

    /// Contexts of one signal, the most general first.
    package static func all(of signal: Signal) -> [OTTLContext] {
        switch signal {
        case .traces: [.resource, .scope, .span, .spanevent]
        case .logs: [.resource, .scope, .log]
        case .metrics: [.resource, .scope, .metric, .datapoint]
        }
    }
}

/// The record that an evaluation looks at, and those above it, as indices into the batch's columns.
package struct Place: BitwiseCopyable, Sendable {
    var resource: Int32 = 0
    var scope: Int32 = 0
    /// Span, log record or metric.
    var item: Int32 = 0
    /// Span event or data point.
    var part: Int32 = 0

    package init(resource: Int) { self.resource = Int32(truncatingIfNeeded: resource) }

    package init(scope: Int, _ batch: borrowing RecordBatch) {
        self.scope = Int32(truncatingIfNeeded: scope)
        resource = Int32(truncatingIfNeeded: batch.scopes[scope].resource)
    }

    @inline(__always)
    private init(item: Int, scope: UInt32, _ batch: borrowing RecordBatch) {
        self.init(scope: Int(scope), batch)
        self.item = Int32(truncatingIfNeeded: item)
    }

    package init(span: Int, _ batch: borrowing RecordBatch) {
        self.init(item: span, scope: batch.spans[span].scope, batch)
    }

    package init(event: Int, _ batch: borrowing RecordBatch) {
        self.init(span: Int(batch.events[event].span), batch)
        part = Int32(truncatingIfNeeded: event)
    }

    package init(log: Int, _ batch: borrowing RecordBatch) {
        self.init(item: log, scope: batch.logs[log].scope, batch)
    }

    package init(metric: Int, _ batch: borrowing RecordBatch) {
        self.init(item: metric, scope: batch.metrics[metric].scope, batch)
    }

    package init(point: Int, _ batch: borrowing RecordBatch) {
        self.init(metric: Int(batch.points[point].metric), batch)
        part = Int32(truncatingIfNeeded: point)
    }
}
