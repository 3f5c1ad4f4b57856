import Configuration
package import Pipeline
package import Telemetry

/// Posts single recorded payloads, for the `send` command.
package enum PayloadSender {
    /// Why a GET has no answer to show.
    package struct NoAnswer: Error, CustomStringConvertible {
        package var description: String
        /// The gateway is there and says what is wrong with the question.
        package var isRefusal = false
    }

    /// The body of the answer to a GET, or why there is none.
    package static func get(_ url: String) async -> Result<[UInt8], NoAnswer> {
        var options = CurlTargetOptions(url: url)
        options.readsAnswers = true
        let url = URLMask.mask(in: url)
        options.method = "GET"
        options.timeout = .seconds(5)
        let target: CurlTarget
        do throws(ExporterStartFailure) { target = try CurlTarget(options, engine: .shared) } catch {
            return .failure(NoAnswer(description: error.description))
        }
        switch await CurlEngine.shared.post([], to: target) {
        case .answered(200, let body, _, _): return .success(body)
        case .answered(let status, let body, _, _) where [400, 403, 429].contains(status) && !body.isEmpty:
            return .failure(NoAnswer(description: String(decoding: body.prefix(2000), as: UTF8.self), isRefusal: true))
        case .answered(let status, _, _, _), .unreadable(let status, _, _):
            return .failure(NoAnswer(description: "\(url) answers HTTP \(status)"))
        case .failed(let reason): return .failure(NoAnswer(description: "\(url): \(reason)"))
        case .cancelled: return .failure(NoAnswer(description: "\(url): stopped before the answer came"))
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
