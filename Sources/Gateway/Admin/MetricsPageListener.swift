import Configuration
import Exporters
import NIOHTTP1
import NIOPosix
import Synchronization

/// Serves the page of a `prometheus` exporter.
final class MetricsPageListener: PageListener {
    private let address: TelemetryConfiguration.Address
    private let server = Mutex<AdminServer?>(nil)

    init(_ address: TelemetryConfiguration.Address) { self.address = address }

    func start(_ page: @escaping @Sendable (_ accept: String) -> (contentType: String, body: String)) async throws {
        let listener = AdminServer(address: address) { request in
            guard request.path == "/metrics" else { return nil }
            let page = page(request.accept)
            return AdminAnswer(status: .ok, contentType: page.contentType, body: page.body)
        }
        _ = try await listener.start(MultiThreadedEventLoopGroup.singleton, what: "the page of its metrics")
        server.withLock { $0 = listener }
    }

    func stop() async {
        let listener = server.withLock { server in
            defer { server = nil }
            return server
        }
        await listener?.stop()
    }
}
