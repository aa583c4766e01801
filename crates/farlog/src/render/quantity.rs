//! Numbers as people read them. Short, with a unit, and never rounded to a nicer zero.

const THOUSAND: f64 = 1_000.0;
const BYTE_UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
const MS_PER_DAY: i64 = 86_400_000;

/// `1,234,567`.
pub fn count(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = if value < 0 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `999 B`, `1.50 kB`, `2.34 GB`: powers of a thousand.
pub fn bytes(value: f64) -> String {
    if value < THOUSAND {
        return format!("{value:.0} B");
    }
    let mut scaled = value;
    let mut unit = "B";
    for larger in BYTE_UNITS {
        // What would be printed as 1000 belongs to the next unit.
        if scaled < 999.5 {
            break;
        }
        scaled /= THOUSAND;
        unit = larger;
    }
    let decimals = if scaled < 10.0 { 2 } else { usize::from(scaled < 100.0) };
    format!("{scaled:.decimals$} {unit}")
}

/// Records per second: `0.4/s`, `2,000/s`.
pub fn records_per_second(value: f64) -> String {
    if value > 0.0 && value < 10.0 {
        format!("{value:.1}/s")
    } else {
        format!("{}/s", count(value.round() as i64))
    }
}

/// The two leading units: `850 ms`, `12.3 s`, `4 min 5 s`, `3 h 20 min`, `9 d 1 h`.
pub fn duration(value_ms: i64) -> String {
    let sign = if value_ms < 0 { "-" } else { "" };
    let value_ms = value_ms.unsigned_abs();
    let seconds = value_ms / 1_000;
    let text = match value_ms {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{value_ms} ms"),
        1_000..60_000 => format!("{}.{} s", seconds, value_ms % 1_000 / 100),
        60_000..3_600_000 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600_000..86_400_000 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    };
    format!("{sign}{text}")
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

/// `2026-11-21 10:04:11 UTC`.
pub fn instant(epoch_ms: i64) -> String {
    let (year, month, day) = civil(epoch_ms.div_euclid(MS_PER_DAY));
    let second = epoch_ms.rem_euclid(MS_PER_DAY) / 1_000;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of a number of days since 1970-01-01, Gregorian.
///
/// Counts in years that begin in March, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    let since_0000_03_01 = days + 719_468;
    let era = since_0000_03_01.div_euclid(DAYS_PER_ERA);
    let day_of_era = since_0000_03_01.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_bytes_are_short() {
        let counts = [0, 7, 999, 1_000, 1_234_567, -1_000].map(count);
        assert_eq!(counts, ["0", "7", "999", "1,000", "1,234,567", "-1,000"]);
        let sizes = [0.0, 999.0, 1_000.0, 12_345.0, 999_600.0, 2_340_000_000.0, 1e18].map(bytes);
        assert_eq!(sizes, ["0 B", "999 B", "1.00 kB", "12.3 kB", "1.00 MB", "2.34 GB", "1.00 EB"]);
        let rates = [0.0, 0.44, 2_000.4].map(records_per_second);
        assert_eq!(rates, ["0/s", "0.4/s", "2,000/s"]);
    }

    #[test]
    fn durations_have_two_units() {
        let texts = [0, 1, 12_345, 60_000, 245_000, 12_000_000, 781_200_000, -1_500].map(duration);
        assert_eq!(
            texts,
            ["0 s", "1 ms", "12.3 s", "1 min", "4 min 5 s", "3 h 20 min", "9 d 1 h", "-1.5 s"]
        );
    }

    #[test]
    fn instants_are_right_on_leap_days_and_before_1970() {
        assert_eq!(instant(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(instant(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(instant(1_709_251_199_999), "2024-02-29 23:59:59 UTC");
        assert_eq!(instant(1_709_251_200_000), "2024-03-01 00:00:00 UTC");
        assert_eq!(instant(-1), "1969-12-31 23:59:59 UTC");
    }
}
