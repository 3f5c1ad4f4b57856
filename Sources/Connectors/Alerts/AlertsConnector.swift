import Glibc
package import Pipeline
import Synchronization
import Telemetry

/// Watches what passes and makes a log record of every alert that opens, lasts or ends; the pipelines behind it store
/// these records in their journals, from which the `notify` exporter delivers them.
///
/// A batch is acknowledged once its alerts are stored and the windows are on disk, so kill -9 loses neither. What a
/// crash repeats is known by its hash; an alert that is stored twice has the same de-duplication key.
package final class AlertsConnector: Connector {
    private struct State {
        var monitor: AlertMonitor
        var store: AlertStore?
        /// The last step, and what it made of the monitor, until its deliveries are stored.
        var draft: (step: AlertStore.Step, monitor: AlertMonitor, events: [AlertMonitor.Event.State])?
        /// The wishes to end alerts that were fulfilled.
        var resolved: [String: Int] = [:]
    }

    private let rules: [AlertRule]
    private let reader: AlertReader
    private let state: Mutex<State>
    private let build: ConnectorBuild
    private let raised: [AlertMonitor.Event.State: Counter]
    private let repeated: Counter
    private let unsaved: Counter
    package let tickInterval: Duration?
    /// Names of the rules, in the order of the file.
    package var ruleNames: [String] { rules.map(\.name) }

    package init(options: AlertsOptions, build: ConnectorBuild) throws {
        rules = options.rules
        let errors = build.metrics.counter(
            "sluice_ottl_errors_total", "Records on which a condition or statement failed.", build.labels)
        reader = try AlertReader(rules: options.rules, signal: build.inputSignal, errors: errors)
        self.build = build
        tickInterval = options.interval
        state = Mutex(State(monitor: AlertMonitor(rules: options.rules, started: build.now())))
        var raised: [AlertMonitor.Event.State: Counter] = [:]
        for state in [AlertMonitor.Event.State.open, .reminder, .resolved] {
            raised[state] = build.metrics.counter(
                "sluice_alerts_total", "Alerts told, by state.", build.labels + [("state", state.rawValue)])
        }
        self.raised = raised
        repeated = build.metrics.counter(
            "sluice_alerts_repeated_batches_total", "Batches that came again and did not count twice.", build.labels)
        unsaved = build.metrics.counter(
            "sluice_alerts_unsaved_steps_total", "Changes of windows that could not be written to disk.", build.labels)
        build.metrics.gauge("sluice_alerts_open", "Alerts that are open.", build.labels) { [weak self] in
            Double(self?.state.withLock { $0.monitor.openCount } ?? 0)
        }
    }

    package func start() throws(ProcessFailure) {
        guard let root = build.dataDirectory else { return }
        let folder = root + "/alerts"
        _ = mkdir(root, 0o700)
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
            throw ProcessFailure(reason: "\(folder) cannot be made: \(String(cString: strerror(errno)))")
        }
        let path = folder + "/" + AlertsConnector.fileName("\(build.id) \(build.input)")
        if let fault = AlertDirectory.keep(ruleNames, at: path) { build.log(.warn, "connector \(build.id): \(fault)") }
        var store = AlertStore(path: path)
        var monitor = state.withLock { $0.monitor }
        try store.open(&monitor) { build.log(.warn, "connector \(build.id): \($0)") }
        let (opened, restored) = (store, monitor)
        let control = AlertControl.read(root)
        state.withLock { state in
            state.store = opened
            state.monitor = restored
            // Wishes of before are fulfilled: the journal has them.
            state.resolved = control.resolved
        }
    }

    deinit { state.withLock { $0.store?.close() } }

    package func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] {
        let samples = try reader.samples(batch)
        let hash = AlertsConnector.hash(batch.bytes)
        let isKnown = state.withLock { $0.store?.knows(hash) ?? false }
        if isKnown { repeated.add() }
        return advance(isKnown ? [] : samples, hash: isKnown ? 0 : hash)
    }

    package func tick() -> [ConnectorDelivery] { advance([], hash: 0) }

    private func advance(_ samples: [AlertSample], hash: UInt64) -> [ConnectorDelivery] {
        let time = build.now()
        let control = build.dataDirectory.map { AlertControl.read($0) } ?? AlertControl()
        let events: [AlertMonitor.Event] = state.withLock { state in
            let wishes = control.resolved.filter { state.resolved[$0.key] != $0.value }
            let step = AlertStore.Step(
                time: time, hash: hash, samples: samples, paused: control.pausedRules(at: time),
                resolved: wishes.keys.sorted())
            var next = state.monitor
            let events = AlertStore.apply(step, to: &next)
            state.draft = (step, next, events.map(\.state))
            return events
        }
        return deliveries(events)
    }

    package func stored() {
        let fault: String? = state.withLock { state in
            guard let (step, next, events) = state.draft else { return nil }
            state.draft = nil
            for event in events { raised[event]?.add() }
            let isChange = !step.samples.isEmpty || !step.resolved.isEmpty || next.openCount != state.monitor.openCount
            state.monitor = next
            for rule in step.resolved {
                if let root = build.dataDirectory { state.resolved[rule] = AlertControl.read(root).resolved[rule] }
            }
            guard isChange || step.hash != 0, state.store != nil else { return nil }
            return state.store?.append(step, next)
        }
        guard let fault else { return }
        unsaved.add()
        build.log(.error, "connector \(build.id): the windows of alerts are not saved: \(fault)")
    }

    // MARK: Records

    /// One delivery per alert, so that each is delivered, and tried again, by itself.
    private func deliveries(_ events: [AlertMonitor.Event]) -> [ConnectorDelivery] {
        events.flatMap { event in
            let rule = rules[event.rule]
            let record = AlertRecord.make(event, rule, connector: build.id)
            let bytes = EventLogWriter.request([record], scope: "sluice.alerts", service: "sluice")
            let key = AlertRecord.dedupKey(event, rule, connector: build.id)
            return build.outputs.indices.map { output in
                var delivery = ConnectorDelivery(output: output, itemCount: 1, bytes: bytes)
                delivery.name = "\(event.state.rawValue) \(key)"
                return delivery
            }
        }
    }

    /// FNV-1a over the bytes; never 0.
    static func hash(_ bytes: some Swift.Sequence<UInt8>) -> UInt64 {
        let hash = FNV.hash(bytes)
        return hash == 0 ? 1 : hash
    }

    static func fileName(_ text: String) -> String {
        text.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") ? String($0) : "_" }.joined()
    }
}
