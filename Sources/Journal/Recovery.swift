import Glibc

/// Brings a directory into order and tells what is in it. May be interrupted anywhere and run again.
struct Recovery {
    /// What was found.
    struct State {
        var journal: JournalID
        var index: JournalIndex
        var nextNumber: UInt64
        var lock: any JournalFile
        /// Half-made and spare segment files that are still there.
        var leftovers: [String]
    }

    private struct FoundSegment {
        var number: UInt64
        var header: SegmentHeader?
    }

    private let files: any JournalFileSystem
    private let directory: String
    private let log: @Sendable (JournalNotice) -> Void
    private let scanner = SegmentScanner(chunkBytes: 1 << 20)
    private var changed = false

    init(files: any JournalFileSystem, directory: String, log: @escaping @Sendable (JournalNotice) -> Void) {
        self.files = files
        self.directory = directory
        self.log = log
    }

    mutating func run(tailBytes: Int) throws(JournalError) -> State {
        do {
            let lock = try takeLock()
            let names = try files.names(in: directory).sorted()
            let found = try readHeaders(names)
            let journal = JournalID.common(
                found.segments.compactMap { segment in segment.header.map { (segment.number, $0) } },
                found.cursors.values.compactMap { $0 })
            let leftovers = removeLeftovers(names)
            for name in Self.oldQuarantined(names) { remove(name) }
            let segments = try recoverSegments(found.segments, journal: journal)
            // A cursor may know of sequences whose segments are gone; they must not be given out again.
            let known = found.cursors.values.compactMap { slot -> UInt64? in
                guard let slot, slot.journal == journal else { return nil }
                return max(slot.position, slot.settled.ranges.last?.upperBound ?? 0)
            }
            let next = max(segments.last?.end ?? 0, known.max() ?? 0)
            var index = JournalIndex(segments: segments, nextSequence: next, tailBytes: tailBytes)
            for (name, slot) in found.cursors {
                index.cursors[name] = cursor(name, slot, journal: journal, in: index)
            }
            if changed { try files.syncDirectory(directory) }
            return State(
                journal: journal, index: index, nextNumber: Self.nextNumber(names), lock: lock,
                leftovers: leftovers.map(path))
        } catch let error as JournalError {
            throw error
        } catch let error as SystemError {
            throw .system(error)
        } catch {
            throw .system(SystemError(call: "open", path: directory, code: EIO))
        }
    }

    private func path(_ name: String) -> String { directory + "/" + name }

    private func note(_ level: JournalNotice.Level, _ text: String) {
        log(JournalNotice(level: level, text: text))
    }

    private func takeLock() throws -> any JournalFile {
        try files.makeDirectory(directory)
        let lock = try files.create(path(JournalFileName.lock), exclusive: false)
        guard try Self.take(lock) else {
            let text = try lock.readAll(count: 64, at: 0)
            let holder = String(decoding: text.prefix { $0 >= 0x20 }, as: UTF8.self)
            throw JournalError.locked(directory: directory, holder: holder.isEmpty ? "another process" : holder)
        }
        return lock
    }

    /// Takes a lock file and writes our name into it. False when another process has it.
    static func take(_ lock: any JournalFile) throws(SystemError) -> Bool {
        guard try lock.tryLock() else { return false }
        let text = "pid \(getpid())\n"
        // Only for who asks who has it: a full disk must not keep us from draining.
        try? lock.truncate(0)
        try? lock.writeAll(Array(text.utf8), at: 0)
        return true
    }

    // MARK: Headers

    /// Reads all headers before anything is changed, so that a newer format is refused untouched.
    private func readHeaders(
        _ names: [String]
    ) throws -> (segments: [FoundSegment], cursors: [String: CursorSlot?]) {
        var segments: [FoundSegment] = []
        var cursors: [String: CursorSlot?] = [:]
        for name in names {
            switch JournalFileName(name) {
            case .segment(let number):
                let page = try front(name, count: JournalFormat.dataOffset)
                let reading = page.withUnsafeBytes { SegmentHeader.read(page: $0) }
                segments.append(FoundSegment(number: number, header: try reading.accepted(from: path(name))))
            case .cursor(let cursor):
                let bytes = try front(name, count: JournalFormat.cursorFileBytes)
                let reading = bytes.withUnsafeBytes { CursorSlot.read(file: $0) }
                cursors[cursor] = .some(try reading.accepted(from: path(name)))
            case .quarantined, .leftover, .foreign:
                continue
            }
        }
        return (segments, cursors)
    }

    /// The first bytes of a file; none when the disk or the file's kind does not let us.
    private func front(_ name: String, count: Int) throws(SystemError) -> [UInt8] {
        do throws(SystemError) {
            let file = try files.open(path(name), writable: false)
            let bytes = try file.readAll(count: count, at: 0)
            file.close()
            return bytes
        } catch  where [EIO, EISDIR, ELOOP, ENXIO, ENOENT].contains(error.code) {
            note(.error, "\(error)")
            return []
        }
    }

