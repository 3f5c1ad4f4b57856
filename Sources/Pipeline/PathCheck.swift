import Glibc

/// Finds why something cannot be kept or read at a path, without making anything.
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

    /// Why this process may not look at what is, or may be, at `path`: a sentence with whose it is. Nil when it may, or
    /// when nothing is there.
    package static func refusal(toRead path: String) -> String? {
        var facts = stat()
        if stat(path, &facts) == 0 {
            let isFolder = facts.st_mode & S_IFMT == S_IFDIR
            if access(path, isFolder ? R_OK | X_OK : R_OK) == 0 { return nil }
        }
        guard errno == EACCES else { return nil }
        // What cannot even be looked at lies in a folder that is in the way.
        var place = path
        while stat(place, &facts) != 0, place != "/", place != "." { place = parent(of: place) }
        let (me, owner) = (geteuid(), facts.st_uid)
        let denial = "\(path) may not be read by \(name(ofUser: me) ?? "user \(me)")"
        if owner == me { return "\(denial): change the mode of \(place)" }
        guard let name = name(ofUser: owner) else {
            return "\(denial): \(place) belongs to user \(owner); run this as that user, with `sudo -u '#\(owner)'`"
        }
        return "\(denial): \(place) belongs to \(name); run this as that user, with `sudo -u \(name)`"
    }

    private static func name(ofUser id: uid_t) -> String? {
        guard let entry = getpwuid(id), let name = entry.pointee.pw_name else { return nil }
        return String(cString: name)
    }

    private static func denied(_ what: String) -> (reason: String, fix: String) {
        ("\(what): \(String(cString: strerror(errno)))", "check the path and whose it is")
    }

    /// The folder that a path lies in.
    package static func parent(of path: String) -> String {
        var path = Substring(path)
        while path.count > 1, path.last == "/" { path.removeLast() }
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
