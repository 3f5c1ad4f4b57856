import Exporters
import Pipeline

/// A journal of a pipeline, as commands name it that look at journals.
struct JournalPlace {
    var directory: String
    /// The pipeline, with what the journal is for where it is not that of its exporters.
    var title: String
    /// The pipeline, or what stands for it, in the lines of `sluice queue`.
    var pipeline: String
    /// Names of those that read it, by those of their cursors.
    var readers: [String: String]
}

extension GatewayPlan {
    /// The journals of all pipelines, each once: pipelines share what their exporters keep.
    var journalPlaces: [JournalPlace] {
        var seen: Set<String> = []
        return pipelines.flatMap(\.journalPlaces).filter { seen.insert($0.directory).inserted }
    }

    /// Those that are there. Throws when one may be there that this process may not read.
    func readableJournals() throws(PayloadFile.Fault) -> [JournalPlace] {
        for place in journalPlaces {
            if let refusal = PathCheck.refusal(toRead: place.directory) {
                throw PayloadFile.Fault(description: refusal)
            }
        }
        return journalPlaces.filter { SystemFacts.isDirectory($0.directory) }
    }
}

extension GraphContext {
    /// Directories that are there in which journals lie or may have lain: those of the pipelines, of every
    /// `file_storage` of the file, and the one below the data directory. Each once.
    var journalDirectories: [String] {
        let used = plan.pipelines.compactMap(\.storage?.directory)
        let all = used + plan.storageDirectories + [FileStorageOptions(directory: dataDirectory).directory]
        var seen: Set<String> = []
        return Set(all).sorted().filter { directory in
            SystemFacts.resolved(directory).map { seen.insert($0).inserted } ?? false
        }
    }
}

extension GatewayPlan.PipelinePlan {
    /// Names of the folders of all journals that it may have, wherever they lie.
    var journalFolders: [String] {
        let missed = exporters.flatMap { id, plan in
            (plan.fallback?.exporters ?? []).map {
                GraphBuilder.exporterFolder(id, FallbackExporter.missedJournal(of: $0))
            }
        }
        return [journalKey.folder, stageJournalKey.folder] + missed
    }

    /// Its journals on disk: what its exporters read, what waits to be gathered, and what a fallback keeps for the
    /// exporter that is to have it. Not all need be there.
    fileprivate var journalPlaces: [JournalPlace] {
        guard let storage = storage?.directory else { return [] }
        let folder = storage + "/" + GraphBuilder.folderName(id)
        let delivery = JournalPlace(
            directory: folder, title: id, pipeline: id,
            readers: Dictionary(uniqueKeysWithValues: readers.map { ($0, $0) }))
        let gathering = JournalPlace(
            directory: folder + GraphBuilder.stageSuffix, title: "\(id) (gathering)", pipeline: id,
            readers: [GraphBuilder.stageCursor: TraceStage.readerName])
        let replays = exporters.flatMap { id, plan in
            (plan.fallback?.exporters ?? []).map { first in
                let folder = GraphBuilder.exporterFolder(id, FallbackExporter.missedJournal(of: first))
                let name = FallbackExporter.missed
                return JournalPlace(
                    directory: storage + "/" + folder, title: "\(id) (replay)", pipeline: name,
                    readers: [name: FallbackExporter.nameOfMissed(id, first: first)])
            }
        }
        return [delivery, gathering] + replays
    }
}
