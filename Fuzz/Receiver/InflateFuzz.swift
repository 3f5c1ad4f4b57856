#if DEBUG || FUZZ

    import NIOCore
    import NIOEmbedded
    @testable import Receivers

    /// Bodies in every coding. The first byte chooses the coding, the rest is the body.
    enum InflateFuzz {
        static let sizeMax = 1 << 20
        /// Bytes that may be reserved: the room grows to the cap and one byte more.
        static let heldMax = sizeMax + 1

        static func run(_ input: UnsafeRawBufferPointer) -> String? {
            guard let first = input.first else { return nil }
            let codings = ContentCoding.allCases
            let coding = codings[Int(first) % codings.count]
            let body = UnsafeRawBufferPointer(rebasing: input[1...])
            let budget = AdmissionBudget(limitBytes: 64 << 20)
            let ticket = AdmissionTicket(budget: budget)
            let resources = LoopResources(of: EmbeddedEventLoop())
            // Twice with the same decoder: nothing of the first body may show in the second.
            let once = inflate(body, coding, ticket, resources)
            if ticket.held > heldMax { return "\(ticket.held) bytes are reserved" }
            ticket.release()
            let again = inflate(body, coding, ticket, resources)
            ticket.release()
            if once != again { return "the second time gives something else" }
            if case .success(let bytes) = once, bytes.count > sizeMax { return "\(bytes.count) bytes came out" }
            return budget.used == 0 ? nil : "\(budget.used) bytes stay reserved"
        }

        private static func inflate(
            _ body: UnsafeRawBufferPointer, _ coding: ContentCoding, _ ticket: AdmissionTicket,
            _ resources: LoopResources
        ) -> Result<[UInt8], BodyFault> {
            do throws(BodyFault) {
                let output = try resources.inflater.inflate(
                    body, coding: coding, sizeMax: sizeMax, ticket: ticket, resources: resources)
                defer { resources.give(output) }
                return .success(Array(output.readableBytesView))
            } catch {
                return .failure(error)
            }
        }
    }

#endif
