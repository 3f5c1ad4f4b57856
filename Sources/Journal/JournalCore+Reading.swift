import Glibc
import Pipeline
import Synchronization

extension JournalCore {
    /// The reader thread: serves cursors that are behind what is in memory.
    func runReader() {
        let scanner = SegmentScanner(chunkBytes: options.readBytes)
        var open: [String: OpenSegment] = [:]
        var segments = OpenSegments(files: files, directory: directory)
        while true {
            readerEvent.wait()
            serveParts(&segments)
            while let name = takeFetch() {
                let request = shared.withLock { $0.index.beginFetch(name) }
                let wakeup: Wakeup?
                if let request {
                    let result = fetch(request, file: &open[name], scanner: scanner)
                    wakeup = shared.withLock { $0.index.endFetch(name, request, result) }
                } else {
                    wakeup = shared.withLock { $0.index.cursors[name]?.takeWakeup() }
                }
                wakeup?.fire(true)
            }
            open = open.filter { name, _ in shared.withLock { $0.index.cursors[name] != nil } }
            if isClosing { return endParts() }
        }
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
    private func fetch(_ request: FetchRequest, file slot: inout OpenSegment?, scanner: SegmentScanner) -> FetchResult {
        let segment = request.segment
        do throws(SystemError) {
            if slot?.number != segment.number {
                let path = directory + "/" + JournalFileName.segment(number: segment.number)
                slot = OpenSegment(number: segment.number, file: try files.open(path, writable: false))
            }
            guard let file = slot?.file else { return .failed }
            var place = request.place
            var frames: [PlacedFrame] = []
            var isDamaged = false
            while frames.isEmpty, place.offset < segment.dataEnd {
                let chunk = try scanner.scan(
                    file, from: place.offset, to: segment.dataEnd, seed: segment.seed
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
        } catch  where error.code == ENOENT && files.isJournal(in: directory) {
            note(.error, "\(error); what it held is lost")
            return .unreadable
        } catch {
            slot = nil
            note(.warning, "\(error); will be tried again")
            return .failed
        }
    }
}
