import Pipeline

/// Decides which batches of a backlog above its cap are given up: the oldest of those that wait for their next attempt,
/// and no more than the surplus. A value without effects.
struct Shedding {
    /// Sum of `givenUp`.
    private(set) var amount = HeldAmount()
    /// Batches that no attempt is running for, by number; numbers rise with age.
    private var waiting: Set<Int> = []
    /// What is given up and not settled yet, by number.
    private var givenUp: [Int: HeldAmount] = [:]
    private var lastNumber = 0

    /// Takes in the next batch.
    mutating func add() -> Int {
        lastNumber += 1
        waiting.insert(lastNumber)
        return lastNumber
    }

    mutating func attemptBegins(_ number: Int) { waiting.remove(number) }

    mutating func attemptEnds(_ number: Int) { waiting.insert(number) }

    func isGivenUp(_ number: Int) -> Bool { givenUp[number] != nil }

    /// Whether nobody who waits is older.
    func isOldest(_ number: Int) -> Bool { waiting.min() == number }

    /// Marks a batch as part of the surplus; `left` is what of it is not settled.
    mutating func giveUp(_ number: Int, _ left: HeldAmount) {
        waiting.remove(number)
        givenUp[number] = left
        amount += left
    }

    /// A batch is settled, or stays for the next start.
    mutating func leave(_ number: Int) {
        waiting.remove(number)
        if let left = givenUp.removeValue(forKey: number) { amount -= left }
    }
}

/// A prepared batch on its way, with its number among those that may be given up.
struct Delivery {
    let number: Int
    let prepared: PreparedBatch
    /// Items that are settled before the others, by their place in the batch, in order of time.
    var settled: [Range<Int>] = []

    /// What of it is not settled. A frame in several parts counts with its last one.
    var left: HeldAmount {
        let items = prepared.batch.itemCount - settled.reduce(0) { $0 + $1.count }
        let frames = prepared.parts.count { $0.items.upperBound == $0.ticket.items }
        return HeldAmount(frames: frames, items: items, bytes: prepared.batch.byteCount)
    }

    /// For each part what is not settled yet, by its place in the ticket's frame.
    var open: [(ticket: AcknowledgementTracker.Ticket, items: [Range<Int>])] {
        let left = JournaledRecords.gaps(between: JournaledRecords.joined(settled), of: prepared.batch.itemCount)
        return prepared.parted(left)
    }
}
