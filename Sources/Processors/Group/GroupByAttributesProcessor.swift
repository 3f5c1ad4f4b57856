package import Configuration
import OTLP
package import Pipeline
import Synchronization
package import Telemetry

/// Options of the `groupbyattrs` processor.
package struct GroupByAttributesOptions: ComponentOptions {
    package var keys: [String]

    package init(_ settings: inout Settings) {
        keys = settings.strings(
            "keys", default: [],
            "Attributes of records that become attributes of their resource; without any, equal resources and scopes "
                + "are merged.")
    }
}

/// Moves records that have some of the keys to a resource with those attributes: the Collector's `groupbyattrs`.
///
/// Records of one received resource with equal values come under one resource, which has the attributes of the received
/// one and the moved ones. Records without any of the keys stay where they are. Then equal resources and scopes of the
/// request are merged, which is all that happens without keys (the Collector's compaction).
package struct GroupByAttributesProcessor: Processor {
    private let keys: [KeyID]
    private let pool = GroupPool()
    private let grouped: Counter

    /// Registers the counter.
    package init(options: GroupByAttributesOptions, build: inout ProcessorBuild) {
        var keys: [KeyID] = []
        for key in options.keys { keys.append(build.keys.intern(key)) }
        self.keys = keys
        grouped = build.metrics.counter(
            "sluice_groupbyattrs_moved_items_total", "Records that were moved to another resource.",
            build.labels)
    }

    package func process(
        _ batch: inout RecordBatch, _ context: inout ProcessContext
    )
        throws(ProcessFailure)
    {
        let moves = hasWork(batch)
        guard moves || batch.scopes.count > 1 else { return }
        let scratch = pool.take()
        defer { pool.give(scratch) }
        scratch.flat.removeAll()
        OTLPWriter.write(batch, into: &scratch.flat)
        do throws(DecodeFailure) {
            var moved = 0
            if moves {
                _ = try OTLPReader.read(
                    scratch.flat.text, signal: batch.signal, keys: batch.keys, into: &scratch.batch)
                moved = regroup(&scratch.batch, &scratch.output)
                swap(&scratch.flat, &scratch.output)
            }
            scratch.output.removeAll()
            let isMerged = RequestCompaction.run(scratch.flat.text, into: &scratch.output)
            guard moves || isMerged else { return }
            batch.transcoded.removeAll()
            batch.transcoded.append(isMerged ? scratch.output.text : scratch.flat.text)
            _ = try OTLPReader.read(
                batch.transcoded.text, signal: batch.signal, keys: batch.keys, into: &batch)
            batch.markEdited()
            grouped.add(moved)
        } catch {
            throw ProcessFailure(reason: "records could not be grouped: \(error.message)")
        }
    }

    private func hasWork(_ batch: borrowing RecordBatch) -> Bool {
        for index in batch.sets.indices where isRecord(batch.sets[index].kind) {
            for key in keys where batch.find(key, in: SetIndex(index)) != nil { return true }
        }
        return false
    }

    private func isRecord(_ kind: OwnerKind) -> Bool {
        kind == .span || kind == .log || kind == .point
    }

    /// Records of one resource that have the same values; `attributes` are those values.
    private struct Group {
        var resource: Int
        var attributes: [AttributeRecord]
        var items: [Int] = []
    }

    /// Writes the batch resource by resource and group by group; returns how many records moved.
    private func regroup(_ batch: inout RecordBatch, _ output: inout ByteColumn) -> Int {
        output.removeAll()
        let groups = groups(&batch)
        for group in groups { hide(group.items, true, &batch) }
        var moved = 0
        for group in groups {
            hide(group.items, false, &batch)
            let set = batch.resources[group.resource].set
            let before = batch.sets[set.index]
            for attribute in group.attributes { batch.upsertCopy(attribute, in: set) }
            if !group.attributes.isEmpty { moved += group.items.count }
            OTLPWriter.write(batch, into: &output)
            // The run of the attributes moved to the end of the column when it grew; the old one is intact.
            batch.sets[set.index].attributes = before.attributes
            hide(group.items, true, &batch)
        }
        return moved
    }

    private func hide(_ items: [Int], _ isHidden: Bool, _ batch: inout RecordBatch) {
        for item in items {
            switch batch.signal {
            case .traces:
                batch.markSpan(item, .attributes)
                if isHidden {
                    batch.spans[item].edits.insert(.removed)
                } else {
                    batch.spans[item].edits.remove(.removed)
                }
            case .logs:
                batch.markLog(item, .attributes)
                if isHidden {
                    batch.logs[item].edits.insert(.removed)
                } else {
                    batch.logs[item].edits.remove(.removed)
                }
            case .metrics:
                batch.points[item].edits.insert(.attributes)
                batch.markMetric(Int(batch.points[item].metric), .points)
                if isHidden {
                    batch.points[item].edits.insert(.removed)
                } else {
                    batch.points[item].edits.remove(.removed)
                }
            }
        }
    }

    /// All records by resource and values, in order of first appearance; the attributes leave their records.
    private func groups(_ batch: inout RecordBatch) -> [Group] {
        var groups: [Group] = []
        var places: [[UInt8]: Int] = [:]
        for item in 0..<batch.recordCount {
            let (set, resource) = owner(item, batch)
            var attributes: [AttributeRecord] = []
            var name = ByteColumn(capacity: 64)
            name.append(littleEndian: UInt32(truncatingIfNeeded: resource))
            for key in keys {
                guard let index = batch.find(key, in: set) else { continue }
                let attribute = batch.attributes[index]
                name.append(littleEndian: key.value)
                name.append(attribute.kind.rawValue)
                if attribute.hasText {
                    name.append(littleEndian: attribute.text.length)
                    name.append(batch.text(attribute.text))
                } else {
                    name.append(littleEndian: attribute.payload)
                }
                attributes.append(attribute)
            }
            let range = batch.range(of: set)
            var kept = range.lowerBound
            for index in range where !keys.contains(batch.attributes[index].keyID) {
                if kept < index { batch.attributes[kept] = batch.attributes[index] }
                kept += 1
            }
            batch.cut(set, at: kept)
            let place = places[Array(name.bytes)] ?? groups.count
            if place == groups.count {
                places[Array(name.bytes)] = place
                groups.append(Group(resource: resource, attributes: attributes))
            }
            groups[place].items.append(item)
        }
        return groups
    }

    /// The set of a record and the index of its resource.
    private func owner(_ item: Int, _ batch: borrowing RecordBatch) -> (SetIndex, Int) {
        switch batch.signal {
        case .traces: (batch.spans[item].set, batch.resource(ofScope: batch.spans[item].scope))
        case .logs: (batch.logs[item].set, batch.resource(ofScope: batch.logs[item].scope))
        case .metrics:
            (
                batch.points[item].set,
                batch.resource(ofScope: batch.metrics[Int(batch.points[item].metric)].scope)
            )
        }
    }
}

