import CSupport
import Glibc
import Pipeline
import Synchronization

extension JournalCore {
    /// The reader thread: serves cursors that are behind what is in memory.
    func runReader() {
        sluice_interrupt_others(false)
        let scanner = SegmentScanner(chunkBytes: options.readBytes)
        var open: [String: OpenSegment] = [:]
        var segments = OpenSegments(files: files, directory: directory)
        var pacing = CatchUpPacing(bytesPerSecond: options.catchUpBytesPerSecond)
        while true {
            readerEvent.wait(until: pacing.pause)
            serveParts(&segments)
            while pacing.isOver(at: monotonicNanoseconds()), let name = takeFetch() {
                serve(name, file: &open[name], scanner: scanner, &pacing)
            }
            let names = shared.withLock { Set($0.index.cursors.keys) }
            open = open.filter { names.contains($0.key) }
            pacing.retain(where: names.contains)
            if isClosing { return endParts() }
        }
    }

    /// Reads for one cursor, if it still needs that.
    private func serve(
        _ name: String, file: inout OpenSegment?, scanner: SegmentScanner, _ pacing: inout CatchUpPacing
    ) {
        let request = shared.withLock { $0.index.beginFetch(name) }
        let wakeup: Wakeup?
        if let request {
            let most = pacing.most(at: monotonicNanoseconds())
            var result = fetch(request, atMost: most, file: &file, scanner: scanner)
            if case .read(let frames, let place, let isDamaged) = result {
                pacing.didRead(
                    place.offset - request.place.offset, for: name,
                    appended: shared.withLock { $0.index.appendedBytes }, at: monotonicNanoseconds())
                if pacing.isAtPace { result = .read(frames.map(\.paced), goingOnAt: place, isDamaged: isDamaged) }
            }
            wakeup = shared.withLock { shared in
                shared.noteRead(result)
                return shared.index.endFetch(name, request, result)
            }
        } else {
            wakeup = shared.withLock { $0.index.cursors[name]?.takeWakeup() }
        }
        wakeup?.fire(true)
    }

    /// The segment that a cursor read from last.
    private struct OpenSegment {
        var number: UInt64
        var file: any JournalFile
    }

    private func takeFetch() -> String? {
        shared.withLock { shared in
            shared.isClosing || shared.fetches.isEmpty ? nil : shared.fetches.removeFirst()
        }
    }

    /// Reads until there is a frame or the segment ends.
    private func fetch(
        _ request: FetchRequest, atMost most: Int, file slot: inout OpenSegment?, scanner: SegmentScanner
    ) -> FetchResult {
        let segment = request.segment
        do throws(SystemError) {
            if slot?.number != segment.number {
                let path = directory + "/" + JournalFileName.segment(number: segment.number)
                let file = try files.open(path, writable: false)
                file.bypassCache()
                slot = OpenSegment(number: segment.number, file: file)
            }
            guard let file = slot?.file else { return .failed("no file") }
            var place = request.place
            var frames: [PlacedFrame] = []
            var isDamaged = false
            while frames.isEmpty, place.offset < segment.dataEnd {
                let chunk = try scanner.scan(
                    file, from: place.offset, to: segment.dataEnd, seed: segment.seed, atMost: most
                ) { header, bytes, offset in
                    guard header.sequence < segment.end else { return true }
                    let start = Place(segment: segment.number, offset: offset, frame: place.frame)
                    place.frame += 1
                    guard let frame = header.frame(in: bytes) else { return true }
                    let next = Place(
                        segment: segment.number, offset: offset + header.recordBytes, frame: place.frame)
                    let stored = StoredFrame(sequence: Sequence(header.sequence), frame: frame)
                    frames.append(PlacedFrame(stored: stored, place: start, next: next))
                    return true
                }
                isDamaged = isDamaged || chunk.damage != nil
                place.offset = chunk.next
            }
            return .read(frames, goingOnAt: place, isDamaged: isDamaged)
        } catch  where error.code == ENOENT && isJournalThere() {
            note(.error, "\(error); what it held is lost")
            return .unreadable
        } catch {
            slot = nil
            note(.warning, "\(error); will be tried again")
            return .failed("\(error)")
        }
    }

    /// Whether a file that cannot be found is lost. A directory that was removed is made anew for that: nothing may
    /// come in that would have the writer do it.
    private func isJournalThere() -> Bool {
        try? holdLock()
        return files.isJournal(in: directory)
    }
}

extension JournalCore.Shared {
    /// One read that fails is nothing to tell of; with so many in a row delivery stands still.
    private static let failedReadsMax = 8

    fileprivate mutating func noteRead(_ result: FetchResult) {
        if case .failed(let reason) = result {
            failedReads = (failedReads.count + 1, reason)
        } else {
            failedReads = (0, "")
        }
    }

    /// Why what is kept cannot be read; nil while it can.
    var readProblem: String? {
        failedReads.count < Self.failedReadsMax ? nil : "what is kept cannot be read: \(failedReads.reason)"
    }
}
