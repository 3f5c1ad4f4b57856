import Configuration
import Glibc
import OTLP
package import Pipeline
import Synchronization
import Telemetry

/// Puts each batch as one object into a bucket of Amazon S3 or of a compatible server.
///
/// The key depends only on the batch: the time of its oldest record, a hash of its content and the delivery's number.
/// So a batch that is delivered twice, because an answer was lost, overwrites itself, and no other of equal content.
package final class S3Exporter: Exporter {
    package let maxConcurrency = Int.max
    private let options: S3Options
    private let build: ExporterBuild
    private let engine: CurlEngine
    private let compression: BodyCompression
    /// Unix seconds.
    private let now: @Sendable () -> Int
    private let signature = Mutex<AWSSignature?>(nil)

    /// `now` gives Unix seconds.
    package init(
        options: S3Options, build: ExporterBuild, engine: CurlEngine = .shared,
        now: @escaping @Sendable () -> Int = { Int(DeadLetterBox.systemTime() / 1_000_000_000) }
    ) {
        self.options = options
        self.build = build
        self.engine = engine
        self.now = now
        compression =
            switch options.compression {
            case .none: .none
            case .gzip: .gzip(Deflate(.gzip, level: 1))
            case .zstd: .zstd(Zstd(level: 1))
            }
    }

    package func check() throws { _ = try makeSignature() }

    package func start() async throws {
        let made = try makeSignature()
        signature.withLock { $0 = made }
    }

    private func makeSignature() throws(ExporterStartFailure) -> AWSSignature {
        guard
            let credentials = AWSSignature.Credentials.find(
                options.accessKey, options.secretKey, options.sessionToken)
        else {
            throw ExporterStartFailure(
                "no credentials",
                fix: "set access_key_id and secret_access_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the "
                    + "environment")
        }
        return AWSSignature(credentials: credentials, region: options.region)
    }

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        guard let signature = signature.withLock({ $0 }) else {
            return .retry(reason: "the exporter is not started", after: nil)
        }
        let (plain, oldest) = content(batch)
        guard let body = compression.compress(plain) else {
            return .retry(reason: "no memory to compress", after: nil)
        }
        let key = key(batch, plain, seconds: oldest > 0 ? Int(oldest / 1_000_000_000) : now())
        do throws(ExporterStartFailure) {
            let target = try CurlTarget(request(key, body, signature), engine: engine)
            return OTLPAnswer.outcome(
                await engine.post(body, to: target), signal: batch.signal, retryOn: options.retryOn)
        } catch {
            return .permanent(reason: error.description)
        }
    }

    package func shutdown() async { signature.withLock { $0 = nil } }

    // MARK: Objects

    /// The object's content before compression, and the time of the oldest record in Unix nanoseconds, 0 for none.
    private func content(_ batch: ExportBatch) -> (bytes: [UInt8], oldest: UInt64) {
        var records = RecordBatch()
        var text = ByteColumn()
        return batch.bytes.withUnsafeBytes { raw in
            var oldest = UInt64.max
            if (try? OTLPReader.read(Text(raw), signal: batch.signal, keys: .empty, into: &records)) != nil {
                func add(_ time: UInt64) { if time > 0 { oldest = min(oldest, time) } }
                switch batch.signal {
                case .traces: for index in records.spans.indices { add(records.spans[index].start) }
                case .logs:
                    for index in records.logs.indices { add(records.logs[index].knownTime) }
                case .metrics: for index in records.points.indices { add(records.points[index].time) }
                }
            }
            let time = oldest == .max ? 0 : oldest
            if options.marshaler == .proto { return (batch.bytes, time) }
            OTLPJSONWriter.write(Text(raw), signal: batch.signal, into: &text)
            return ([UInt8](text.bytes), time)
        }
    }

    /// `prefix/partition/fileprefix` + `traces_` + 32 digits + ending. They are of the content's hash and of the number
    /// of the delivery: senders may send the same twice, and an attempt of which no answer came is written over.
    private func key(_ batch: ExportBatch, _ plain: [UInt8], seconds: Int) -> String {
        let parts = [options.prefix, AWSTime.format(seconds, options.partition)].flatMap {
            $0.split(separator: "/").map(String.init)
        }
        let ending = (options.marshaler == .json ? ".json" : ".binpb") + compressionEnding
        let hash = AWSSignature.hash(plain)
        let digits = batch.number == 0 ? hash.prefix(32) : hash.prefix(16) + batch.number.hexDigits
        let name = "\(options.filePrefix)\(batch.signal)_\(digits)\(ending)"
        return (parts + [name]).joined(separator: "/")
    }

    private var compressionEnding: String {
        switch options.compression {
        case .none: ""
        case .gzip: ".gz"
        case .zstd: ".zst"
        }
    }

    // MARK: Requests

    private func request(
        _ key: String, _ body: [UInt8], _ signature: AWSSignature
    ) throws(ExporterStartFailure) -> CurlTargetOptions {
        let (endpoint, path) = try place(key)
        let time = AWSTime(seconds: now())
        let hash = AWSSignature.hash(body)
        var headers = [(name: "host", value: endpoint.authority)]
        if !options.acl.isEmpty { headers.append(("x-amz-acl", options.acl)) }
        headers += [(name: "x-amz-content-sha256", value: hash), (name: "x-amz-date", value: time.text)]
        if let token = signature.credentials.sessionToken { headers.append(("x-amz-security-token", token)) }
        if options.storageClass != "STANDARD" { headers.append(("x-amz-storage-class", options.storageClass)) }
        let signed = AWSSignature.Request(method: "PUT", path: path, headers: headers, payloadHash: hash)
        var target = CurlTargetOptions(url: "\(endpoint.scheme)://\(endpoint.authority)\(path)")
        target.method = "PUT"
        target.timeout = options.helper.timeout
        target.headers = headers.dropFirst().map { "\($0.name): \($0.value)" }
        target.headers.append("Authorization: \(signature.authorization(signed, time: time))")
        target.secrets = signature.secrets(in: target.headers)
        target.headers.append(
            options.marshaler == .json ? "Content-Type: application/json" : "Content-Type: application/x-protobuf")
        if let coding = compression.name { target.headers.append("Content-Encoding: \(coding)") }
        return target
    }

    /// Server and escaped path of an object.
    private func place(_ key: String) throws(ExporterStartFailure) -> (HTTPEndpoint, String) {
        let base = options.endpoint ?? "https://s3.\(options.region).amazonaws.com"
        // A dot in the name of a bucket does not match the certificates of *.s3.amazonaws.com.
        let isInPath = options.usesPathStyle || options.bucket.contains(".")
        do throws(HTTPEndpoint.Fault) {
            var endpoint = try HTTPEndpoint(base)
            if !isInPath {
                let port = endpoint.authority.dropFirst(endpoint.host.count)
                endpoint = try HTTPEndpoint("\(endpoint.scheme)://\(options.bucket).\(endpoint.host)\(port)")
            }
            let path = (isInPath ? "/\(options.bucket)/" : "/") + key
            return (endpoint, AWSSignature.escaped(path: path))
        } catch {
            throw ExporterStartFailure("endpoint \(error.message)")
        }
    }
}
