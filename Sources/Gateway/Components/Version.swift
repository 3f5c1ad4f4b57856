/// The gateway's own version: in `sluice version`, the User-Agent of exporters and the metrics.
package enum Version {
    package static let current = "0.1.0"
}
