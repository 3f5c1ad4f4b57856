import Pipeline
import Telemetry
import Testing

@testable import Processors

@Suite struct ResourceDetectionTests {
    private let facts = HostFacts(
        variable: { name in
            name == "OTEL_RESOURCE_ATTRIBUTES"
                ? "deployment.environment=prod%2Ceu, service.name = agents ,broken,=x,host.name=from-env" : nil
        },
        system: {
            [("host.name", "box"), ("os.type", "linux"), ("host.arch", "amd64"), ("os.description", "Linux 6")]
        })

    private func run(_ yaml: String) throws -> [String: String] {
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(ResourceDetectionOptions.self, yaml)
        #expect(read.headlines == [])
        let processor = ResourceDetectionProcessor(options: read.options, build: &build, facts: facts)
        let request = try RuleBench.request(
            RuleBench.traces(
                [RuleBench.span("0102030405060708")], resource: [("service.name", "{\"stringValue\":\"own\"}")]))
        return try DecodedRequest(Bench.run(processor, build, request).bytes, .traces).values(.resource)
    }

    @Test func `the first detector that knows an attribute wins, and replaces what is there`() throws {
        let found = try run("{detectors: [env, system]}")
        #expect(found["deployment.environment"] == "\"prod,eu\"")
        #expect(found["host.name"] == "\"from-env\"")
        #expect(found["os.type"] == "\"linux\"")
        #expect(found["service.name"] == "\"agents\"")
        #expect(found["host.arch"] == nil, "not asked for")
        #expect(found.count == 4)
    }

    @Test func `override false leaves what is there, and attributes can be chosen`() throws {
        let kept = try run("{detectors: [env], override: false}")
        #expect(kept["service.name"] == "\"own\"")
        let chosen = try run(
            "{detectors: [system], attributes: [host.name, host.arch], system: {hostname_sources: [os], "
                + "resource_attributes: {host.arch: {enabled: true}, host.name: {enabled: false}}}}")
        #expect(chosen == ["service.name": "\"own\"", "host.arch": "\"amd64\""])
    }

    @Test func `detectors of clouds warn, unknown ones are refused`() {
        let cloud = options(ResourceDetectionOptions.self, "{detectors: [env, ec2], ec2: {tags: [a]}}")
        #expect(cloud.headlines.count == 1 && cloud.headlines[0].contains("ec2"))
        let unknown = options(ResourceDetectionOptions.self, "{detectors: [sistem]}")
        #expect(unknown.headlines.count == 1 && unknown.headlines[0].contains("sistem"))
    }

    @Test func `this machine tells its name and system`() {
        let facts = Dictionary(HostFacts.live.system(), uniquingKeysWith: { $1 })
        #expect(facts["os.type"] == "linux")
        #expect(facts["host.name"]?.isEmpty == false)
    }
}
