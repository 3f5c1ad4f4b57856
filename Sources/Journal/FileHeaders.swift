/// What the first bytes of a segment or the bytes of a cursor slot turned out to be.
enum HeaderReading<Header> {
    case valid(Header)
    /// Written by a later release, with a right checksum.
    case newer(version: UInt32)
    case damaged
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

    /// The slot as it is written.
    func encoded() -> [UInt8] {
        var slot = [UInt8](repeating: 0, count: JournalFormat.cursorSlotBytes)
        slot.withUnsafeMutableBytes { out in
            out.put(Self.magic, at: 0)
            out.put(JournalFormat.version, at: 8)
            out.put(journal.high, at: 16)
            out.put(journal.low, at: 24)
            out.put(generation, at: 32)
            out.put(position, at: 40)
            out.put(place.segment, at: 48)
            out.put(UInt64(clamping: place.offset), at: 56)
            out.put(UInt64(clamping: place.frame), at: 64)
            out.put(headerChecksum(UnsafeRawBufferPointer(out)), at: 12)
        }
        return slot
    }

    /// Reads a whole cursor file and picks the later valid slot.
    static func read(file: UnsafeRawBufferPointer) -> HeaderReading<CursorSlot> {
        var best: CursorSlot?
        for start in JournalFormat.cursorSlotOffsets {
            let end = start + JournalFormat.cursorSlotBytes
            guard end <= file.count else { continue }
            let bytes = file.part(start..<end)
            switch readVersion(bytes, magic: magic) {
            case .damaged: continue
            case .newer(let version): return .newer(version: version)
            case .valid:
                let slot = CursorSlot(
                    journal: JournalID(
                        high: bytes.little(16, as: UInt64.self), low: bytes.little(24, as: UInt64.self)),
                    generation: bytes.little(32, as: UInt64.self), position: bytes.little(40, as: UInt64.self),
                    place: Place(
                        segment: bytes.little(48, as: UInt64.self),
                        offset: Int(clamping: bytes.little(56, as: UInt64.self)),
                        frame: Int(clamping: bytes.little(64, as: UInt64.self))))
                if slot.generation >= best?.generation ?? 0 { best = slot }
            }
        }
        return best.map { .valid($0) } ?? .damaged
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
