import Pipeline

extension ExporterStartFailure {
    /// Throws when no file can be written at the `path` option of an exporter.
    static func check(file path: String, makesFolder: Bool) throws(ExporterStartFailure) {
        guard let fault = PathCheck.fault(ofFile: path, makesFolder: makesFolder) else { return }
        var failure = ExporterStartFailure("\(path) \(fault.reason)", at: "path", fix: fault.fix)
        failure.isOfMachine = true
        throw failure
    }
}
