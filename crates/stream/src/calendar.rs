//! The proleptic Gregorian calendar over microseconds since the epoch, UTC.
//!
//! Day arithmetic after Howard Hinnant, "chrono-compatible low-level date algorithms".

/// Microseconds of a day.
pub const DAY_US: i64 = 86_400_000_000;

/// A point in time, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
    /// 0 to 999.
    pub millisecond: i64,
    /// Days since the epoch.
    pub days: i64,
}

/// Days since the epoch of a date.
pub fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Takes a time apart.
pub fn civil(us: i64) -> Civil {
    let days = us.div_euclid(DAY_US);
    let ms = us.rem_euclid(DAY_US) / 1000;
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    Civil {
        year: yoe + era * 400 + i64::from(month <= 2),
        month,
        day: doy - (153 * mp + 2) / 5 + 1,
        hour: ms / 3_600_000,
        minute: ms / 60_000 % 60,
        second: ms / 1000 % 60,
        millisecond: ms % 1000,
        days,
    }
}

/// The number of days of a month.
pub fn month_length(year: i64, month: i64) -> i64 {
    let (y, m) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_of(y, m, 1) - days_of(year, month, 1)
}

/// The ISO 8601 week of a day.
pub fn iso_week(days: i64) -> i64 {
    // The week belongs to the year of its Thursday.
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let year = civil(thursday * DAY_US).year;
    (thursday - days_of(year, 1, 1)) / 7 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_forth_and_back() {
        for days in (-800_000..800_000).step_by(37) {
            let c = civil(days * DAY_US + 5_000);
            assert_eq!(days_of(c.year, c.month, c.day), days);
            assert_eq!(c.millisecond, 5);
        }
        assert_eq!(days_of(1970, 1, 1), 0);
        assert_eq!(month_length(2024, 2), 29);
        assert_eq!(month_length(1900, 2), 28);
    }

    #[test]
    fn iso_weeks_begin_on_monday_and_belong_to_the_year_of_their_thursday() {
        assert_eq!(iso_week(days_of(2021, 1, 3)), 53);
        assert_eq!(iso_week(days_of(2021, 1, 4)), 1);
        assert_eq!(iso_week(days_of(2024, 12, 30)), 1);
        assert_eq!(iso_week(days_of(2026, 11, 25)), 48);
    }
}
