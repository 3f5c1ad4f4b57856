package import Configuration
package import Pipeline
package import Telemetry

/// Where `lookup` looks for the key and writes what it found.
package enum LookupContext: String, CaseIterable, Sendable {
    /// Spans, log records or data points; the key may also stand on their resource.
    case record
    case resource
}

/// Options of the `lookup` processor.
package struct LookupOptions: ComponentOptions {
    package var file: String
    package var key: String
    package var column: String
    package var context: LookupContext
    package var columns: [(key: String, value: String)]
    package var overwrites: Bool

    package init(_ settings: inout Settings) {
        file = settings.requiredString(
            "file",
            "A .csv file whose first line names the columns, or a .yaml file of `key: {attribute: value}`."
        )
        key = settings.requiredString("key", "Attribute whose value is looked up.")
        column = settings.string(
            "column", default: "", "Column of the CSV file that holds the keys; the first one when empty."
        )
        context = settings.choice(
            "context", default: LookupContext.record, "Whose attributes are read and written.")
        columns = settings.stringMap(
            "attributes",
            "Attribute to write for each column; all columns under their own names when empty.")
        overwrites = settings.bool(
            "overwrite", default: false, "Replaces attributes that are there already.")
        if !file.isEmpty, !settings.isDescribing, LookupFormat(path: file) == nil {
            settings.problem("ends in neither .csv nor .yaml", at: "file")
        }
    }
}

/// Tags records from a table by the value of one attribute.
package struct LookupProcessor: Processor {
    private let table: LookupTable
    private let key: KeyID
    private let isResource: Bool
    private let overwrites: Bool
    private let hits: Counter
    private let misses: Counter

    /// Reads the file; fails when it is missing, too large or not what its name says.
    package init(options: LookupOptions, build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        do throws(LookupFault) {
            table = try LookupTable(options, &build.keys)
        } catch {
            throw ProcessorBuildFailure("\(options.file) \(error.reason)", at: error.option, fix: error.fix)
        }
        key = build.keys.intern(options.key)
        isResource = options.context == .resource
        overwrites = options.overwrites
        func counter(_ result: String, _ build: ProcessorBuild) -> Counter {
            build.metrics.counter(
                "sluice_lookup_total", "Values looked up in the table, by result.",
                [("result", result)] + build.labels)
        }
        hits = counter("hit", build)
        misses = counter("miss", build)
    }

    package func process(
        _ batch: inout RecordBatch, _ context: inout ProcessContext
    )
        throws(ProcessFailure)
    {
        var found = 0
        var missed = 0
        for index in batch.sets.indices {
            let set = SetIndex(index)
            guard let place = place(of: set, batch) else { continue }
            guard let value = batch.string(key, in: place), let row = table.row(of: value) else {
                if batch.find(key, in: place) != nil { missed += 1 }
                continue
            }
            found += 1
            for cell in table.cells(row) {
                if !overwrites, batch.find(cell.key, in: set) != nil { continue }
                let text = cell.text.withUnsafeBytes { batch.addText(Text($0)) }
                batch.upsert(cell.key, .string(text), in: set)
            }
        }
        if found > 0 { hits.add(found) }
        if missed > 0 { misses.add(missed) }
    }

    /// The set in which the key of an owner stands; nil for owners that are not tagged.
    private func place(of set: SetIndex, _ batch: borrowing RecordBatch) -> SetIndex? {
        let owner = Int(batch.sets[set.index].owner)
        let scope: UInt32
        switch batch.sets[set.index].kind {
        case .resource: return isResource ? set : nil
        case .span where !isResource && !batch.isRemoved(span: owner): scope = batch.spans[owner].scope
        case .log where !isResource && !batch.isRemoved(log: owner): scope = batch.logs[owner].scope
        case .point where !isResource && !batch.isRemoved(point: owner):
            scope = batch.metrics[Int(batch.points[owner].metric)].scope
        default: return nil
        }
        if batch.find(key, in: set) != nil { return set }
        return batch.resources[batch.resource(ofScope: scope)].set
    }
}
