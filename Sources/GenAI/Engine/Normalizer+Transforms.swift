import Telemetry

extension Normalizer {
    /// The outcome of a transform that makes one value of one value.
    mutating func outcome(
        _ transform: Transform, _ target: TargetID, _ source: SourceValue, _ drop: DropValue, _ names: PoolRange,
        _ batch: borrowing RecordBatch
    ) -> Outcome {
        let type = target.exists ? tables.layout.targetTypes[Int(target.value)] : .string
        switch transform {
        case .map(let map, let match): return mapped(Int(map), match, source)
        case .constant(let text): return constant(text, type)
        case .constantIfTrue(let text): return bool(source) == true ? constant(text, type) : .nothing
        case .dropPlaceholder: return isPlaceholder(text(source)) ? .withdraw : value(cast(source, to: type))
        case .lowercase:
            let word = unquoted(text(source))
            return word.isEmpty ? .nothing : .value(lowercased(word))
        case .strings(let map, let splits, let strip):
            return value(strings(source, map: map >= 0 ? Int(map) : nil, splits: splits, strip: strip))
        case .mapEach: return value(strings(source, map: nil, splits: false, strip: .empty))
        case .jsonString:
            let text = unquoted(text(source))
            return text.isEmpty || text == "null" ? .nothing : .value(.string(text))
        case .jsonPath(let path):
            let ref = reader.tree.at(literal(source), path: path)
            reader.tree.use(ref)
            return ref.exists ? value(cast(.node(ref), to: type)) : .nothing
        case .scale(let factor):
            // A thousandth is no number of this kind, a thousand is.
            return value(
                double(source).map { $0 >= 0 ? .double(factor < 1 ? $0 / (1 / factor).rounded() : $0 * factor) : nil }
                    ?? nil)
        case .isoMinusStart: return value(sinceStart(ISOTime.nanoseconds(unquoted(text(source)))))
        case .epochMillisecondsMinusStart:
            return value(
                sinceStart(
                    integer(source).flatMap {
                        $0 > 0 ? UInt64($0).multipliedReportingOverflow(by: 1_000_000).partialValue : nil
                    }))
        case .spanName: return facts.name.isEmpty ? .nothing : .value(.string(facts.name))
        case .scopeProvider: return scopeProvider()
        case .firstWord: return value(firstWord(text(source)).map { .string($0) })
        case .arrayLength: return value(arrayLength(source))
        case .sumInt: return value(sum(source, names, batch))
        case .modelWithoutProvider: return value(modelWithoutProvider(text(source), batch))
        case .providerOfModel: return value(providerOfModel(text(source)))
        case .lastOfStream: return value(lastOfStream(document(source)))
        case .toolArguments: return .value(toolArguments(source))
        case .flatMessages, .flatText, .flatTools, .flatDocuments, .flatArguments, .collectStrings, .eventStrings:
            return .nothing
        case .textMessage(let role): return value(textMessage(source, role))
        case .documents: return value(documents(source))
        case .toolDefinitions, .toolSchema: return value(toolDefinitions(source))
        case .jsonTools: return value(toolsMember(source))
        case .system: return value(system(source))
        case .int, .double, .bool, .copy, .string, .json, .rest: return typed(transform, target, type, source, drop)
        default: return .nothing
        }
    }

    /// The outcome of a transform that keeps what a value says and only gives it a type.
    private mutating func typed(
        _ transform: Transform, _ target: TargetID, _ type: TargetType, _ source: SourceValue, _ drop: DropValue
    ) -> Outcome {
        switch transform {
        case .int:
            guard let number = integer(source), !isDropped(drop, number) else { return .nothing }
            return .value(.int(number))
        case .double:
            guard let number = double(source) else { return .nothing }
            // Minus one stands for "none" in latencies.
            return number < 0 && type == .double && isLatency(target) ? .nothing : .value(.double(number))
        case .bool:
            guard let flag = bool(source) else { return .nothing }
            if case .no = drop, !flag { return .nothing }
            return .value(.bool(flag))
        default:
            if case .word(let word) = drop, text(source) == word { return .nothing }
            return value(cast(source, to: type))
        }
    }

