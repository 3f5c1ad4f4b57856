import CCurl
import Glibc

/// A request's body as libcurl reads it: where it lies when it is one piece, piece by piece when it is several.
///
// Unchecked: only touched by the engine's thread once the transfer is under way.
final class BodyReader: @unchecked Sendable {
    private let pieces: [[UInt8]]
    private var piece = 0
    private var offset = 0

    init(_ pieces: [[UInt8]]) { self.pieces = pieces }

    /// Tells the handle to send this body. The reader must outlive the transfer.
    func attach(_ handle: UnsafeMutableRawPointer) {
        let size = pieces.reduce(0) { $0 + $1.count }
        _ = sluice_curl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(size))
        guard pieces.count > 1 else { return attachWhole(handle) }
        let me = Unmanaged.passUnretained(self).toOpaque()
        // A null pointer for the fields makes libcurl ask for the body.
        _ = sluice_curl_set_pointer(handle, CURLOPT_POSTFIELDS, nil)
        _ = sluice_curl_set_receiver(handle, CURLOPT_READFUNCTION, Self.onRead)
        _ = sluice_curl_set_pointer(handle, CURLOPT_READDATA, me)
        _ = sluice_curl_set_seeker(handle, Self.onSeek)
        _ = sluice_curl_set_pointer(handle, CURLOPT_SEEKDATA, me)
    }

    private func attachWhole(_ handle: UnsafeMutableRawPointer) {
        // libcurl reads the body where it lies until the transfer ends. The array is a constant of this object, which
        // the engine holds as long; the storage of an array that nobody changes does not move.
        let whole = pieces.first ?? []
        whole.withUnsafeBufferPointer { buffer in
            _ = sluice_curl_set_pointer(handle, CURLOPT_POSTFIELDS, buffer.baseAddress ?? UnsafePointer(Self.nothing))
        }
    }

    // An empty body still needs a pointer: a null one would make libcurl ask for the body.
    nonisolated(unsafe) private static let nothing: UnsafeMutablePointer<UInt8> = {
        let pointer = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
        pointer.pointee = 0
        return pointer
    }()

    /// Copies what comes next, as much as there is room for; 0 at the end.
    func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        var written = 0
        while piece < pieces.count, written < target.count {
            let count = min(pieces[piece].count - offset, target.count - written)
            pieces[piece].withUnsafeBytes { source in
                let rest = UnsafeMutableRawBufferPointer(rebasing: target[written..<(written + count)])
                rest.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<(offset + count)]))
            }
            written += count
            offset += count
            if offset == pieces[piece].count {
                piece += 1
                offset = 0
            }
        }
        return written
    }

    /// Goes to a place counted from the start, as libcurl asks when it sends a body again over a new connection.
    func seek(to position: Int) -> Bool {
        var left = position
        for (index, bytes) in pieces.enumerated() {
            if left < bytes.count {
                (piece, offset) = (index, left)
                return true
            }
            left -= bytes.count
        }
        (piece, offset) = (pieces.count, 0)
        return left == 0
    }

    private static let onRead: sluice_curl_receive = { target, size, count, context in
        guard let context, let target else { return 0 }
        let reader = Unmanaged<BodyReader>.fromOpaque(context).takeUnretainedValue()
        return reader.read(into: UnsafeMutableRawBufferPointer(start: target, count: size &* count))
    }

    private static let onSeek: sluice_curl_seek = { context, position, origin in
        guard let context, origin == SEEK_SET, position >= 0 else { return CURL_SEEKFUNC_FAIL }
        let reader = Unmanaged<BodyReader>.fromOpaque(context).takeUnretainedValue()
        return reader.seek(to: Int(position)) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
    }
}
