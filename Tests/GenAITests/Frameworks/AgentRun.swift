import Foundation

/// What an agent did, told without any framework's words: each shape in this folder writes it as one framework would.
struct AgentRun: Sendable {
    struct Tool: Sendable {
        var name: String
        var description = ""
        /// Property name and JSON type.
        var properties: [(name: String, type: String)] = []
        var required: [String] = []

        var schema: [String: Any] {
            let properties = properties.map { ($0.name, ["type": $0.type] as [String: Any]) }
            return [
                "type": "object", "properties": Dictionary(uniqueKeysWithValues: properties), "required": required,
            ]
        }
    }

    struct Call: Sendable {
        var tool: String
        /// JSON text as the model wrote it, valid or not.
        var arguments: String
        var result: String?
        var error: String?
        /// The agent that the call hands over to.
        var subAgent: [AgentRun] = []
        /// Documents that a retriever inside the tool found for `query`.
        var documents: [String] = []
        var query = ""
    }

    var agent = "refund_agent"
    var system = "You help customers of a shop."
    var user: String
    var tools: [Tool] = []
    /// One list per model call.
    var turns: [[Call]] = []
    var answer: String?
    /// The last model call failed with this message.
    var modelError: String?

    static func json(_ value: Any) -> String {
        let options: JSONSerialization.WritingOptions = [.sortedKeys, .fragmentsAllowed, .withoutEscapingSlashes]
        guard let data = try? JSONSerialization.data(withJSONObject: value, options: options) else { return "null" }
        return String(decoding: data, as: UTF8.self)
    }

    /// The arguments as a value; a string when they are no JSON.
    static func object(_ text: String) -> Any {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)) ?? text
    }
}

/// The runs that are written in every framework's shape: a failing one and its healthy twin for each pattern, and
/// healthy ones that look like failures.
enum AgentRuns {
    static let tools = [
        AgentRun.Tool(
            name: "fetch_orders", description: "Lists a customer's orders.", properties: [("customer_id", "string")],
            required: ["customer_id"]),
        AgentRun.Tool(
            name: "process_refund", description: "Refunds an order.",
            properties: [("order_id", "string"), ("amount", "number")], required: ["order_id", "amount"]),
        AgentRun.Tool(
            name: "list_tickets", description: "Lists support tickets.",
            properties: [("page", "integer"), ("state", "string")], required: ["page"]),
        AgentRun.Tool(
            name: "get_job_status", description: "Tells how far a job is.", properties: [("job_id", "string")],
            required: ["job_id"]),
        AgentRun.Tool(
            name: "send_notice", description: "Sends a message to a customer.",
            properties: [("customer_id", "string"), ("text", "string")], required: ["customer_id", "text"]),
        AgentRun.Tool(
            name: "check_conflicts", description: "Looks for conflicting bookings.", properties: [("date", "string")],
            required: ["date"]),
        AgentRun.Tool(
            name: "is_eligible", description: "Tells whether an order may be refunded.",
            properties: [("order_id", "string")], required: ["order_id"]),
        AgentRun.Tool(
            name: "search_policy", description: "Searches the shop's policies.", properties: [("query", "string")],
            required: ["query"]),
    ]

    static let request = "Please refund my order ORD-88213, I am customer C-10482."
    static let orders = #"[{"order_id":"ORD-88213","total":89.9,"state":"delivered"}]"#

    static func run(_ turns: [[AgentRun.Call]], user: String = request, _ answer: String?) -> AgentRun {
        AgentRun(user: user, tools: tools, turns: turns, answer: answer)
    }

    static func call(_ tool: String, _ arguments: String, _ result: String?, error: String? = nil) -> AgentRun.Call {
        AgentRun.Call(tool: tool, arguments: arguments, result: result, error: error)
    }

    // MARK: Empty results

