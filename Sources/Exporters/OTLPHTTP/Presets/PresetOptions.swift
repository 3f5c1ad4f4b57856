import Configuration
import Telemetry

/// `preset`, `region`, `api_key`, `ai_only`: what a vendor preset needs, read before the options it gives defaults to.
struct PresetOptions {
    let preset: VendorPreset?
    let region: String?
    /// The header that carries the credential.
    let credential: HTTPCredential?

    init(_ settings: inout Settings) {
        let name = settings.optionalString(
            "preset",
            "Vendor whose URL, headers, compression and limits are the defaults; `sluice presets` lists them.")
        preset = name.flatMap { VendorPreset.named($0) }
        if let name, preset == nil {
            let names = VendorPreset.all.map(\.name)
            let nearest = Suggestion.nearest(to: name, among: names).map { ": did you mean \($0)?" } ?? ""
            settings.problem("is no preset\(nearest) `sluice presets` lists all", at: "preset")
        }
        region = settings.optionalString(
            "region", "Part of the preset's URL: a region, site, realm or tenant, as `sluice presets` says.")
        let key = settings.secret(
            "api_key", "Credential for the preset's own header; user:password where that is Basic.")
        let file = settings.optionalString(
            "api_key_file", "File that holds the credential instead; read again when it changes.")
        let source: HTTPCredential.Source? = key.map { .text($0) } ?? file.map { .file($0) }
        if key != nil && file != nil { settings.problem("give either api_key or api_key_file", at: "api_key_file") }
        if let key, let wanted = preset?.authorization.pair, !key.reveal().contains(":") {
            settings.warning("has no colon, and the vendor refuses it", fix: "write \(wanted)", at: "api_key")
        }
        if let preset, let source {
            credential = HTTPCredential(
                name: preset.authorization.header, source: source, form: preset.authorization.form)
        } else {
            credential = nil
            if source != nil && name == nil {
                settings.problem("needs a preset that says which header carries it, or use headers", at: "api_key")
            }
        }
    }

    /// Checks that show only when headers and URLs are known. `names` are the headers' names in lower case.
    func check(headers names: Set<String>, hasEndpoint: Bool, _ settings: inout Settings) {
        guard let preset else {
            if region != nil { settings.problem("has a meaning only with a preset", at: "region") }
            return
        }
        if !names.contains(preset.authorization.header.lowercased()) {
            settings.warning(
                "the preset \(preset.name) sends no credential", fix: "give api_key or api_key_file", at: "preset")
        }
        for header in preset.requiredHeaders where !names.contains(header.name.lowercased()) {
            settings.problem(
                "the preset \(preset.name) needs the header \(header.name) (\(header.sentence)): add it under headers",
                at: "preset")
        }
        guard !hasEndpoint else { return }
        if preset.address == nil {
            settings.problem("the preset \(preset.name) needs endpoint: \(preset.note)", at: "preset")
        } else if preset.hasRegion && region == nil && preset.region == nil {
            settings.problem("the preset \(preset.name) needs region: \(preset.note)", at: "preset")
        } else if let region, !region.utf8.allSatisfy({ Self.isHostByte($0) }) || region.isEmpty {
            settings.problem("may hold only letters, digits, dots and hyphens", at: "region")
        }
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

extension VendorPreset.Authorization {
    /// How the credential is written into the header.
    var form: HTTPCredential.Form {
        switch self {
        case .plain: .plain
        case .scheme(let scheme): .scheme(scheme)
        case .basic: .basicPair
        }
    }
}
