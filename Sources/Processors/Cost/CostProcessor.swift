package import Configuration
import GenAI
import Glibc
import Patterns
package import Pipeline
import Synchronization
package import Telemetry

/// Options of the `gen_ai_cost` processor.
package struct CostOptions: ComponentOptions {
    package var files: [String]
    package var usesBuiltIn: Bool

    package init(_ settings: inout Settings) {
        files = settings.strings(
            "price_files", default: [],
            "JSON files of prices, LiteLLM's model_prices_and_context_window.json or genai-prices' data.json; the "
                + "first that knows a model wins.")
        usesBuiltIn = settings.bool(
            "built_in_prices", default: true,
            "Falls back on a small table of list prices of well-known models. They age: bring a file.")
        if !settings.isDescribing, files.isEmpty, !usesBuiltIn {
            settings.problem("there are no prices: name a file or set built_in_prices: true", at: "price_files")
        }
    }
}

/// Adds what model calls cost, from their token counts and a table of prices.
///
/// Only inference and embedding spans get a cost, so that sums over a trace do not count twice. A cost that came with
/// the span is never replaced, a model without a price gets none and is counted.
package struct CostProcessor: Processor {
    private let keys: CostKeys
    private let prices: PriceTable
    private let cache = PriceCache()
    private let computed: Counter
    private let reported: Counter
    private let unpriceable: Counter
    private let unknown: BoundedCounters
    private let unread: BoundedCounters

    /// Reads the price files; fails when one is missing, too large or of neither shape.
    package init(options: CostOptions, build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        var prices = PriceTable()
        for (index, file) in options.files.enumerated() {
            do throws(PriceFileProblem) {
                let table = try CostProcessor.read(file)
                CostProcessor.tell(table, of: file, build)
                prices.merge(table)
            } catch {
                throw ProcessorBuildFailure("\(file) \(error)", at: "price_files[\(index)]")
            }
        }
        if options.usesBuiltIn { prices.merge(PriceTable.builtIn) }
        self.prices = prices
        keys = CostKeys(&build.keys)
        let (metrics, labels) = (build.metrics, build.labels)
        func counter(_ result: String) -> Counter {
            metrics.counter(
                "sluice_gen_ai_cost_spans_total",
                "Model calls by where their cost is from: computed, reported by the span, or not priceable because a "
                    + "count is missing or impossible.", [("result", result)] + labels)
        }
        computed = counter("computed")
        reported = counter("reported")
        unpriceable = counter("not_priceable")
        unknown = BoundedCounters(by: "model", valuesMax: 100) {
            metrics.counter(
                "sluice_gen_ai_cost_unknown_models_total", "Model calls without a price, by model.", [$0] + labels)
        }
        unread = BoundedCounters(by: "unit", valuesMax: 64) {
            metrics.counter(
                "sluice_gen_ai_cost_unread_units_total",
                "Calls of models that have a price in a unit that spans do not count; it is not in the cost.",
                [$0] + labels)
        }
    }

    /// What of a file is not read is told once.
    private static func tell(_ table: PriceTable, of file: String, _ build: borrowing ProcessorBuild) {
        if !table.unreadUnits.isEmpty {
            let units = table.unreadUnits.sorted { ($0.value, $1.key) > ($1.value, $0.key) }
            let words = units.prefix(12).map { "\($0.key) (\($0.value))" }.joined(separator: ", ")
            build.log(
                .warn,
                "\(build.id): prices of \(file) in units that spans do not count are not in the cost: \(words)"
                    + (units.count > 12 ? " and \(units.count - 12) more" : ""))
        }
        if table.skippedVariants + table.skippedClauses > 0 {
            build.log(
                .warn,
                "\(build.id): \(file) has \(table.skippedVariants) prices for circumstances that spans do not tell and "
                    + "\(table.skippedClauses) names that cannot be matched; they are not used")
        }
    }

    private static func read(_ path: String) throws(PriceFileProblem) -> PriceTable {
        guard let file = fopen(path, "re") else { throw PriceFileProblem(description: "cannot be read") }
        defer { fclose(file) }
        var bytes = ByteColumn()
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            chunk.withUnsafeBytes { bytes.append(UnsafeRawBufferPointer(rebasing: $0[0..<count])) }
            guard bytes.count <= PriceFile.bytesMax else {
                throw PriceFileProblem(description: "is larger than 64 MiB")
            }
        }
        return try PriceFile.read(bytes.text, pattern: pattern)
    }

    /// A regular expression of a price file. A name that takes too long to judge does not match.
    private static func pattern(_ text: String) -> (@Sendable (String) -> Bool)? {
        guard let pattern = try? CompiledPattern(text) else { return nil }
        return { name in
            let matcher = PatternMatcher()
            var name = name
            return name.withUTF8 {
                pattern.matches(Text(UnsafeRawBufferPointer($0)), matcher, otherwise: false)
            }
        }
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        guard batch.signal == .traces else { return }
        for span in batch.spans.indices where !batch.isRemoved(span: span) {
            let set = batch.spans[span].set
            guard let operation = batch.string(keys.operation, in: set), CostProcessor.isCall(operation) else {
                continue
            }
            price(set, at: batch.spans[span].start, &batch)
        }
    }

    private static func isCall(_ operation: Text) -> Bool {
        operation == "chat" || operation == "generate_content" || operation == "text_completion"
            || operation == "embeddings"
    }

    private func price(_ set: SetIndex, at time: UInt64, _ batch: inout RecordBatch) {
        if keys.hasCost(set, batch) {
            reported.add()
            if batch.find(keys.source, in: set) == nil {
                let word = batch.addText(Text("reported"))
                batch.append(keys.source, .string(word), to: set)
            }
            return
        }
        guard let usage = keys.usage(set, batch) else { return unpriceable.add() }
        let name = CallName(
            provider: batch.string(keys.provider, in: set)?.string ?? "",
            response: batch.string(keys.responseModel, in: set)?.string ?? "",
            request: batch.string(keys.requestModel, in: set)?.string ?? "")
        guard let model = find(name) else {
            let model = name.response.isEmpty ? name.request : name.response
            return unknown.count(String(decoding: model.utf8.prefix(100), as: UTF8.self))
        }
        let tier = batch.string(keys.serviceTier, in: set)?.string.lowercased() ?? ""
        for unit in model.unread { unread.count(unit) }
        guard let cost = model.cost(usage, service: tier, at: time) else { return unpriceable.add() }
        computed.add()
        batch.upsert(keys.cost, .double(CallCost.dollars(cost.total)), in: set)
        batch.upsert(keys.inputCost, .double(CallCost.dollars(cost.input)), in: set)
        batch.upsert(keys.outputCost, .double(CallCost.dollars(cost.output)), in: set)
        let word = batch.addText(Text("computed"))
        batch.upsert(keys.source, .string(word), in: set)
    }

    private func find(_ name: CallName) -> ModelPrice? {
        cache.find(name) {
            prices.price(provider: name.provider, response: name.response, request: name.request)
        }
    }
}

