package import Telemetry

/// Reads price files of two shapes: LiteLLM's `model_prices_and_context_window.json` (one object, dollars per token)
/// and genai-prices' `data.json` (a list of providers, dollars per million tokens).
package enum PriceFile {
    /// Largest file that is read.
    package static let bytesMax = 64 << 20

    /// Compiles a regular expression into a test of a whole name; nil when it is none.
    package typealias PatternMaker = (String) -> (@Sendable (String) -> Bool)?

    package static func read(
        _ text: Text, pattern: PatternMaker = { _ in nil }
    ) throws(PriceFileProblem) -> PriceTable {
        var tree = JSONTree(limits: JSONLimits(bytes: bytesMax))
        tree.limits.nodes = 5_000_000
        let root: JSONRef
        switch tree.parse(text) {
        case .value(let ref): root = ref
        case .failure: throw PriceFileProblem(description: "is no JSON document, or deeper than 64 levels")
        }
        var reader = PriceReader()
        if tree.isArray(root) {
            reader.readProviders(root, &tree, pattern)
        } else if tree.isObject(root) {
            reader.readModels(root, &tree)
        }
        guard reader.table.count > 0 else {
            throw PriceFileProblem(
                description: "holds no prices: neither LiteLLM's shape (model: {input_cost_per_token}) nor that of "
                    + "genai-prices ([{id, models: [{id, prices}]}])")
        }
        return reader.table
    }
}

private struct PriceReader {
    var table = PriceTable()
    private let providers: ValueMap?

    init() {
        if case .success(let tables) = Tables.shared {
            providers = tables.layout.providerNames
        } else {
            providers = nil
        }
    }

    /// The conventions' word for a provider.
    private func provider(_ word: Text) -> String {
        providers?.lookup(word).text?.string ?? word.string.lowercased()
    }

    /// Picodollars of a number of dollars; nil for anything else and for negative prices.
    private func money(_ ref: JSONRef, per tokens: Double, _ tree: inout JSONTree) -> Int64? {
        guard tree.kind(ref) == .number, let dollars = Number.double(tree.string(ref)), dollars >= 0 else { return nil }
        let picodollars = (dollars * 1e12 / tokens).rounded()
        return picodollars < 1e15 ? Int64(picodollars) : nil
    }

    // MARK: LiteLLM

    mutating func readModels(_ root: JSONRef, _ tree: inout JSONTree) {
        var child = tree.first(root)
        while child.exists {
            let key = tree[child].key
            if tree.isObject(child), !(key == "sample_spec") { readModel(key, child, &tree) }
            child = tree.next(child)
        }
    }

    private mutating func readModel(_ key: Text, _ entry: JSONRef, _ tree: inout JSONTree) {
        var price = ModelPrice()
        price.base = rates(entry, suffix: "", &tree)
        for (suffix, limit) in [
            ("_above_128k_tokens", 128_000), ("_above_200k_tokens", 200_000), ("_above_272k_tokens", 272_000),
        ] {
            let rates = rates(entry, suffix: suffix, &tree)
            if rates != ModelPrice.Rates() { price.tiers.append((Int64(limit), rates)) }
        }
        for (suffix, service) in [("_batches", ModelPrice.Service.batch), ("_priority", .priority), ("_flex", .flex)] {
            let rates = rates(entry, suffix: suffix, &tree)
            if rates != ModelPrice.Rates() { price.services[service] = rates }
        }
        let named = provider(tree.string(tree.member(entry, "litellm_provider")))
        // `provider/model`: the provider is also a member, spelled as the key has it or nearly so.
        guard let slash = key.firstIndex(of: UInt8(ascii: "/")) else {
            return table.set(price, provider: named, model: key.string)
        }
        table.set(price, provider: "", model: key.string)
        table.set(price, provider: provider(key[0..<slash]), model: key[slash + 1..<key.count].string)
    }

    private func rates(_ entry: JSONRef, suffix: String, _ tree: inout JSONTree) -> ModelPrice.Rates {
        func value(_ name: String) -> Int64? {
            var full = name + suffix
            let ref = full.withUTF8 { tree.member(entry, Text(UnsafeRawBufferPointer($0))) }
            return ref.exists ? money(ref, per: 1, &tree) : nil
        }
        var rates = ModelPrice.Rates()
        rates.input = value("input_cost_per_token")
        rates.output = value("output_cost_per_token")
        rates.cacheRead = value("cache_read_input_token_cost")
        rates.cacheWrite = value("cache_creation_input_token_cost")
        rates.cacheWriteHour = value("cache_creation_input_token_cost_above_1hr")
        rates.reasoning = value("output_cost_per_reasoning_token")
        rates.audioInput = value("input_cost_per_audio_token")
        rates.audioOutput = value("output_cost_per_audio_token")
        return rates
    }

