import CodecFuzz
import Glibc
import ReceiverFuzz

/// The target that the environment names; libFuzzer calls the function below.
enum Run {
    static let target: @Sendable (UnsafeRawBufferPointer) -> String? = {
        let targets = CodecFuzz.targets + ReceiverFuzz.targets
        let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
        guard let found = targets.first(where: { $0.name == name }) else {
            print("FUZZ_TARGET must be one of \(targets.map(\.name).joined(separator: ", "))")
            exit(64)
        }
        return found.run
    }()
}

/// Runs one input; a finding is told and traps, so that libFuzzer keeps the input.
@_cdecl("LLVMFuzzerTestOneInput") public func run(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    if let finding = Run.target(UnsafeRawBufferPointer(start: data, count: count)) { fatalError(finding) }
    return 0
}