/// What a span says about the model that was called.
private struct CallName: Hashable {
    var provider: String
    var response: String
    var request: String
}

/// Prices that were looked up, with those that were not found. Bounded in number and bytes, whatever names spans give.
private final class PriceCache: Sendable {
    private static let namesMax = 4_096
    private static let bytesMax = 256
    private let known = Mutex<[CallName: ModelPrice?]>([:])

    func find(_ name: CallName, _ look: () -> ModelPrice?) -> ModelPrice? {
        if let known = known.withLock({ $0[name] }) { return known }
        let found = look()
        let bytes = name.provider.utf8.count + name.response.utf8.count + name.request.utf8.count
        guard bytes <= PriceCache.bytesMax else { return found }
        known.withLock { known in
            if known.count >= PriceCache.namesMax { known.removeAll(keepingCapacity: true) }
            known[name] = .some(found)
        }
        return found
    }
}

/// Attributes that the cost needs and gives.
private struct CostKeys: Sendable {
    let operation, provider, requestModel, responseModel, serviceTier, cost, inputCost, outputCost, source: KeyID
    private let counts: [(key: KeyID, unit: PricedUnit)]

    init(_ keys: inout KeyTable.Builder) {
        operation = keys.intern("gen_ai.operation.name")
        provider = keys.intern("gen_ai.provider.name")
        requestModel = keys.intern("gen_ai.request.model")
        responseModel = keys.intern("gen_ai.response.model")
        serviceTier = keys.intern("openai.response.service_tier")
        cost = keys.intern("gen_ai.usage.cost")
        inputCost = keys.intern("gen_ai.usage.input_cost")
        outputCost = keys.intern("gen_ai.usage.output_cost")
        source = keys.intern("sluice.genai.cost.source")
        var counts: [(key: KeyID, unit: PricedUnit)] = []
        for (name, unit) in [
            ("gen_ai.usage.input_tokens", .input), ("gen_ai.usage.output_tokens", .output),
            ("gen_ai.usage.cache_read.input_tokens", .cacheRead),
            ("gen_ai.usage.cache_write.input_tokens", .cacheWrite),
            ("sluice.genai.usage.cache_write_1h.input_tokens", .cacheWriteHour),
            ("gen_ai.usage.reasoning.output_tokens", .reasoning),
            ("gen_ai.usage.text.input_tokens", .textInput), ("gen_ai.usage.text.output_tokens", .textOutput),
            ("gen_ai.usage.text.cache_read.input_tokens", .textCacheRead),
            ("gen_ai.usage.image.input_tokens", .imageInput), ("gen_ai.usage.image.output_tokens", .imageOutput),
            ("gen_ai.usage.image.cache_read.input_tokens", .imageCacheRead),
            ("gen_ai.usage.audio.input_tokens", .audioInput), ("gen_ai.usage.audio.output_tokens", .audioOutput),
            ("gen_ai.usage.audio.cache_read.input_tokens", .audioCacheRead),
        ] as [(String, PricedUnit)] { counts.append((keys.intern(name), unit)) }
        self.counts = counts
    }

