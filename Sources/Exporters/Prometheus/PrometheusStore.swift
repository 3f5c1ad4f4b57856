/// The series of the page, and how points change them: a state machine without clock. Times that it is given are
/// durations since any fixed origin.
struct PrometheusStore: Sendable {
    enum Kind: String, Sendable { case counter, gauge, histogram, summary }

    struct Family: Sendable {
        var kind: Kind
        var help: String
        /// By labels as they are written.
        var series: [String: Series] = [:]
    }

    struct Series: Sendable {
        var point: PrometheusPoint
        var updated: Duration
        /// Of which job and instance it is the metadata; nil for all other series.
        var target: String?
    }

    /// Why a point was not taken.
    enum Refusal: String, Sendable {
        case tooManySeries = "there are more series than max_series"
        case tooManyBytes = "the labels of all series are more than 64 MiB, or those of one more than 16 KiB"
        case otherKind = "another metric has its name and is of another type"
        case notAdditive = "a delta sum that can fall has no counterpart in Prometheus"
    }

    private(set) var families: [String: Family] = [:]
    /// Labels of the series that tells of a job and instance.
    private(set) var targets: [String: String] = [:]
    private(set) var seriesCount = 0
    /// Bytes of the labels of all series, which senders choose.
    private(set) var labelBytes = 0
    static let labelBytesMax = 64 << 20
    static let labelBytesOfSeriesMax = 16 << 10
    static let helpBytesMax = 1 << 10
    let seriesMax: Int
    let expiration: Duration

    init(seriesMax: Int, expiration: Duration) {
        self.seriesMax = seriesMax
        self.expiration = expiration
    }

    /// Takes a point of a series. Older points than the last one change nothing, so that what is delivered twice counts
    /// once.
    mutating func take(
        _ point: PrometheusPoint, family name: String, kind: Kind, help: @autoclosure () -> String, labels: String,
        target: String? = nil, now: Duration
    ) -> Refusal? {
        var family = families[name] ?? Family(kind: kind, help: Self.shortened(help()))
        guard family.kind == kind else { return .otherKind }
        families[name] = nil
        defer { families[name] = family.series.isEmpty ? nil : family }
        guard let last = family.series[labels] else {
            guard seriesCount < seriesMax else { return .tooManySeries }
            let bytes = labels.utf8.count
            guard bytes <= Self.labelBytesOfSeriesMax, labelBytes + bytes <= Self.labelBytesMax else {
                return .tooManyBytes
            }
            seriesCount += 1
            labelBytes += bytes
            family.series[labels] = Series(point: point, updated: now, target: target)
            return nil
        }
        // A sender's own point of that name with these labels does not make it any less the target's.
        let owner = target ?? last.target
        guard point.time > last.point.time else {
            family.series[labels]?.target = owner
            return nil
        }
        family.series[labels] = Series(point: last.point.followed(by: point), updated: now, target: owner)
        return nil
    }

    /// Takes the metadata of a job and instance, in the place of what an older point told of them.
    mutating func take(
        _ point: PrometheusPoint, target: String, family name: String, labels: String, now: Duration
    ) -> Refusal? {
        if let known = targets[target], known != labels, let held = families[name]?.series[known] {
            guard point.time >= held.point.time else { return nil }
            remove(family: name, labels: known)
        }
        let refusal = take(
            point, family: name, kind: .gauge, help: "Target metadata", labels: labels, target: target, now: now)
        if refusal == nil { targets[target] = labels }
        return refusal
    }

    private static func shortened(_ help: String) -> String {
        help.utf8.count <= helpBytesMax ? help : String(decoding: help.utf8.prefix(helpBytesMax), as: UTF8.self) + "…"
    }

    /// Ends a series whose sender says that there is nothing any more.
    mutating func remove(family name: String, labels: String) {
        guard let series = families[name]?.series.removeValue(forKey: labels) else { return }
        if let target = series.target { targets[target] = nil }
        seriesCount -= 1
        labelBytes -= labels.utf8.count
        if families[name]?.series.isEmpty == true { families[name] = nil }
    }

    /// Lets go of series that got no point for too long.
    mutating func expire(now: Duration) {
        for (name, family) in families {
            let old = family.series.filter { now - $0.value.updated > expiration }
            for labels in old.keys { remove(family: name, labels: labels) }
        }
    }
}

extension PrometheusPoint {
    /// The series after another point.
    fileprivate func followed(by next: PrometheusPoint) -> PrometheusPoint {
        guard next.isDelta else { return next }
        var joined = next
        switch (value, next.value) {
        case (.number(let sum), .number(let more)): joined.value = .number(sum + more)
        case (.histogram(var buckets), .histogram(let more)):
            buckets.add(more)
            joined.value = .histogram(buckets)
        default: break
        }
        if joined.exemplars.isEmpty { joined.exemplars = exemplars }
        return joined
    }
}
