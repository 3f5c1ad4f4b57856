import CSupport
import Glibc
import Synchronization

/// A flag that one thread waits for and any thread sets. Setting it twice before the wait counts once.
///
/// Sendable by hand: the semaphore lies at a fixed address for the life of the event, and its calls are for any thread.
/// One, and not a condition: a thread that is woken by a condition takes its mutex as if others waited for it, which is
/// a system call more for each wait.
final class Event: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private let isSet = Atomic(false)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func set() {
        if !isSet.exchange(true, ordering: .acquiringAndReleasing) { sem_post(semaphore) }
    }

    /// Waits for the flag, or until `deadline` (monotonic nanoseconds), and clears it.
    func wait(until deadline: UInt64? = nil) {
        if let deadline {
            var time = timespec(
                tv_sec: Int(clamping: deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
            while !sluice_semaphore_wait(semaphore, &time) {
                if monotonicNanoseconds() >= deadline { return }
            }
        } else {
            while sem_wait(semaphore) != 0 {}
        }
        // What was done before a `set` that comes from here on is seen by the next wait, before it by this one.
        isSet.store(false, ordering: .sequentiallyConsistent)
    }
}

/// Nanoseconds of the monotonic clock.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

extension Duration {
    /// Whole nanoseconds, 0 for negative ones, clamped to some hundred years.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        if seconds < 0 || attoseconds < 0 { return 0 }
        return UInt64(min(seconds, 1 << 33)) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }
}

/// A thread of its own for calls that block on the disk, which the cooperative pool must not do.
struct DiskThread {
    private final class Body {
        private let name: String
        private let body: @Sendable () -> Void

        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }

        func run() {
            sluice_interrupt_others(true)
            sluice_name_thread(name)
            body()
        }
    }

    private let thread: pthread_t

    /// Starts `body`; the system refuses only when it is out of threads, and the error then has `name`.
    init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        var thread = pthread_t()
        // The new thread takes over the reference that is made here.
        let raw = Unmanaged.passRetained(Body(name, body)).toOpaque()
        let code = pthread_create(
            &thread, nil,
            { raw in
                raw.map { Unmanaged<Body>.fromOpaque($0).takeRetainedValue().run() }
                return nil
            }, raw)
        guard code == 0 else {
            Unmanaged<Body>.fromOpaque(raw).release()
            throw SystemError(call: "pthread_create", path: name, code: code)
        }
        self.thread = thread
    }

    /// Waits until the body has returned; false at once when it is the body that asks.
    func join() -> Bool {
        if pthread_equal(thread, pthread_self()) != 0 {
            pthread_detach(thread)
            return false
        }
        return pthread_join(thread, nil) == 0
    }
}