/// Working memory of one run.
// Unchecked because the pool hands it to one run at a time and nobody else holds it.
private final class GroupScratch: @unchecked Sendable {
    var batch = RecordBatch()
    var flat = ByteColumn()
    var output = ByteColumn()
}

/// Idle working memories.
private final class GroupPool: Sendable {
    private let idle = Mutex<[GroupScratch]>([])

    func take() -> GroupScratch { idle.withLock { $0.popLast() } ?? GroupScratch() }

    func give(_ scratch: GroupScratch) {
        idle.withLock { all in
            if all.count < 16 { all.append(scratch) }
        }
    }
}

extension AttributeRecord {
    /// Whether the value is bytes of the batch rather than a number.
    fileprivate var hasText: Bool {
        switch kind {
        case .string, .array, .map, .bytes: true
        case .empty, .bool, .int, .double, .other: false
        }
    }
}

extension RecordBatch {
    /// Sets an attribute in a copy of the set's run, so that the old run stays intact.
    fileprivate mutating func upsertCopy(_ attribute: AttributeRecord, in set: SetIndex) {
        let run = sets[set.index].attributes
        let start = attributes.count
        attributes.appendCopy(of: run.range)
        sets[set.index].attributes = IndexRange(start: start, count: run.range.count)
        upsert(attribute.keyID, attribute.value, in: set)
    }
}
