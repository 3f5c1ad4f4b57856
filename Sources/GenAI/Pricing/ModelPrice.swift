/// Prices of one model. Money is in picodollars: a dollar per million tokens is a million of them for a token, so that
/// the cheapest cached token still has a whole price.
package struct ModelPrice: Sendable, Equatable {
    /// Prices by unit; nil where the model has none of its own.
    package struct Rates: Sendable, Equatable {
        private var prices = [UnitPrice?](repeating: nil, count: PricedUnit.allCases.count)

        package init() {}

        package subscript(unit: PricedUnit) -> UnitPrice? {
            get { prices[Int(unit.rawValue)] }
            set { prices[Int(unit.rawValue)] = newValue }
        }

        package var isEmpty: Bool { prices.allSatisfy { $0 == nil } }

        /// These rates, with another's where these have none.
        func filled(from other: Rates) -> Rates {
            var made = self
            for index in prices.indices where prices[index] == nil { made.prices[index] = other.prices[index] }
            return made
        }
    }

    /// Prices for requests that were served in another way than usual: in a batch, with priority, later.
    struct Variant: Sendable, Equatable {
        /// The service tier's word, or `batch`.
        var service: String
        var time = PriceTime()
        var rates: Rates
    }

    package var base = Rates()
    /// The first that holds gives a unit its price.
    var variants: [Variant] = []
    /// Prices at other times, the later ones first in rank.
    var timed: [TimedRates] = []
    /// Units of the file that nothing on a span counts; such prices are not in the cost.
    package var unread: [String] = []

    struct TimedRates: Sendable, Equatable {
        var time: PriceTime
        var rates: Rates
    }

    package init() {}

    /// Whether any price is known.
    package var isUsable: Bool { !base.isEmpty || timed.contains { !$0.rates.isEmpty } }

    /// The rates at a moment, given in nanoseconds since 1970, for a service tier; empty for the usual one.
    package func rates(at nanoseconds: UInt64, service: String = "") -> Rates {
        let standard = timed.last { $0.time.holds(nanoseconds) }?.rates ?? base
        guard !service.isEmpty else { return standard }
        var special = Rates()
        for variant in variants where variant.service == service && variant.time.holds(nanoseconds) {
            special = special.filled(from: variant.rates)
        }
        return special.filled(from: standard)
    }
}

/// Token counts of one call, as the conventions have them: input holds the cached, text, image and audio tokens, output
/// the reasoning, text, image and audio tokens.
package struct TokenUsage: Sendable, Equatable {
    private var counts = [Int64](repeating: 0, count: PricedUnit.allCases.count)

    package init() { self[.request] = 1 }

    package subscript(unit: PricedUnit) -> Int64 {
        get { counts[Int(unit.rawValue)] }
        set { counts[Int(unit.rawValue)] = newValue }
    }

    /// Counts beyond this are no counts.
    private static let tokensMax: Int64 = 1_000_000_000_000

    var isPossible: Bool { counts.allSatisfy { (0...TokenUsage.tokensMax).contains($0) } }

    /// With the writes to the cache parted by how long they are kept. Some say only the part of an hour.
    var parted: TokenUsage {
        var made = self
        made[.cacheWrite] = max(self[.cacheWrite], self[.cacheWriteHour])
        made[.cacheWriteMinutes] = made[.cacheWrite] - self[.cacheWriteHour]
        return made
    }
}

/// What a call cost, in nanodollars.
package struct CallCost: Sendable, Equatable {
    package var input: Int64
    package var output: Int64
    /// What the call itself costs, beside its tokens.
    package var call: Int64 = 0
    package var total: Int64 { input + output + call }

    /// Dollars, as they stand on the wire.
    package static func dollars(_ nanodollars: Int64) -> Double { Double(nanodollars) / 1e9 }
}

extension ModelPrice {
    /// The cost of a call; nil when a count is negative, larger than any model takes, or a needed price is unknown.
    package func cost(_ usage: TokenUsage, service: String = "", at nanoseconds: UInt64 = 0) -> CallCost? {
        guard usage.isPossible else { return nil }
        let rates = rates(at: nanoseconds, service: service)
        guard !rates.isEmpty else { return nil }
        let usage = usage.parted
        let parts = ModelPrice.parts(of: usage, rates)
        // A price for the call alone is the whole price.
        let isByCall = PricedUnit.allCases.allSatisfy { $0 == .request || rates[$0] == nil }
        for (whole, isSide) in [(PricedUnit.input, \PricedUnit.isInput), (.output, \.isOutput)] {
            let covered = parts.reduce(0) { $1.unit[keyPath: isSide] ? $0 + $1.count : $0 }
            if !isByCall, covered < usage[whole] { return nil }
        }
        func sum(_ isMeant: (PricedUnit) -> Bool) -> Int64? {
            ModelPrice.sum(
                parts.filter { isMeant($0.unit) }.map {
                    ($0.count, rates[$0.unit]?.price(input: usage[.input]) ?? 0)
                })
        }
        guard let input = sum(\.isInput), let output = sum(\.isOutput), let call = sum({ $0 == .request }) else {
            return nil
        }
        let cost = CallCost(input: input, output: output, call: call)
        return cost.input < 1 << 60 && cost.output < 1 << 60 ? cost : nil
    }

    /// The count of every unit that has a price, without what narrower units with a price count.
    private static func parts(of usage: TokenUsage, _ rates: Rates) -> [(unit: PricedUnit, count: Int64)] {
        var parts: [(unit: PricedUnit, count: Int64)] = []
        for unit in PricedUnit.inward where rates[unit] != nil {
            let inner = parts.reduce(0) { $1.unit.lies(within: unit) ? $0 + $1.count : $0 }
            parts.append((unit, max(0, usage[unit] - inner)))
        }
        return parts
    }

    /// Nanodollars, rounded half up once at the end; nil when it does not fit.
    private static func sum(_ parts: [(count: Int64, price: Int64)]) -> Int64? {
        var picodollars: Int64 = 0
        for (count, price) in parts {
            let (product, first) = count.multipliedReportingOverflow(by: price)
            let (total, second) = picodollars.addingReportingOverflow(product)
            if first || second { return nil }
            picodollars = total
        }
        return picodollars / 1000 + (picodollars % 1000 >= 500 ? 1 : 0)
    }
}
