import Telemetry
import Testing

@testable import GenAI

/// Names, texts and pages that mean something else than a single word of theirs, and arguments of unusual size.
@Suite struct FindingsWordsTests {
    /// Lends a text to a check of the analyzer.
    private func ask<Value>(_ text: String, _ check: (Text) -> Value) -> Value {
        var text = text
        return text.withUTF8 { check(Text(UnsafeRawBufferPointer($0))) }
    }

    // MARK: Bounds

    private func batch(members: Int) throws -> [Finding] {
        let many = (0..<members).map { #""k\#($0)":true"# }.joined(separator: ",")
        var trace = TestTrace()
        let agent = trace.agent("a")
        for name in ["Ann", "Bob", "Eve", "Tom"] {
            let start = #"{"name":"\#(name)","team":"core platform team of the firm","role":"member""#
            let arguments = start + (members > 0 ? "," + many : "") + "}"
            trace.tool("add_member", in: agent, arguments: arguments, result: #"{"ok":true}"#)
        }
        trace.model(in: agent, text: "All of them are members.")
        return try findings(trace).of(.loop)
    }

    @Test func `arguments with very many members are not compared one by one`() throws {
        #expect(try batch(members: 0).isEmpty)
        let clock = ContinuousClock()
        let start = clock.now
        #expect(try batch(members: 15_000).map(\.rule) == [.repeatedNearly])
        #expect(start.duration(to: clock.now) < .seconds(20))
    }

    @Test func `an object of nothing but headings is read in one go`() throws {
        let headings = [String](repeating: #""columns":["a"]"#, count: 15_000).joined(separator: ",")
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("sql", in: agent, arguments: #"{"q":"select"}"#, result: #"{"rows":[],\#(headings)}"#)
        trace.model(in: agent, text: "There is nothing in it.")
        #expect(try findings(trace).of(.silentEmptyResponse).isEmpty)
    }

    // MARK: Names

    @Test(arguments: [
        "get_record", "read_email", "get_schedule", "check_transfer", "get_process", "load_set", "search_post",
        "list_open_orders", "is_open", "can_cancel_order", "find_deleted_email", "crm.get_record", "gmail_search_email",
        "show_add_ons", "count_log_lines", "get_last_update",
    ]) func `a tool whose name begins with a word that reads changes nothing`(_ name: String) {
        #expect(!ask(name) { TraceAnalyzer.isAction($0) })
    }

    @Test(arguments: [
        "process_refund", "email_customer", "schedule_meeting", "set_value", "mark_as_read", "todo_list_add",
        "get_or_create_user", "find_and_replace", "update_list", "shop.transfer_money", "upload_file",
    ]) func `a tool whose name begins with a verb does`(_ name: String) {
        #expect(ask(name) { TraceAnalyzer.isAction($0) })
    }

    @Test func `reading something else in between does not hide a loop`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for day in 1...3 {
            trace.tool("get_order", in: agent, arguments: #"{"id":"A-1001"}"#, result: #"{"total":60}"#)
            trace.tool("get_schedule", in: agent, arguments: #"{"day":\#(day)}"#, result: #"{"free":\#(day)}"#)
        }
        trace.model(in: agent, text: "All is well with it.")
        #expect(try findings(trace).of(.loop).map(\.tier) == [.alert])
    }

    // MARK: Texts

    @Test(arguments: [
        "No data roaming charges apply to your plan", "No earlier slot is available than 5 May 14:00 with Dr Weber",
        "There is no such limit: withdrawals up to 5000 are free",
        "I could not find a cheaper flight than LH123 at 240 EUR", "No items need restocking",
        "Unable to find errors in your code, all 12 tests pass", "Successfully deleted, no content returned",
        "No results for X. Total balance is 4500 euros and account 77 is active.", "No record. Status active",
        "No records were changed.", "No results: the balance is 5 EUR now", "Coupon not found, total is 45 EUR",
    ]) func `a text that says something besides is not empty`(_ text: String) {
        #expect(ask(text) { TraceAnalyzer.emptiness(of: $0) } == .none)
    }

    @Test(arguments: [
        "No results found for 'X'.", "Order not found", "404 Not Found", "No data",
        "I couldn't find any documents matching your query. Try other words.", "No results for query: is it open",
        "No such file or directory: 'a.txt'", "Could not find flights from Rome, Italy to Oslo, Norway.",
        "No orders older than 30 days found.", "No records were found.", "No results. Total: 0",
        "Order not found. It could be archived.", "No matches", "Search completed, no rows returned",
    ]) func `a text that says that there is nothing is`(_ text: String) {
        #expect(ask(text) { TraceAnalyzer.emptiness(of: $0) } == .phrase)
    }

    @Test(arguments: [
        ("review", "No errors found.", true), ("review", "Could not find any problems.", true),
        ("review", #"{"message":"No warnings found."}"#, true), ("fetch", "Could not find error log 7.", false),
        ("search_problems", "Could not find any problems.", false), ("review", #"{"message":"No data"}"#, false),
    ]) func `finding nothing that one fears is good news`(_ tool: String, _ text: String, _ isGood: Bool) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool(tool, in: agent, arguments: #"{"id":"C-10482"}"#, result: text)
        trace.model(in: agent, text: "There is nothing.")
        #expect(try findings(trace).of(.silentEmptyResponse).isEmpty == isGood)
    }

    // MARK: Languages

    @Test(arguments: [
        "✅ Booked – order A-1 ships Monday.", "“Done” — order A-1 ships Monday…", "🎉🎉 Order A-1 ships Monday!",
        "✔️ Order A-1 → Monday • 40 €", "Jürgen Smith: order ships Monday.", "Your order (订单) ships on Monday.",
        "You fly to Las Vegas via El Paso.", "Pay per hour, las of Monday",
    ]) func `signs, pictures and names are no other language`(_ text: String) {
        #expect(!ask(text) { TraceAnalyzer.isForeign($0) })
    }

    @Test(arguments: [
        "✅ Ihre Bestellung ist bezahlt.", "Größe geändert, läuft.", "注文は月曜日に届きます。", "Заказ my-1 в пути.",
        "El pedido has comprado por error llega para el lunes, las dos.",
    ]) func `letters and words of one are`(_ text: String) {
        #expect(ask(text) { TraceAnalyzer.isForeign($0) })
    }

    /// The tier of an empty result, by the answer that follows.
    private func tier(
        _ answer: String, result: String = "[]", tool: String = "list_open_invoices"
    ) throws
        -> FindingTier?
    {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool(tool, in: agent, arguments: #"{"customer":"C1"}"#, result: result)
        trace.model(in: agent, text: answer)
        return try findings(trace).of(.silentEmptyResponse).first?.tier
    }

    @Test(arguments: [
        "Sie haben keine offenen Rechnungen.", "Es wurden keine offenen Rechnungen gefunden.", "Nein, alles bezahlt.",
        "Derzeit sind keine Rechnungen offen.", "Non hai fatture aperte.", "Nie masz otwartych faktur.",
        "U heeft geen openstaande facturen.", "Du har inga obetalda fakturor.", "Je n'ai trouvé aucune facture.",
        "Vous n'avez pas de factures ouvertes.", "No encontré ninguna factura.", "Não há faturas em aberto.",
        "Du har ingen ubetalte fakturaer.", "Sinulla ei ole avoimia laskuja.", "Sistemde faturanız yok.",
        "У вас нет счетов.", "没有找到发票。", "Anda punya tagihan lama sejak bulan lalu.",
    ]) func `an answer in another language makes an empty result a tag at most`(_ answer: String) throws {
        #expect(try tier(answer) == .tag)
    }

    @Test(arguments: [
        "You have 0 open invoices.", "No.", "0", "None", "Zero.", "All your invoices are paid.", "It is clean.",
        "All invoices have been settled.", "You are all set.", "Your account is fully paid up.", "I couldn’t see any.",
        "The list came back blank.", "You are up to date!",
    ]) func `an answer that says in few words that there is nothing notices it`(_ answer: String) throws {
        #expect(try tier(answer) == .tag)
    }

    @Test(arguments: [
        "Your invoice over 90 EUR was paid yesterday.", "Invoice No. 4711 over 10,00 EUR is due at 10:00.",
        "All invoices over 90 EUR are paid.", "Your ticket is non-refundable, with 0.5 kg and 0% interest.",
        "Your order arrives on Monday.", "Done, everything is fine.",
    ]) func `an answer that goes on as if there had been data does not`(_ answer: String) throws {
        #expect(try tier(answer) == .alert)
    }

    @Test(arguments: [
        "set_language", "update_profile", "create_ticket", "save_settings", "notify_user", "enable_feature",
    ]) func `an action may answer with nothing in any form`(_ tool: String) throws {
        for result in ["{}", "[]", "null", #"{"result":{}}"#] {
            #expect(try tier("Done, everything is fine.", result: result, tool: tool) == nil, "\(result)")
        }
        #expect(try tier("Done, everything is fine.", result: #"{"users":[]}"#, tool: tool) == .alert)
    }

    @Test(arguments: ["run_query", "select_rows", "list_updates", "email_threads", "open_orders", "make_search"])
    func `what may bring something back is no mere action`(_ tool: String) throws {
        #expect(try tier("Done, everything is fine.", result: "[]", tool: tool) == .alert)
    }

    @Test(arguments: [
        ("validate_config", "[]"), ("verify_signature", "[]"), ("get_alerts", "[]"), ("git_diff", "[]"),
        ("git_status", #"{"changes":[]}"#), ("get_host", #"{"alerts":[]}"#), ("compare", #"{"diff":{}}"#),
        ("review_code", #"{"issues":[]}"#),
    ]) func `a check that lists nothing is good news`(_ tool: String, _ result: String) throws {
        #expect(try tier("Done, everything is fine.", result: result, tool: tool) == nil)
    }

    @Test(arguments: [
        ("get_order_status", "[]"), ("verify_customer", #"{"customer":[]}"#), ("list_issues", #"{"issues":[]}"#),
        ("search_alert_rules", "[]"),
    ]) func `records that nobody found are none`(_ tool: String, _ result: String) throws {
        #expect(try tier("Done, everything is fine.", result: result, tool: tool) == .alert)
    }

    // MARK: Pages

    /// Whether the second call's empty result is told as a finding.
    private func isTold(_ pages: (String, String), _ full: String, _ empty: String) throws -> Bool {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("get_items", in: agent, arguments: pages.0, result: full)
        trace.tool("get_items", in: agent, arguments: pages.1, result: empty)
        trace.model(in: agent, text: "That is all there is.")
        return try !findings(trace).of(.silentEmptyResponse).isEmpty
    }

    private static let ten = "[" + (0..<10).map { #"{"id":\#($0)}"# }.joined(separator: ",") + "]"

    @Test(arguments: [
        (#"{"page":1}"#, #"{"page":2}"#), (#"{"q":"a"}"#, #"{"q":"a","page":2}"#), (#"{"from":40}"#, #"{"from":50}"#),
        (#"{"start":1}"#, #"{"start":2}"#), (#"{"cursor":null}"#, #"{"cursor":"abc"}"#),
        (#"{"skip":100,"limit":50}"#, #"{"skip":150,"limit":50}"#), (#"{"offset":"100"}"#, #"{"offset":"110"}"#),
    ]) func `an empty page behind a full one is the end of a list`(_ first: String, _ last: String) throws {
        #expect(try !isTold((first, last), Self.ten, "[]"))
        #expect(try !isTold((first, last), #"{"items":\#(Self.ten),"total":10}"#, #"{"items":[],"total":0}"#))
    }

    @Test(arguments: [
        (#"{"page":2}"#, #"{"page":1}"#), (#"{"page":2}"#, "{}"), (#"{"cursor":"abc"}"#, #"{"cursor":null}"#),
        (#"{"from":1001}"#, #"{"from":1002}"#), (#"{"offset":110}"#, #"{"offset":100}"#),
        (#"{"q":"a","page":1}"#, #"{"q":"b","page":2}"#),
    ]) func `an empty page that is no later one is a finding`(_ first: String, _ last: String) throws {
        #expect(try isTold((first, last), Self.ten, "[]"))
    }

    @Test func `an empty answer behind one that is no list is a finding`() throws {
        #expect(try isTold((#"{"index":3}"#, #"{"index":4}"#), #"{"name":"lamp"}"#, "null"))
        #expect(try isTold((#"{"index":3}"#, #"{"index":4}"#), #"{"name":"lamp","tags":["a","b"]}"#, "null"))
        #expect(try isTold((#"{"page":1}"#, #"{"page":2}"#), #"{"name":"lamp"}"#, "[]"))
    }

    // MARK: Prohibitions

    @Test(arguments: [
        ("Please do not, under any circumstances, use the original payment.", true),
        ("Don't, for whatever reason, use the original payment", true),
        ("Never, ever use the original payment.", true), ("Never, and I mean it, use the original payment.", true),
        ("Do not in any case, use the original payment.", true), ("Don't use the original payment.", true),
        ("If not, use the original payment.", false), ("No, use the original payment.", false),
        ("I do not, please use the original payment.", false), ("I would rather not, use the original payment", false),
        ("Not at all, use the original payment.", false), ("No, in any case, use the original payment.", false),
        ("Do not, under any circumstances, forget the original payment.", false),
        ("Do not, under any circumstances. Use the original payment.", false),
    ]) func `a clause in between does not end a prohibition`(_ words: String, _ isRuledOut: Bool) {
        let found = ask(words) { words in ask("original_payment") { TraceAnalyzer.rulesOut($0, words) } }
        #expect(found == isRuledOut)
    }
}
