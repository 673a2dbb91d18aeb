//! Times as an operator reads them: in the local time zone, or in UTC where that is not
//! known, and then it is said.

use jiff::tz::TimeZone;

use crate::remap_core::units::Timestamp;

/// A time zone to show times in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    zone: TimeZone,
    known: bool,
}

impl Zone {
    /// No zone is known: times are in UTC.
    pub const UNKNOWN: Self = Self {
        zone: TimeZone::UTC,
        known: false,
    };

    /// Universal time, wanted as such.
    pub const UTC: Self = Self::of(TimeZone::UTC);

    /// This zone.
    pub const fn of(zone: TimeZone) -> Self {
        Self { zone, known: true }
    }

    /// The time of day, `10:41:52`; with a `Z` behind it where the zone is not known.
    pub fn time_of_day(&self, time: Timestamp) -> String {
        let mark = if self.known { "" } else { "Z" };
        format!("{}{mark}", self.civil(time).strftime("%H:%M:%S"))
    }

    /// Date and time, `2025-10-24 00:00:00`.
    pub fn date_and_time(&self, time: Timestamp) -> String {
        self.civil(time).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Date, time and the zone's name at that time, `2025-10-24 02:00:00 CEST`.
    pub fn full(&self, time: Timestamp) -> String {
        let instant = instant(time);
        let info = self.zone.to_offset_info(instant);
        format!("{} {}", self.date_and_time(time), info.abbreviation())
    }

    /// What stands above a column of times.
    pub fn heading(&self) -> &'static str {
        if self.zone == TimeZone::UTC {
            "TIME (UTC)"
        } else {
            "TIME"
        }
    }

    /// The zone's name, to be shown.
    pub fn name(&self) -> String {
        match (self.known, self.zone.iana_name()) {
            (false, _) => "not known, so UTC".to_owned(),
            (true, Some(name)) => crate::text::escape_str(name).into_owned(),
            (true, None) if self.zone == TimeZone::UTC => "UTC".to_owned(),
            (true, None) => "this machine's".to_owned(),
        }
    }

    fn civil(&self, time: Timestamp) -> jiff::civil::DateTime {
        self.zone.to_datetime(instant(time))
    }
}

/// The last time that a calendar has a date for stands for all beyond it: what lies on a
/// disk may be any number.
fn instant(time: Timestamp) -> jiff::Timestamp {
    let seconds = i64::try_from(time.get()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_761_264_000, "2025-10-24 00:00:00"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (u64::MAX, "9999-12-30 22:00:00"),
        ] {
            assert_eq!(Zone::UNKNOWN.date_and_time(Timestamp::new(seconds)), shown);
        }
    }

    #[test]
    fn summer_and_winter_are_told_apart() {
        let rule = "CET-1CEST,M3.5.0,M10.5.0/3";
        let zone = Zone::of(TimeZone::posix(rule).unwrap());
        let summer = Timestamp::new(1_761_264_000);
        assert_eq!(zone.full(summer), "2025-10-24 02:00:00 CEST");
        assert_eq!(zone.time_of_day(summer), "02:00:00");
        let winter = Timestamp::new(1_761_264_000 + 7 * 86_400);
        assert_eq!(zone.full(winter), "2025-10-31 01:00:00 CET");
        assert_eq!(zone.heading(), "TIME");
    }

    #[test]
    fn utc_is_said_where_no_zone_is_known() {
        let time = Timestamp::new(1_761_264_000);
        assert_eq!(Zone::UNKNOWN.time_of_day(time), "00:00:00Z");
        assert_eq!(Zone::UNKNOWN.full(time), "2025-10-24 00:00:00 UTC");
        assert_eq!(Zone::UNKNOWN.heading(), "TIME (UTC)");
        let utc = Zone::UTC;
        assert_eq!(utc.time_of_day(time), "00:00:00");
        assert_eq!(utc.heading(), "TIME (UTC)");
    }
}
