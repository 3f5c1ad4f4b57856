import GenAI
import OTLP
import OTTL
package import Pipeline
import Telemetry

/// Makes examples of the traces of a batch. Each trace must be whole, as behind `agent_findings` or `tail_sampling`.
/// Not for use by two threads at once.
package struct DatasetReader: ~Copyable {
    private let selection: DatasetSelection
    private let splits: DatasetSplits
    private var conditions: [OTTLCondition] = []
    private let keys: KeyTable
    private var reader: TrajectoryReader
    private let pool = EvaluationPool()

    package init(
        _ selection: DatasetSelection, splits: DatasetSplits, maxValueBytes: Int = 1 << 20
    ) throws(ExporterStartFailure) {
        self.selection = selection
        self.splits = splits
        var builder = KeyTable.Builder()
        TrajectoryReader.intern(&builder)
        for text in selection.conditions {
            do throws(OTTLProblem) {
                conditions.append(try OTTLCondition(text, context: .span, keys: &builder))
            } catch { throw ExporterStartFailure("condition \(text): \(error)") }
        }
        keys = builder.build()
        reader = TrajectoryReader(maxValueBytes: maxValueBytes)
    }

    /// The examples in a request of spans, nil when it cannot be read.
    package mutating func records(_ request: [UInt8]) -> [DatasetRecord]? {
        let evaluation = pool.take()
        defer { pool.give(evaluation) }
        return request.withUnsafeBytes { bytes -> [DatasetRecord]? in
            var batch = RecordBatch(keys: keys)
            guard (try? OTLPReader.read(Text(bytes), signal: .traces, keys: keys, into: &batch)) != nil else {
                return nil
            }
            var records: [DatasetRecord] = []
            for trajectory in reader.read(batch) where isWanted(trajectory, batch, evaluation) {
                var record = DatasetRecord(trajectory)
                record.split = splits.split(of: record)
                records.append(record)
            }
            return records
        }
    }

    private func isWanted(
        _ trajectory: Trajectory, _ batch: borrowing RecordBatch, _ evaluation: EvaluationMemory
    ) -> Bool {
        guard conditions.isEmpty else {
            for span in trajectory.spans {
                evaluation.state.beginRecord()
                for condition in conditions {
                    // A condition that fails on a span does not hold there.
                    let place = Place(span: span, batch)
                    if (try? condition.isTrue(batch, at: place, &evaluation.state)) == true { return true }
                }
            }
            return false
        }
        return trajectory.findings.contains { finding in
            selection.tiers.contains(finding.tier)
                && (selection.findings.isEmpty || selection.findings.contains(finding.name))
        }
    }
}
