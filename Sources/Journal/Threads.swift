import Glibc
import Synchronization

/// A flag that one thread waits for and any thread sets. Setting it twice before the wait counts once.
///
/// Sendable by hand: the two pthread objects live at fixed addresses for the life of the event, and the flags are
/// only touched while the mutex is held.
final class Event: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isSet = false
    private var isAwaited = false

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Waits must not jump with the wall clock.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func set() {
        pthread_mutex_lock(mutex)
        let mustSignal = isAwaited && !isSet
        isSet = true
        pthread_mutex_unlock(mutex)
        // Outside, or the woken thread would wait again, for the mutex.
        if mustSignal { pthread_cond_signal(condition) }
    }

    /// Waits for the flag, or until `deadline` (monotonic nanoseconds), and clears it.
    func wait(until deadline: UInt64? = nil) {
        pthread_mutex_lock(mutex)
        isAwaited = true
        defer {
            isAwaited = false
            isSet = false
            pthread_mutex_unlock(mutex)
        }
        if let deadline {
            var time = timespec(
                tv_sec: Int(clamping: deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
            while !isSet, pthread_cond_timedwait(condition, mutex, &time) == 0 {}
        } else {
            while !isSet { pthread_cond_wait(condition, mutex) }
        }
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
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let thread: pthread_t

    /// Starts `body`; the system refuses only when it is out of threads, and the error then has `name`.
    init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        var thread = pthread_t()
        // The new thread takes over the reference that is made here.
        let raw = Unmanaged.passRetained(Body(body)).toOpaque()
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
