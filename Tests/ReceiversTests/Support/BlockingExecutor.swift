import Glibc
import Synchronization

/// Runs the tests that wait on sockets on threads of their own, one for each job that is ready, so that they can block
/// without taking the few threads that all other tests and tasks share.
final class BlockingExecutor: TaskExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var idle = 0
    }

    static let shared = BlockingExecutor()

    private let state = Mutex(State())
    // Both pointers are set once and only used through pthread's own functions, which any thread may call.
    private nonisolated(unsafe) let lock: UnsafeMutablePointer<pthread_mutex_t>
    // As above.
    private nonisolated(unsafe) let signal: UnsafeMutablePointer<pthread_cond_t>

    private init() {
        lock = .allocate(capacity: 1)
        signal = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        pthread_cond_init(signal, nil)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        pthread_mutex_lock(lock)
        let needsThread = state.withLock { state in
            state.jobs.append(job)
            return state.idle < state.jobs.count
        }
        pthread_cond_signal(signal)
        pthread_mutex_unlock(lock)
        guard needsThread else { return }
        var thread = pthread_t()
        pthread_create(&thread, nil, { _ in BlockingExecutor.shared.work() }, nil)
        pthread_detach(thread)
    }

    private func work() -> UnsafeMutableRawPointer? {
        while true {
            next().runSynchronously(on: asUnownedTaskExecutor())
        }
    }

    private func next() -> UnownedJob {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while true {
            let job = state.withLock { $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }
            if let job { return job }
            state.withLock { $0.idle += 1 }
            pthread_cond_wait(signal, lock)
            state.withLock { $0.idle -= 1 }
        }
    }
}