    func hasCost(_ set: SetIndex, _ batch: borrowing RecordBatch) -> Bool {
        batch.find(cost, in: set) != nil || batch.find(inputCost, in: set) != nil
            || batch.find(outputCost, in: set) != nil
    }

    /// The counts; nil when the span has neither input nor output tokens.
    func usage(_ set: SetIndex, _ batch: borrowing RecordBatch) -> TokenUsage? {
        var usage = TokenUsage()
        var hasCount = false
        for (number, count) in counts.enumerated() {
            guard let place = batch.find(count.key, in: set), case .int(let value) = batch.attributes[place].value
            else {
                continue
            }
            usage[count.unit] = value
            if number < 2 { hasCount = true }
        }
        return hasCount ? usage : nil
    }
}

/// Counters of one name that differ in a label whose values come from data: beyond a bound they are one, "other".
private final class BoundedCounters: Sendable {
    private let label: String
    private let valuesMax: Int
    private let register: @Sendable (_ label: (name: String, value: String)) -> Counter
    private let known = Mutex<[String: Counter]>([:])

    init(
        by label: String, valuesMax: Int,
        _ register: @escaping @Sendable (_ label: (name: String, value: String)) -> Counter
    ) {
        self.label = label
        self.valuesMax = valuesMax
        self.register = register
    }

    func count(_ value: String) {
        known.withLock { known in
            let value = known[value] != nil || known.count < valuesMax ? value : "other"
            let counter = known[value] ?? register((label, value))
            known[value] = counter
            counter.add()
        }
    }
}
