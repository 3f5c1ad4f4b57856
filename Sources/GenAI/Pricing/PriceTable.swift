import Telemetry

/// Why a price file cannot be used.
package struct PriceFileProblem: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// Prices by provider and model. Immutable; shared by all threads.
package struct PriceTable: Sendable {
    /// Keys are `provider/model` and `model`, lower-case, the provider in the conventions' spelling.
    private var prices: [String: ModelPrice] = [:]
    /// Clauses that name models by parts of their names, in order of the file.
    private var clauses: [(provider: String, clause: MatchClause, price: ModelPrice)] = []
    /// Clauses that cannot be judged: of a kind that is not known, or a regular expression that does not compile.
    package private(set) var skippedClauses = 0
    /// Prices for circumstances that spans do not tell, such as a route.
    package internal(set) var skippedVariants = 0
    /// Units that nothing on a span counts, with the names that have a price in them.
    package private(set) var unreadUnits: [String: Int] = [:]

    package init() {}

    /// How many names have a price.
    package var count: Int { prices.count }

    /// Whether any name has a price that a span's counts can be multiplied with.
    var isUsable: Bool { prices.values.contains { $0.isUsable } }

    /// Sets a price under `provider/model` and, for the first provider of that model, under `model`; names are
    /// lowercased. A price without units is left out.
    package mutating func set(_ price: ModelPrice, provider: String, model: String) {
        guard price.isUsable || !price.unread.isEmpty, !model.isEmpty else { return }
        let name = model.lowercased()
        for unit in price.unread { unreadUnits[unit, default: 0] += 1 }
        if !provider.isEmpty { prices["\(provider)/\(name)"] = price }
        // A name alone belongs to the first provider that lists it with a price that can be told.
        if !(prices[name]?.isUsable ?? false) { prices[name] = price }
    }

    mutating func add(_ clause: MatchClause, provider: String, _ price: ModelPrice) {
        if case .unknown = clause {
            skippedClauses += 1
        } else if price.isUsable || !price.unread.isEmpty {
            clauses.append((provider, clause, price))
        }
    }

    /// Takes another table's prices where this one has none.
    package mutating func merge(_ other: PriceTable) {
        prices.merge(other.prices) { mine, theirs in mine.isUsable ? mine : theirs }
        clauses += other.clauses
        skippedClauses += other.skippedClauses
        skippedVariants += other.skippedVariants
        unreadUnits.merge(other.unreadUnits, uniquingKeysWith: +)
    }

    /// The price for what a span says: the model that answered before the one that was asked for, each with the
    /// provider before without, then by the file's clauses, then without a date or version at the end of the
    /// name. Never by likeness.
    package func price(provider: String, response: String, request: String) -> ModelPrice? {
        let provider = provider.lowercased()
        let names = [response.lowercased(), request.lowercased()].filter { !$0.isEmpty }
        for name in names { if let found = exact(provider, name) { return found } }
        for name in names { if let found = matching(provider, name) { return found } }
        for name in names {
            var stem = name
            while let shorter = PriceTable.withoutVersion(stem) {
                stem = shorter
                if let found = exact(provider, stem) { return found }
            }
        }
        return nil
    }

    private func exact(_ provider: String, _ name: String) -> ModelPrice? {
        if !provider.isEmpty, let found = prices["\(provider)/\(name)"] { return found }
        return prices[name]
    }

    private func matching(_ provider: String, _ name: String) -> ModelPrice? {
        if !provider.isEmpty, let found = clauses.first(where: { $0.provider == provider && $0.clause.holds(name) }) {
            return found.price
        }
        return clauses.first { $0.clause.holds(name) }?.price
    }

    /// The name without its last part when that is a date or version: `-2025-04-14`, `@20250514`, `:latest`, `-v2`.
    static func withoutVersion(_ name: String) -> String? {
        let bytes = Array(name.utf8)
        guard let cut = bytes.lastIndex(where: { $0 == 0x2D || $0 == 0x3A || $0 == 0x40 }), cut > 0 else { return nil }
        let part = bytes[(cut + 1)...]
        let isDigits = part.first.map { $0 >= 0x30 && $0 <= 0x39 } ?? false
        let isVersion =
            part.first == UInt8(ascii: "v") && part.dropFirst().first.map { $0 >= 0x30 && $0 <= 0x39 } ?? false
        let word = String(decoding: part, as: UTF8.self)
        // "gpt-4" must not become "gpt": a model's own number is no version of it.
        let isDate = isDigits && part.count >= 2 && part.allSatisfy { $0 >= 0x30 && $0 <= 0x39 || $0 == 0x2E }
        guard isDate || isVersion || word == "latest" || word == "preview" else { return nil }
        return String(decoding: bytes[..<cut], as: UTF8.self)
    }
}

/// Which models a price is for, as genai-prices says it.
indirect enum MatchClause: Sendable {
    case equals(String), startsWith(String), endsWith(String), contains(String)
    case any([MatchClause]), all([MatchClause])
    /// A regular expression.
    case matches(@Sendable (String) -> Bool)
    case unknown

    func holds(_ name: String) -> Bool {
        switch self {
        case .equals(let text): name == text
        case .startsWith(let text): name.hasPrefix(text)
        case .endsWith(let text): name.hasSuffix(text)
        case .contains(let text): text.isEmpty || name.contains(text)
        case .any(let list): list.contains { $0.holds(name) }
        case .all(let list): list.allSatisfy { $0.holds(name) }
        case .matches(let test): test(name)
        case .unknown: false
        }
    }
}