    private func value(_ value: MadeValue?) -> Outcome { value.map { .value($0) } ?? .nothing }

    private mutating func isLatency(_ target: TargetID) -> Bool {
        tables.layout.nameTexts[Int(tables.layout.targetNames[Int(target.value)].value)]
            == "gen_ai.response.time_to_first_chunk"
    }

    private mutating func isDropped(_ drop: DropValue, _ number: Int64) -> Bool {
        if case .number(let dropped) = drop { return dropped == number }
        return false
    }

    private mutating func constant(_ text: Text, _ type: TargetType) -> Outcome {
        switch type {
        case .bool: .value(.bool(text == "true"))
        case .int: value(Number.integer(text).map { .int($0) })
        case .double: value(Number.double(text).map { .double($0) })
        default: .value(.string(text))
        }
    }

    private mutating func mapped(_ map: Int, _ match: MapMatch, _ source: SourceValue) -> Outcome {
        var word = match == .json ? unquoted(text(source)) : text(source)
        if match == .firstWord { word = firstWord(word) ?? word }
        let outcome: ValueMap.Outcome
        switch match {
        case .whole, .firstWord, .json: outcome = tables.layout.maps[map].lookup(word)
        case .prefix: outcome = tables.layout.maps[map].lookupPrefix(word)
        case .suffix: outcome = tables.layout.maps[map].lookupSuffix(word)
        }
        switch outcome {
        case .word(let text): return .value(.string(text))
        case .none: return .withdraw
        case .omitted: return .nothing
        case .unknown: return word.isEmpty ? .nothing : .value(.string(word))
        }
    }

    private mutating func isPlaceholder(_ text: Text) -> Bool {
        let range = tables.layout.dialects[facts.dialect].placeholders.range
        for index in range where tables.layout.textLists[index] == text { return true }
        return false
    }

    private func firstWord(_ text: Text) -> Text? {
        var end = 0
        while end < text.count, !JSONCursor.isSpace(text[end]), text[end] != UInt8(ascii: ":") { end += 1 }
        return end > 0 ? text[0..<end] : nil
    }

    private mutating func arrayLength(_ source: SourceValue) -> MadeValue? {
        let list = document(source)
        guard reader.tree.isArray(list), reader.tree.count(list) > 0 else { return nil }
        var first = reader.tree.first(list)
        if reader.tree.isString(first) {
            // A list of vectors, each of them as a text.
            let text = reader.tree.string(first)
            let inner = reader.document(text)
            if inner.exists { first = inner }
        }
        return .int(Int64(reader.tree.isArray(first) ? reader.tree.count(first) : reader.tree.count(list)))
    }

    private mutating func sum(_ source: SourceValue, _ names: PoolRange, _ batch: borrowing RecordBatch) -> MadeValue? {
        guard var total = integer(source) else { return nil }
        for index in names.range {
            guard let local = place(of: tables.layout.nameLists[index]),
                let more = integer(self.source(at: local, batch)), more > 0
            else { continue }
            let (sum, overflow) = total.addingReportingOverflow(more)
            if overflow { return nil }
            total = sum
        }
        return .int(total)
    }

    /// Provider named by the last part of the scope's name that is no version.
    private func scopeProvider() -> Outcome {
        var end = facts.scope.count
        while end > 0 {
            var start = end
            while start > 0, facts.scope[start - 1] != UInt8(ascii: "."), facts.scope[start - 1] != UInt8(ascii: "/") {
                start -= 1
            }
            let word = facts.scope[start..<end]
            let isVersion = word.count >= 2 && word[0] == UInt8(ascii: "v") && word[1] >= 0x30 && word[1] <= 0x39
            if !isVersion {
                guard let map = tables.layout.providerNames, let text = map.lookup(word).text else { return .nothing }
                return .value(.string(text))
            }
            end = start - 1
        }
        return .nothing
    }

