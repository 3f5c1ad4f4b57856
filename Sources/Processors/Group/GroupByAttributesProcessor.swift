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
            "Attributes of records that become attributes of their resource; without any, equal resources, scopes and "
                + "metrics are merged.")
    }
}

/// Moves records that have some of the keys to a resource with those attributes: the Collector's `groupbyattrs`.
///
/// Records of one received resource with equal values come under one resource, which has the attributes of the received
/// one and the moved ones. Records without any of the keys stay where they are. Then equal resources, scopes and
/// metrics of the request are merged, which is all that happens without keys (the Collector's compaction). Where the
/// copies of a resource would make the request too large its records stay, and are counted.
package struct GroupByAttributesProcessor: Processor {
    private let keys: [KeyID]
    private let pool = GroupPool()
    private let grouped: Counter
    private let left: Counter

    /// Registers the counters.
    package init(options: GroupByAttributesOptions, build: inout ProcessorBuild) {
        var keys: [KeyID] = []
        for key in options.keys { keys.append(build.keys.intern(key)) }
        self.keys = keys
        grouped = build.metrics.counter(
            "sluice_groupbyattrs_moved_items_total", "Records that were moved to another resource.",
            build.labels)
        left = build.metrics.counter(
            "sluice_groupbyattrs_left_items_total",
            "Records that stayed under their resource, since their request would have become too large: over 32 MiB "
                + "and four times its bytes, or with more resources than a request of its size may have.",
            build.labels)
    }

    package func process(
        _ batch: inout RecordBatch, _ context: inout ProcessContext
    )
        throws(ProcessFailure)
    {
        let moves = hasWork(batch)
        guard moves || batch.scopes.count > 1 || batch.metrics.count > 1 else { return }
        let scratch = pool.take()
        defer { pool.give(scratch) }
        scratch.flat.removeAll()
        OTLPWriter.write(batch, into: &scratch.flat)
        do throws(DecodeFailure) {
            let moved = moves ? try move(scratch, batch.signal, batch.keys) : 0
            let records = moved > 0 ? scratch.moved.text : scratch.flat.text
            scratch.output.removeAll()
            let isMerged = RequestCompaction.run(records, batch.signal, into: &scratch.output)
            guard moved > 0 || isMerged else { return }
            do throws(DecodeFailure) {
                try take(isMerged ? scratch.output.text : records, &batch)
                grouped.add(moved)
            } catch {
                // Envelopes, or the records below fewer of them, take more in memory than such a request may have.
                left.add(moved)
                try take(scratch.flat.text, &batch)
            }
        } catch {
            throw ProcessFailure(reason: "records could not be grouped: \(error.message)")
        }
    }

    /// Goes on with this request in place of the batch's.
    private func take(_ request: Text, _ batch: inout RecordBatch) throws(DecodeFailure) {
        batch.transcoded.removeAll()
        batch.transcoded.append(request)
        _ = try OTLPReader.read(batch.transcoded.text, signal: batch.signal, keys: batch.keys, into: &batch)
        batch.markEdited()
    }

    /// Writes `flat` into `moved` with its records under resources of their values; returns how many moved, none when
    /// that would take too much.
    private func move(
        _ scratch: GroupScratch, _ signal: Signal, _ keys: KeyTable
    ) throws(DecodeFailure) -> Int {
        _ = try OTLPReader.read(scratch.flat.text, signal: signal, keys: keys, into: &scratch.batch)
        scratch.moved.removeAll()
        let candidates = groups(&scratch.batch)
        if let moved = regroup(candidates, &scratch.batch, &scratch.moved) { return moved }
        left.add(candidates.reduce(0) { $0 + $1.items.count })
        return 0
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

    /// Writes what stays, and behind it group by group what moves; returns how many records moved, or nil when the
    /// copies of resources and scopes would take more than the request may grow by.
    private func regroup(
        _ groups: [Group], _ batch: inout RecordBatch, _ output: inout ByteColumn
    ) -> Int? {
        let outputMax = OTLPSplitter.bytesMax(ofParts: batch.input.count)
        for group in groups {
            for item in group.items { hide(item, &batch) }
        }
        OTLPWriter.write(batch, into: &output)
        var writer = PieceWriter(batch)
        var moved = 0
        for group in groups {
            for item in group.items { show(item, &batch) }
            let set = batch.resources[group.resource].set
            let before = batch.sets[set.index]
            let attributes = batch.attributes.count
            for attribute in group.attributes { batch.upsertCopy(attribute, in: set) }
            writer.write(items: group.items, of: batch, into: &output)
            // The copies are behind the run of the received attributes, which is intact.
            batch.sets[set.index].attributes = before.attributes
            batch.attributes.truncate(to: attributes)
            if output.count > outputMax { return nil }
            moved += group.items.count
        }
        return moved
    }

    private func hide(_ item: Int, _ batch: inout RecordBatch) {
        switch batch.signal {
        case .traces: batch.removeSpan(item)
        case .logs: batch.removeLog(item)
        case .metrics: batch.removePoint(item)
        }
    }

    private func show(_ item: Int, _ batch: inout RecordBatch) {
        switch batch.signal {
        case .traces: batch.spans[item].edits.remove(.removed)
        case .logs: batch.logs[item].edits.remove(.removed)
        case .metrics: batch.points[item].edits.remove(.removed)
        }
    }

    /// The records that move by resource and values, in order of first appearance; the attributes leave their records.
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
            if attributes.isEmpty { continue }
            batch.removeAttributes(from: set) { keys.contains($0.attributes[$1].keyID) }
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
    /// The request as it came to the processor, with the records moved, and with equal resources merged.
    var flat = ByteColumn()
    var moved = ByteColumn()
    var output = ByteColumn()

    /// Gives back what a large request took.
    func shrink() {
        flat.removeAll()
        flat.shrink(to: Self.keptMax)
        moved.removeAll()
        moved.shrink(to: Self.keptMax)
        output.removeAll()
        output.shrink(to: Self.keptMax)
        if batch.footprint > Self.keptMax { batch = RecordBatch() }
    }

    private static let keptMax = 1 << 20
}

/// Idle working memories.
private final class GroupPool: Sendable {
    private let idle = Mutex<[GroupScratch]>([])

    func take() -> GroupScratch { idle.withLock { $0.popLast() } ?? GroupScratch() }

    func give(_ scratch: GroupScratch) {
        scratch.shrink()
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
    /// Sets an attribute in a copy of the set's run, so that the old run stays intact. What was received with the
    /// attribute comes with it, fields that nobody knows too.
    fileprivate mutating func upsertCopy(_ attribute: AttributeRecord, in set: SetIndex) {
        let run = sets[set.index].attributes
        let start = attributes.count
        attributes.appendCopy(of: run.range)
        sets[set.index].attributes = IndexRange(start: start, count: run.range.count)
        if let index = find(attribute.keyID, in: set) {
            attributes[index] = attribute
            markEdited(set)
        } else {
            append(attribute, to: set)
        }
    }
}
