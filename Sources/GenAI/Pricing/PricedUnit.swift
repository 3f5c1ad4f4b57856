/// What a price is for. Units lie within others: what is counted under a narrower one that has a price is not counted
/// again under the wider.
package enum PricedUnit: UInt8, CaseIterable, Sendable {
    case input, output, cacheRead, cacheWrite, reasoning
    /// Writes that are kept for minutes, and those that are kept for an hour.
    case cacheWriteMinutes, cacheWriteHour
    case textInput, textOutput, textCacheRead
    case imageInput, imageOutput, imageCacheRead
    case audioInput, audioOutput, audioCacheRead
    /// One call, however many tokens it has.
    case request

    /// All units, the narrower ones first.
    static let inward = PricedUnit.allCases.sorted {
        ($0.traits.rawValue.nonzeroBitCount, $1.rawValue) > ($1.traits.rawValue.nonzeroBitCount, $0.rawValue)
    }

    /// What is true of all that a unit counts.
    private struct Traits: OptionSet {
        var rawValue: UInt16
        static let input = Traits(rawValue: 1)
        static let output = Traits(rawValue: 2)
        static let read = Traits(rawValue: 4)
        static let write = Traits(rawValue: 8)
        static let minutes = Traits(rawValue: 16)
        static let hour = Traits(rawValue: 32)
        static let reasoning = Traits(rawValue: 64)
        static let call = Traits(rawValue: 128)
        static let text = Traits(rawValue: 256)
        static let image = Traits(rawValue: 512)
        static let audio = Traits(rawValue: 1024)
    }

    private var traits: Traits {
        switch self {
        case .input: .input
        case .output: .output
        case .cacheRead: [.input, .read]
        case .cacheWrite: [.input, .write]
        case .cacheWriteMinutes: [.input, .write, .minutes]
        case .cacheWriteHour: [.input, .write, .hour]
        case .reasoning: [.output, .reasoning]
        case .textInput: [.input, .text]
        case .textOutput: [.output, .text]
        case .textCacheRead: [.input, .read, .text]
        case .imageInput: [.input, .image]
        case .imageOutput: [.output, .image]
        case .imageCacheRead: [.input, .read, .image]
        case .audioInput: [.input, .audio]
        case .audioOutput: [.output, .audio]
        case .audioCacheRead: [.input, .read, .audio]
        case .request: .call
        }
    }

    /// Whether everything that this unit counts is counted by the other one too.
    func lies(within other: PricedUnit) -> Bool { self != other && traits.isSuperset(of: other.traits) }

    var isInput: Bool { traits.contains(.input) }
    var isOutput: Bool { traits.contains(.output) }
}

/// The price of one unit in picodollars, by the length of the whole input.
package struct UnitPrice: Sendable, Equatable {
    struct Tier: Sendable, Equatable {
        var above: Int64
        var price: Int64
    }

    package var base: Int64
    /// Prices for requests whose whole input is longer than a number of tokens, shortest first.
    private(set) var tiers: [Tier] = []

    package init(_ base: Int64) { self.base = base }

    mutating func add(_ price: Int64, above: Int64) {
        tiers.removeAll { $0.above == above }
        tiers.append(Tier(above: above, price: price))
        tiers.sort { $0.above < $1.above }
    }

    func price(input: Int64) -> Int64 { tiers.last { input > $0.above }?.price ?? base }
}
