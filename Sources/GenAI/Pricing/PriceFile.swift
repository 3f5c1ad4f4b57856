package import Telemetry

/// Reads price files of two shapes: LiteLLM's `model_prices_and_context_window.json` (one object, dollars per token)
/// and genai-prices' `data.json` (a list of providers, dollars per million tokens).
package enum PriceFile {
    /// Largest file that is read.
    package static let bytesMax = 64 << 20

    /// Compiles a regular expression into a test of a whole name; nil when it is none.
    package typealias PatternMaker = (String) -> (@Sendable (String) -> Bool)?

    /// Reads a file of either shape. Throws when it is neither, or when no name in it has a usable price.
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
        guard reader.table.isUsable else {
            throw PriceFileProblem(
                description: "holds no prices: neither LiteLLM's shape (model: {input_cost_per_token}) nor that of "
                    + "genai-prices ([{id, models: [{id, prices}]}])")
        }
        return reader.table
    }
}

/// What both shapes need.
struct PriceReader {
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
    func provider(_ word: Text) -> String {
        providers?.lookup(word).text?.string ?? word.string.lowercased()
    }

    /// Picodollars of a number of dollars for so many; nil for anything else and for negative prices.
    func money(_ ref: JSONRef, per count: Double, _ tree: inout JSONTree) -> Int64? {
        guard tree.kind(ref) == .number, let dollars = Number.double(tree.string(ref)), dollars >= 0 else { return nil }
        let picodollars = (dollars * 1e12 / count).rounded()
        return picodollars < 1e15 ? Int64(picodollars) : nil
    }
}
