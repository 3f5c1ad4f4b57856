package import Telemetry

/// The unit that a journal stores and an exporter's cursor reads: the protobuf bytes of one
/// `Export…ServiceRequest` and what must be known about them without decoding.
///
/// The request message is a single repeated field, so the bytes of several frames of one signal, one after the
/// other, are again a valid request: batching is concatenation.
package struct Frame: Sendable, Equatable {
    package var header: FrameHeader
    /// Immutable after creation; shared by every exporter.
    package var bytes: [UInt8]
    /// What processors want to do once the frame is stored; not part of what a journal keeps.
    package var whenStored: [@Sendable () -> Void] = []

    package init(header: FrameHeader, bytes: [UInt8]) {
        self.header = header
        self.bytes = bytes
    }

    package static func == (left: Frame, right: Frame) -> Bool {
        left.header == right.header && left.bytes == right.bytes
    }
}

/// Facts about a frame that travel with its bytes.
package struct FrameHeader: Sendable, Equatable {
    package var signal: Signal
    /// Spans, log records or metric points in the frame.
    package var itemCount: UInt32
    /// Earliest record time in the frame, Unix nanoseconds, 0 when no record has one.
    package var minTime: UInt64
    /// Latest record time in the frame, Unix nanoseconds.
    package var maxTime: UInt64
    /// Authenticated tenant, empty when there is none. At most 255 bytes of UTF-8.
    package var tenant: String
    /// What is kept of the request's headers for the exporters that ask for it, see `RequestMetadata.kept`.
    package var metadata: RequestMetadata

    package init(
        signal: Signal, itemCount: UInt32, minTime: UInt64 = 0, maxTime: UInt64 = 0, tenant: String = "",
        metadata: RequestMetadata = RequestMetadata()
    ) {
        self.signal = signal
        self.itemCount = itemCount
        self.minTime = minTime
        self.maxTime = maxTime
        self.tenant = tenant
        self.metadata = metadata
    }
}

/// Place of a frame in one journal: counts items (spans, records, points) appended before it since the journal
/// was created, so that a gap tells exactly how many items are missing.
package struct Sequence: Sendable, Hashable, Comparable {
    package var value: UInt64

    package init(_ value: UInt64) { self.value = value }

    package static func < (left: Sequence, right: Sequence) -> Bool { left.value < right.value }
}

/// A frame as read back from a journal.
package struct StoredFrame: Sendable {
    package var sequence: Sequence
    package var frame: Frame
    /// Where its bytes can be read again; nil from a journal that cannot.
    package var place: FramePlace?
    /// Which of its items are done for this reader since before a restart, by their place in the frame, in order and
    /// apart. Never all of them.
    package var done: [Range<Int>] = []
    /// It is of a backlog that is read no faster than what comes in meanwhile allows; its delivery is to leave that
    /// room, too.
    package var isPaced = false

    package init(sequence: Sequence, frame: Frame) {
        self.sequence = sequence
        self.frame = frame
    }

    /// Sequence of the frame that follows this one.
    package var end: Sequence { Sequence(sequence.value &+ UInt64(frame.header.itemCount)) }

    /// From its own sequence to that of the frame that follows.
    package var range: Range<Sequence> { sequence..<max(sequence, end) }
}

/// Where the bytes of a frame lie, as its journal counts.
package struct FramePlace: Sendable, Equatable, BitwiseCopyable {
    package var file: UInt64
    package var offset: UInt64

    package init(file: UInt64, offset: UInt64) {
        self.file = file
        self.offset = offset
    }
}
