import Gateway

/// Files of recorded telemetry that a command was given.
enum Recordings {
    /// All their requests. Names the files that hold no records, and ends the command when none of them does, or when
    /// one cannot be read. `stored` gives what is taken from elsewhere than a file of that name.
    static func read(
        _ files: [String], stored: (String) throws -> OfflineInput? = { _ in nil }
    ) throws -> [OfflineInput] {
        var inputs: [OfflineInput] = []
        var isEmpty = true
        for file in files {
            let requests: [OfflineInput]
            do {
                requests = try stored(file).map { [$0] } ?? PayloadFile.read(file)
            } catch {
                throw Exit.failed("\(error)")
            }
            if requests.contains(where: { $0.recordCount > 0 }) {
                isEmpty = false
            } else {
                Terminal.error("sluice: \(file) holds no spans, log records or metric points")
            }
            inputs += requests
        }
        if isEmpty { throw Exit.failure }
        return inputs
    }
}
