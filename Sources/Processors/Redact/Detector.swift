/// One built-in kind of secret or personal datum that `redaction` can find.
///
/// The raw value is the name in the file; the order is fixed because it numbers counters and matches.
package enum Detector: String, CaseIterable, Sendable {
    case email
    case creditCard = "credit_card"
    case socialSecurityNumber = "us_ssn"
    case phone
    case ipv4
    case iban
    case jwt
    case pemKey = "pem_key"
    case awsKey = "aws_key"
    case apiKey = "api_key"
    case bearerToken = "bearer_token"

    /// What a match is: a detector's find, or one of the reasons that are no detector.
    var tag: MatchTag { MatchTag(rawValue: UInt8(Detector.allCases.firstIndex(of: self) ?? 0)) }

    /// What stands in the text afterwards. Plain ASCII without quotes or backslashes: safe inside JSON strings.
    var replacement: StaticString {
        switch self {
        case .email: "[REDACTED:EMAIL]"
        case .creditCard: "[REDACTED:CREDIT_CARD]"
        case .socialSecurityNumber: "[REDACTED:US_SSN]"
        case .phone: "[REDACTED:PHONE]"
        case .ipv4: "[REDACTED:IPV4]"
        case .iban: "[REDACTED:IBAN]"
        case .jwt: "[REDACTED:JWT]"
        case .pemKey: "[REDACTED:PEM_KEY]"
        case .awsKey: "[REDACTED:AWS_KEY]"
        case .apiKey: "[REDACTED:API_KEY]"
        case .bearerToken: "[REDACTED:BEARER_TOKEN]"
        }
    }
}

/// A set of detectors in one word.
package struct DetectorSet: OptionSet, Sendable, Equatable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The set that holds just `detector`.
    package init(_ detector: Detector) { rawValue = 1 << UInt32(detector.tag.rawValue) }

    /// Every built-in detector.
    package static let all = DetectorSet(Detector.allCases.map { DetectorSet($0) })

    @inline(__always)
    func has(_ detector: DetectorSet) -> Bool { rawValue & detector.rawValue != 0 }

    static let email = DetectorSet(.email)
    static let creditCard = DetectorSet(.creditCard)
    static let socialSecurityNumber = DetectorSet(.socialSecurityNumber)
    static let phone = DetectorSet(.phone)
    static let ipv4 = DetectorSet(.ipv4)
    static let iban = DetectorSet(.iban)
    static let jwt = DetectorSet(.jwt)
    static let pemKey = DetectorSet(.pemKey)
    static let awsKey = DetectorSet(.awsKey)
    static let apiKey = DetectorSet(.apiKey)
    static let bearerToken = DetectorSet(.bearerToken)
}

/// Why a range is masked: a detector's number, or one of the reasons after them.
struct MatchTag: BitwiseCopyable, Equatable, Sendable {
    let rawValue: UInt8

    /// A `blocked_values` pattern matched.
    static let blockedValue = MatchTag(rawValue: 32)
    /// A `blocked_key_patterns` pattern matched the key.
    static let blockedKey = MatchTag(rawValue: 33)
    /// Nested or escaped beyond what is looked into; withheld unseen.
    static let tooDeep = MatchTag(rawValue: 34)
    /// A pattern hit its match limit; withheld because nobody knows.
    static let undecided = MatchTag(rawValue: 35)

    var detector: Detector? {
        Int(rawValue) < Detector.allCases.count ? Detector.allCases[Int(rawValue)] : nil
    }
}

/// One range to mask, in bytes of the text it was found in.
struct Match: BitwiseCopyable {
    var start: UInt32
    var end: UInt32
    var tag: MatchTag
    /// 0 inside a string; for a bare JSON number n > 0: the replacement needs quotes, escaped for n - 1 string levels.
    var quotes: UInt8 = 0

    @inline(__always)
    init(_ start: Int, _ end: Int, _ tag: MatchTag, quotes: UInt8 = 0) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.end = UInt32(truncatingIfNeeded: end)
        self.tag = tag
        self.quotes = quotes
    }
}
