/// What the first bytes of a segment or the bytes of a cursor slot turned out to be.
enum HeaderReading<Header> {
    case valid(Header)
    /// Written by a later release, with a right checksum.
    case newer(version: UInt32)
    case damaged

    /// What is valid, nil for what is damaged. Throws for what a later release wrote.
    func accepted(from path: String) throws(JournalError) -> Header? {
        switch self {
        case .valid(let header): return header
        case .damaged: return nil
        case .newer(let version): throw .newerFormat(file: path, version: version)
        }
    }
}

/// The header of a segment file.
struct SegmentHeader: Equatable {
    static let magic: UInt64 = 0x4753_4543_4955_4C53  // "SLUICESG"

    var journal: JournalID
    var number: UInt64
    /// Sequence of the first record that may follow.
    var base: UInt64
    var version = JournalFormat.version

    /// Seed of its records' checksums.
    var seed: UInt32 { journal.checksumSeed(segment: number, version: version) }

    /// The header and its copy, as the first page of a segment.
    func page() -> [UInt8] {
        var page = [UInt8](repeating: 0, count: JournalFormat.dataOffset)
        page.withUnsafeMutableBytes { page in
            for start in [0, JournalFormat.segmentHeaderCopyOffset] {
                let out = UnsafeMutableRawBufferPointer(
                    rebasing: page[start..<start + JournalFormat.segmentHeaderBytes])
                out.put(Self.magic, at: 0)
                out.put(JournalFormat.version, at: 8)
                out.put(journal.high, at: 16)
                out.put(journal.low, at: 24)
                out.put(number, at: 32)
                out.put(base, at: 40)
                out.put(headerChecksum(UnsafeRawBufferPointer(out)), at: 12)
            }
        }
        return page
    }

    /// Reads the first page of a segment, trying the copy when the first header is damaged.
    static func read(page: UnsafeRawBufferPointer) -> HeaderReading<SegmentHeader> {
        for start in [0, JournalFormat.segmentHeaderCopyOffset] {
            let end = start + JournalFormat.segmentHeaderBytes
            guard end <= page.count else { return .damaged }
            let bytes = page.part(start..<end)
            switch readVersion(bytes, magic: magic) {
            case .damaged: continue
            case .newer(let version): return .newer(version: version)
            case .valid:
                return .valid(
                    SegmentHeader(
                        journal: JournalID(
                            high: bytes.little(16, as: UInt64.self), low: bytes.little(24, as: UInt64.self)),
                        number: bytes.little(32, as: UInt64.self), base: bytes.little(40, as: UInt64.self),
                        version: bytes.little(8, as: UInt32.self)))
            }
        }
        return .damaged
    }
}

/// One slot of a cursor file.
struct CursorSlot: Equatable {
    static let magic: UInt64 = 0x5543_4543_4955_4C53  // "SLUICECU"

    var journal: JournalID
    /// Counted up with each save, so that the later of two slots is known.
    var generation: UInt64
    var position: UInt64
    /// Where the position lies. A hint: checked against the segment before use.
    var place: Place
    /// What is done behind the position.
    var settled = SettledRanges()
    /// `mark` of the reader's name; 0 when the file does not say whose it is, before version 3.
    var reader: UInt32 = 0

    /// What a reader's name leaves in its file, so that one that somebody has renamed or swapped is not taken for its
    /// own: it would skip what it has not delivered.
    static func mark(of name: String) -> UInt32 { max(1, Array(name.utf8).withUnsafeBytes { crc32c(0, $0) }) }

    /// Whether it was written for the reader of this name, as far as it says.
    func isOf(_ name: String) -> Bool { reader == 0 || reader == Self.mark(of: name) }

    /// The slot as it is written.
    func encoded() -> [UInt8] {
        let header = JournalFormat.cursorSlotBytes
        var slot = [UInt8](repeating: 0, count: header + 16 * settled.ranges.count)
        slot.withUnsafeMutableBytes { out in
            out.put(Self.magic, at: 0)
            out.put(JournalFormat.version, at: 8)
            out.put(journal.high, at: 16)
            out.put(journal.low, at: 24)
            out.put(generation, at: 32)
            out.put(position, at: 40)
            out.put(place.segment, at: 48)
            out.put(UInt64(clamping: place.offset), at: 56)
            out.put(UInt32(clamping: place.frame), at: 64)
            out.put(reader, at: 68)
            for (index, range) in settled.ranges.enumerated() {
                out.put(range.lowerBound, at: header + 16 * index)
                out.put(range.upperBound, at: header + 16 * index + 8)
            }
            let bytes = UnsafeRawBufferPointer(out)
            out.put(UInt32(settled.ranges.count), at: 72)
            out.put(crc32c(0, bytes.part(header..<bytes.count)), at: 76)
            out.put(headerChecksum(bytes.part(0..<header)), at: 12)
        }
        return slot
    }

