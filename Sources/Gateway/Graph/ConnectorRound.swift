import Exporters
import OTLP
import Pipeline
import Telemetry

/// The deliveries of one batch on their way to the outputs of a connector, one after the other. Those before `done` are
/// stored, or given up by their output alone.
struct ConnectorRound {
    /// What an output never takes, and nobody has kept yet: all for one cause.
    struct Refused {
        var output: Int
        var cause: DeadLetter.Cause
        /// Why the first was refused.
        var message: String
        var itemCount = 0
        /// Requests one behind the other are one.
        var bytes: [UInt8] = []
        fileprivate var places: [Int] = []
    }

    /// Most bytes that are gathered to be kept together, but for a single delivery: each repeats what is around its
    /// records.
    private static let refusedBytesMax = 1 << 20

    private(set) var deliveries: [ConnectorDelivery]
    /// Bytes that halves may repeat in all.
    private var copies: Int
    private(set) var done = 0
    private(set) var refused: Refused?
    /// Why the next one cannot be stored now; ends the round.
    var refusal: ExportOutcome?

    init(_ deliveries: [ConnectorDelivery]) {
        self.deliveries = deliveries
        copies = OTLPSplitter.bytesMax(ofParts: deliveries.reduce(0) { $0 + $1.bytes.count })
    }

    /// The delivery that is to be stored now; nil at the end.
    var next: ConnectorDelivery? { refusal == nil && done < deliveries.count ? deliveries[done] : nil }

    /// The next one is stored.
    mutating func stored() {
        // A halved delivery has very many parts, which repeat what is around their records.
        deliveries[done].bytes = []
        done += 1
    }

    /// Puts two halves in the place of the next one; false when it is a single record, or cannot be cut, or when what
    /// halves repeat takes too much.
    mutating func halve(_ signal: Signal) -> Bool {
        let (whole, count) = (deliveries[done], deliveries[done].itemCount)
        guard count > 1 else { return false }
        let middle = (count + 1) / 2
        var halves: [ConnectorDelivery] = []
        for places in [0..<middle, middle..<count] {
            guard let kept = OTLPSplitter.keep([places], of: whole.bytes, signal: signal) else { return false }
            // Without the name: that stands for all of it.
            halves.append(ConnectorDelivery(output: whole.output, itemCount: places.count, bytes: kept))
        }
        copies -= halves.reduce(-whole.bytes.count) { $0 + $1.bytes.count }
        guard copies >= 0 else { return false }
        deliveries.replaceSubrange(done...done, with: halves)
        return true
    }

    /// Whether the next one can be kept together with what was refused before it.
    func joins(_ cause: DeadLetter.Cause) -> Bool {
        guard let refused, let next else { return true }
        return refused.output == next.output && refused.cause == cause
            && refused.bytes.count + next.bytes.count <= Self.refusedBytesMax
    }

    /// The output never takes the next one, which `joins` what was refused before. Nothing happens where the round has
    /// ended.
    mutating func refuse(_ cause: DeadLetter.Cause, _ message: String) {
        guard let next else { return }
        var all = refused ?? Refused(output: next.output, cause: cause, message: message)
        all.itemCount += next.itemCount
        all.bytes += next.bytes
        all.places.append(done)
        refused = all
        done += 1
    }

    /// What was refused is kept and counted.
    mutating func settleRefused() {
        for place in refused?.places ?? [] { deliveries[place].bytes = [] }
        refused = nil
    }

    /// What was refused cannot be kept now: it comes again with the rest.
    mutating func returnRefused(_ reason: String) {
        let places = refused?.places ?? []
        let back = places.map { deliveries[$0] }
        for place in places.reversed() { deliveries.remove(at: place) }
        done -= places.count
        deliveries.insert(contentsOf: back, at: done)
        refused = nil
        refusal = .retry(reason: reason, after: nil)
    }
}
