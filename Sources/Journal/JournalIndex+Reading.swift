import Pipeline

/// What a reader that asked for frames has to do.
enum ReadStep {
    case frames([StoredFrame])
    /// Wait for the wakeup that was registered. `older` is a wait that this one ends.
    case wait(WaitKind, older: Wakeup?)
    /// No frame will come through this handle any more.
    case ended
}

/// Why a reader waits.
enum WaitKind {
    case forAppend
    /// A reader thread is at it; `isNew` when it has to be told.
    case forDisk(isNew: Bool)
    /// A read failed for a passing reason and is to be tried again a little later.
    case pause
}

/// The piece of a segment that a reader thread is to read for a cursor.
struct FetchRequest {
    var segment: SegmentInfo
    var place: Place
    var generation: Int
}

extension JournalIndex {
    /// Gives frames that are in memory, or registers `wakeup`.
    mutating func read(
        _ name: String, handle: Int, maxFrames: Int, maxBytes: Int, now: UInt64, wakeup: Wakeup
    ) -> ReadStep {
        // Taken out while it changes, so that its arrays are never copied.
        guard var cursor = cursors.removeValue(forKey: name) else { return .ended }
        let before = cursor.fetchPlace
        defer {
            let hasMoved = cursor.fetchPlace != before
            cursors[name] = cursor
            if hasMoved { trimTail() }
        }
        guard cursor.handle == handle else { return .ended }
        while true {
            let frames = cursor.take(maxFrames: maxFrames, maxBytes: maxBytes, now: now)
            if !frames.isEmpty { return .frames(frames) }
            if cursor.isFetching {
                return .wait(.forDisk(isNew: false), older: cursor.wait(with: wakeup, forDisk: true))
            }
            if cursor.mustPause {
                cursor.mustPause = false
                return .wait(.pause, older: cursor.wait(with: wakeup))
            }
            guard cursor.advance(over: segments) else {
                return .wait(.forAppend, older: cursor.wait(with: wakeup))
            }
            guard let newest = tail.frames(from: cursor.fetchPlace) else {
                return .wait(.forDisk(isNew: true), older: cursor.wait(with: wakeup, forDisk: true))
            }
            cursor.fetch(
                Self.prefix(of: newest, maxFrames: maxFrames, maxBytes: maxBytes), appended: appendedBytes,
                near: nearBytes)
        }
    }

    /// Whether the next piece of a backlog is to be read while the one that was just taken is delivered.
    mutating func mustReadAhead(_ name: String) -> Bool {
        // Most readers keep up, and nothing of them is to be moved about.
        guard cursors[name]?.isBehind == true, var cursor = cursors.removeValue(forKey: name) else { return false }
        defer { cursors[name] = cursor }
        guard cursor.advance(over: segments) else { return false }
        return tail.frames(from: cursor.fetchPlace) == nil
    }

    /// Begins a read from disk; nil when there is nothing to read any more.
    mutating func beginFetch(_ name: String) -> FetchRequest? {
        guard var cursor = cursors.removeValue(forKey: name) else { return nil }
        defer { cursors[name] = cursor }
        guard !cursor.isFetching, cursor.advance(over: segments), let segment = segment(cursor.fetchPlace.segment)
        else { return nil }
        return FetchRequest(segment: segment, place: cursor.fetchPlace, generation: cursor.beginFetch())
    }

    /// Ends a read from disk. Gives the wait to end.
    mutating func endFetch(_ name: String, _ request: FetchRequest, _ result: FetchResult) -> Wakeup? {
        guard var cursor = cursors.removeValue(forKey: name) else { return nil }
        defer { cursors[name] = cursor }
        guard cursor.endFetch(request.generation) else { return cursor.takeWakeup() }
        switch result {
        case .read(let frames, let place, let isDamaged):
            cursor.fetch(frames[...], goingOnAt: place)
            if isDamaged { markDamaged(request.segment.number) }
        case .unreadable:
            cursor.skipSegment(request.segment)
        case .failed:
            cursor.mustPause = true
        }
        return cursor.takeWakeup()
    }

    private static func prefix(
        of frames: ArraySlice<PlacedFrame>, maxFrames: Int, maxBytes: Int
    ) -> ArraySlice<PlacedFrame> {
        var end = frames.startIndex
        var bytes = 0
        while end < frames.endIndex, end == frames.startIndex || end - frames.startIndex < maxFrames {
            bytes += frames[end].stored.frame.bytes.count
            if end > frames.startIndex, bytes > maxBytes { break }
            end += 1
        }
        return frames[..<end]
    }
}

/// How a read from disk ended.
enum FetchResult {
    /// The frames found, none or more, and where to go on.
    case read([PlacedFrame], goingOnAt: Place, isDamaged: Bool)
    /// The file is gone.
    case unreadable
    /// A failure that may pass, such as too many open files, and why.
    case failed(String)
}