    // MARK: genai-prices

    mutating func readProviders(_ root: JSONRef, _ tree: inout JSONTree, _ pattern: PriceFile.PatternMaker) {
        var child = tree.first(root)
        while child.exists {
            let name = provider(tree.string(tree.member(child, "id")))
            var model = tree.first(tree.member(child, "models"))
            while model.exists {
                readListed(model, name, &tree, pattern)
                model = tree.next(model)
            }
            child = tree.next(child)
        }
    }

    private mutating func readListed(
        _ model: JSONRef, _ provider: String, _ tree: inout JSONTree, _ pattern: PriceFile.PatternMaker
    ) {
        guard let price = listedPrice(tree.member(model, "prices"), &tree) else { return }
        table.set(price, provider: provider, model: tree.string(tree.member(model, "id")).string)
        let match = tree.member(model, "match")
        if match.exists { table.add(clause(match, &tree, 0, pattern), provider: provider, price) }
    }

    /// Prices, or a list of them with the days and hours from which each holds; the last that holds is the price.
    private func listedPrice(_ ref: JSONRef, _ tree: inout JSONTree) -> ModelPrice? {
        if tree.isObject(ref) { return million(ref, &tree) }
        guard tree.isArray(ref) else { return nil }
        var found: ModelPrice?
        var child = tree.first(ref)
        while child.exists {
            if let price = million(tree.member(child, "prices"), &tree) {
                let time = PriceTime(tree.member(child, "constraint"), &tree)
                if found == nil { found = price }
                if let time { found?.timed.append((time, price)) }
            }
            child = tree.next(child)
        }
        return found
    }

    private func million(_ prices: JSONRef, _ tree: inout JSONTree) -> ModelPrice? {
        guard tree.isObject(prices) else { return nil }
        var price = ModelPrice()
        for (name, path) in [
            ("input_mtok", \ModelPrice.Rates.input), ("output_mtok", \.output), ("cache_read_mtok", \.cacheRead),
            ("cache_write_mtok", \.cacheWrite), ("input_audio_mtok", \.audioInput),
            ("output_audio_mtok", \.audioOutput),
        ] as [(StaticString, WritableKeyPath<ModelPrice.Rates, Int64?>)] {
            let value = tree.member(prices, name)
            guard tree.isObject(value) else {
                price.base[keyPath: path] = money(value, per: 1e6, &tree)
                continue
            }
            price.base[keyPath: path] = money(tree.member(value, "base"), per: 1e6, &tree)
            var tier = tree.first(tree.member(value, "tiers"))
            while tier.exists {
                if let start = Number.double(tree.string(tree.member(tier, "start"))), start >= 0, start < 1e12 {
                    price.setTier(Int64(start), path, money(tree.member(tier, "price"), per: 1e6, &tree))
                }
                tier = tree.next(tier)
            }
        }
        return price.isUsable ? price : nil
    }

    private func clause(
        _ ref: JSONRef, _ tree: inout JSONTree, _ depth: Int, _ pattern: PriceFile.PatternMaker
    ) -> MatchClause {
        guard depth < 16 else { return .unknown }
        func word(_ name: StaticString) -> String? {
            let value = tree.member(ref, name)
            return tree.isString(value) ? tree.string(value).string.lowercased() : nil
        }
        if let text = word("equals") { return .equals(text) }
        if let text = word("starts_with") { return .startsWith(text) }
        if let text = word("ends_with") { return .endsWith(text) }
        if let text = word("contains") { return .contains(text) }
        let regex = tree.member(ref, "regex")
        if tree.isString(regex) {
            return pattern(tree.string(regex).string).map { .matches($0) } ?? .unknown
        }
        for (name, isAny) in [("or", true), ("and", false)] as [(StaticString, Bool)] {
            let list = tree.member(ref, name)
            guard tree.isArray(list) else { continue }
            var parts: [MatchClause] = []
            var child = tree.first(list)
            while child.exists {
                parts.append(clause(child, &tree, depth + 1, pattern))
                child = tree.next(child)
            }
            return isAny ? .any(parts) : .all(parts)
        }
        return .unknown
    }
}

extension ModelPrice {
    fileprivate mutating func setTier(_ above: Int64, _ path: WritableKeyPath<Rates, Int64?>, _ value: Int64?) {
        guard let value else { return }
        if let index = tiers.firstIndex(where: { $0.above == above }) {
            tiers[index].rates[keyPath: path] = value
        } else {
            var rates = Rates()
            rates[keyPath: path] = value
            tiers.append((above, rates))
            tiers.sort { $0.above < $1.above }
        }
    }
}
