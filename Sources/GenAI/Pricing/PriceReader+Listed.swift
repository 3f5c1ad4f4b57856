import Telemetry

/// The shape of genai-prices: `[{id, models: [{id, match, prices, price_variants}]}]`, dollars for a million tokens or
/// a thousand calls.
extension PriceReader {
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
        var price = listedPrice(tree.member(model, "prices"), &tree)
        readVariants(tree.member(model, "price_variants"), &price, &tree)
        price.unread.sort()
        table.set(price, provider: provider, model: tree.string(tree.member(model, "id")).string)
        let match = tree.member(model, "match")
        if match.exists { table.add(clause(match, &tree, 0, pattern), provider: provider, price) }
    }

    /// Prices, or a list of them with the days and hours from which each holds; the last that holds is the price.
    private func listedPrice(_ ref: JSONRef, _ tree: inout JSONTree) -> ModelPrice {
        var price = ModelPrice()
        guard tree.isArray(ref) else {
            price.base = rates(ref, &price.unread, &tree)
            return price
        }
        var child = tree.first(ref)
        var isFirst = true
        while child.exists {
            let rates = rates(tree.member(child, "prices"), &price.unread, &tree)
            if isFirst { price.base = rates }
            isFirst = false
            if let time = PriceTime(tree.member(child, "constraint"), &tree) {
                price.timed.append(ModelPrice.TimedRates(time: time, rates: rates))
            } else {
                price.miss("constraint")
            }
            child = tree.next(child)
        }
        return price
    }

    /// `[{when: {service_tier: "flex"}, prices, constraint}]`.
    private mutating func readVariants(_ list: JSONRef, _ price: inout ModelPrice, _ tree: inout JSONTree) {
        var child = tree.first(list)
        while child.exists {
            let when = tree.member(child, "when")
            let rates = rates(tree.member(child, "prices"), &price.unread, &tree)
            let time = PriceTime(tree.member(child, "constraint"), &tree)
            if let service = service(when, &tree), let time {
                if !rates.isEmpty {
                    price.variants.append(ModelPrice.Variant(service: service, time: time, rates: rates))
                }
            } else if !rates.isEmpty {
                table.skippedVariants += 1
            }
            child = tree.next(child)
        }
    }

    /// The word that a span has for what a variant asks; nil when spans do not say it.
    private func service(_ when: JSONRef, _ tree: inout JSONTree) -> String? {
        let only = tree.first(when)
        guard tree.isObject(when), tree.count(when) == 1, tree.isString(only) else { return nil }
        let name = tree[only].key
        guard name == "service_tier" || name == "processing" || name == "speed" else { return nil }
        return tree.string(only).string.lowercased()
    }

    private static let units: [String: (unit: PricedUnit, per: Double)] = [
        "input_mtok": (.input, 1e6), "output_mtok": (.output, 1e6), "cache_read_mtok": (.cacheRead, 1e6),
        "cache_write_mtok": (.cacheWrite, 1e6), "cache_write_5m_mtok": (.cacheWriteMinutes, 1e6),
        "cache_write_1h_mtok": (.cacheWriteHour, 1e6), "output_reasoning_mtok": (.reasoning, 1e6),
        "input_text_mtok": (.textInput, 1e6), "output_text_mtok": (.textOutput, 1e6),
        "cache_text_read_mtok": (.textCacheRead, 1e6), "input_image_mtok": (.imageInput, 1e6),
        "output_image_mtok": (.imageOutput, 1e6), "cache_image_read_mtok": (.imageCacheRead, 1e6),
        "input_audio_mtok": (.audioInput, 1e6), "output_audio_mtok": (.audioOutput, 1e6),
        "cache_audio_read_mtok": (.audioCacheRead, 1e6), "requests_kcount": (.request, 1e3),
    ]

    private func rates(_ prices: JSONRef, _ unread: inout [String], _ tree: inout JSONTree) -> ModelPrice.Rates {
        var rates = ModelPrice.Rates()
        guard tree.isObject(prices) else { return rates }
        var child = tree.first(prices)
        while child.exists {
            let name = tree[child].key.string
            let unit = PriceReader.units[name]
            if let unit, let price = unitPrice(child, per: unit.per, &tree) {
                rates[unit.unit] = price
            } else if tree.kind(child) != .null, !unread.contains(name) {
                unread.append(name)
            }
            child = tree.next(child)
        }
        return rates
    }

    /// A number, or `{base, tiers: [{start, price}]}`.
    private func unitPrice(_ ref: JSONRef, per count: Double, _ tree: inout JSONTree) -> UnitPrice? {
        guard tree.isObject(ref) else { return money(ref, per: count, &tree).map { UnitPrice($0) } }
        guard let base = money(tree.member(ref, "base"), per: count, &tree) else { return nil }
        var made = UnitPrice(base)
        var tier = tree.first(tree.member(ref, "tiers"))
        while tier.exists {
            guard let start = Number.double(tree.string(tree.member(tier, "start"))), start >= 0, start < 1e12,
                let price = money(tree.member(tier, "price"), per: count, &tree)
            else { return nil }
            made.add(price, above: Int64(start))
            tier = tree.next(tier)
        }
        return made
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
    fileprivate mutating func miss(_ name: String) { if !unread.contains(name) { unread.append(name) } }
}
