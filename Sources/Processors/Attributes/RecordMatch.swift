import Configuration
import Patterns
import Pipeline
import Telemetry

/// A compiled `include` or `exclude`. Immutable; shared by all threads.
struct RecordMatch: Sendable {
    /// Texts of which one must match.
    private struct Names: Sendable {
        /// Strict names, interned so that their bytes lie in the key table.
        var texts: [KeyID] = []
        var patterns: [CompiledPattern] = []
        var isEmpty: Bool { texts.isEmpty && patterns.isEmpty }
    }

    private struct Attribute: Sendable {
        var key: KeyID
        var value: ConfigValue?
        var text: KeyID = .unknown
        var pattern: CompiledPattern?
    }

    private struct Library: Sendable {
        var name: Names
        var version: KeyID?
    }

    private let services: Names
    private let spanNames: Names
    private let logBodies: Names
    private let severityTexts: Names
    private let metricNames: Names
    /// Bit n: kind n matches; nil when kinds do not matter.
    private let spanKinds: UInt8?
    private let attributes: [Attribute]
    private let resources: [Attribute]
    private let libraries: [Library]
    private let leastSeverity: Int?
    private let matchesUndefinedSeverity: Bool
    private let serviceName: KeyID

    /// Nil when the file has no such option. Fails for conditions that the pipeline's signal does not have. `option` is
    /// `include` or `exclude`.
    init?(_ options: MatchOptions?, at option: String, _ build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        guard let options else { return nil }
        if let unfit = RecordMatch.unfit(options, build.signal).first {
            throw ProcessorBuildFailure(
                "\(unfit.name) cannot be matched in \(build.signal), and \(build.pipeline) names it",
                at: "\(option).\(unfit.name)", fix: unfit.fix)
        }
        serviceName = build.keys.intern("service.name")
        services = RecordMatch.names(options.services, options.type, &build.keys)
        spanNames = RecordMatch.names(options.spanNames, options.type, &build.keys)
        logBodies = RecordMatch.names(options.logBodies, options.type, &build.keys)
        severityTexts = RecordMatch.names(options.severityTexts, options.type, &build.keys)
        metricNames = RecordMatch.names(options.metricNames, options.type, &build.keys)
        spanKinds = options.spanKinds.isEmpty ? nil : RecordMatch.kinds(options.spanKinds, options.type)
        attributes = RecordMatch.attributes(options.attributes, options.type, &build.keys)
        resources = RecordMatch.attributes(options.resources, options.type, &build.keys)
        var libraries: [Library] = []
        for library in options.libraries {
            libraries.append(
                Library(
                    name: RecordMatch.names([library.name], options.type, &build.keys),
                    version: library.version.map { build.keys.intern($0) }))
        }
        self.libraries = libraries
        leastSeverity = options.severity?.least
        matchesUndefinedSeverity = options.severity?.matchesUndefined ?? false
    }

    /// Conditions that records of a signal do not have, each with what to write instead.
    private static func unfit(_ options: MatchOptions, _ signal: Signal) -> [(name: String, fix: String)] {
        var unfit: [(name: String, fix: String)] = []
        func add(_ name: String, _ isGiven: Bool, _ fix: String) { if isGiven { unfit.append((name, fix)) } }
        func add(_ name: String, _ isGiven: Bool, of owner: String) {
            add(name, isGiven, "it is for pipelines of \(owner): give \(signal) a processor of their own")
        }
        if signal != .traces {
            add("services", !options.services.isEmpty, "match the key service.name under resources")
            add("span_names", !options.spanNames.isEmpty, of: "traces")
            add("span_kinds", !options.spanKinds.isEmpty, of: "traces")
        }
        if signal != .logs {
            add("log_bodies", !options.logBodies.isEmpty, of: "logs")
            add("log_severity_texts", !options.severityTexts.isEmpty, of: "logs")
            add("log_severity_number", options.severity != nil, of: "logs")
        }
        if signal != .metrics {
            add("metric_names", !options.metricNames.isEmpty, of: "metrics")
        } else {
            add("attributes", !options.attributes.isEmpty, "match metric_names or resources")
            add("libraries", !options.libraries.isEmpty, "match metric_names or resources")
        }
        return unfit
    }

    // MARK: Matching

    func matches(span: SpanRecord, _ batch: borrowing RecordBatch, _ state: borrowing RedactionState) -> Bool {
        if let spanKinds, spanKinds & (1 << UInt8(truncatingIfNeeded: max(0, min(span.kind, 7)))) == 0 { return false }
        if !spanNames.isEmpty, !has(spanNames, batch.text(span.name), batch, state) { return false }
        if !services.isEmpty {
            let resource = batch.resources[batch.resource(ofScope: span.scope)]
            guard let name = batch.string(serviceName, in: resource.set), has(services, name, batch, state) else {
                return false
            }
        }
        return matchesCommon(scope: span.scope, span.set, batch, state)
    }

    func matches(log: LogRecord, _ batch: borrowing RecordBatch, _ state: borrowing RedactionState) -> Bool {
        if let leastSeverity {
            let number = Int(log.severityNumber)
            guard number == 0 ? matchesUndefinedSeverity : number >= leastSeverity else { return false }
        }
        if !severityTexts.isEmpty, !has(severityTexts, batch.text(log.severityText), batch, state) { return false }
        if !logBodies.isEmpty {
            guard case .string(let body) = log.body, has(logBodies, batch.text(body), batch, state) else {
                return false
            }
        }
        return matchesCommon(scope: log.scope, log.set, batch, state)
    }

