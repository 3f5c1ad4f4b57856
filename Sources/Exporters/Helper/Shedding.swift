import Pipeline

/// Decides which batches of a backlog above its cap are given up: the oldest of those that wait for their next attempt,
/// and no more than the surplus. A value without effects.
struct Shedding {
    private struct Gone {
        var end: Sequence
        var amount: HeldAmount
    }

    /// What is delivered or given up, but still in the backlog because an older frame is open.
    private var gone: [Gone] = []
    /// Sum of `gone`.
    private(set) var amount = HeldAmount()
    /// Batches that no attempt is running for, by number; numbers rise with age.
    private var waiting: Set<Int> = []
    private var givenUp: Set<Int> = []
    private var lastNumber = 0

    /// Takes in the next batch.
    mutating func add() -> Int {
        lastNumber += 1
        waiting.insert(lastNumber)
        return lastNumber
    }

    mutating func attemptBegins(_ number: Int) { waiting.remove(number) }

    mutating func attemptEnds(_ number: Int) { waiting.insert(number) }

    func isGivenUp(_ number: Int) -> Bool { givenUp.contains(number) }

    /// Whether nobody who waits is older.
    func isOldest(_ number: Int) -> Bool { waiting.min() == number }

    /// Marks a batch whose frames end at `end` as part of the surplus.
    mutating func giveUp(_ number: Int, end: Sequence, _ amount: HeldAmount) {
        waiting.remove(number)
        givenUp.insert(number)
        add(Gone(end: end, amount: amount))
    }

    /// A batch is settled; `acknowledged` is up to where the backlog has moved with it, if it has.
    mutating func settle(_ number: Int, end: Sequence, _ amount: HeldAmount, acknowledged: Sequence?) {
        waiting.remove(number)
        if givenUp.remove(number) == nil { add(Gone(end: end, amount: amount)) }
        guard let acknowledged else { return }
        gone.removeAll { gone in
            guard gone.end <= acknowledged else { return false }
            self.amount -= gone.amount
            return true
        }
    }

    /// A batch stays for the next start.
    mutating func leave(_ number: Int) { waiting.remove(number) }

    private mutating func add(_ part: Gone) {
        gone.append(part)
        amount += part.amount
    }
}

/// A prepared batch on its way, with its number among those that may be given up.
struct Delivery {
    let number: Int
    let prepared: PreparedBatch
    /// Items that are settled before the others, by their place in the batch, in order of time.
    var settled: [Range<Int>] = []

    /// Behind its last frame.
    var end: Sequence { prepared.parts.last?.ticket.end ?? Sequence(0) }

    /// What it holds.
    var amount: HeldAmount {
        HeldAmount(
            frames: prepared.parts.count, items: prepared.batch.itemCount, bytes: prepared.batch.byteCount)
    }

    /// For each part what is not settled yet, by its place in the ticket's frame.
    var open: [(ticket: AcknowledgementTracker.Ticket, items: [Range<Int>])] {
        let left = JournaledRecords.gaps(between: JournaledRecords.joined(settled), of: prepared.batch.itemCount)
        return prepared.parted(left)
    }
}