    private func sinceStart(_ nanoseconds: UInt64?) -> MadeValue? {
        guard let nanoseconds, facts.startTime > 0, nanoseconds >= facts.startTime else { return nil }
        return .double(Double(nanoseconds - facts.startTime) / 1e9)
    }

    /// The model of `provider/model` when the span says that provider.
    private mutating func modelWithoutProvider(_ name: Text, _ batch: borrowing RecordBatch) -> MadeValue? {
        guard let slash = name.firstIndex(of: UInt8(ascii: "/")), slash > 0, slash + 1 < name.count,
            let map = tables.layout.providerNames, let vendor = map.lookup(name[0..<slash]).text,
            let provider = word(tables.layout.known.provider, batch), provider == vendor
        else { return nil }
        return .string(name[slash + 1..<name.count])
    }

    /// The first part of `provider/model` or `host/vendor/model` that names a provider.
    private func providerOfModel(_ name: Text) -> MadeValue? {
        guard let map = tables.layout.providerNames else { return nil }
        var start = 0
        while let slash = name.firstIndex(of: UInt8(ascii: "/"), from: start) {
            let part = name[start..<slash]
            if let provider = map.lookup(part).text, !part.isEmpty { return .string(provider) }
            start = slash + 1
        }
        return nil
    }

    func eventDelay(_ time: UInt64) -> MadeValue? { sinceStart(time) }

    /// Host of an address; its port goes to `server.port`.
    mutating func urlHost(
        _ target: TargetID, _ source: SourceValue, _ rule: Rule?, _ batch: borrowing RecordBatch
    ) -> Bool {
        var host = unquoted(text(source))
        for scheme: StaticString in ["https://", "http://"] where host.hasPrefix(scheme) {
            host = host[scheme.utf8CodeUnitCount..<host.count]
        }
        for stop: UInt8 in [UInt8(ascii: "/"), UInt8(ascii: "?")] {
            if let end = host.firstIndex(of: stop) { host = host[0..<end] }
        }
        if let at = host.firstIndex(of: UInt8(ascii: "@")) { host = host[at + 1..<host.count] }
        var port: Int64?
        if let colon = host.firstIndex(of: UInt8(ascii: ":")), !host.hasPrefix("[") {
            port = Number.integer(host[colon + 1..<host.count])
            host = host[0..<colon]
        }
        guard !host.isEmpty, offer(target, .string(host), rule?.claim, batch) else { return false }
        if let port, port > 0, port < 65_536 { _ = offer(tables.layout.known.serverPort, .int(port), nil, batch) }
        return true
    }
}

/// ISO 8601 instants.
enum ISOTime {
    /// Unix nanoseconds of `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`; nil for anything else or before 1970.
    static func nanoseconds(_ text: Text) -> UInt64? {
        guard text.count >= 19, text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"),
            text[10] == UInt8(ascii: "T") || text[10] == UInt8(ascii: " "),
            let year = Number.integer(text[0..<4]), let month = Number.integer(text[5..<7]),
            let day = Number.integer(text[8..<10]), let hour = Number.integer(text[11..<13]),
            let minute = Number.integer(text[14..<16]), let second = Number.integer(text[17..<19]),
            (1970...2200).contains(year), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var index = 19
        var fraction: Int64 = 0
        var scale: Int64 = 100_000_000
        if index < text.count, text[index] == UInt8(ascii: ".") {
            index += 1
            while index < text.count, text[index] >= 0x30, text[index] <= 0x39 {
                fraction += Int64(text[index] - 0x30) * scale
                scale /= 10
                index += 1
            }
        }
        var offset: Int64 = 0
        if index < text.count, text[index] == UInt8(ascii: "+") || text[index] == UInt8(ascii: "-") {
            guard text.count >= index + 6, let hours = Number.integer(text[index + 1..<index + 3]),
                let minutes = Number.integer(text[index + 4..<index + 6])
            else { return nil }
            offset = (hours * 3600 + minutes * 60) * (text[index] == UInt8(ascii: "-") ? -1 : 1)
        }
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
        return seconds >= 0 ? UInt64(seconds) * 1_000_000_000 + UInt64(fraction) : nil
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant's algorithm).
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