    func matches(metric: MetricRecord, _ batch: borrowing RecordBatch, _ state: borrowing RedactionState) -> Bool {
        if !metricNames.isEmpty, !has(metricNames, batch.text(metric.name), batch, state) { return false }
        let resource = batch.resources[batch.resource(ofScope: metric.scope)]
        return all(resources, resource.set, batch, state)
    }

    private func matchesCommon(
        scope: UInt32, _ set: SetIndex, _ batch: borrowing RecordBatch, _ state: borrowing RedactionState
    ) -> Bool {
        if !libraries.isEmpty {
            let record = batch.scopes[Int(scope)]
            var isFound = false
            for library in libraries where has(library.name, batch.text(record.name), batch, state) {
                if let version = library.version {
                    let wanted = batch.text(batch.keys.reference(of: version))
                    if wanted == batch.text(record.version) { isFound = true }
                } else {
                    isFound = true
                }
            }
            if !isFound { return false }
        }
        guard all(attributes, set, batch, state) else { return false }
        return resources.isEmpty || all(resources, batch.resources[batch.resource(ofScope: scope)].set, batch, state)
    }

    private func has(
        _ names: Names, _ text: Text, _ batch: borrowing RecordBatch, _ state: borrowing RedactionState
    ) -> Bool {
        for id in names.texts where batch.text(batch.keys.reference(of: id)) == text { return true }
        for pattern in names.patterns where pattern.matches(text, state.matcher, otherwise: false) { return true }
        return false
    }

    private func all(
        _ wanted: [Attribute], _ set: SetIndex, _ batch: borrowing RecordBatch, _ state: borrowing RedactionState
    ) -> Bool {
        for entry in wanted {
            guard let index = batch.find(entry.key, in: set) else { return false }
            if let value = entry.value, !equals(entry, value, batch.attributes[index], batch, state) { return false }
        }
        return true
    }

    private func equals(
        _ entry: Attribute, _ value: ConfigValue, _ attribute: AttributeRecord, _ batch: borrowing RecordBatch,
        _ state: borrowing RedactionState
    ) -> Bool {
        if let pattern = entry.pattern { return matches(pattern, attribute.value, batch, state) }
        switch (value, attribute.value) {
        case (.string, .string(let reference)):
            let text = batch.text(reference)
            return batch.text(batch.keys.reference(of: entry.text)) == text
        case (.bool(let one), .bool(let other)): return one == other
        case (.int(let one), .int(let other)): return Int64(one) == other
        case (.double(let one), .double(let other)): return one == other
        default: return false
        }
    }

    /// As in the Collector, a pattern is tried on the text of a number or boolean too.
    private func matches(
        _ pattern: CompiledPattern, _ value: AttributeValue, _ batch: borrowing RecordBatch,
        _ state: borrowing RedactionState
    ) -> Bool {
        var text: String
        switch value {
        case .string(let reference): return pattern.matches(batch.text(reference), state.matcher, otherwise: false)
        case .bool(let flag): text = flag ? "true" : "false"
        case .int(let number): text = String(number)
        case .double(let number): text = RecordMatch.text(of: number)
        default: return false
        }
        return text.withUTF8 { bytes in
            pattern.matches(Text(UnsafeRawBufferPointer(bytes)), state.matcher, otherwise: false)
        }
    }

    /// The shortest digits that read back as the same number, without an exponent.
    static func text(of number: Double) -> String {
        let text = number.description
        guard let mark = text.firstIndex(of: "e"), let exponent = Int(text[text.index(after: mark)...]) else {
            return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
        }
        let sign = number < 0 ? "-" : ""
        let digits = text[..<mark].filter(\.isNumber).map(String.init)
        // The point stands behind the first digit, and moves by the exponent.
        let point = exponent + 1
        let mantissa = digits.last == "0" && digits.count == 2 ? [digits[0]] : digits
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + mantissa.joined() }
        let zeros = String(repeating: "0", count: max(0, point - mantissa.count))
        let whole = mantissa.prefix(point).joined() + zeros
        return sign + whole + (mantissa.count > point ? "." + mantissa.dropFirst(point).joined() : "")
    }

    // MARK: Building

    private static func names(
        _ texts: [String], _ type: MatchType, _ keys: inout KeyTable.Builder
    ) -> Names {
        var names = Names()
        for text in texts {
            if type == .strict {
                names.texts.append(keys.intern(text))
            } else if let pattern = try? CompiledPattern(text) {
                names.patterns.append(pattern)
            }
        }
        return names
    }

    private static func attributes(
        _ entries: [MatchAttribute], _ type: MatchType, _ keys: inout KeyTable.Builder
    ) -> [Attribute] {
        var found: [Attribute] = []
        for entry in entries {
            var attribute = Attribute(key: keys.intern(entry.key), value: entry.value)
            if case .string(let text) = entry.value {
                if type == .regexp { attribute.pattern = try? CompiledPattern(text) }
                attribute.text = keys.intern(text)
            }
            found.append(attribute)
        }
        return found
    }

    private static func kinds(_ texts: [String], _ type: MatchType) -> UInt8 {
        let names = [
            "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT",
            "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER",
        ]
        var bits: UInt8 = 0
        let matcher = PatternMatcher()
        for (kind, name) in names.enumerated() {
            for text in texts {
                var copy = name
                let isMatch: Bool =
                    type == .strict
                    ? text == name
                    : copy.withUTF8 { bytes in
                        (try? CompiledPattern(text))?.matches(
                            Text(UnsafeRawBufferPointer(bytes)), matcher, otherwise: false) ?? false
                    }
                if isMatch { bits |= 1 << UInt8(kind) }
            }
        }
        return bits
    }
}
