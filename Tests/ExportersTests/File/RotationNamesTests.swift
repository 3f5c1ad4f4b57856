@testable import Exporters
import Testing

@Suite struct RotationNamesTests {
    @Test func `names closed files as lumberjack does`() {
        #expect(
            RotationNames(path: "/var/log/spans.json").backup(at: 1_700_000_000_123, localTime: false)
                == "/var/log/spans-2023-11-14T22-13-20.123.json")
        #expect(RotationNames(path: "spans").backup(at: 0, localTime: false) == "./spans-1970-01-01T00-00-00.000")
        #expect(RotationNames(path: "/.spans").backup(at: 0, localTime: false) == "/.spans-1970-01-01T00-00-00.000")
    }

    @Test func `deletes only closed files of its own, oldest first`() {
        let names = RotationNames(path: "/d/s.json")
        let files = [
            "s.json", "other-2023-11-14T22-13-20.123.json", "s-2023-11-14T22-13-20.123.json.bz2", "s-notatime.json",
            "s-2023-11-14T22-13-20.123.json", "s-2023-11-15T22-13-20.123.json", "s-2023-11-16T22-13-20.123.json",
        ]
        let byCount = names.expired(
            among: files, options: RotationOptions(maxMegabytes: 1, maxBackups: 2), at: 1_700_000_000_123)
        #expect(byCount == ["s-2023-11-14T22-13-20.123.json"])
        let day: Int64 = 86_400_000
        let byAge = names.expired(
            among: files, options: RotationOptions(maxMegabytes: 1, maxDays: 1, maxBackups: 0),
            at: 1_700_000_000_123 + 2 * day)
        #expect(byAge == ["s-2023-11-14T22-13-20.123.json"])
        let none = names.expired(
            among: files, options: RotationOptions(maxMegabytes: 1, maxBackups: 0), at: 1_900_000_000_000)
        #expect(none == [])
    }
}
