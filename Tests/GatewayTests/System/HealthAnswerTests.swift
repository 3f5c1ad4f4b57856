@testable import Gateway
import Testing

/// What the health_check extension answers.
@Suite struct HealthAnswerTests {
    @Test func `a healthy gateway tells since when, as the Collector does`() {
        #expect(
            Gateway.healthy(since: "2026-11-28T14:00:00.000Z", uptime: .milliseconds(9_015_250))
                == "{\"status\":\"Server available\",\"upSince\":\"2026-11-28T14:00:00.000Z\","
                + "\"uptime\":\"2h30m15.25s\"}\n")
    }
}
