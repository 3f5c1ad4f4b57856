@testable import Exporters
import Testing

@Suite struct PrometheusNamesTests {
    @Test(arguments: [
        ("http.server.duration", "s", false, false, "http_server_duration_seconds"),
        ("http.server.duration_seconds", "s", false, false, "http_server_duration_seconds"),
        ("requests", "{request}", true, false, "requests_total"), ("requests_total", "", true, false, "requests_total"),
        ("cpu.usage", "1", false, true, "cpu_usage_ratio"), ("net io", "By/s", false, true, "net_io_bytes_per_second"),
        ("2xx", "", false, false, "_2xx"), ("a--b__c", "", false, false, "a_b_c"), ("größe", "", false, false, "gr_e"),
        ("", "", false, false, "_"), ("power", "kW.h", false, false, "power_kW_h"),
        ("load", "%", false, true, "load_percent"),
        ("a:b", "", false, false, "a:b"),
    ])
    func `names are words with units and total`(
        _ name: String, _ unit: String, _ isCounter: Bool, _ isGauge: Bool, _ expected: String
    ) {
        let names = PrometheusNames(namespace: "", addsSuffixes: true)
        #expect(names.family(name, unit: unit, isCounter: isCounter, isGauge: isGauge) == expected)
    }

    @Test func `a namespace goes in front, and suffixes can be left out`() {
        let names = PrometheusNames(namespace: "my-app", addsSuffixes: true)
        #expect(names.family("x", unit: "s", isCounter: true, isGauge: false) == "my_app_x_seconds_total")
        let plain = PrometheusNames(namespace: "ns", addsSuffixes: false)
        #expect(plain.family("x.y", unit: "s", isCounter: true, isGauge: false) == "ns_x_y")
        let other = PrometheusNames(namespace: "1-my.app", addsSuffixes: false)
        #expect(other.family("x", unit: "s", isCounter: true, isGauge: false) == "_1_my_app_x")
        #expect(other.prefixed("target_info") == "_1_my_app_target_info")
    }

    @Test(arguments: [
        ("http.method", "http_method"), ("1st", "key_1st"), ("_x", "key_x"), ("__x", "__x"),
        ("__name__", "key__name__"),
        ("a:b", "a_b"),
        ("", "key_"),
        ("ü", "key_"),
    ])
    func `labels begin with a letter`(_ key: String, _ expected: String) {
        #expect(PrometheusNames.label(key) == expected)
    }
}
