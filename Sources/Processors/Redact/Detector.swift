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
    case ipv6
    case macAddress = "mac_address"
    case passportZone = "passport_mrz"
    case brazilianCPF = "br_cpf"
    case spanishDNI = "es_dni"
    case indianAadhaar = "in_aadhaar"
    case cryptoWallet = "crypto_wallet"
    case githubToken = "github_token"
    case gitlabToken = "gitlab_token"
    case slackToken = "slack_token"
    case stripeKey = "stripe_key"
    case googleKey = "google_key"
    case azureKey = "azure_key"
    case npmToken = "npm_token"
    case pypiToken = "pypi_token"
    case twilioKey = "twilio_key"
    case sendGridKey = "sendgrid_key"
    case huggingFaceToken = "huggingface_token"
    case telegramToken = "telegram_token"
    case basicAuth = "basic_auth"
    case urlCredentials = "url_credentials"
    case cookie
    case password

    /// What a match is: a detector's find, or one of the reasons that are no detector.
    var tag: MatchTag { MatchTag(rawValue: UInt8(Detector.allCases.firstIndex(of: self) ?? 0)) }

    /// Credentials, as against data about a person or a machine.
    package var isSecret: Bool {
        switch self {
        case .email, .creditCard, .socialSecurityNumber, .phone, .ipv4, .iban, .ipv6, .macAddress, .passportZone,
            .brazilianCPF, .spanishDNI, .indianAadhaar, .cryptoWallet:
            false
        default: true
        }
    }
}

/// A set of detectors in one word.
package struct DetectorSet: OptionSet, Sendable, Equatable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The set that holds just `detector`.
    package init(_ detector: Detector) { rawValue = 1 << UInt64(detector.tag.rawValue) }

    /// Every built-in detector.
    package static let all = DetectorSet(Detector.allCases.map { DetectorSet($0) })
    /// Every kind of credential.
    package static let secrets = DetectorSet(Detector.allCases.filter(\.isSecret).map { DetectorSet($0) })
    /// Everything about persons and their machines.
    package static let personal = DetectorSet(Detector.allCases.filter { !$0.isSecret }.map { DetectorSet($0) })
    /// What `api_key` stands for: keys of all providers, those with a detector of their own included.
    package static let apiKeys: DetectorSet = [
        .apiKey, .githubToken, .gitlabToken, .slackToken, .stripeKey, .googleKey, .azureKey, .npmToken, .pypiToken,
        .twilioKey, .sendGridKey, .huggingFaceToken, .telegramToken,
    ]

    /// The names that a file may use: detectors, and groups of them.
    package static let names = ["all", "secrets", "personal"] + Detector.allCases.map(\.rawValue)

    /// The detectors that a name in the file stands for.
    package init?(name: String) {
        switch name {
        case "all": self = .all
        case "secrets": self = .secrets
        case "personal": self = .personal
        case "api_key": self = .apiKeys
        default:
            guard let detector = Detector(rawValue: name) else { return nil }
            self = DetectorSet(detector)
        }
    }

    @inline(__always)
    func has(_ detector: DetectorSet) -> Bool { rawValue & detector.rawValue != 0 }

    /// The detectors that are in the set, in order.
    var members: [Detector] { Detector.allCases.filter { has(DetectorSet($0)) } }

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
    static let ipv6 = DetectorSet(.ipv6)
    static let macAddress = DetectorSet(.macAddress)
    static let passportZone = DetectorSet(.passportZone)
    static let brazilianCPF = DetectorSet(.brazilianCPF)
    static let spanishDNI = DetectorSet(.spanishDNI)
    static let indianAadhaar = DetectorSet(.indianAadhaar)
    static let cryptoWallet = DetectorSet(.cryptoWallet)
    static let githubToken = DetectorSet(.githubToken)
    static let gitlabToken = DetectorSet(.gitlabToken)
    static let slackToken = DetectorSet(.slackToken)
    static let stripeKey = DetectorSet(.stripeKey)
    static let googleKey = DetectorSet(.googleKey)
    static let azureKey = DetectorSet(.azureKey)
    static let npmToken = DetectorSet(.npmToken)
    static let pypiToken = DetectorSet(.pypiToken)
    static let twilioKey = DetectorSet(.twilioKey)
    static let sendGridKey = DetectorSet(.sendGridKey)
    static let huggingFaceToken = DetectorSet(.huggingFaceToken)
    static let telegramToken = DetectorSet(.telegramToken)
    static let basicAuth = DetectorSet(.basicAuth)
    static let urlCredentials = DetectorSet(.urlCredentials)
    static let cookie = DetectorSet(.cookie)
    static let password = DetectorSet(.password)
}

/// Why a range is masked: a detector's number, or one of the reasons after them.
struct MatchTag: BitwiseCopyable, Equatable, Sendable {
    let rawValue: UInt8

    /// A `blocked_values` pattern matched.
    static let blockedValue = MatchTag(rawValue: 56)
    /// A `blocked_key_patterns` pattern matched the key.
    static let blockedKey = MatchTag(rawValue: 57)
    /// Nested or escaped beyond what is looked into; withheld unseen.
    static let tooDeep = MatchTag(rawValue: 58)
    /// A pattern hit its match limit; withheld because nobody knows.
    static let undecided = MatchTag(rawValue: 59)

    /// An attribute that is not in `allowed_keys` was removed.
    static let removedKey = MatchTag(rawValue: 60)

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
    /// In the name of a member of a JSON object.
    var isKey = false

    @inline(__always)
    init(_ start: Int, _ end: Int, _ tag: MatchTag, quotes: UInt8 = 0) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.end = UInt32(truncatingIfNeeded: end)
        self.tag = tag
        self.quotes = quotes
    }
}
