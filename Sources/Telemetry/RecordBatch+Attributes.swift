extension RecordBatch {
    // MARK: Reading

    /// Indices into `attributes` of one set.
    @inline(__always)
    @inlinable
    public func range(of set: SetIndex) -> Range<Int> { sets[set.index].attributes.range }

    /// Index into `attributes` of the last attribute with this key, nil when the set has none.
    @inline(__always)
    @inlinable
    public func find(_ key: KeyID, in set: SetIndex) -> Int? {
        let range = sets[set.index].attributes.range
        var index = range.upperBound
        while index > range.lowerBound {
            index &-= 1
            if attributes[index].keyID == key { return index }
        }
        return nil
    }

    /// The same for a key that is not in the table.
    @inlinable
    public func find(name: Text, in set: SetIndex) -> Int? {
        let id = keys.id(of: name)
        if id != .unknown { return find(id, in: set) }
        for index in range(of: set).reversed() where text(attributes[index].key) == name { return index }
        return nil
    }

    /// The value of a key when it is a string.
    @inlinable
    public func string(_ key: KeyID, in set: SetIndex) -> Text? {
        guard let index = find(key, in: set), attributes[index].kind == .string else { return nil }
        return text(attributes[index].text)
    }

    // MARK: Changing. Every change marks the owner and all above it for writing anew.

    /// Replaces the value of the attribute at `index` of `attributes`, which belongs to `set`.
    @inlinable
    public mutating func setValue(_ value: AttributeValue, at index: Int, in set: SetIndex) {
        attributes[index].set(value)
        markEdited(set)
    }

    /// Gives the attribute at `index` another key.
    @inlinable
    public mutating func rename(at index: Int, to key: KeyID, in set: SetIndex) {
        attributes[index].key = keys.reference(of: key)
        attributes[index].keyID = key
        attributes[index].flags.insert(.edited)
        markEdited(set)
    }

    /// Appends an attribute whose key is in the table.
    @inlinable
    public mutating func append(_ key: KeyID, _ value: AttributeValue, to set: SetIndex) {
        append(AttributeRecord(key: keys.reference(of: key), keyID: key, value: value), to: set)
    }

    /// Appends an attribute with any key text of this batch.
    @inlinable
    public mutating func append(key: TextRef, _ value: AttributeValue, to set: SetIndex) {
        append(AttributeRecord(key: key, keyID: keys.id(of: text(key)), value: value), to: set)
    }

    /// Appends an attribute record. The set's run moves to the end of the column when it is not there yet, so indices
    /// taken before are stale afterwards.
    @inlinable
    public mutating func append(_ attribute: AttributeRecord, to set: SetIndex) {
        var run = sets[set.index].attributes
        if Int(run.start) + Int(run.count) != attributes.count {
            let moved = attributes.count
            attributes.appendCopy(of: run.range)
            run.start = UInt32(truncatingIfNeeded: moved)
        }
        attributes.append(attribute)
        run.count += 1
        sets[set.index].attributes = run
        markEdited(set)
    }

    /// Sets the value of a key: replaces the last attribute with that key, or appends one.
    @inlinable
    public mutating func upsert(_ key: KeyID, _ value: AttributeValue, in set: SetIndex) {
        if let index = find(key, in: set) {
            setValue(value, at: index, in: set)
        } else {
            append(key, value, to: set)
        }
    }

    /// Removes the attribute at `index`; those behind it move one place forward.
    @inlinable
    public mutating func remove(at index: Int, from set: SetIndex) {
        let run = sets[set.index].attributes
        attributes.shiftDown(over: index, end: run.range.upperBound)
        sets[set.index].attributes.count = run.count - 1
        markEdited(set)
    }

    /// Ends a set before the attribute at `index`, for loops that move those that stay forward over those that go:
    /// one pass, where `remove` for each would move what is behind it every time.
    @inlinable
    public mutating func cut(_ set: SetIndex, at index: Int) {
        let range = sets[set.index].attributes.range
        precondition(index >= range.lowerBound && index <= range.upperBound)
        if index == range.upperBound { return }
        sets[set.index].attributes.count = UInt32(truncatingIfNeeded: index - range.lowerBound)
        markEdited(set)
    }

    /// Removes the attributes for which `isGone` holds, given the batch and an index; those that stay move forward.
    @inlinable
    public mutating func removeAttributes(
        from set: SetIndex, where isGone: (borrowing RecordBatch, Int) -> Bool
    ) {
        let range = range(of: set)
        var kept = range.lowerBound
        for index in range where !isGone(self, index) {
            if kept < index { attributes[kept] = attributes[index] }
            kept += 1
        }
        cut(set, at: kept)
    }

    // MARK: Marking

    /// Marks the set, its owner and everything above as edited.
    @inline(__always)
    @inlinable
    public mutating func markEdited(_ set: SetIndex) {
        if sets[set.index].isEdited { return }
        sets[set.index].isEdited = true
        markEdited()
        let owner = Int(sets[set.index].owner)
        switch sets[set.index].kind {
        case .resource: resources[owner].edits.insert(.attributes)
        case .scope:
            scopes[owner].edits.insert(.attributes)
            resources[Int(scopes[owner].resource)].edits.insert(.children)
        case .span: markSpan(owner, .attributes)
        case .event:
            events[owner].edits.insert(.attributes)
            markSpan(Int(events[owner].span), .events)
        case .link:
            links[owner].edits.insert(.attributes)
            markSpan(Int(links[owner].span), .links)
        case .log: markLog(owner, .attributes)
        case .metric: markMetric(owner, .attributes)
        case .point:
            points[owner].edits.insert(.attributes)
            markMetric(Int(points[owner].metric), .points)
        }
    }

    /// Marks a part of a span, and what is above it, for writing anew.
    @inlinable
    public mutating func markSpan(_ index: Int, _ part: EditFlags) {
        spans[index].edits.insert(part)
        markScope(Int(spans[index].scope))
    }

    /// As `markSpan`.
    @inlinable
    public mutating func markLog(_ index: Int, _ part: EditFlags) {
        logs[index].edits.insert(part)
        markScope(Int(logs[index].scope))
    }

    /// As `markSpan`; what changes in a point counts as the part `points`.
    @inlinable
    public mutating func markMetric(_ index: Int, _ part: EditFlags) {
        metrics[index].edits.insert(part)
        markScope(Int(metrics[index].scope))
    }

    /// Marks that something below a scope changed, not the scope's own fields.
    @inlinable
    public mutating func markScope(_ index: Int) {
        markEdited()
        scopes[index].edits.insert(.children)
        resources[Int(scopes[index].resource)].edits.insert(.children)
    }
}
