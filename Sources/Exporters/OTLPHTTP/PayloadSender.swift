import Configuration
package import Pipeline
package import Telemetry

/// Posts single recorded payloads, for the `send` command.
package enum PayloadSender {
    /// The body of the answer to a GET, or why there is none.
    package static func get(_ url: String) async -> Result<[UInt8], ExporterStartFailure> {
        var options = CurlTargetOptions(url: url)
        let url = URLMask.mask(in: url)
        options.method = "GET"
        options.timeout = .seconds(5)
        do throws(ExporterStartFailure) {
            switch await CurlEngine.shared.post([], to: try CurlTarget(options, engine: .shared)) {
            case .answered(200, let body, _, _): return .success(body)
            case .answered(let status, _, _, _), .unreadable(let status, _, _):
                return .failure(ExporterStartFailure("\(url) answers HTTP \(status)"))
            case .failed(let reason): return .failure(ExporterStartFailure("\(url): \(reason)"))
            case .cancelled: return .failure(ExporterStartFailure("\(url): stopped before the answer came"))
            }
        } catch {
            return .failure(error)
        }
    }

    /// Sends one body as it is and says what the receiver made of it.
    package static func post(_ bytes: [UInt8], to url: String, signal: Signal, isJSON: Bool) async -> ExportOutcome {
        let endpoint: HTTPEndpoint
        do throws(HTTPEndpoint.Fault) { endpoint = try HTTPEndpoint(url) } catch {
            return .permanent(reason: "\(URLMask.mask(in: url)) \(error.message)")
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