    /// Set-aside segments beyond the newest eight: a disk that rots must not fill up with what rotted.
    private static func oldQuarantined(_ names: [String]) -> ArraySlice<String> {
        names.filter { if case .quarantined = JournalFileName($0) { true } else { false } }.dropLast(8)
    }

    private static func nextNumber(_ names: [String]) -> UInt64 {
        let numbers = names.compactMap { name -> UInt64? in
            switch JournalFileName(name) {
            case .segment(let number), .quarantined(let number): number
            default: nil
            }
        }
        return (numbers.max() ?? 0) &+ 1
    }

    // MARK: Segments

    private mutating func recoverSegments(
        _ found: [FoundSegment], journal: JournalID
    ) throws(SystemError) -> [SegmentInfo] {
        var segments: [SegmentInfo] = []
        for (position, segment) in found.enumerated() {
            let name = JournalFileName.segment(number: segment.number)
            if let header = segment.header {
                let isMisplaced = header.number != segment.number || header.base < segments.last?.end ?? 0
                if header.journal != journal || isMisplaced {
                    let items = items(in: name)
                    quarantine(
                        name, because: "it does not belong at this place of this journal; it holds \(items) records")
                    continue
                }
            }
            // The next good header says where this segment ends.
            let following = found[(position + 1)...].first { next in
                next.header.map { $0.journal == journal && $0.number == next.number } ?? false
            }
            do throws(SystemError) {
                let limit = following?.header?.base ?? .max
                if let info = try recover(name, segment, journal: journal, before: limit) { segments.append(info) }
            } catch  where [EIO, EISDIR, ELOOP, ENXIO].contains(error.code) {
                quarantine(name, because: "\(error)")
            }
        }
        return segments
    }

    /// How many records can be read in a segment, of whichever journal it is.
    private func items(in name: String) -> UInt64 {
        var items: UInt64 = 0
        guard let file = try? files.open(path(name), writable: false) else { return 0 }
        defer { file.close() }
        _ = try? scanner.visitRecords(of: file) { record, _ in
            items += UInt64(record.items)
            return true
        }
        return items
    }

    /// What a segment holds; nil when it is empty, and then removed, or useless, and then set aside.
    private mutating func recover(
        _ name: String, _ found: FoundSegment, journal: JournalID, before limit: UInt64
    ) throws(SystemError) -> SegmentInfo? {
        let file = try files.open(path(name), writable: true)
        defer { file.close() }
        let size = try file.size() & ~7
        if let header = found.header, let seal = try file.seal(of: size, seed: header.seed),
            seal.sequence >= header.base
        {
            return SegmentInfo(
                number: found.number, base: header.base, end: max(header.base, min(seal.sequence, limit)),
                dataEnd: size - JournalFormat.recordHeaderBytes, frames: Int(clamping: seal.minTime), seed: header.seed)
        }
        let (scan, seed) = try scan(file, found, journal: journal, size: size, limit: limit)
        guard let base = found.header?.base ?? scan.firstSequence, scan.frames > 0 else {
            if found.header != nil, !scan.isDamaged {
                remove(name)
            } else {
                quarantine(name, because: "it holds no readable record")
            }
            return nil
        }
        if found.header == nil { note(.warning, "\(path(name)): damaged header, records recovered") }
        if scan.isTorn {
            note(
                scan.tornItems > 0 ? .warning : .info,
                "\(path(name)): cut what follows byte \(scan.validEnd), as a crash leaves it\(scan.tornText); "
                    + "unless the file was damaged otherwise, nothing in it was acknowledged")
        }
        do {
            try file.writeSeal(at: scan.validEnd, sequence: scan.end, frames: scan.frames, seed: seed)
        } catch {
            note(.warning, "\(path(name)): not sealed, will be read again at the next start: \(error)")
        }
        return SegmentInfo(
            number: found.number, base: base, end: scan.end, dataEnd: scan.validEnd, frames: scan.frames, seed: seed,
            isDamaged: scan.isDamaged || found.header == nil)
    }

    /// Looks for records by the header's word on the format, and by every format's when the header cannot be read.
    private func scan(
        _ file: any JournalFile, _ found: FoundSegment, journal: JournalID, size: Int, limit: UInt64
    ) throws(SystemError) -> (ScannedSegment, seed: UInt32) {
        let versions = found.header.map { [$0.version] } ?? Array((1...JournalFormat.version).reversed())
        var last: (ScannedSegment, seed: UInt32) = (ScannedSegment(limit: limit), 0)
        for version in versions {
            let seed = journal.checksumSeed(segment: found.number, version: version)
            last = (ScannedSegment(limit: limit), seed)
            try last.0.run(file, size: size, seed: seed, scanner: scanner)
            if last.0.frames > 0 { break }
        }
        return last
    }

    private mutating func remove(_ name: String) {
        changed = true
        do {
            try files.unlink(path(name))
        } catch {
            note(.warning, "\(error)")
        }
    }

