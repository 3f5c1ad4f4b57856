package import Configuration

/// Options of `notify`: exactly one service.
package struct NotifyOptions: ComponentOptions {
    enum Service: Sendable {
        case slack(url: Secret, channel: String?, username: String?)
        case pagerDuty(url: String, routingKey: Secret, source: String)
        case opsGenie(url: String, key: Secret, tags: [String], source: String)
        case webhook(url: String, headers: [(key: String, value: Secret)], auth: HTTPAuthOptions)
    }

    package var helper: ExporterHelperOptions
    /// Nil only while describing, or when the file has problems.
    var service: Service?
    package var sendsResolved: Bool
    package var proxyURL: String
    package var tls: HTTPTLSOptions

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings, defaultTimeout: .seconds(15))
        var found: [Service] = []
        let names = ["slack", "pagerduty", "opsgenie", "webhook"]
        if let service = settings.optionalGroup("slack", "An incoming webhook of Slack.", Self.slack) {
            found.append(service)
        }
        if let service = settings.optionalGroup("pagerduty", "PagerDuty, Events API v2.", Self.pagerDuty) {
            found.append(service)
        }
        if let service = settings.optionalGroup("opsgenie", "OpsGenie, Alert API.", Self.opsGenie) {
            found.append(service)
        }
        if let service = settings.optionalGroup("webhook", "Any URL; it gets a JSON object.", Self.webhook) {
            found.append(service)
        }
        sendsResolved = settings.bool("send_resolved", default: true, "Also tells when an alert is over.")
        proxyURL = OTLPHTTPOptions.readProxy(&settings)
        tls = settings.group("tls", "How a https endpoint is checked.") { HTTPTLSOptions(&$0) }
        service = found.first
        if found.count != 1 && !settings.isDescribing {
            settings.problem("needs one of \(names.joined(separator: ", ")), not \(found.count)", at: names[0])
        }
    }

    private static func slack(_ settings: inout Settings) -> Service {
        let url = settings.secret("webhook_url", "URL of the incoming webhook; it is a secret.")
        let channel = settings.optionalString("channel", "Another channel than the webhook's, where Slack allows it.")
        let username = settings.optionalString("username", "Name to post under, where Slack allows it.")
        if !settings.isDescribing {
            if let url {
                OTLPHTTPOptions.check(url.reveal(), at: "webhook_url", &settings)
            } else {
                settings.problem("is required: the URL of the incoming webhook", at: "webhook_url")
            }
        }
        return .slack(url: url ?? Secret(""), channel: channel, username: username)
    }

    private static func pagerDuty(_ settings: inout Settings) -> Service {
        let key = settings.secret("routing_key", "Integration key of the service.")
        let url = settings.string(
            "endpoint", default: "https://events.pagerduty.com/v2/enqueue",
            "Where events go; https://events.eu.pagerduty.com/v2/enqueue in Europe.")
        if key == nil && !settings.isDescribing {
            settings.problem("is required: the integration key of an Events API v2 integration", at: "routing_key")
        }
        OTLPHTTPOptions.check(url, at: "endpoint", &settings)
        return .pagerDuty(url: url, routingKey: key ?? Secret(""), source: source(&settings))
    }

    private static func opsGenie(_ settings: inout Settings) -> Service {
        let key = settings.secret("api_key", "API key of an integration that may create and close alerts.")
        let url = settings.string(
            "endpoint", default: "https://api.opsgenie.com", "Base URL; https://api.eu.opsgenie.com in Europe.")
        let tags = settings.strings("tags", default: [], "Tags of the alerts.")
        if key == nil && !settings.isDescribing {
            settings.problem("is required: the API key of an integration", at: "api_key")
        }
        OTLPHTTPOptions.check(url, at: "endpoint", &settings)
        return .opsGenie(
            url: url.hasSuffix("/") ? String(url.dropLast()) : url, key: key ?? Secret(""), tags: tags,
            source: source(&settings))
    }

    private static func webhook(_ settings: inout Settings) -> Service {
        let url = settings.requiredSecretURL("url", "URL that every alert is posted to.")
        let headers = settings.secretMap("headers", "Headers of every request; never printed.")
        let auth = HTTPAuthOptions(&settings)
        OTLPHTTPOptions.check(headers, auth.credentials, &settings)
        if !url.isEmpty { OTLPHTTPOptions.check(url, at: "url", &settings) }
        return .webhook(url: url, headers: headers, auth: auth)
    }

    private static func source(_ settings: inout Settings) -> String {
        settings.string("source", default: "sluice", "What the service shows as the source.")
    }
}
