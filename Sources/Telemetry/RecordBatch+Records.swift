extension RecordBatch {
    // MARK: Records that leave the batch

    /// Takes a span out: it is not written and no longer counted. Doing it twice is harmless.
    @inlinable
    public mutating func removeSpan(_ index: Int) {
        guard !spans[index].edits.contains(.removed) else { return }
        markSpan(index, .removed)
        liveCount -= 1
    }

    @inlinable
    public mutating func removeLog(_ index: Int) {
        guard !logs[index].edits.contains(.removed) else { return }
        markLog(index, .removed)
        liveCount -= 1
    }

    /// Takes a whole metric with its points out.
    @inlinable
    public mutating func removeMetric(_ index: Int) {
        guard !metrics[index].edits.contains(.removed) else { return }
        markMetric(index, .removed)
        for point in metrics[index].points.range where !points[point].edits.contains(.removed) { liveCount -= 1 }
    }

    @inlinable
    public mutating func removePoint(_ index: Int) {
        guard !points[index].edits.contains(.removed) else { return }
        points[index].edits.insert(.removed)
        markMetric(Int(points[index].metric), .points)
        liveCount -= 1
    }

    // MARK: Fields that processors may change

    @inlinable
    public mutating func setName(_ text: TextRef, ofSpan index: Int) {
        spans[index].name = text
        markSpan(index, .name)
    }

    @inlinable
    public mutating func setStatusMessage(_ text: TextRef, ofSpan index: Int) {
        spans[index].statusMessage = text
        markSpan(index, .status)
    }

    @inlinable
    public mutating func setTraceState(_ text: TextRef, ofSpan index: Int) {
        spans[index].traceState = text
        markSpan(index, .traceState)
    }

    @inlinable
    public mutating func setName(_ text: TextRef, ofEvent index: Int) {
        events[index].name = text
        events[index].edits.insert(.name)
        markSpan(Int(events[index].span), .events)
    }

    @inlinable
    public mutating func setBody(_ value: AttributeValue, ofLog index: Int) {
        (logs[index].bodyKind, logs[index].bodyPayload) = AttributeRecord.encode(value)
        markLog(index, .body)
    }

    // MARK: Walking

    /// The resource record above a span, log or metric's scope.
    @inlinable
    public func resource(ofScope scope: UInt32) -> Int { Int(scopes[Int(scope)].resource) }

    /// Whether a record of the batch's own signal was taken out.
    @inlinable
    public func isRemoved(span index: Int) -> Bool { spans[index].edits.contains(.removed) }
    @inlinable
    public func isRemoved(log index: Int) -> Bool { logs[index].edits.contains(.removed) }
    @inlinable
    public func isRemoved(point index: Int) -> Bool {
        points[index].edits.contains(.removed)
            || metrics[Int(points[index].metric)].edits.contains(.removed)
    }
}
