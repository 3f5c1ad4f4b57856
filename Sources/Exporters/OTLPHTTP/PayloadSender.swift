package import Pipeline
package import Telemetry

/// Posts single recorded payloads, for the `send` command.
package enum PayloadSender {
    /// Sends one body as it is and says what the receiver made of it.
    package static func post(_ bytes: [UInt8], to url: String, signal: Signal, isJSON: Bool) async -> ExportOutcome {
        let endpoint: HTTPEndpoint
        do throws(HTTPEndpoint.Fault) { endpoint = try HTTPEndpoint(url) } catch {
            return .permanent(reason: "\(url) \(error.message)")
        }
        var options = CurlTargetOptions(url: endpoint.url)
        options.headers.append("Content-Type: \(isJSON ? "application/json" : "application/x-protobuf")")
        options.userAgent = "Sluice/send"
        do throws(ExporterStartFailure) {
            let target = try CurlTarget(options, engine: .shared)
            return OTLPAnswer.outcome(await CurlEngine.shared.post(bytes, to: target), signal: signal)
        } catch {
            return .permanent(reason: error.description)
        }
    }
}
