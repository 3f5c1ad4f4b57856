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
}
