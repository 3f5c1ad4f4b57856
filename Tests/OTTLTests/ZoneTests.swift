import OTTL
import Testing

/// `Time` with a location: clocks of the system's database, checked against the moments that date(1) shows.
@Suite struct ZoneTests {
    static let moments: [(zone: String, local: String, unix: Int64)] = [
        ("America/New_York", "2023-05-26 12:34:56", 1_685_118_896),
        ("America/New_York", "2023-12-26 12:34:56", 1_703_612_096),
        ("Europe/Berlin", "2023-05-26 12:34:56", 1_685_097_296), ("Asia/Kolkata", "2000-01-01 00:00:00", 946_665_000),
        ("Europe/London", "1970-06-01 12:00:00", 13_086_000), ("UTC", "2023-05-26 12:34:56", 1_685_104_496),
        ("", "2023-05-26 12:34:56", 1_685_104_496),
        // Behind what is listed in the file, by its rule for all later years, in both halves of the world.
        ("America/New_York", "2050-07-01 00:00:00", 2_540_260_800),
        ("Australia/Sydney", "2050-01-01 00:00:00", 2_524_568_400),
        ("Australia/Sydney", "2050-07-01 00:00:00", 2_540_210_400),
        ("Europe/Dublin", "2050-07-01 00:00:00", 2_540_242_800),
        // The summer of 1943 in war time.
        ("America/New_York", "1943-07-01 00:00:00", -836_424_000),
        // Clocks show this twice, and the other never.
        ("Europe/Berlin", "2023-10-29 02:30:00", 1_698_543_000),
        ("Europe/Berlin", "2023-03-26 02:30:00", 1_679_794_200),
    ]

    @Test(arguments: moments) func `a time is of its location`(
        moment: (zone: String, local: String, unix: Int64)
    ) throws {
        let call = "UnixSeconds(Time(\"\(moment.local)\", \"%Y-%m-%d %H:%M:%S\", \"\(moment.zone)\"))"
        #expect(try Lab.holds("\(call) == \(moment.unix)", .span, on: Sample.span))
    }

    @Test func `what the text says of its zone goes before the location`() throws {
        for text in ["2023-05-26 12:34:56+0000", "2023-05-26 12:34:56Z"] {
            let call = "UnixSeconds(Time(\"\(text)\", \"%Y-%m-%d %H:%M:%S%z\", \"America/New_York\"))"
            #expect(try Lab.holds("\(call) == 1685104496", .span, on: Sample.span))
        }
        let named = "UnixSeconds(Time(\"2023-05-26 12:34:56 UTC\", \"%Y-%m-%d %H:%M:%S %Z\", \"Asia/Tokyo\"))"
        #expect(try Lab.holds("\(named) == 1685104496", .span, on: Sample.span))
    }

    @Test(arguments: [
        ("2023-05-26 12:34:56 EDT", "America/New_York", 1_685_118_896),
        // A name that is not of the season means what it says.
        ("2023-05-26 12:34:56 EST", "America/New_York", 1_685_122_496),
        ("2023-12-26 12:34:56 EST", "America/New_York", 1_703_612_096),
        // One that the location does not know says nothing.
        ("2023-05-26 12:34:56 HST", "", 1_685_104_496), ("2023-05-26 12:34:56 HST", "Asia/Tokyo", 1_685_104_496),
        ("2023-05-26 12:34:56 GMT+2", "", 1_685_097_296),
        ("2023-05-26 12:34:56 HST", "Pacific/Honolulu", 1_685_140_496),
    ])
    func `abbreviations are those of the location`(text: String, zone: String, unix: Int64) throws {
        let call = "UnixSeconds(Time(\"\(text)\", \"%Y-%m-%d %H:%M:%S %Z\", \"\(zone)\"))"
        #expect(try Lab.holds("\(call) == \(unix)", .span, on: Sample.span))
    }

    @Test func `an offset goes before an abbreviation`() throws {
        let call = "Time(\"2012-11-01T22:08:41+0000 EST\", \"%Y-%m-%dT%H:%M:%S%z %Z\", \"America/New_York\")"
        #expect(try Lab.holds("UnixSeconds(\(call)) == 1351807721", .span, on: Sample.span))
    }

    @Test(arguments: [
        ("Time(\"2023\", \"%Y\", \"America/New_Yrok\") == nil", "character 20: there is no time zone America/New_Yrok"),
        ("Time(\"2023\", \"%Y\", \"../../etc/passwd\") == nil", "character 20: there is no time zone"),
        ("Time(\"2023\", \"%Y\", \"/etc/localtime\") == nil", "character 20: there is no time zone"),
        ("Time(\"2023\", \"%Y\", \"America\") == nil", "character 20: there is no time zone America"),
        ("Time(\"2023\", \"%Y\", attributes[\"zone\"]) == nil", "character 20: the time zone must be written out"),
        ("Time(\"2023\", \"%Y\", locale=\"fr\") == nil", "are read in English; locale fr is not known"),
    ])
    func `a zone that is not there is told at its place`(source: String, words: String) {
        let problem = Lab.problem(source, .span)
        #expect(problem.contains(words), "\(problem)")
    }

    @Test func `English is a locale`() throws {
        let call = "Time(\"May 26 2023\", \"%b %d %Y\", \"\", \"en\")"
        #expect(try Lab.holds("UnixSeconds(\(call)) == 1685059200", .span, on: Sample.span))
    }

    /// Go takes a fraction of any length behind seconds, or none, whatever the layout asks for.
    @Test(arguments: [
        ("12:34:56.123456789Z", "%H:%M:%S.%fZ", 123_456_789), ("12:34:56.123456789Z", "%T.%LZ", 123_456_789),
        ("12:34:56.123456Z", "%H:%M:%S.%LZ", 123_456_000), ("12:34:56,5Z", "%H:%M:%S,%sZ", 500_000_000),
        ("12:34:56Z", "%H:%M:%S.%LZ", 0), ("12:34:56.789", "%H:%M:%S", 789_000_000),
        ("12:34:56.1234567891 PM", "%H:%M:%S %p", 123_456_789), ("12:34:56.25", "15:04:05", 250_000_000),
        ("12:34:56.25", "15:04:05.000000", 250_000_000),
    ])
    func `fractions of seconds are read as Go does`(text: String, format: String, nanoseconds: Int) throws {
        let call = "UnixNano(Time(\"\(text)\", \"\(format)\"))"
        #expect(try Lab.holds("\(call) == \(45_296_000_000_000 + nanoseconds)", .span, on: Sample.span))
    }

    @Test(arguments: [("12:34:56.", "%H:%M:%S"), ("12:34:56.Z", "%H:%M:%S.%LZ"), ("12:34.5", "%H:%M")])
    func `a fraction stands behind seconds and has digits`(text: String, format: String) {
        #expect(throws: (any Error).self) {
            try Lab.holds("Time(\"\(text)\", \"\(format)\") != nil", .span, on: Sample.span)
        }
    }
}
