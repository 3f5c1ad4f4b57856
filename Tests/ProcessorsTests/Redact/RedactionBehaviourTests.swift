import Configuration
import Pipeline
import Processors
import Telemetry
import Testing

@testable import Processors

/// Labels, identifiers, pseudonyms: what the finds become and what is left alone.
@Suite struct RedactionBehaviourTests {
    private func run(_ text: String, _ attributes: [(String, [UInt8])]) throws -> [String: String] {
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(RedactionOptions.self, text)
        #expect(read.headlines == [])
        let processor = RedactionProcessor(options: read.options, build: &build)
        let request = Wire.traces(span: Wire.attributes(9, attributes))
        return try DecodedRequest(Bench.run(processor, build, request).bytes, .traces).values(.span)
    }

    private let all = "{allow_all_keys: true, detectors: all}"

    @Test(arguments: [
        ("db.password", "hunter2"), ("client_secret", "correct horse 1"), ("X-Api-Key", "abcdef123456"),
        ("http.request.header.cookie", "sid=abcdef; theme=dark"),
        ("http.request.header.authorization", "Token 12345678"),
        ("aws.SecretAccessKey", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), ("accessToken", "abcdef123456"),
    ])
    func `a value whose key names a secret goes whole`(key: String, value: String) throws {
        let nested = Wire.map([("headers", Wire.map([(key, Wire.array([Wire.string(value)]))]))])
        let json = "{\"h\":{\"\(key)\":\"\(value)\",\"n\":1}}"
        let after = try run(
            all, [(key, Wire.string(value)), (key + "s", Wire.int(1)), ("nested", nested), ("json", Wire.string(json))])
        #expect(after[key]?.hasPrefix("\"[REDACTED:") == true && after[key]?.hasSuffix("]\"") == true, "\(after)")
        #expect(after["nested"] != "map \(nested.count - 2)")
        #expect(after["json"]?.contains(value) == false, "\(after)")
        #expect(after["json"]?.hasSuffix("\",\"n\":1}}\"") == true, "\(after)")
    }

    @Test(arguments: [
        ("gen_ai.usage.input_tokens", "12345678901234567890"), ("gen_ai.request.stop_token", "<|im_end|>"),
        ("gen_ai.token.type", "input"), ("next_page_token", "abcdef1234567890"),
        ("password.policy", "eight characters"), ("cookie.consent", "a=b"), ("key", "abcdef123456"),
        ("public_key", "abcdef123456"), ("secret.name", "db-1"),
    ])
    func `a value whose key only sounds like a secret stays`(key: String, value: String) throws {
        #expect(try run(all, [(key, Wire.string(value))]) == [key: "\"\(value)\""])
    }

    @Test func `keys that are not allowed go, between those that stay and are masked`() throws {
        let mail = Wire.string("jo@example.com")
        let after = try run(
            "{allowed_keys: [a, b], detectors: all}",
            [("x", Wire.int(1)), ("a", mail), ("y", mail), ("z", Wire.int(2)), ("b", Wire.int(3))])
        #expect(after.keys.sorted() == ["a", "b"])
        #expect(after["b"] == "3" && after["a"]?.contains("jo@") == false, "\(after)")
    }

    @Test(.timeLimit(.minutes(5))) func `very many keys that are not allowed go`() throws {
        let attributes = (0..<200_000).map { ("k\($0)", Wire.int(1)) }
        #expect(try run("{allowed_keys: [k199999]}", attributes) == ["k199999": "1"])
    }

    @Test func `identifiers of digits stay, other text under their keys does not`() throws {
        let digits = "4111111111111111"
        let after = try run(
            all,
            [
                ("gen_ai.response.id", Wire.string(digits)), ("session.id", Wire.string("jo@example.com")),
                ("customer", Wire.string(digits)),
                (
                    "json",
                    Wire.string("{\"id\":\"\(digits)\",\"created\":\(digits),\"card\":\"\(digits)\",\"n\":\(digits)}")
                ),
            ])
        #expect(after["gen_ai.response.id"] == "\"\(digits)\"")
        #expect(after["session.id"] == "\"[REDACTED:EMAIL]\"" && after["customer"] == "\"[REDACTED:CREDIT_CARD]\"")
        let masked = "[REDACTED:CREDIT_CARD]"
        #expect(
            after["json"]
                == "\"{\"id\":\"\(digits)\",\"created\":\(digits),\"card\":\"\(masked)\",\"n\":\"\(masked)\"}\"")
    }

    @Test func `a pseudonym is the HMAC of the value in its plain spelling`() throws {
        let rules = "{allow_all_keys: true, detectors: [email, credit_card], pseudonym_key: 0123456789abcdef}"
        let after = try run(
            rules,
            [
                ("a", Wire.string("jo@example.com")), ("b", Wire.string("by Jo@Example.COM!")),
                ("c", Wire.string("4111 1111 1111 1111")), ("d", Wire.string("4111111111111111")),
                ("e", Wire.string("al@example.com")),
            ])
        #expect(after["a"] == "\"[EMAIL:1c1a0b869049ed14]\"" && after["b"] == "\"by [EMAIL:1c1a0b869049ed14]!\"")
        #expect(after["c"] == "\"[CREDIT_CARD:6ab68ca2a9a5093a]\"" && after["d"] == after["c"])
        #expect(after["e"] != after["a"])
        let other = try run(
            "{allow_all_keys: true, detectors: [email], pseudonym_key: fedcba9876543210}",
            [("a", Wire.string("jo@example.com"))])
        #expect(other["a"]?.hasPrefix("\"[EMAIL:") == true && other["a"] != after["a"])
    }

    @Test func `finds name the provider even behind a label`() throws {
        let key = "sk-" + "ant-api03-" + String(repeating: "a1B2", count: 12)
        let after = try redact("api_key=\(key) password='\(key)'")
        #expect(after.text == "api_key=[REDACTED:API_KEY] password='[REDACTED:API_KEY]'")
    }

    @Test func `finds at the ends of a text and side by side are all found`() throws {
        #expect(try redact("jo@example.com").text == "[REDACTED:EMAIL]")
        #expect(try redact("4111111111111111").text == "[REDACTED:CREDIT_CARD]")
        #expect(try redact("203.0.113.9").text == "[REDACTED:IPV4]")
        #expect(
            try redact("jo@example.com,al@example.com 203.0.113.9").text
                == "[REDACTED:EMAIL],[REDACTED:EMAIL] [REDACTED:IPV4]")
        let escaped = try redact("x\\njo@example.com\\t4111111111111111").text
        #expect(escaped == "x\\n[REDACTED:EMAIL]\\t[REDACTED:CREDIT_CARD]")
    }

    @Test func `every element of a list behind a label goes`() throws {
        let after = try redact("{\"set-cookie\": [\"a=secret1; Path=/\", \"b=secret2\"], \"n\": 1}").text
        #expect(after == "{\"set-cookie\": [\"[REDACTED:COOKIE]\", \"[REDACTED:COOKIE]\"], \"n\": 1}")
    }

    @Test func `a detector that is off finds nothing`() throws {
        for plant in SecretCorpus.plants {
            var set = DetectorSet.all
            set.remove(DetectorSet(plant.detector))
            #expect(try !redact(plant.text, set).found.contains(plant.detector))
            #expect(try redact(plant.text, []).text == plant.text)
        }
    }

    @Test func `each detector finds its plants alone`() throws {
        for plant in SecretCorpus.plants {
            let alone = try redact(plant.text, DetectorSet(plant.detector))
            #expect(alone.found == [plant.detector] && !alone.text.contains(plant.secret), "\(plant)")
        }
    }
}
