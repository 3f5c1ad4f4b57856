package import Configuration

/// Options of `awss3` (`s3`), under the Collector's names.
package struct S3Options: ComponentOptions {
    package enum Marshaler: String, CaseIterable, Sendable {
        case json = "otlp_json"
        case proto = "otlp_proto"
    }

    package enum Compression: String, CaseIterable, Sendable { case none, gzip, zstd }

    package var helper: ExporterHelperOptions
    package var marshaler: Marshaler
    package var region: String
    package var bucket: String
    package var prefix: String
    /// strftime's format of the middle of a key.
    package var partition: String
    package var filePrefix: String
    /// Nil for Amazon's own.
    package var endpoint: String?
    package var usesPathStyle: Bool
    package var compression: Compression
    package var storageClass: String
    /// Nil to take those of the environment.
    package var accessKey: String?
    package var secretKey: Secret?
    package var sessionToken: Secret?
    package var retryOn: Set<Int>

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings, defaultTimeout: .seconds(30))
        marshaler = settings.choice(
            "marshaler", default: .json, "Content of objects: one OTLP/JSON request or one in protobuf.")
        retryOn = Set(
            settings.ints(
                "retry_on", default: [429, 500, 502, 503, 504], in: 400...599,
                "HTTP statuses after which an object is put again."))
        let uploader = settings.group("s3uploader", "Where objects go.") { Uploader(&$0) }
        region = uploader.region
        bucket = uploader.bucket
        prefix = uploader.prefix
        partition = uploader.partition
        filePrefix = uploader.filePrefix
        endpoint = uploader.endpoint
        usesPathStyle = uploader.usesPathStyle
        compression = uploader.compression
        storageClass = uploader.storageClass
        accessKey = uploader.accessKey
        secretKey = uploader.secretKey
        sessionToken = uploader.sessionToken
    }

    private struct Uploader {
        var region: String
        var bucket: String
        var prefix: String
        var partition: String
        var filePrefix: String
        var endpoint: String?
        var usesPathStyle: Bool
        var compression: Compression
        var storageClass: String
        var accessKey: String?
        var secretKey: Secret?
        var sessionToken: Secret?

        init(_ settings: inout Settings) {
            region = settings.string("region", default: "us-east-1", "Region of the bucket; part of the signature.")
            bucket = settings.requiredString("s3_bucket", "Name of the bucket, which must exist.")
            prefix = settings.string("s3_prefix", default: "", "Beginning of all keys, without a slash at its ends.")
            partition = settings.string(
                "s3_partition_format", default: "year=%Y/month=%m/day=%d/hour=%H/minute=%M",
                "Middle of a key: strftime's format of the oldest record's time, in UTC.")
            filePrefix = settings.string("file_prefix", default: "", "Beginning of a key's last part.")
            endpoint = settings.optionalString("endpoint", "URL of an S3-compatible server instead of Amazon's.")
            usesPathStyle = settings.bool(
                "s3_force_path_style", default: false,
                "True puts the bucket into the path instead of the host name, as most servers but Amazon's want.")
            compression = settings.choice("compression", default: .none, "Compression of objects.")
            storageClass = settings.string("storage_class", default: "STANDARD", "Storage class of objects.")
            accessKey = settings.optionalString(
                "access_key_id", "Access key; by default that of AWS_ACCESS_KEY_ID and its companions.")
            secretKey = settings.secret("secret_access_key", "Secret of the access key.")
            sessionToken = settings.secret("session_token", "Token of temporary credentials.")
            check(&settings)
        }

        private func check(_ settings: inout Settings) {
            if let endpoint {
                do throws(HTTPEndpoint.Fault) {
                    if try !HTTPEndpoint(endpoint).path.allSatisfy({ $0 == "/" }) {
                        settings.problem("has a path: give only scheme, host and port", at: "endpoint")
                    }
                } catch {
                    settings.problem(error.message, at: "endpoint")
                }
            }
            for (key, value) in [
                ("s3_prefix", prefix), ("s3_partition_format", partition), ("file_prefix", filePrefix),
            ] {
                let parts = value.split(separator: "/", omittingEmptySubsequences: false)
                if parts.contains("..") || parts.contains(".") || HTTPHeaderCheck.holdsControl(value) {
                    settings.problem("may hold no part that is . or .. and no control character", at: key)
                }
            }
            let isName = bucket.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
            if !isName {
                settings.problem("may hold only lower-case letters, digits, dots and hyphens", at: "s3_bucket")
            }
            if (accessKey == nil) != (secretKey == nil) {
                settings.problem("access_key_id and secret_access_key go together: give the missing one")
            }
        }
    }
}
