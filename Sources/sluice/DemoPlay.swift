import Telemetry

/// How a framework writes its telemetry.
enum DemoDialect: String, CaseIterable {
    case semconv = "OpenTelemetry GenAI"
    case openinference = "OpenInference"
    case openllmetry = "OpenLLMetry"
}

/// One run of the agent, encoded.
struct DemoRun {
    var dialect: DemoDialect
    var isFailing: Bool
    var session: String
    var traceID: String
    /// An OTLP/JSON request.
    private(set) var body = ""

    /// `start` is the time at which the demo begins, that of the steps begins at 0.
    fileprivate mutating func encode(_ steps: [DemoPlay.Step], startingAt start: UInt64) {
        let shifted = steps.map { step in
            var step = step
            step.start += start
            step.end += start
            return step
        }
        body = DemoEncoder(dialect: dialect, traceID: traceID, session: session).request(shifted)
    }
}

/// Plays the refund agent. Time and randomness come from outside, so that a test can repeat a play.
struct DemoPlay {
    private var clock: UInt64
    private let random: () -> UInt64
    private var count = 0

    /// All runs of a demo, one after the other; the last ends at `end`, in Unix nanoseconds.
    static func runs(healthy: Int, failing: Int, end: UInt64, random: @escaping () -> UInt64) -> [DemoRun] {
        var play = DemoPlay(clock: 0, random: random)
        var played: [(run: DemoRun, steps: [Step])] = []
        for dialect in DemoDialect.allCases {
            for number in 0..<healthy + failing {
                played.append(play.run(dialect, isFailing: number >= healthy))
            }
        }
        let length = played.last?.steps.first?.end ?? 0
        return played.map { run, steps in
            var run = run
            run.encode(steps, startingAt: end - min(length, end))
            return run
        }
    }

    private init(clock: UInt64, random: @escaping () -> UInt64) {
        self.clock = clock
        self.random = random
    }

    /// One step of the run, in no dialect yet.
    struct Step {
        enum Kind {
            case agent
            case model(calls: [Call], answer: String?)
            case tool(Call)
        }

        struct Call {
            var id: String
            var name: String
            var arguments: String
            var result: String
        }

        var kind: Kind
        var id: String
        var start: UInt64
        var end: UInt64
        /// Messages before this step, for model calls.
        var history: [Message] = []
    }

    enum Message {
        case system(String), user(String)
        case call(Step.Call)
        case result(Step.Call)
    }

    private mutating func run(_ dialect: DemoDialect, isFailing: Bool) -> (DemoRun, [Step]) {
        count += 1
        let traceID = random().hexDigits + random().hexDigits
        let session = "demo-\(random().hexDigits.prefix(6))-\(count)"
        let run = DemoRun(dialect: dialect, isFailing: isFailing, session: session, traceID: traceID)
        return (run, play(isFailing: isFailing))
    }

    // MARK: The play

    static let system =
        "You are a refund support agent of a web shop. Look up the customer, fetch the order history, validate the "
        + "refund, process it, and send a confirmation."

    private mutating func play(isFailing: Bool) -> [Step] {
        let order = "ORD-\(10_000 + random() % 90_000)"
        let customer = "C-\(10_000 + random() % 90_000)"
        let amount = "\(20 + random() % 180).\(random() % 90 + 10)"
        let question = "My stand mixer from order \(order) arrived broken. I am customer \(customer) and want a refund."
        var steps = [Step(kind: .agent, id: newID(), start: clock, end: 0)]
        var history: [Message] = [.system(DemoPlay.system), .user(question)]
        // What the failing agent gets wrong: the id is copied with what stood around it.
        let id = isFailing ? #" \"\#(customer)\""# : customer
        let orders =
            isFailing ? "[]" : #"[{"order_id":"\#(order)","item":"Stand mixer","amount":\#(amount),"currency":"EUR"}]"#
        var calls = [
            call(
                "lookup_customer", #"{"customer_id":"\#(customer)"}"#,
                #"{"customer_id":"\#(customer)","tier":"repeat"}"#),
            call("fetch_order_history", #"{"customer_id":"\#(id)"}"#, orders),
        ]
        if !isFailing {
            let arguments = #"{"order_id":"\#(order)","amount":\#(amount)}"#
            calls.append(
                call("validate_refund_eligibility", arguments, #"{"order_id":"\#(order)","eligible":true}"#))
            calls.append(call("process_refund", arguments, #"{"refund_id":"RF-\#(order)","status":"submitted"}"#))
            calls.append(
                call(
                    "send_confirmation", #"{"customer_id":"\#(customer)","message":"Your refund was submitted."}"#,
                    #"{"sent":true}"#))
        }
        for call in calls {
            add(.model(calls: [call], answer: nil), milliseconds: 700, history, &steps)
            add(.tool(call), milliseconds: 120, [], &steps)
            history += [.call(call), .result(call)]
        }
        let answer =
            isFailing
            ? "I checked your account and there are no orders on it, so there is nothing to refund."
            : "Your refund of \(amount) EUR for order \(order) was submitted."
        add(.model(calls: [], answer: answer), milliseconds: 900, history, &steps)
        steps[0].end = clock
        clock += 2_000_000_000
        return steps
    }

    private mutating func call(_ name: String, _ arguments: String, _ result: String) -> Step.Call {
        Step.Call(id: "call_" + newID(), name: name, arguments: arguments, result: result)
    }

    private mutating func add(
        _ kind: Step.Kind, milliseconds: UInt64, _ history: [Message], _ steps: inout [Step]
    ) {
        clock += 5_000_000
        let start = clock
        clock += (milliseconds + random() % milliseconds) * 1_000_000
        steps.append(Step(kind: kind, id: newID(), start: start, end: clock, history: history))
    }

    private func newID() -> String { random().hexDigits }
}
