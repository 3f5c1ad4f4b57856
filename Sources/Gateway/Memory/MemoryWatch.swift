import CSupport
import Dispatch
import Exporters
import Receivers
import Synchronization

/// Holds the gateway to a memory_limiter's limit: looks at the process' memory, tells the receivers how many bytes of
/// requests there is room for, and gives memory back.
final class MemoryWatch: Sendable {
    private let shares: MemoryShares
    private let interval: Duration
    private let budget: AdmissionBudget
    private let resident: ResidentMemory
    private let isGivingBack = Atomic(false)
    /// Walking through all free memory takes milliseconds: not on a thread that serves.
    private let queue = DispatchQueue(label: "sluice.memory", qos: .utility)

    /// - Parameter interval: longest time between two looks; zero leaves it to what there is to see.
    init(_ shares: MemoryShares, interval: Duration, budget: AdmissionBudget, resident: ResidentMemory) {
        self.shares = shares
        self.interval = interval
        self.budget = budget
        self.resident = resident
    }

    /// Looks until the task is cancelled, or until `held` has nothing to tell any more.
    func run(held: @Sendable () -> Int?) async {
        var gate = MemoryGate(shares)
        let effects = WorkerEffects.system()
        while !Task.isCancelled {
            guard let held = held() else { return }
            let isStarved = budget.takeStarved()
            // Buffers of connections that are open and silent may be what takes it.
            if isStarved { budget.wantRoom() }
            let verdict = gate.look(
                resident: resident.bytes, reserved: budget.used, held: held, isStarved: isStarved, now: effects.now())
            budget.setRoom(verdict.room, alone: verdict.alone)
            if verdict.givesBack { giveBack() }
            let pause = interval > .zero ? min(interval, verdict.pause) : verdict.pause
            do { try await effects.sleep(pause) } catch { return }
        }
    }

    private func giveBack() {
        guard isGivingBack.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else { return }
        queue.async {
            sluice_trim_memory()
            self.isGivingBack.store(false, ordering: .relaxed)
        }
    }
}
