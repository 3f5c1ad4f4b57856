import Glibc
import Testing

@testable import Gateway

struct AdminServerTests {
    @Test func `an address that cannot be had is told with what to do, not with the system call`() {
        #expect(AdminServer.advice(EADDRINUSE, port: 8888)?.contains("another process listens there") == true)
        #expect(AdminServer.advice(EADDRINUSE, port: 8888)?.contains("sport = :8888") == true)
        #expect(AdminServer.advice(EACCES, port: 80)?.contains("a port above 1023") == true)
        #expect(AdminServer.advice(EADDRNOTAVAIL, port: 80)?.contains("no such address") == true)
        #expect(AdminServer.advice(nil, port: 80) == nil && AdminServer.advice(EMFILE, port: 80) == nil)
    }

    @Test(arguments: ["/queues", "/outcomes", "/drops", "/drops?limit=1"])
    func `what destinations said and what was dropped is for this machine only`(uri: String) {
        func answer(isLocal: Bool, host: String?) -> String? {
            Gateway.refusal(AdminRequest(uri: uri, isLocal: isLocal, host: host))?.body
        }
        #expect(answer(isLocal: true, host: "localhost:8888") == nil)
        #expect(answer(isLocal: true, host: "10.1.2.3:8888") == nil)
        #expect(answer(isLocal: false, host: "10.1.2.3:8888")?.contains("for this machine only") == true)
        #expect(answer(isLocal: true, host: "evil.example.com") != nil, "a web page whose name leads here")
        #expect(Gateway.refusal(AdminRequest(uri: "/metrics", isLocal: false)) == nil)
    }

    @Test func `who comes from the listener's own address is on this machine`() {
        #expect(["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"].allSatisfy { AdminRequest.isHere($0, own: nil) })
        #expect(AdminRequest.isHere("10.1.2.3", own: "10.1.2.3"))
        #expect(!AdminRequest.isHere("10.1.2.4", own: "10.1.2.3") && !AdminRequest.isHere("10.1.2.4", own: nil))
        #expect(!AdminRequest.isHere("", own: "") && !AdminRequest.isHere("::ffff:10.1.2.3", own: "10.1.2.3"))
    }
}
