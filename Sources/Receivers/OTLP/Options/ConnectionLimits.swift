import Configuration

/// How many connections may be open at once.
package struct ConnectionLimits: Sendable, Equatable {
    package var total: Int
    /// From one address; 0 for no limit.
    package var perAddress: Int

    package init(total: Int = 1024, perAddress: Int = 0) {
        self.total = total
        self.perAddress = perAddress
    }

    /// Reads the options; `beyond` says what becomes of further connections.
    init(_ settings: inout Settings, beyond: String) {
        total = settings.int(
            "max_connections", default: 1024, in: 1...100_000,
            "Connections that may be open at once; further ones are \(beyond), and those that are silent make room.")
        perAddress = settings.int(
            "max_connections_per_address", default: 0, in: 0...100_000,
            "Connections that one address may have open at once, so that one sender cannot take all; 0 for no limit.")
    }
}
