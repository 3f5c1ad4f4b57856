import CCurl
import CSupport
import Glibc
import Synchronization

/// How one HTTP exchange ended, before anybody judged it.
package enum HTTPResult: Sendable {
    /// Status, the answer's body, its Content-Type and Retry-After in seconds, zero when there was none.
    case answered(status: Int, body: [UInt8], contentType: String, retryAfterSeconds: Int)
    /// No usable answer; `reason` is libcurl's.
    case failed(reason: String)
    /// The status came, but the rest of the answer is too large or broke off.
    case unreadable(status: Int, reason: String, retryAfterSeconds: Int)
    case cancelled
}

/// A result, and those fields of the answer's head and trailers that the target keeps, by name in lowercase.
package struct HTTPExchange: Sendable {
    package var result: HTTPResult
    package var fields: [String: String] = [:]
    /// The server answered and ended the stream of HTTP/2 before it had all of the request, and libcurl has lost the
    /// answer.
    package var isCutShort = false
}

/// Sends HTTP POSTs for all exporters of the process: one libcurl multi handle on one thread of its own, and one more
/// of each for those that insist on HTTP/2.
///
/// Requests come in through a queue guarded by a mutex; the thread is woken only when it sleeps. Each request in flight
/// was bounded by its exporter's concurrency before it came here.
package final class CurlEngine: Sendable {
    /// Most idle connections that an engine keeps, for all its targets together.
    static let connectionsMax = 1_024

    /// The process's engine; its thread starts with the first use.
    package static let shared = CurlEngine()

    enum Order {
        case start(Transfer)
        case cancel(UInt64)
        case release(CurlTarget.HandlePool)
        case stop
    }

    private struct Inbox {
        var orders: [Order] = []
        var isPolling = false
        var isStopped = false
        var lastID: UInt64 = 0
    }

    private let threadName: String
    private let companion = Mutex<CurlEngine?>(nil)
    private let inbox = Mutex(Inbox())
    /// Callers that are about to wake the thread; until there are none the handle stays.
    private let wakers = Atomic<Int>(0)
    // Set once in init and only used through libcurl's functions; curl_multi_wakeup is the one that is called from
    // other threads, which libcurl allows.
    nonisolated(unsafe) private let multi: UnsafeMutableRawPointer?

    /// Starts the engine's thread.
    package convenience init() { self.init(threadName: "exporters") }

    private init(threadName: String) {
        self.threadName = threadName
        _ = sluice_curl_global_init()
        // TLS libraries write to sockets without MSG_NOSIGNAL; a peer that hangs up must not end the process.
        signal(SIGPIPE, SIG_IGN)
        multi = curl_multi_init()
        // The default keeps four connections per running transfer, so that exporters would close each other's.
        _ = sluice_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, Self.connectionsMax)
        let box = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let engine = Unmanaged<CurlEngine>.fromOpaque(context).takeRetainedValue()
                sluice_name_thread(engine.threadName)
                // As little as the threads that start deliveries: senders wait for those of the receivers.
                sluice_interrupt_others(false)
                engine.loop()
                return nil
            }, box.toOpaque())
        if code == 0 {
            pthread_detach(thread)
        } else {
            box.release()
            inbox.withLock { $0.isStopped = true }
        }
    }

    /// The engine for targets that insist on HTTP/2, with connections and a thread of its own, made with the first use:
    /// libcurl takes an idle connection of HTTP/1.1 to the same server for such a request too.
    package var forHTTP2: CurlEngine {
        companion.withLock { companion in
            if let companion { return companion }
            let made = CurlEngine(threadName: "exporters http2")
            companion = made
            return made
        }
    }

    /// Posts `body` to `target` and waits for the answer. Cancelling the task stops the transfer. A target takes either
    /// always its own URL or always one of each request.
    package func post(_ body: [UInt8], to target: CurlTarget, url: String? = nil) async -> HTTPResult {
        await post(pieces: [body], to: target, url: url)
    }

    /// Posts a body that lies in several pieces.
    package func post(pieces body: [[UInt8]], to target: CurlTarget, url: String? = nil) async -> HTTPResult {
        await exchange(body, with: target, url: url).result
    }

    /// The same, with the fields of the answer that the target keeps.
    package func exchange(_ body: [[UInt8]], with target: CurlTarget, url: String? = nil) async -> HTTPExchange {
        let id = inbox.withLock { inbox in
            inbox.lastID += 1
            return inbox.lastID
        }
        let flag = CancelFlag()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let transfer = Transfer(
                    id: id, body: body, target: target, url: url, cancel: flag, continuation: continuation)
                send(.start(transfer))
            }
        } onCancel: {
            // The flag is for a task that is cancelled before its transfer is handed over.
            flag.set()
            send(.cancel(id))
        }
    }

    /// Closes a target's idle handles on the engine's thread.
    func release(_ pool: CurlTarget.HandlePool) { send(.release(pool)) }

    /// Ends the thread, and that for HTTP/2; transfers in flight end as cancelled. For tests: the shared engine is
    /// never stopped.
    package func stop() {
        send(.stop)
        companion.withLock { $0 }?.stop()
    }

    private func send(_ order: Order) {
        let (isStopped, wakes) = inbox.withLock { inbox in
            if inbox.isStopped { return (true, false) }
            inbox.orders.append(order)
            defer { inbox.isPolling = false }
            if inbox.isPolling { wakers.add(1, ordering: .relaxed) }
            return (false, inbox.isPolling)
        }
        if isStopped, case .start(let transfer) = order { transfer.finish(.cancelled) }
        guard wakes else { return }
        // Not under the lock: the thread that wakes takes it at once, and on one core spins until its turn is over.
        curl_multi_wakeup(multi)
        wakers.subtract(1, ordering: .releasing)
    }

    // MARK: The engine's thread

    private func loop() {
        var active: [UInt64: Transfer] = [:]
        var isRunning = true
        var spin = SpinGuard()
        while isRunning {
            for order in inbox.withLock({ inbox in
                defer { inbox.orders = [] }
                return inbox.orders
            }) {
                spin.moved()
                switch order {
                case .start(let transfer): start(transfer, &active)
                case .cancel(let id): cancel(id, &active)
                case .release(let pool): pool.closeAll()
                case .stop: isRunning = false
                }
            }
            guard isRunning else { break }
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            if collect(&active) {
                spin.moved()
                continue
            }
            let pause = spin.stood()
            if pause > 0 { usleep(pause) }
            let mayPoll = inbox.withLock { inbox in
                inbox.isPolling = inbox.orders.isEmpty
                return inbox.isPolling
            }
            if mayPoll {
                curl_multi_poll(multi, nil, 0, 60_000, nil)
                inbox.withLock { $0.isPolling = false }
            }
        }
        stopAll(&active)
    }

    private func start(_ transfer: Transfer, _ active: inout [UInt64: Transfer]) {
        guard !transfer.isCancelled else { return transfer.finish(.cancelled) }
        guard let handle = transfer.target.pool.take(transfer.target) else {
            return transfer.finish(.failed(reason: "out of memory for a transfer"))
        }
        transfer.attach(handle)
        let code = curl_multi_add_handle(multi, handle)
        guard code == CURLM_OK else {
            _ = transfer.detach()
            transfer.target.pool.give(back: handle)
            return transfer.finish(.failed(reason: String(cString: curl_multi_strerror(code))))
        }
        active[transfer.id] = transfer
    }

    private func cancel(_ id: UInt64, _ active: inout [UInt64: Transfer]) {
        guard let transfer = active.removeValue(forKey: id) else { return }
        detach(transfer, keep: false)
        transfer.finish(.cancelled)
    }

    /// Finishes the transfers that are done. Returns whether there were any.
    private func collect(_ active: inout [UInt64: Transfer]) -> Bool {
        var left: Int32 = 0
        var found = false
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let handle = message.pointee.easy_handle else { continue }
            let code = message.pointee.data.result
            var context: UnsafeMutableRawPointer?
            _ = sluice_curl_get_pointer(handle, CURLINFO_PRIVATE, &context)
            guard let context else { continue }
            let id = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().id
            guard let transfer = active.removeValue(forKey: id) else { continue }
            let result = transfer.result(code)
            detach(transfer, keep: true)
            transfer.finish(result)
            found = true
        }
        return found
    }

    private func detach(_ transfer: Transfer, keep: Bool) {
        guard let handle = transfer.detach() else { return }
        curl_multi_remove_handle(multi, handle)
        if keep { transfer.target.pool.give(back: handle) } else { curl_easy_cleanup(handle) }
    }

    private func stopAll(_ active: inout [UInt64: Transfer]) {
        for transfer in active.values {
            detach(transfer, keep: false)
            transfer.finish(.cancelled)
        }
        active = [:]
        let late = inbox.withLock { inbox in
            inbox.isStopped = true
            defer { inbox.orders = [] }
            return inbox.orders
        }
        for case .start(let transfer) in late { transfer.finish(.cancelled) }
        // No new ones come, since the engine is marked as stopped.
        while wakers.load(ordering: .acquiring) > 0 { sched_yield() }
        curl_multi_cleanup(multi)
    }
}
