import ArgumentParser
import Configuration
import Exporters
import Gateway

struct Queue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what each exporter still has to deliver.",
        discussion: """
            Asks the running gateway's metrics listener. When there is none, reads the journals of the configuration \
            and changes nothing in them. Without --config, only exporters that have read a journal are told.
            """)
    @OptionGroup var options: ConfigurationOptions

    @Option(help: "Base URL of the metrics listener of a running gateway. Default: that of the configuration.")
    var endpoint: String?

    @Option(help: "Folder of the journals for which the configuration names no other place.")
    var dataDirectory = LoadedConfiguration.dataDirectory

    @Flag(help: "Prints JSON.")
    var json = false

    func run() async throws {
        let plan = try endpoint == nil ? options.load(dataDirectory: dataDirectory).plan : nil
        let endpoint = endpoint ?? Queue.endpoint(of: plan)
        let all: [ExportWorkerStatus]
        switch await PayloadSender.get(endpoint + "/queues") {
        case .success(let body):
            guard let decoded = ExportWorkerStatus.decode(body) else {
                throw Exit.failed("\(endpoint)/queues is not the metrics listener of a gateway")
            }
            all = decoded
        case .failure(let failure) where failure.isRefusal: throw Exit.failed("\(failure)")
        case .failure(let failure):
            do {
                let plan = try plan ?? options.load(dataDirectory: dataDirectory).plan
                all = try IdleQueues.read(plan, isOwn: !options.config.isEmpty)
                if let missing = IdleQueues.missing(of: plan) {
                    throw Exit.failed(
                        "no answer from a gateway (\(failure)), and there is no journal \(missing): name the folder "
                            + "with --data-directory, or run this where it lies")
                }
            } catch let code as ExitCode { throw code } catch {
                throw Exit.failed("no answer from a gateway (\(failure)), and no look at its journals: \(error)")
            }
        }
        if json { return print(ExportWorkerStatus.encode(all), terminator: "") }
        if all.isEmpty { return print("no exporter has a queue here") }
        for status in all { print(Queue.describe(status)) }
    }

    /// The configuration's first metrics listener, asked on this machine.
    static func endpoint(of plan: GatewayPlan?) -> String {
        guard let address = plan?.telemetry.metricsAddresses.first(where: { $0.port != 0 }) else {
            return "http://127.0.0.1:8888"
        }
        let host =
            switch address.host {
            case "", "0.0.0.0", "localhost": "127.0.0.1"
            case "::": "[::1]"
            case let name: name.contains(":") ? "[\(name)]" : name
            }
        return "http://\(host):\(address.port)"
    }

    private static func describe(_ status: ExportWorkerStatus) -> String {
        var text = "\(status.exporter) of \(status.pipeline): "
        text += "\(status.items) records in \(status.requests) requests, \(status.bytes) bytes"
        if let age = status.oldestSeconds { text += "; oldest \(seconds(age))" }
        if let next = status.nextRetrySeconds { text += "; next attempt in \(seconds(next))" }
        if let error = status.lastError {
            text += "\n    last error\(status.lastErrorSecondsAgo.map { " \(seconds($0)) ago" } ?? ""): \(error)"
        }
        return text
    }

    private static func seconds(_ value: Double) -> String {
        let whole = Int(min(value, 1e12))
        switch whole {
        case ..<120: return "\(whole) s"
        case ..<7_200: return "\(whole / 60) min"
        case ..<172_800: return "\(whole / 3_600) h"
        default: return "\(whole / 86_400) d"
        }
    }
}
