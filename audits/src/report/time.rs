//! Times as people read them, UTC.

use e2ee_core::time::UnixMillis;

const DAY: u64 = 24 * 60 * 60;

/// `2026-11-22 10:47:03`, or the number itself where the year has more than four digits.
pub(super) fn utc(at: UnixMillis) -> String {
    let (days, second) = (at.as_secs() / DAY, at.as_secs() % DAY);
    // Day 0 of the era that begins on 0000-03-01, where leap days come last (the proleptic Gregorian calendar).
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    if year > 9999 {
        return format!("{} ms", at.0);
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (secs, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_709_164_799, "2024-02-28 23:59:59"),
            (1_709_251_199, "2024-02-29 23:59:59"),
            (1_795_344_423, "2026-11-22 10:47:03"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (253_402_300_799, "9999-12-31 23:59:59"),
        ] {
            assert_eq!(utc(UnixMillis::from_secs(secs)), text);
        }
        assert_eq!(utc(UnixMillis(u64::MAX)), "18446744073709551615 ms");
    }
}
