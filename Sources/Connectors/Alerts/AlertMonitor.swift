/// The windows of all rules and which alerts are open: a value without clock, told what came in and what time it is.
///
/// The same calls give the same events, so that it can be built again from a record of them.
package struct AlertMonitor: Sendable {
    /// Windows move in this many parts.
    static let parts: UInt64 = 30
    /// The group of values for which there was no room.
    static let overflowGroup = ["(other)"]

    /// A step in the life of an alert, of one group of one rule; `rule` is an index into the rules.
    package struct Event: Sendable, Equatable {
        /// `reminder`: still open, told again after `remind_every`.
        package enum State: String, Sendable { case open, reminder, resolved }

        package var rule: Int
        package var state: State
        package var group: [String]
        /// Nil when the window is empty.
        package var value: Double?
        package var count: Int
        /// When the alert opened, and now, in Unix nanoseconds.
        package var since: UInt64
        package var time: UInt64
        package var origin: AlertOrigin
    }

    struct Group: Codable, Sendable {
        struct Part: Codable, Sendable {
            var number: UInt64
            var bucket: AlertBucket
        }

        var name: [String]
        var parts: [Part] = []
        /// When the alert opened, nil while there is none.
        var opened: UInt64?
        /// When it last opened, for the cool-down.
        var lastOpened: UInt64?
        var lastTold: UInt64 = 0
        /// Since when the condition does not hold.
        var clearSince: UInt64?
        var origin = AlertOrigin()
    }

    /// What outlives a restart.
    struct Memory: Codable, Sendable {
        /// Groups of each rule, by name.
        var groups: [String: [String: Group]] = [:]
    }

    package let rules: [AlertRule]
    var memory = Memory()
    /// A window that began before this is not full.
    private let started: UInt64

    package init(rules: [AlertRule], started: UInt64) {
        self.rules = rules
        self.started = started
    }

    // MARK: Adding

    /// Takes what came in at `time`.
    package mutating func add(_ samples: [AlertSample], at time: UInt64) {
        for sample in samples where rules.indices.contains(sample.rule) { add(sample, rules[sample.rule], time) }
    }

    private mutating func add(_ sample: AlertSample, _ rule: AlertRule, _ time: UInt64) {
        var name = sample.group
        var key = AlertMonitor.key(name)
        let known = memory.groups[rule.name] ?? [:]
        if known[key] == nil, known.count >= rule.groupsMax {
            name = AlertMonitor.overflowGroup
            key = AlertMonitor.key(name)
        }
        let number = time / AlertMonitor.width(rule)
        var group = known[key] ?? Group(name: name)
        if let last = group.parts.indices.last, group.parts[last].number >= number {
            group.parts[last].bucket.merge(sample.bucket)
        } else {
            group.parts.append(Group.Part(number: number, bucket: sample.bucket))
        }
        if group.opened == nil || group.origin == AlertOrigin() { group.origin = sample.origin }
        memory.groups[rule.name, default: [:]][key] = group
    }

    private static func width(_ rule: AlertRule) -> UInt64 { max(1, rule.window / parts) }

    static func key(_ group: [String]) -> String { group.joined(separator: "\u{1F}") }

    // MARK: Looking

    /// What is to be told at `time`. `paused` rules go on measuring; alerts that are open end, none opens.
    package mutating func evaluate(at time: UInt64, paused: Set<String> = []) -> [Event] {
        var events: [Event] = []
        for (index, rule) in rules.enumerated() {
            if rule.groupBy.isEmpty, rule.minOccurrences == 0, memory.groups[rule.name] == nil {
                memory.groups[rule.name] = ["": Group(name: [])]
            }
            let isPaused = rule.isPaused || paused.contains(rule.name)
            // In the order of the names: what is told does not depend on hashes.
            for key in (memory.groups[rule.name] ?? [:]).keys.sorted() {
                guard var group = memory.groups[rule.name]?[key] else { continue }
                if let event = evaluate(&group, index, rule, time, isPaused) { events.append(event) }
                let isIdle = group.parts.isEmpty && group.opened == nil && !key.isEmpty
                let isCool = group.lastOpened.map { time >= $0 + rule.coolDown } ?? true
                memory.groups[rule.name]?[key] = isIdle && isCool ? nil : group
            }
        }
        return events
    }

    /// Ends the open alerts of one rule by hand.
    package mutating func resolve(rule name: String, at time: UInt64) -> [Event] {
        var events: [Event] = []
        guard let index = rules.firstIndex(where: { $0.name == name }) else { return [] }
        for key in (memory.groups[name] ?? [:]).keys.sorted() {
            guard var group = memory.groups[name]?[key], let since = group.opened else { continue }
            let total = AlertMonitor.total(group, rules[index])
            events.append(
                Event(
                    rule: index, state: .resolved, group: group.name,
                    value: AlertMonitor.value(total, rules[index]), count: total.count, since: since, time: time,
                    origin: group.origin))
            group.opened = nil
            group.lastOpened = time
            group.parts = []
            memory.groups[name]?[key] = group
        }
        return events
    }

    private func evaluate(
        _ group: inout Group, _ index: Int, _ rule: AlertRule, _ time: UInt64, _ isPaused: Bool
    ) -> Event? {
        let current = time / AlertMonitor.width(rule)
        group.parts.removeAll { $0.number + AlertMonitor.parts <= current }
        let total = AlertMonitor.total(group, rule)
        let value = AlertMonitor.value(total, rule)
        let holds =
            isReady(rule, time) && total.count >= rule.minOccurrences
            && (value.map { rule.comparison.holds($0, rule.threshold) } ?? false)
        var event = Event(
            rule: index, state: .open, group: group.name, value: value, count: total.count, since: time, time: time,
            origin: group.origin)
        guard let since = group.opened else {
            let isCooling = group.lastOpened.map { time < $0 + rule.coolDown } ?? false
            guard holds, !isPaused, !isCooling else { return nil }
            (group.opened, group.lastOpened, group.lastTold, group.clearSince) = (time, time, time, nil)
            return event
        }
        event.since = since
        if holds, !isPaused {
            group.clearSince = nil
            guard rule.remindEvery > 0, time >= group.lastTold + rule.remindEvery else { return nil }
            group.lastTold = time
            event.state = .reminder
            return event
        }
        let clear = group.clearSince ?? time
        group.clearSince = clear
        // A pause ends it at once; it opens again when its condition holds behind the pause.
        guard isPaused || time >= clear + rule.resolveAfter else { return nil }
        (group.opened, group.clearSince) = (nil, nil)
        event.state = .resolved
        return rule.resolves ? event : nil
    }

    /// A sum that is too small because the window has not been watched to its end says nothing.
    private func isReady(_ rule: AlertRule, _ time: UInt64) -> Bool {
        let needsAll = rule.comparison == .below || rule.comparison == .atMost || rule.comparison == .equal
        let isSum = rule.aggregation == .sum || rule.aggregation == .count || rule.aggregation == .perSecond
        return !(needsAll && isSum) || time >= started + rule.window
    }

    private static func total(_ group: Group, _ rule: AlertRule) -> AlertBucket {
        var total = AlertBucket(hasSketch: rule.aggregation.quantile != nil)
        for part in group.parts { total.merge(part.bucket) }
        return total
    }

    private static func value(_ total: AlertBucket, _ rule: AlertRule) -> Double? {
        total.aggregate(rule.aggregation, seconds: Double(rule.window) / 1e9)
    }

    /// Alerts that are open now.
    package var openCount: Int {
        memory.groups.values.reduce(0) { $0 + $1.values.filter { $0.opened != nil }.count }
    }
}
