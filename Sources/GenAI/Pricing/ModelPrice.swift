/// Prices of one model. Money is in picodollars per token: a dollar per million tokens is a million of them, so that
/// the cheapest cached token still has a whole price.
package struct ModelPrice: Sendable, Equatable {
    /// Prices that hold together; nil where the model has none of its own.
    package struct Rates: Sendable, Equatable {
        package var input: Int64?
        package var output: Int64?
        package var cacheRead: Int64?
        package var cacheWrite: Int64?
        /// Of writes that are kept for an hour; the others are kept for minutes.
        package var cacheWriteHour: Int64?
        package var reasoning: Int64?
        package var audioInput: Int64?
        package var audioOutput: Int64?

        package init() {}

        /// These rates, with another's where these have none.
        func filled(from other: Rates) -> Rates {
            var made = self
            made.input = input ?? other.input
            made.output = output ?? other.output
            made.cacheRead = cacheRead ?? other.cacheRead
            made.cacheWrite = cacheWrite ?? other.cacheWrite
            made.cacheWriteHour = cacheWriteHour ?? other.cacheWriteHour
            made.reasoning = reasoning ?? other.reasoning
            made.audioInput = audioInput ?? other.audioInput
            made.audioOutput = audioOutput ?? other.audioOutput
            return made
        }
    }

    /// How the provider was asked to serve the request.
    package enum Service: String, Sendable, CaseIterable { case batch, priority, flex }

    package var base = Rates()
    /// Rates for requests whose whole input is longer than a number of tokens, shortest first.
    package var tiers: [(above: Int64, rates: Rates)] = []
    package var services: [Service: Rates] = [:]
    /// Prices of the same model at other times, the later ones first in rank.
    package var timed: [(time: PriceTime, price: ModelPrice)] = []

    package init() {}

    package static func == (left: ModelPrice, right: ModelPrice) -> Bool {
        left.base == right.base && left.timed.count == right.timed.count && left.services == right.services
            && left.tiers.count == right.tiers.count
            && zip(left.tiers, right.tiers).allSatisfy { $0.above == $1.above && $0.rates == $1.rates }
    }

    /// The price at a moment, given in nanoseconds since 1970.
    package func at(_ nanoseconds: UInt64) -> ModelPrice {
        timed.last { $0.time.holds(nanoseconds) }?.price ?? self
    }

    /// Whether any price is known.
    package var isUsable: Bool { base.input != nil || base.output != nil }
}

/// Token counts of one call, as the conventions have them: input holds the cached and audio tokens, output the
/// reasoning and audio tokens.
package struct TokenUsage: Sendable, Equatable {
    package var input: Int64 = 0
    package var output: Int64 = 0
    package var cacheRead: Int64 = 0
    package var cacheWrite: Int64 = 0
    /// The part of `cacheWrite` that is kept for an hour.
    package var cacheWriteHour: Int64 = 0
    package var reasoning: Int64 = 0
    package var audioInput: Int64 = 0
    package var audioOutput: Int64 = 0

    package init() {}
}

/// What a call cost, in nanodollars.
package struct CallCost: Sendable, Equatable {
    package var input: Int64
    package var output: Int64
    package var total: Int64 { input + output }

    /// Dollars, as they stand on the wire.
    package static func dollars(_ nanodollars: Int64) -> Double { Double(nanodollars) / 1e9 }
}

extension ModelPrice {
    /// The cost of a call; nil when a count is negative, larger than any model takes, or a needed price is unknown.
    package func cost(_ usage: TokenUsage, service: Service? = nil) -> CallCost? {
        for count in [
            usage.input, usage.output, usage.cacheRead, usage.cacheWrite, usage.cacheWriteHour, usage.reasoning,
            usage.audioInput, usage.audioOutput,
        ] where count < 0 || count > ModelPrice.tokensMax { return nil }
        let rates = rates(input: usage.input, service: service)
        if usage.input > 0, rates.input == nil { return nil }
        if usage.output > 0, rates.output == nil { return nil }
        let priceIn = rates.input ?? 0
        let priceOut = rates.output ?? 0
        // Some say only the part.
        let written = max(usage.cacheWrite, usage.cacheWriteHour)
        let priceWrite = rates.cacheWrite ?? priceIn
        let plainIn = max(0, usage.input - usage.cacheRead - written - usage.audioInput)
        let plainOut = max(0, usage.output - usage.reasoning - usage.audioOutput)
        let input = ModelPrice.sum([
            (plainIn, priceIn), (usage.cacheRead, rates.cacheRead ?? priceIn),
            (written - usage.cacheWriteHour, priceWrite),
            (usage.cacheWriteHour, rates.cacheWriteHour ?? priceWrite),
            (usage.audioInput, rates.audioInput ?? priceIn),
        ])
        let output = ModelPrice.sum([
            (plainOut, priceOut), (usage.reasoning, rates.reasoning ?? priceOut),
            (usage.audioOutput, rates.audioOutput ?? priceOut),
        ])
        guard let input, let output else { return nil }
        return CallCost(input: input, output: output)
    }

    /// Counts beyond this are no counts.
    private static let tokensMax: Int64 = 1_000_000_000_000

    private func rates(input: Int64, service: Service?) -> Rates {
        var rates = base
        if let tier = tiers.last(where: { input > $0.above }) { rates = tier.rates.filled(from: rates) }
        if let service, let special = services[service] { rates = special.filled(from: rates) }
        return rates
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
