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
    /// Canned access control list; empty for the bucket's own.
    package var acl: String
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
        acl = uploader.acl
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
        var acl: String
        var accessKey: String?
        var secretKey: Secret?
        var sessionToken: Secret?

        init(_ settings: inout Settings) {
            region = settings.string("region", default: "us-east-1", "Region of the bucket; part of the signature.")
            bucket = settings.requiredString("s3_bucket", "Name of the bucket, which must exist.")
            let base = settings.string(
                "s3_base_prefix", default: "", "What stands before s3_prefix, with a slash between.")
            let own = settings.string("s3_prefix", default: "", "Beginning of all keys, without a slash at its ends.")
            prefix = [base, own].filter { !$0.isEmpty }.joined(separator: "/")
            partition = Self.partition(&settings)
            filePrefix = settings.string("file_prefix", default: "", "Beginning of a key's last part.")
            endpoint = Self.endpoint(&settings)
            usesPathStyle = settings.bool(
                "s3_force_path_style", default: false,
                "True puts the bucket into the path instead of the host name, as most servers but Amazon's want.")
            compression = settings.choice("compression", default: .none, "Compression of objects.")
            storageClass = settings.string("storage_class", default: "STANDARD", "Storage class of objects.")
            acl = settings.string("acl", default: "", "Canned access control list of objects, such as private.")
            accessKey = settings.optionalString(
                "access_key_id", "Access key; by default that of AWS_ACCESS_KEY_ID and its companions.")
            secretKey = settings.secret("secret_access_key", "Secret of the access key.")
            sessionToken = settings.secret("session_token", "Token of temporary credentials.")
            Self.acceptOthers(&settings)
            check(&settings)
        }

        /// `s3_partition` is the older way to name two of the formats.
        private static func partition(_ settings: inout Settings) -> String {
            let hour = "year=%Y/month=%m/day=%d/hour=%H"
            let old = settings.string(
                "s3_partition", default: "minute", "Older form of s3_partition_format: minute or hour.")
            if !["minute", "hour"].contains(old) { settings.problem("is minute or hour", at: "s3_partition") }
            return settings.string(
                "s3_partition_format", default: old == "hour" ? hour : hour + "/minute=%M",
                "Middle of a key: strftime's format of the oldest record's time, in UTC.")
        }

        /// An endpoint without a scheme is https, unless `disable_ssl` says otherwise.
        private static func endpoint(_ settings: inout Settings) -> String? {
            let isPlain = settings.bool(
                "disable_ssl", default: false, "True sends unencrypted to an endpoint that is given without a scheme.")
            let text = settings.optionalString("endpoint", "URL of an S3-compatible server instead of Amazon's.")
            guard let text, !text.isEmpty else { return nil }
            return text.contains("://") ? text : (isPlain ? "http://" : "https://") + text
        }

        private static func acceptOthers(_ settings: inout Settings) {
            settings.accepted("role_arn", "No role is assumed: give the role's own credentials in the environment.")
            settings.accepted("unique_key_func_name", "Keys end in a part of their own in any case.")
            settings.accepted("s3_partition_timezone", "Times in keys are in UTC.")
            for key in ["retry_mode", "retry_max_attempts", "retry_max_backoff"] {
                settings.accepted(key, "retry_on_failure says how often an object is put.")
            }
        }

        private func check(_ settings: inout Settings) {
            if let endpoint {
                do throws(HTTPEndpoint.Fault) {
                    let url = try HTTPEndpoint(endpoint)
                    if !url.path.allSatisfy({ $0 == "/" }) {
                        settings.problem("has a path: give only scheme, host and port", at: "endpoint")
                    }
                    url.warnOfPlain(at: "endpoint", &settings)
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
            if !acl.utf8.allSatisfy({ ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == UInt8(ascii: "-") }) {
                settings.problem("is the name of a canned list, such as bucket-owner-full-control", at: "acl")
            }
            if (accessKey == nil) != (secretKey == nil) {
                settings.problem("access_key_id and secret_access_key go together: give the missing one")
            }
        }
    }
}