    /// Removes what an earlier run has half made. Gives the segments that stay: a backlog may have left many, and a
    /// start must not wait until their blocks are free.
    private mutating func removeLeftovers(_ names: [String]) -> [String] {
        var segments: [String] = []
        for name in names where JournalFileName(name) == .leftover {
            if name.hasSuffix(".segment.tmp") { segments.append(name) } else { remove(name) }
        }
        let removed = segments.prefix(Self.leftoversRemoved)
        for name in removed { remove(name) }
        // Before one is written over: after a crash no old name may lead to a new header.
        changed = changed || segments.count > removed.count
        return Array(segments.dropFirst(removed.count))
    }

    private static let leftoversRemoved = 8

    private mutating func quarantine(_ name: String, because reason: String) {
        changed = true
        do {
            try files.rename(path(name), to: path(name) + ".quarantined")
            note(.error, "\(path(name)) is set aside as \(name).quarantined: \(reason)")
        } catch {
            note(.error, "\(path(name)) can't be used (\(reason)) nor set aside: \(error)")
        }
    }

    // MARK: Cursors

    private func cursor(
        _ name: String, _ slot: CursorSlot?, journal: JournalID, in index: JournalIndex
    ) -> CursorState {
        guard let slot, slot.journal == journal, slot.isOf(name) else {
            let cause = slot?.isOf(name) == false ? "is that of another reader" : "was unreadable"
            note(.warning, "the cursor of \(name) \(cause); it starts at the oldest kept frame")
            return CursorState(position: index.oldest.sequence, place: index.oldest.place)
        }
        if let segment = index.segment(slot.place.segment), isBoundary(slot, in: segment, journal: journal) {
            return CursorState(position: slot.position, place: slot.place, settled: slot.settled)
        }
        let segment = index.segments.last { $0.base <= slot.position } ?? index.segments.first
        return CursorState(
            position: slot.position, place: segment.map { .start(of: $0.number) } ?? .start(of: 0),
            settled: slot.settled)
    }

    /// True when the hint of a cursor points at a record, or the end of the records, where its position can lie.
    private func isBoundary(_ slot: CursorSlot, in segment: SegmentInfo, journal: JournalID) -> Bool {
        let offset = slot.place.offset
        guard offset % 8 == 0, offset >= JournalFormat.dataOffset, slot.position >= segment.base else { return false }
        if offset == segment.dataEnd { return slot.position >= segment.end }
        guard offset < segment.dataEnd else { return false }
        let name = JournalFileName.segment(number: segment.number)
        guard let file = try? files.open(path(name), writable: false) else { return false }
        defer { file.close() }
        guard let bytes = try? file.readAll(count: JournalFormat.recordHeaderBytes, at: offset) else { return false }
        let header = bytes.withUnsafeBytes { RecordHeader.read($0, seed: segment.seed) }
        return header.map { $0.sequence <= slot.position } ?? false
    }
}

/// What a walk over all records of an unsealed segment finds.
private struct ScannedSegment {
    /// Records at or above it were refused and do not count.
    let limit: UInt64
    var frames = 0
    var firstSequence: UInt64?
    var end: UInt64 = 0
    /// Behind the last record that counts.
    var validEnd = JournalFormat.dataOffset
    /// Damage lies before a record that counts, or there is only damage.
    var isDamaged = false
    /// Something other than zeros lies behind the last record.
    var isTorn = false
    /// Items of records behind `validEnd` whose header can be read.
    var tornItems: UInt64 = 0

    init(limit: UInt64) { self.limit = limit }

    /// For the message of the cut.
    var tornText: String { tornItems > 0 ? ", with \(tornItems) records whose request can't be read" : "" }

    mutating func run(
        _ file: any JournalFile, size: Int, seed: UInt32, scanner: SegmentScanner
    ) throws(SystemError) {
        var at = JournalFormat.dataOffset
        var damage: ClosedRange<Int>?
        while at < size {
            let validBefore = validEnd
            let chunk = try scanner.scan(file, from: at, to: size, seed: seed) { header, _, offset in
                guard header.sequence < limit, let end = header.end, header.sequence >= self.end else { return true }
                firstSequence = firstSequence ?? header.sequence
                self.end = end
                frames += 1
                validEnd = offset + header.recordBytes
                return true
            }
            if let new = chunk.damage {
                damage = (damage?.lowerBound ?? new.lowerBound)...new.upperBound
            }
            if validEnd != validBefore { tornItems = 0 }
            for record in chunk.damaged where record.offset >= validEnd { tornItems += UInt64(record.items) }
            if let seal = chunk.seal {
                // Its cut did not reach the disk; it still says how much there was.
                end = max(end, min(seal.header.sequence, limit))
                validEnd = seal.offset
                break
            }
            at = chunk.next
        }
        isDamaged = damage.map { $0.lowerBound < validEnd || isDamagedFromStart($0) } ?? false
        isTorn = damage.map { $0.upperBound >= validEnd } ?? false
    }

    /// Not one record was found, although something was written where the first one lies.
    private func isDamagedFromStart(_ damage: ClosedRange<Int>) -> Bool {
        frames == 0 && damage.lowerBound == JournalFormat.dataOffset
    }
}
