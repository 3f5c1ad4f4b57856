extension RecordBatch {
    // MARK: Records that leave the batch

    /// Takes a span out: it is not written and no longer counted. Doing it twice is harmless.
    @inlinable
    public mutating func removeSpan(_ index: Int) {
        guard !spans[index].edits.contains(.removed) else { return }
        markSpan(index, .removed)
        liveCount -= 1
    }

    /// As `removeSpan`.
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

    /// As `removeSpan`; the metric stays, also without points.
    @inlinable
    public mutating func removePoint(_ index: Int) {
        guard !points[index].edits.contains(.removed) else { return }
        points[index].edits.insert(.removed)
        markMetric(Int(points[index].metric), .points)
        liveCount -= 1
    }

    /// Takes an event out of its span; the count of the batch is of spans and stays.
    @inlinable
    public mutating func removeEvent(_ index: Int) {
        guard !events[index].edits.contains(.removed) else { return }
        events[index].edits.insert(.removed)
        markSpan(Int(events[index].span), .events)
    }

    /// As `removeEvent`. The run of the span still has the link.
    @inlinable
    public mutating func removeLink(_ index: Int) {
        links[index].edits.insert(.removed)
        markSpan(Int(links[index].span), .links)
    }

    /// Gives a span one more link, without attributes. Its run of links moves to the end of the column when it is not
    /// there yet.
    @inlinable
    public mutating func addLink(traceID: TextRef, spanID: TextRef, toSpan index: Int) {
        var run = spans[index].links
        if Int(run.start) + Int(run.count) != links.count {
            let moved = links.count
            links.appendCopy(of: run.range)
            run.start = UInt32(truncatingIfNeeded: moved)
            for link in run.range { sets[links[link].set.index].owner = UInt32(truncatingIfNeeded: link) }
        }
        var link = LinkRecord(raw: .empty, set: SetIndex(sets.count), span: index)
        sets.append(AttributeSet(owner: links.count, kind: .link))
        link.traceID = traceID
        link.spanID = spanID
        links.append(link)
        run.count += 1
        spans[index].links = run
        markSpan(index, .links)
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
    public mutating func setTraceState(_ text: TextRef, ofLink index: Int) {
        links[index].traceState = text
        links[index].edits.insert(.traceState)
        markSpan(Int(links[index].span), .links)
    }

    @inlinable
    public mutating func setBody(_ value: AttributeValue, ofLog index: Int) {
        (logs[index].bodyKind, logs[index].bodyPayload) = AttributeRecord.encode(value)
        markLog(index, .body)
    }

    /// Changes scalar fields of a span in place. Status goes by `setStatusMessage` and `setStatusCode`.
    @inlinable
    public mutating func changeSpan(_ index: Int, _ change: (inout SpanRecord) -> Void) {
        change(&spans[index])
        markSpan(index, .fields)
    }

    /// 0 unset, 1 ok, 2 error; other numbers are written as they are.
    @inlinable
    public mutating func setStatusCode(_ code: Int32, ofSpan index: Int) {
        spans[index].statusCode = code
        markSpan(index, .status)
    }

    /// `time` in Unix nanoseconds.
    @inlinable
    public mutating func setTime(_ time: UInt64, ofEvent index: Int) {
        events[index].time = time
        events[index].edits.insert(.fields)
        markSpan(Int(events[index].span), .events)
    }

    /// Changes scalar fields of a log record in place; the body and the ids go by the methods named so.
    @inlinable
    public mutating func changeLog(_ index: Int, _ change: (inout LogRecord) -> Void) {
        change(&logs[index])
        markLog(index, .fields)
    }

    /// 16 bytes, or none.
    @inlinable
    public mutating func setTraceID(_ id: TextRef, ofLog index: Int) {
        logs[index].traceID = id
        markLog(index, .traceID)
    }

    /// 8 bytes, or none.
    @inlinable
    public mutating func setSpanID(_ id: TextRef, ofLog index: Int) {
        logs[index].spanID = id
        markLog(index, .spanID)
    }

    /// Changes name, description or unit of a metric in place.
    @inlinable
    public mutating func changeMetric(_ index: Int, _ change: (inout MetricRecord) -> Void) {
        change(&metrics[index])
        markMetric(index, .fields)
    }

    /// Gives a metric another aggregation temporality: 1 is delta, 2 cumulative. Its points are not touched.
    @inlinable
    public mutating func setTemporality(_ temporality: UInt8, ofMetric index: Int) {
        metrics[index].temporality = temporality
        markMetric(index, .temporality)
    }

    /// Changes name or version of an instrumentation scope in place.
    @inlinable
    public mutating func changeScope(_ index: Int, _ change: (inout ScopeRecord) -> Void) {
        change(&scopes[index])
        scopes[index].edits.insert(.fields)
        markEdited()
        resources[Int(scopes[index].resource)].edits.insert(.children)
    }

    @inlinable
    public mutating func setSchemaURL(_ text: TextRef, ofResource index: Int) {
        resources[index].schemaURL = text
        resources[index].edits.insert(.schemaURL)
        markEdited()
    }

    @inlinable
    public mutating func setSchemaURL(_ text: TextRef, ofScope index: Int) {
        scopes[index].schemaURL = text
        scopes[index].edits.insert(.schemaURL)
        markEdited()
        resources[Int(scopes[index].resource)].edits.insert(.children)
    }

    // MARK: Numbers of what senders dropped

    @inlinable
    public mutating func setDropped(_ count: UInt32, ofResource index: Int) {
        resources[index].droppedAttributes = count
        resources[index].edits.insert(.droppedCounts)
        markEdited()
    }

    @inlinable
    public mutating func setDropped(_ count: UInt32, ofScope index: Int) {
        scopes[index].droppedAttributes = count
        scopes[index].edits.insert(.droppedCounts)
        markEdited()
        resources[Int(scopes[index].resource)].edits.insert(.children)
    }

    /// The number of dropped attributes stands among the fields of `changeSpan`.
    @inlinable
    public mutating func setDropped(events: UInt32, links: UInt32, ofSpan index: Int) {
        spans[index].droppedEvents = events
        spans[index].droppedLinks = links
        markSpan(index, .droppedCounts)
    }

    @inlinable
    public mutating func setDropped(_ count: UInt32, ofEvent index: Int) {
        events[index].droppedAttributes = count
        events[index].edits.insert(.droppedCounts)
        markSpan(Int(events[index].span), .events)
    }

    @inlinable
    public mutating func setDropped(_ count: UInt32, ofLog index: Int) {
        logs[index].droppedAttributes = count
        markLog(index, .droppedCounts)
    }

    // MARK: Records that processors add

    /// Appends an event to a span and gives the set that its attributes belong to. The span's run of events moves to
    /// the end of the column when it is not there yet, so indices of its events taken before are stale afterwards.
    @inlinable
    public mutating func appendEvent(name: TextRef, time: UInt64, toSpan index: Int) -> SetIndex {
        var run = spans[index].events
        if Int(run.start) + Int(run.count) != events.count {
            let moved = events.count
            events.appendCopy(of: run.range)
            for event in moved..<events.count {
                sets[events[event].set.index].owner = UInt32(truncatingIfNeeded: event)
            }
            run.start = UInt32(truncatingIfNeeded: moved)
        }
        var set = AttributeSet(owner: events.count, kind: .event)
        // What is new has no received form to fall back on.
        set.isEdited = true
        sets.append(set)
        let added = SetIndex(sets.count - 1)
        var event = EventRecord(raw: .empty, set: added, span: index)
        event.name = name
        event.time = time
        event.edits = [.name, .attributes]
        events.append(event)
        run.count += 1
        spans[index].events = run
        markSpan(index, .events)
        return added
    }

    /// Replaces the content of a point's message; its attributes are still those of its set.
    @inlinable
    public mutating func setContent(_ text: TextRef, ofPoint index: Int) {
        points[index].raw = text
        points[index].edits.insert(.body)
        markMetric(Int(points[index].metric), .points)
    }

    @inlinable
    public mutating func setEventName(_ text: TextRef, ofLog index: Int) {
        logs[index].eventName = text
        markLog(index, .name)
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
