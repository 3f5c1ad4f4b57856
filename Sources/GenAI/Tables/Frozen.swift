import Telemetry

/// A run of trivial values that never changes: how the tables lie in memory while spans are normalized.
///
/// It owns nothing, so that passing it around counts no references; the pool that made it keeps the memory. Reads are
/// bounds checked.
struct Frozen<Element: BitwiseCopyable>: BitwiseCopyable, RandomAccessCollection {
    private let base: UnsafePointer<Element>
    let count: Int

    init(base: UnsafePointer<Element>, count: Int) {
        self.base = base
        self.count = count
    }

    var startIndex: Int { 0 }
    var endIndex: Int { count }

    subscript(index: Int) -> Element {
        @inline(__always) get {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "table index out of range")
            return base[index]
        }
    }
}

/// Owns the bytes of every text in the tables, and their frozen runs; addresses never change.
final class TextPool {
    private var known: [String: Text] = [:]
    private var owned: [UnsafeMutableRawPointer] = []

    deinit { for pointer in owned { pointer.deallocate() } }

    func text(_ string: String) -> Text {
        if let text = known[string] { return text }
        var copied = string
        let text = copied.withUTF8 { bytes in
            let copy = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: 1)
            copy.copyMemory(from: Text(UnsafeRawBufferPointer(bytes)).start, byteCount: bytes.count)
            owned.append(copy)
            return Text(start: UnsafeRawPointer(copy), count: bytes.count)
        }
        known[string] = text
        return text
    }

    func freeze<Element: BitwiseCopyable>(_ elements: some Collection<Element>) -> Frozen<Element> {
        let copy = UnsafeMutablePointer<Element>.allocate(capacity: max(elements.count, 1))
        for (index, element) in elements.enumerated() { (copy + index).initialize(to: element) }
        owned.append(UnsafeMutableRawPointer(copy))
        return Frozen(base: UnsafePointer(copy), count: elements.count)
    }
}
