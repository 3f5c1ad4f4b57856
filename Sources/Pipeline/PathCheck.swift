import Glibc

/// Finds why something cannot be kept at a path, without making anything.
package enum PathCheck {
    /// Why a file cannot be written at `path`, in words behind the path; nil when it can, as far as can be seen.
    /// `makesFolder` is for writers that make the folders above.
    package static func fault(ofFile path: String, makesFolder: Bool) -> (reason: String, fix: String)? {
        var facts = stat()
        if stat(path, &facts) == 0 {
            if facts.st_mode & S_IFMT == S_IFDIR { return ("is a folder", "name a file in it") }
            return access(path, R_OK | W_OK) == 0 ? nil : denied("cannot be written")
        }
        guard errno == ENOENT || errno == ENOTDIR else { return denied("cannot be reached") }
        let folder = parent(of: path)
        if !makesFolder, stat(folder, &facts) != 0 { return ("is in a folder that is not there", "make \(folder)") }
        return fault(ofFolder: folder)
    }

    /// Why no folder can be made, or used, at `path`.
    package static func fault(ofFolder path: String) -> (reason: String, fix: String)? {
        var folder = path.isEmpty ? "." : path
        // As many steps as the longest path can have.
        for _ in 0..<Int(PATH_MAX) {
            var facts = stat()
            if stat(folder, &facts) == 0 {
                guard facts.st_mode & S_IFMT == S_IFDIR else {
                    return ("cannot be made: \(folder) is no folder", "choose another path")
                }
                return access(folder, W_OK | X_OK) == 0 ? nil : denied("cannot be made: in \(folder)")
            }
            guard errno == ENOENT || errno == ENOTDIR, folder != "/", folder != "." else {
                return denied("cannot be reached")
            }
            folder = parent(of: folder)
        }
        return ("is too long", "choose another path")
    }

    private static func denied(_ what: String) -> (reason: String, fix: String) {
        ("\(what): \(String(cString: strerror(errno)))", "check the path and whose it is")
    }

    private static func parent(of path: String) -> String {
        var path = Substring(path)
        while path.count > 1, path.last == "/" { path.removeLast() }
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
