import Telemetry

/// LiteLLM's shape: a member for each price, `input_cost_per_token_above_200k_tokens_priority`, dollars for one.
extension PriceReader {
    mutating func readModels(_ root: JSONRef, _ tree: inout JSONTree) {
        var child = tree.first(root)
        while child.exists {
            let key = tree[child].key
            if tree.isObject(child), !(key == "sample_spec") { readModel(key, child, &tree) }
            child = tree.next(child)
        }
    }

    private mutating func readModel(_ key: Text, _ entry: JSONRef, _ tree: inout JSONTree) {
        var collected = CollectedPrices()
        var child = tree.first(entry)
        while child.exists {
            let name = tree[child].key.string
            if name == "tiered_pricing" {
                readTiers(child, &collected, &tree)
            } else if name.contains("cost") || name.hasSuffix("_pricing") {
                readMember(name, child, &collected, &tree)
            }
            child = tree.next(child)
        }
        let price = collected.price
        let named = provider(tree.string(tree.member(entry, "litellm_provider")))
        // `provider/model`: the provider is also a member, spelled as the key has it or nearly so.
        guard let slash = key.firstIndex(of: UInt8(ascii: "/")) else {
            return table.set(price, provider: named, model: key.string)
        }
        table.set(price, provider: "", model: key.string)
        table.set(price, provider: provider(key[0..<slash]), model: key[slash + 1..<key.count].string)
    }

    private static let units: [String: PricedUnit] = [
        "input_cost_per_token": .input, "output_cost_per_token": .output, "cache_read_input_token_cost": .cacheRead,
        "input_cost_per_token_cache_hit": .cacheRead, "cache_creation_input_token_cost": .cacheWrite,
        "cache_creation_input_token_cost_above_1hr": .cacheWriteHour, "output_cost_per_reasoning_token": .reasoning,
        "input_cost_per_audio_token": .audioInput, "output_cost_per_audio_token": .audioOutput,
        "cache_read_input_audio_token_cost": .audioCacheRead, "input_cost_per_image_token": .imageInput,
        "output_cost_per_image_token": .imageOutput, "cache_read_input_image_token_cost": .imageCacheRead,
        "input_cost_per_request": .request,
    ]
    private static let services = [
        "_batches": "batch", "_priority": "priority", "_flex": "flex", "_ultrafast": "ultrafast",
        "_balanced": "balanced", "_decisions": "decisions",
    ]

    private func readMember(
        _ name: String, _ ref: JSONRef, _ collected: inout CollectedPrices, _ tree: inout JSONTree
    ) {
        var name = name
        var service = ""
        for (suffix, word) in PriceReader.services where name.hasSuffix(suffix) {
            service = word
            name.removeLast(suffix.count)
        }
        var above: Int64 = 0
        if name.hasSuffix("k_tokens"), let mark = name.ranges(of: "_above_").last,
            let thousands = Int64(name[mark.upperBound...].dropLast(8)), (1...1_000_000).contains(thousands)
        {
            above = thousands * 1_000
            name = String(name[..<mark.lowerBound])
        }
        guard let unit = PriceReader.units[name], let price = money(ref, per: 1, &tree) else {
            // A price of nothing says that there is none.
            let isNothing = tree.kind(ref) == .null || tree.kind(ref) == .number && money(ref, per: 1, &tree) == 0
            return isNothing ? () : collected.miss(name)
        }
        collected.add(price, unit, above: above, service: service)
    }

    /// `[{range: [0, 256000], input_cost_per_token, ...}]`.
    private func readTiers(_ list: JSONRef, _ collected: inout CollectedPrices, _ tree: inout JSONTree) {
        var tier = tree.first(list)
        while tier.exists {
            let start = tree.first(tree.member(tier, "range"))
            if let above = Number.double(tree.string(start)), above >= 0, above < 1e12 {
                var member = tree.first(tier)
                while member.exists {
                    let name = tree[member].key.string
                    if let unit = PriceReader.units[name], let price = money(member, per: 1, &tree) {
                        collected.add(price, unit, above: Int64(above), service: "")
                    } else if name.contains("cost") {
                        collected.miss(name)
                    }
                    member = tree.next(member)
                }
            } else {
                collected.miss("tiered_pricing")
            }
            tier = tree.next(tier)
        }
    }
}

/// Prices of one model in the order of the file, where a tier may come before what it is a tier of.
private struct CollectedPrices {
    private var tiers: [String: [(unit: PricedUnit, above: Int64, price: Int64)]] = [:]
    private var unread: [String] = []

    mutating func add(_ price: Int64, _ unit: PricedUnit, above: Int64, service: String) {
        tiers[service, default: []].append((unit, above, price))
    }

    mutating func miss(_ name: String) { if !unread.contains(name) { unread.append(name) } }

    var price: ModelPrice {
        var price = ModelPrice()
        price.base = rates("", ModelPrice.Rates())
        for service in tiers.keys.sorted() where !service.isEmpty {
            price.variants.append(ModelPrice.Variant(service: service, rates: rates(service, price.base)))
        }
        price.unread = unread.sorted()
        return price
    }

    /// The rates of a service. A tier without a base stands on that of the usual service.
    private func rates(_ service: String, _ usual: ModelPrice.Rates) -> ModelPrice.Rates {
        var rates = ModelPrice.Rates()
        for (unit, above, price) in (tiers[service] ?? []).sorted(by: { $0.above < $1.above }) {
            if above == 0 {
                if rates[unit] == nil { rates[unit] = UnitPrice(price) }
            } else {
                var made = rates[unit] ?? UnitPrice(usual[unit]?.base ?? price)
                made.add(price, above: above)
                rates[unit] = made
            }
        }
        return rates
    }
}
