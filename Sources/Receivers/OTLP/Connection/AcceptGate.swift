package import NIOCore

/// Lets a listener accept only while the process has descriptors to spare.
///
/// A connection has its descriptor before anybody can judge it, and keeps it until its own event loop closes it, which
/// may be far behind the loop that accepts. So the accepting loop itself waits: those that it does not accept stay in
/// the kernel's backlog. Without it a burst of connections takes the last descriptor, and libdispatch, which looks at
/// its threads in `/proc` once a second, ends the process when it cannot open a file.
///
/// Accepts one connection at a time; first in a listener's pipeline.
package final class AcceptGate: ChannelOutboundHandler {
    package typealias OutboundIn = Never

    /// How long a listener waits before it looks again.
    static let pause = TimeAmount.milliseconds(20)

    private var isWaiting = false

    /// Sets a listener up.
    package static func install(on listener: any Channel) -> EventLoopFuture<Void> {
        listener.eventLoop.makeCompletedFuture {
            try listener.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
            try listener.pipeline.syncOperations.addHandler(AcceptGate(), position: .first)
        }
    }

    package func read(context: ChannelHandlerContext) {
        guard !isWaiting else { return }
        guard !DescriptorRoom.letsAccept else { return context.read() }
        isWaiting = true
        let bound = NIOLoopBound((gate: self, context: context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.pause) {
            let (gate, context) = bound.value
            gate.isWaiting = false
            gate.read(context: context)
        }
    }
}
