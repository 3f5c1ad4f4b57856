import Telemetry

/// Whether an answer lets its reader know that there was nothing.
extension TraceAnalyzer {
    // MARK: Absence

    private static let absences: [StaticString] = [
        "no", "not", "non", "none", "nothing", "nobody", "neither", "nor", "unable", "unfortunately", "empty", "blank",
        "without", "sorry", "zero", "missing", "cannot", "never",
    ]
    private static let absencePhrases: [StaticString] = ["n't", "n’t", "could you", "please provide"]
    /// The same in languages with Latin letters, of which one is enough; what is in other scripts is foreign by these.
    private static let absencesAbroad: [StaticString] = [
        "kein", "keine", "keinen", "keiner", "keines", "keinerlei", "nein", "nicht", "nichts", "leider", "ohne",
        "aucun", "aucune", "pas", "rien", "malheureusement", "nessun", "nessuna", "nessuno", "niente", "nulla",
        "purtroppo", "ningún", "ninguna", "ninguno", "nada", "tampoco", "lamentablemente", "nenhum", "nenhuma", "não",
        "sem", "infelizmente", "geen", "niet", "niets", "niks", "nee", "helaas", "inga", "ingen", "inget", "inte",
        "ingenting", "tyvärr", "ikke", "intet", "desværre", "dessverre", "ei", "eivät", "brak", "nie", "żaden",
        "żadne", "żadnych", "Żadne", "niestety", "není", "nejsou", "nemáte", "žádné", "žádná", "žádný", "Žádné",
        "bohužel", "nincs", "nincsenek", "nem", "niciun", "nicio", "nimic", "nema", "nemate", "yok", "değil",
        "bulunamadı", "maalesef", "tidak", "belum", "không",
    ]
    /// What is so when nothing is open: clean alone, the others of everything.
    private static let settled: [StaticString] = ["paid", "settled", "clean"]
    private static let settledPhrases: [StaticString] = [
        "up to date", "up-to-date", "all set", "all good", "all clear", "caught up", "inbox zero", "is tidy",
    ]
    /// Words of tools that tell what is taken, and phrases for what is not.
    private static let takers: [StaticString] = [
        "event", "events", "calendar", "meeting", "meetings", "appointment", "appointments", "booking", "bookings",
        "reservation", "reservations", "busy", "schedule", "whois", "domain", "domains",
    ]
    /// The same where the tool is about them: `find_user`, not `get_user_orders`.
    private static let takenNames: [StaticString] = ["user", "users", "username", "usernames"]
    private static let freePhrases: [StaticString] = [
        "is free", "are free", "you're free", "you’re free", "is available", "are available",
    ]
    private static let wholes: [StaticString] = ["all", "everything", "fully", "completely"]

    /// The same of an answer behind a call of a tool: where nothing is taken, "you are free" says so.
    static func mentionsAbsence(_ text: Text, behind tool: Text) -> Bool {
        if mentionsAbsence(text) { return true }
        guard freePhrases.contains(where: { holdsWords(text, $0) }) else { return false }
        if takers.contains(where: { hasWord(tool, $0) }) { return true }
        return noun(of: tool).map { isOneOf($0, takenNames) } ?? false
    }

    /// Whether whole words stand in a text: "is free", which "this freebie" has not.
    private static func holdsWords(_ text: Text, _ phrase: StaticString) -> Bool {
        var from = 0
        while let start = text.place(of: Text(phrase), from: from) {
            let end = start + phrase.utf8CodeUnitCount
            let isBegun = start == 0 || !WordCursor.isWord(text[start - 1])
            if isBegun, end == text.count || !WordCursor.isWord(text[end]) { return true }
            from = start + 1
        }
        return false
    }

    /// Whether an answer says that there is nothing, or is in a language whose words tell nothing here.
    static func mentionsAbsence(_ text: Text) -> Bool {
        if absencePhrases.contains(where: { text.holds($0) }) { return true }
        let figures = figures(in: text)
        if figures.hasZero { return true }
        var (isSettled, isWhole) = (false, false)
        // Joined, since "non-refundable" denies nothing.
        var words = WordCursor(text, joins: true)
        while let range = words.next() {
            let word = text[range]
            if isOneOf(word, absences), !isNumero(text, range) { return true }
            if isOneOf(word, absencesAbroad) { return true }
            if isOneOf(word, settled) { isSettled = true }
            if isOneOf(word, wholes) || isWord(word, "clean") { isWhole = true }
        }
        if !figures.hasOthers, isSettled && isWhole || settledPhrases.contains(where: { holdsWords(text, $0) }) {
            return true
        }
        return isForeign(text)
    }

    /// `No. 4711`.
    private static func isNumero(_ text: Text, _ range: Range<Int>) -> Bool {
        guard isWord(text[range], "no"), range.upperBound < text.count, text[range.upperBound] == UInt8(ascii: ".")
        else { return false }
        var next = range.upperBound + 1
        while next < text.count, JSONCursor.isSpace(text[next]) { next += 1 }
        return next < text.count && Text.isDigit(text[next])
    }

