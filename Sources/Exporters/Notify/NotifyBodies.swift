import FoundationEssentials

/// The requests that the services want. Every member is always in the same place, so that bodies can be compared.
enum NotifyBodies {
    private static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? [UInt8](encoder.encode(value))) ?? []
    }

    /// A text of at most so many UTF-16 units. Services count these or code points, of which there are never more; what
    /// a reader sees as one character may be many.
    static func cut(_ text: String, _ limit: Int) -> String {
        guard text.utf16.count > limit else { return text }
        var kept = String.UnicodeScalarView()
        var room = limit - 1
        for scalar in text.unicodeScalars {
            room -= UTF16.width(scalar)
            if room < 0 { break }
            kept.append(scalar)
        }
        return String(kept) + "…"
    }

    /// Seconds with thousandths, as RFC 3339 wants them.
    static func timestamp(_ nanoseconds: UInt64) -> String {
        let seconds = Int(nanoseconds / 1_000_000_000)
        let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86_400)
        // Days to a date of the proleptic Gregorian calendar, by Howard Hinnant's algorithm.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let day = shifted - era * 146_097
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365
        let inYear = day - (365 * year + year / 4 - year / 100)
        let part = (5 * inYear + 2) / 153
        let month = part < 10 ? part + 3 : part - 9
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let millis = String(1_000 + Int(nanoseconds / 1_000_000 % 1_000)).dropFirst()
        return "\(year + era * 400 + (month <= 2 ? 1 : 0))-\(two(month))-\(two(inYear - (153 * part + 2) / 5 + 1))T"
            + "\(two(rest / 3_600)):\(two(rest / 60 % 60)):\(two(rest % 60)).\(millis)Z"
    }

    // MARK: Slack

    private struct Slack: Encodable {
        struct Field: Encodable {
            var title: String
            var value: String
            var short: Bool
        }

        struct Attachment: Encodable {
            var color: String
            var fallback: String
            var text: String
            var fields: [Field]
            var footer: String
            var ts: Int
        }

        var text: String
        var attachments: [Attachment]
        var channel: String?
        var username: String?
    }

    /// For an incoming webhook.
    static func slack(_ notice: AlertNotice, channel: String?, username: String?) -> [UInt8] {
        let color: String
        switch (notice.state, notice.severity) {
        case (.resolved, _): color = "#2eb67d"
        case (_, .critical), (_, .error): color = "#e01e5a"
        case (_, .warning): color = "#ecb22e"
        case (_, .info): color = "#36c5f0"
        }
        let head = notice.state == .resolved ? "resolved" : notice.severity.rawValue
        let sentence = slackText("[\(head)] \(notice.sentence)")
        let fields = notice.facts.map {
            Slack.Field(title: $0.name, value: slackText($0.value), short: $0.value.count < 40)
        }
        let attachment = Slack.Attachment(
            color: color, fallback: cut(sentence, 1_000), text: slackText(notice.message), fields: fields,
            footer: notice.dedupKey, ts: Int(notice.time / 1_000_000_000))
        return encode(
            Slack(text: cut(sentence, 3_000), attachments: [attachment], channel: channel, username: username))
    }

    /// Slack reads these three as markup.
    private static func slackText(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    // MARK: PagerDuty

    private struct PagerDuty: Encodable {
        struct Payload: Encodable {
            var summary: String
            var source: String
            var severity: String
            var timestamp: String
            var component: String?
            var group: String?
            var `class`: String
            var custom_details: [String: String]
        }

        struct Link: Encodable {
            var href: String
            var text: String
        }

        var routing_key: String
        var event_action: String
        var dedup_key: String
        var client: String
        var payload: Payload?
        var links: [Link]?
    }

    /// For Events API v2.
    static func pagerDuty(_ notice: AlertNotice, routingKey: String, source: String) -> [UInt8] {
        let key = cut(notice.dedupKey, 255)
        guard notice.state != .resolved else {
            return encode(
                PagerDuty(routing_key: routingKey, event_action: "resolve", dedup_key: key, client: "Sluice"))
        }
        let payload = PagerDuty.Payload(
            summary: cut(notice.sentence, 1_024), source: source, severity: notice.severity.rawValue,
            timestamp: timestamp(notice.time), component: notice.rule, group: notice.group.isEmpty ? nil : notice.group,
            class: notice.metric, custom_details: details(notice))
        let links = notice.runbook.isEmpty ? nil : [PagerDuty.Link(href: notice.runbook, text: "runbook")]
        return encode(
            PagerDuty(
                routing_key: routingKey, event_action: "trigger", dedup_key: key, client: "Sluice", payload: payload,
                links: links))
    }

    private static func details(_ notice: AlertNotice) -> [String: String] {
        var details = Dictionary(notice.facts.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        if !notice.message.isEmpty { details["message"] = notice.message }
        return details
    }

    // MARK: OpsGenie

    private struct OpsGenie: Encodable {
        var message: String
        var alias: String
        var description: String
        var priority: String
        var source: String
        var tags: [String]
        var entity: String?
        var details: [String: String]
    }

    private struct OpsGenieClose: Encodable {
        var source: String
        var note: String
    }

    static func opsGenie(_ notice: AlertNotice, tags: [String], source: String) -> [UInt8] {
        if notice.state == .resolved {
            return encode(OpsGenieClose(source: source, note: cut(notice.sentence, 25_000)))
        }
        let priority: String
        switch notice.severity {
        case .critical: priority = "P1"
        case .error: priority = "P2"
        case .warning: priority = "P3"
        case .info: priority = "P5"
        }
        let description = [notice.sentence, notice.message].filter { !$0.isEmpty }.joined(separator: "\n")
        return encode(
            OpsGenie(
                message: cut(notice.sentence, 130), alias: cut(notice.dedupKey, 512),
                description: cut(description, 15_000), priority: priority, source: cut(source, 100), tags: tags,
                entity: notice.group.isEmpty ? nil : cut(notice.group, 512), details: details(notice)))
    }

    // MARK: Webhook

    private struct Webhook: Encodable {
        var version = 1
        var state: String
        var severity: String
        var rule: String
        var summary: String
        var message: String
        var dedup_key: String
        var metric: String
        var aggregation: String
        var `operator`: String
        var threshold: Double
        var value: Double?
        var count: Int
        var window_seconds: Double
        var group: String
        var time: String
        var since: String
        var trace_id: String
        var span_id: String
        var conversation_id: String
        var example: String
        var runbook_url: String
    }

    static func webhook(_ notice: AlertNotice) -> [UInt8] {
        encode(
            Webhook(
                state: notice.state.rawValue, severity: notice.severity.rawValue, rule: notice.rule,
                summary: notice.sentence, message: notice.message, dedup_key: notice.dedupKey, metric: notice.metric,
                aggregation: notice.aggregation, operator: notice.comparison, threshold: notice.threshold,
                value: notice.value, count: notice.count, window_seconds: notice.windowSeconds, group: notice.group,
                time: timestamp(notice.time), since: timestamp(notice.since), trace_id: notice.traceID,
                span_id: notice.spanID, conversation_id: notice.conversation, example: notice.example,
                runbook_url: notice.runbook))
    }
}