    /// Reads a whole cursor file and picks the later valid slot.
    static func read(file: UnsafeRawBufferPointer) -> HeaderReading<CursorSlot> {
        switch readPlaced(file: file) {
        case .valid(let placed): .valid(placed.slot)
        case .newer(let version): .newer(version: version)
        case .damaged: .damaged
        }
    }

    /// The same with the number of the slot, 0 or 1.
    static func readPlaced(file: UnsafeRawBufferPointer) -> HeaderReading<(slot: CursorSlot, index: Int)> {
        var best: (slot: CursorSlot, index: Int)?
        for (index, start) in JournalFormat.cursorSlotOffsets.enumerated() {
            let end = start + JournalFormat.cursorSlotBytes
            guard end <= file.count else { continue }
            let bytes = file.part(start..<end)
            switch readVersion(bytes, magic: magic) {
            case .damaged: continue
            case .newer(let version): return .newer(version: version)
            case .valid:
                let slot = CursorSlot(header: bytes, behind: file.part(end..<file.count))
                if slot.generation >= best?.slot.generation ?? 0 { best = (slot, index) }
            }
        }
        return best.map { .valid($0) } ?? .damaged
    }

    /// The ranges behind a valid header; none when they are not what was written, since they only save work. Version 1
    /// has zeros where they are counted.
    private static func settled(_ header: UnsafeRawBufferPointer, behind rest: UnsafeRawBufferPointer) -> SettledRanges
    {
        let count = Int(header.little(72, as: UInt32.self))
        guard count > 0, count <= SettledRanges.rangesMax, 16 * count <= rest.count,
            crc32c(0, rest.part(0..<16 * count)) == header.little(76, as: UInt32.self)
        else { return SettledRanges() }
        var ranges: [Range<UInt64>] = []
        for at in stride(from: 0, to: 16 * count, by: 16) {
            let (start, end) = (rest.little(at, as: UInt64.self), rest.little(at + 8, as: UInt64.self))
            if start < end { ranges.append(start..<end) }
        }
        return SettledRanges(ranges)
    }
}

extension CursorSlot {
    /// The slot that says what `picture` does, of the reader of that name.
    init(of name: String, journal: JournalID, generation: UInt64, _ picture: CursorPicture) {
        self.init(
            journal: journal, generation: generation, position: picture.position, place: picture.place,
            settled: picture.settled, reader: Self.mark(of: name))
    }

    /// The slot by its valid header and what follows.
    private init(header: UnsafeRawBufferPointer, behind rest: UnsafeRawBufferPointer) {
        let isMarked = header.little(8, as: UInt32.self) >= 3
        let frame = isMarked ? UInt64(header.little(64, as: UInt32.self)) : header.little(64, as: UInt64.self)
        let place = Place(
            segment: header.little(48, as: UInt64.self), offset: Int(clamping: header.little(56, as: UInt64.self)),
            frame: Int(clamping: frame))
        self.init(
            journal: JournalID(high: header.little(16, as: UInt64.self), low: header.little(24, as: UInt64.self)),
            generation: header.little(32, as: UInt64.self), position: header.little(40, as: UInt64.self), place: place,
            settled: Self.settled(header, behind: rest), reader: isMarked ? header.little(68, as: UInt32.self) : 0)
    }
}

/// The checksum that both kinds of header hold at byte 12: of all their bytes but its own four.
private func headerChecksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    crc32c(crc32c(0, bytes.part(0..<12)), bytes.part(16..<bytes.count))
}

private func readVersion(_ bytes: UnsafeRawBufferPointer, magic: UInt64) -> HeaderReading<Void> {
    guard bytes.little(0, as: UInt64.self) == magic, bytes.little(12, as: UInt32.self) == headerChecksum(bytes) else {
        return .damaged
    }
    let version = bytes.little(8, as: UInt32.self)
    if version > JournalFormat.version { return .newer(version: version) }
    return version >= 1 ? .valid(()) : .damaged
}