    /// Whether a text has a zero that stands by itself, as in "0 invoices", and whether it has other figures.
    private static func figures(in text: Text) -> (hasZero: Bool, hasOthers: Bool) {
        var (hasZero, hasOthers) = (false, false)
        var words = WordCursor(text, joins: true)
        while let range = words.nextWithDigit() {
            if isZero(text, range) { hasZero = true } else { hasOthers = true }
        }
        return (hasZero, hasOthers)
    }

    /// Not the end of `10,00` or `10:00`, the beginning of `0,5`, nor a share of nought.
    private static func isZero(_ text: Text, _ range: Range<Int>) -> Bool {
        for index in range where text[index] < 0x80 && text[index] != 0x30 && text[index] != UInt8(ascii: ".") {
            return false
        }
        let (start, end) = (range.lowerBound, range.upperBound)
        if start > 1, isInsideFigure(text[start - 1]), Text.isDigit(text[start - 2]) { return false }
        if end + 1 < text.count, isInsideFigure(text[end]), Text.isDigit(text[end + 1]) { return false }
        return !(end < text.count && text[end] == UInt8(ascii: "%"))
    }

    private static func isInsideFigure(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ",") || byte == UInt8(ascii: ":") }

    // MARK: Languages

    private static let english: [StaticString] = [
        "the", "you", "your", "and", "are", "have", "has", "with", "this", "that", "were", "it", "its", "there", "they",
        "will", "here", "from", "been", "my", "we", "our", "which", "but",
    ]
    /// Words of English that other languages have too.
    private static let common: [StaticString] = [
        "of", "to", "on", "for", "by", "at", "as", "is", "was", "be", "per", "via", "after", "before", "all", "any",
        "can", "now", "please",
    ]
    private static let foreign: [StaticString] = [
        "der", "das", "den", "dem", "und", "ist", "sind", "wird", "wurde", "wurden", "haben", "nicht", "ein", "eine",
        "einen", "sie", "ihr", "ihre", "wir", "ich", "für", "von", "bei", "auch", "el", "los", "las", "una", "su",
        "por", "para", "que", "del", "está", "tiene", "usted", "est", "sont", "une", "des", "vous", "nous", "votre",
        "avez", "pas", "pour", "les", "dans", "avec", "il", "gli", "sono", "suo", "tuo", "hai", "della", "che", "uma",
        "seu", "sua", "foi", "você", "tem", "het", "een", "niet", "voor", "zijn", "uw", "heeft", "naar", "och", "inte",
        "har", "att", "som", "det", "og", "ikke", "nie", "jest", "się", "masz", "są", "jsou", "máte", "bir", "için",
        "este", "yang", "anda",
    ]

    /// Fewest words of a text that has none of English.
    private static let wordsWithoutEnglishMin = 6

    /// Whether an answer is in another language than English, whose words tell nothing here. English words decide
    /// first: beside them only twice as many of another language, or mostly letters of another script, count. Without
    /// them two words of another language do, two letters beyond ASCII near the beginning, or a sentence in which none
    /// of the words is one that English has in every sentence.
    static func isForeign(_ text: Text) -> Bool {
        var (native, shared, other, plain, last) = (0, 0, 0, 0, UInt64(0))
        var words = WordCursor(text.capped(1_024), joins: false)
        while let range = words.next() {
            let word = text[range]
            if isOneOf(word, english) {
                native += 1
            } else if isOneOf(word, foreign), word.looseHash != last {
                other += 1
                last = word.looseHash
            }
            if isOneOf(word, common) { shared += 1 }
            if word[0] < 0x80, !word.hasDigit { plain += 1 }
        }
        let letters = letters(of: text.capped(64))
        if native > 0 { return other > 2 * native || letters.script > letters.ascii }
        if shared == 0, plain >= wordsWithoutEnglishMin { return true }
        return other >= 2 || letters.accented + letters.script >= 2
    }

    /// Counts letters of ASCII, those with accents, and those of other scripts. Signs, quotes, dashes and pictures are
    /// no letters: all up to U+00BF, U+2000 to U+2BFF, the private ones, and all of four bytes.
    private static func letters(of text: Text) -> (ascii: Int, accented: Int, script: Int) {
        var (ascii, accented, script) = (0, 0, 0)
        var index = 0
        while index < text.count {
            let byte = text[index]
            index += 1
            switch byte {
            case 0x41...0x5A, 0x61...0x7A: ascii += 1
            // U+00D7 and U+00F7 are signs, U+0370 begins Greek.
            case 0xC3...0xCC where index < text.count && !(byte == 0xC3 && text[index] & 0xDF == 0x97): accented += 1
            case 0xCD...0xDF where index < text.count: script += 1
            case 0xE0...0xEF where index + 1 < text.count:
                let code = Int(byte & 15) << 12 | Int(text[index] & 63) << 6 | Int(text[index + 1] & 63)
                let isSign = (0x2000...0x2BFF).contains(code) || code >= 0xE000
                if !isSign { script += 1 }
            default: continue
            }
        }
        return (ascii, accented, script)
    }
}