    static func emptyResult(_ id: String, _ result: String) -> AgentRun {
        run(
            [[call("fetch_orders", #"{"customer_id":"\#(id)"}"#, result)]],
            "You have one order and its refund is on the way.")
    }

    // MARK: Arguments

    static func refund(_ arguments: String, error: String? = nil) -> AgentRun {
        let result = error == nil ? #"{"refund_id":"RF-1","state":"submitted"}"# : nil
        return run([[call("process_refund", arguments, result, error: error)]], "Your refund RF-1 was submitted.")
    }

    // MARK: Repeats

    static func storm(_ calls: Int) -> AgentRun {
        let one = call(
            "process_refund", #"{"order_id":"ORD-88213","amount":89.9}"#, nil,
            error: "TimeoutError: payment gateway did not answer within 3000 ms")
        return run(Array(repeating: [one], count: calls), "The refund could not be made, please try later.")
    }

    static var paging: AgentRun {
        let pages = (1...5).map { page in
            [
                call(
                    "list_tickets", #"{"page":\#(page),"state":"open"}"#,
                    #"{"tickets":[{"id":"T-\#(page)01"},{"id":"T-\#(page)02"}],"page":\#(page)}"#)
            ]
        }
        return run(pages, "There are ten open tickets.")
    }

    static var polling: AgentRun {
        let waits = (1...4).map { _ in [call("get_job_status", #"{"job_id":"J-77"}"#, #"{"state":"running"}"#)] }
        return run(
            waits + [[call("get_job_status", #"{"job_id":"J-77"}"#, #"{"state":"done"}"#)]], "The job is done.")
    }

    static var batch: AgentRun {
        let notices = (1...6).map { number in
            call(
                "send_notice",
                #"{"customer_id":"C-1048\#(number)","text":"Your order will arrive on Monday, sorry for the delay."}"#,
                #"{"state":"sent"}"#)
        }
        return run([notices], "All six customers were told.")
    }

    /// Four calls that differ in a word and fail alike: another try, not another thing.
    static var guessing: AgentRun {
        let tries = [
            "open tickets of Keller", "open tickets from Keller", "open tickets by Keller", "open tickets Keller",
        ]
        let turns = tries.map { words in
            [call("search_policy", #"{"query":"all \#(words) since last week please"}"#, "[]")]
        }
        return run(turns, "I could not find any tickets.")
    }

    // MARK: Legitimate answers

    static var noConflicts: AgentRun {
        run(
            [[call("check_conflicts", #"{"date":"2026-03-05"}"#, "No conflicts found.")]],
            "The fifth of March is free, your visit is booked.")
    }

    static var plainNo: AgentRun {
        run(
            [
                [call("is_eligible", #"{"order_id":"ORD-88213"}"#, "false")],
                [call("list_tickets", #"{"page":1,"state":"open"}"#, "0")],
            ], "This order may not be refunded.")
    }

    static var silentAction: AgentRun {
        run(
            [[call("send_notice", #"{"customer_id":"C-10482","text":"On its way."}"#, "null")]],
            "I sent you the confirmation.")
    }

    // MARK: Retrieval

    static func retrieval(_ documents: [String]) -> AgentRun {
        let query = "How many days may pass before a damaged headphone is returned?"
        let list = AgentRun.json(
            documents.enumerated().map { ["content": $1, "id": "doc-\($0)", "score": 0.8] as [String: Any] })
        var one = call("search_policy", AgentRun.json(["query": query]), list)
        one.documents = documents
        one.query = query
        return run([[one]], user: query, "Within thirty days.")
    }

    static let goodDocuments = [
        "A damaged headphone may be returned within thirty days; count the days from delivery.",
        "Refunds are paid within five working days.",
    ]
    static let badDocuments = [
        "The canteen opens at noon and offers three dishes, one of them vegan.",
        "Parking permits are handed out by the front desk every Tuesday.",
    ]

    // MARK: Handoffs

    static func handoff(_ told: String, _ work: [[AgentRun.Call]] = []) -> AgentRun {
        let sub = AgentRun(
            agent: "billing_agent", system: "You refund orders.", user: told, tools: [tools[1]], turns: work,
            answer: "The refund was handed in.")
        let one = AgentRun.Call(
            tool: "transfer_to_billing_agent", arguments: AgentRun.json(["task": told]),
            result: "The refund was handed in.", subAgent: [sub])
        var result = run([[one]], "Your refund was handed in.")
        result.user = "Refund 89.90 for order ORD-88213 of customer C-10482 to Maria Keller, ticket T-5519."
        result.tools.append(
            AgentRun.Tool(
                name: "transfer_to_billing_agent", description: "Hands over to billing.",
                properties: [("task", "string")]))
        return result
    }

    /// Each agent is told its part: nothing is lost over all of them.
    static var stepwise: AgentRun {
        func sub(_ name: String, _ told: String) -> AgentRun.Call {
            AgentRun.Call(
                tool: "transfer_to_\(name)", arguments: AgentRun.json(["task": told]), result: "Done.",
                subAgent: [AgentRun(agent: name, user: told, answer: "Done.")])
        }
        var result = run(
            [
                [sub("lookup_agent", "Find customer C-10482, Maria Keller.")],
                [sub("billing_agent", "Pay 89.90 for ORD-88213.")], [sub("mail_agent", "Answer ticket T-5519.")],
            ], "All is done.")
        result.user = "Refund 89.90 for order ORD-88213 of customer C-10482 to Maria Keller, ticket T-5519."
        return result
    }
}
