import CSupport

/// The places at which detectors look closer: byte triples in eight sets.
///
/// Every detector's finds hold a rare triple ("eyJ", a letter and `@`, a digit behind no word); one vector pass names
/// the places, so that clean text costs next to nothing. The sets put triples with like parts together, because a set
/// is a product of three sets of bytes.
struct DetectorTriggers: ~Copyable, @unchecked Sendable {
    // Filled in init and read-only afterwards: sharing it between threads is safe.
    let table: UnsafeMutablePointer<sluice_trigger_table>
    /// Whether a number may begin a text, where no triple can stand.
    let hasNumbers: Bool

    /// What the numbers of the sets mean; the find begins or ends around the triple.
    enum Kind {
        static let number: UInt32 = 0
        static let at: UInt32 = 1
        static let underscore: UInt32 = 2
        static let dashOrDot: UInt32 = 3
        static let capital: UInt32 = 4
        static let scheme: UInt32 = 5
        static let colon: UInt32 = 6
        static let label: UInt32 = 7
    }

    private static let digits = "0123456789"
    private static let uppers = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    private static let lowers = "abcdefghijklmnopqrstuvwxyz"
    private static let hexadecimal = digits + "abcdefABCDEF"

    init(_ detectors: DetectorSet, prefixes: [KeyPrefix]) {
        table = .allocate(capacity: 1)
        table.initialize(to: sluice_trigger_table())
        hasNumbers = detectors.has([
            .creditCard, .socialSecurityNumber, .phone, .ipv4, .brazilianCPF, .spanishDNI, .indianAadhaar,
            .cryptoWallet,
        ])
        addNumbers(detectors)
        if detectors.has(.email) {
            let word = DetectorTriggers.digits + DetectorTriggers.uppers + DetectorTriggers.lowers
            let beyond = [UInt8](0x80...0xF4)
            add(Kind.at, Array((word + "_.-+%'!\"").utf8) + beyond, [0x40], Array(word.utf8) + beyond)
        }
        for prefix in prefixes {
            let last = Array(prefix.text.suffix(3))
            let kind = last[2] == 0x5F ? Kind.underscore : Kind.dashOrDot
            add(kind, [last[0]], [last[1]], [last[2]])
        }
        if detectors.has(.slackToken) { add(Kind.dashOrDot, "x", "bpaersod", "-") }
        if detectors.has([.bearerToken, .basicAuth]) { add(Kind.scheme, "bB", "eEaA", "aAsS") }
        if detectors.has(.apiKey) {
            add(Kind.scheme, "a", "p", "i")
            // How base64 of digits begins.
            add(Kind.scheme, "MNO", "DTjz", "AEIMQUYcgk")
        }
        addCapitals(detectors)
        addColons(detectors)
        if detectors.has([.password, .cookie, .azureKey, .awsKey]) {
            add(Kind.label, "rRwWsSeEiIoO", "dDeEtTnNyYgG", "=:\"'\\")
            // A space between the name and the sign.
            add(Kind.label, "dDeEtTnNyY", " ", "=:")
        }
    }

    deinit { table.deallocate() }

    private func addNumbers(_ detectors: DetectorSet) {
        guard hasNumbers || detectors.has(.email) else { return }
        // Behind no word, or behind the letter of an escape such as `\n` or of a color code, which ends with m.
        let before = (0...255).map { UInt8($0) }.filter {
            !ByteClass.isWord($0) || ByteClass.isEscapeLetter($0) || $0 == 0x6D
        }
        let more = DetectorTriggers.digits + DetectorTriggers.uppers + DetectorTriggers.lowers + "-. ("
        if hasNumbers {
            add(Kind.number, before, Array(DetectorTriggers.digits.utf8), Array(more.utf8))
        } else {
            add(Kind.number, "%", "4", "0")
        }
    }

    private func addCapitals(_ detectors: DetectorSet) {
        if detectors.has(.jwt) { add(Kind.capital, "e", "y", "J") }
        if detectors.has(.awsKey) { add(Kind.capital, "KS", "I", "A") }
        if detectors.has(.googleKey) { add(Kind.capital, "I", "z", "a") }
        if detectors.has(.iban) {
            add(Kind.capital, DetectorTriggers.uppers, DetectorTriggers.uppers, DetectorTriggers.digits)
        }
        if detectors.has(.twilioKey) { add(Kind.capital, "S", "K", "0123456789abcdef") }
        if detectors.has(.azureKey) { add(Kind.capital, DetectorTriggers.digits, "Q", "~") }
        if detectors.has(.cryptoWallet) { add(Kind.capital, "b", "c", "1") }
        if detectors.has(.passportZone) { add(Kind.capital, "P", "<", DetectorTriggers.uppers) }
        if detectors.has(.pemKey) { add(Kind.capital, "-", "B", "E") }
    }

    private func addColons(_ detectors: DetectorSet) {
        let hexadecimal = DetectorTriggers.hexadecimal
        if detectors.has(.ipv6) { add(Kind.colon, hexadecimal, ":", hexadecimal + ":") }
        if detectors.has(.macAddress) { add(Kind.colon, hexadecimal, ":-", hexadecimal) }
        if detectors.has(.telegramToken) { add(Kind.colon, DetectorTriggers.digits, ":", "A") }
        if detectors.has(.urlCredentials) { add(Kind.colon, ":", "/", "/") }
        if detectors.has(.slackToken) { add(Kind.colon, "s", "/", "T") }
    }

    private func add(_ set: UInt32, _ first: String, _ second: String, _ third: String) {
        add(set, Array(first.utf8), Array(second.utf8), Array(third.utf8))
    }

    private func add(_ set: UInt32, _ first: [UInt8], _ second: [UInt8], _ third: [UInt8]) {
        for (place, bytes) in [first, second, third].enumerated() {
            for byte in bytes { sluice_trigger_add(table, set, UInt32(place), byte) }
        }
    }
}
