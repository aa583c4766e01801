//! The small grammars inside values: lists, booleans, addresses, durations, sizes, instants.

use std::time::Duration;

use super::topology::ServerAddress;

/// Kafka's LIST: trimmed, split on commas with the white space around them; empty is no entry.
pub fn list(text: &str) -> Vec<String> {
    let text = java_trim(text);
    if text.is_empty() {
        return Vec::new();
    }
    // A comma takes the white space around it away; entries may still be empty.
    text.split(',').map(|entry| entry.trim().to_owned()).collect()
}

/// `String.trim()`: everything up to U+0020 at both ends.
pub fn java_trim(text: &str) -> &str {
    text.trim_matches(|letter: char| letter <= ' ')
}

/// Kafka's BOOLEAN: `true` or `false` in any case.
pub fn boolean(text: &str) -> Option<bool> {
    let text = java_trim(text);
    [("true", true), ("false", false)]
        .into_iter()
        .find_map(|(word, value)| text.eq_ignore_ascii_case(word).then_some(value))
}

/// `host:port`, `[v6]:port`, optionally behind a listener name (`PLAINTEXT://host:port`).
pub fn server_address(text: &str) -> Result<ServerAddress, String> {
    let text = java_trim(text);
    let bare = text.split_once("://").map_or(text, |(_, address)| address);
    let (host, port) =
        bare.rsplit_once(':').ok_or_else(|| format!("`{text}` has no port: write host:port"))?;
    let port: u16 = port
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("`{port}` in `{text}` is no port (1 to 65535)"))?;
    let host = host.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).unwrap_or(host);
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.:%".contains(letter);
    if host.is_empty() || !host.chars().all(allowed) {
        return Err(format!("`{host}` in `{text}` is no host name"));
    }
    Ok(ServerAddress { host: host.to_owned(), port })
}

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// `500ms`, `5s`, `2m`, `1h`, `90d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let complaint = || format!("`{text}` is no duration: write 500ms, 5s, 2m, 1h or 90d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| complaint())?;
    let factor = DURATION_UNITS.iter().find(|(name, _)| *name == unit.trim_start());
    let (_, factor) = factor.ok_or_else(complaint)?;
    number.checked_mul(*factor).map(Duration::from_millis).ok_or_else(complaint)
}

const SIZE_UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Bytes: `1048576`, `64KiB`, `10MB`. With `per_second`, an optional `/s` behind it.
pub fn bytes(text: &str, per_second: bool) -> Result<u64, String> {
    let example = if per_second { "50MB/s or 8MiB/s" } else { "1048576, 64KiB or 10MB" };
    let complaint = || format!("`{text}` is no number of bytes: write {example}");
    let size = if per_second { text.strip_suffix("/s").unwrap_or(text) } else { text };
    let digits = size.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = size.split_at(digits);
    let number: u64 = number.parse().map_err(|_| complaint())?;
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim());
    let (_, factor) = factor.ok_or_else(complaint)?;
    number.checked_mul(*factor).filter(|bytes| *bytes > 0).ok_or_else(complaint)
}

/// RFC 3339 (`2026-01-31T12:00:00Z`, any offset, fractions) or milliseconds since 1970.
pub fn instant_unix_ms(text: &str) -> Result<i64, String> {
    if let Ok(unix_ms) = text.parse::<i64>() {
        return Ok(unix_ms);
    }
    rfc3339(text).ok_or_else(|| {
        format!("`{text}` is no instant: write 2026-01-31T12:00:00Z or milliseconds since 1970")
    })
}

fn rfc3339(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let signs = [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")];
    for (at, allowed) in signs {
        let sign = char::from(*text.as_bytes().get(at)?);
        if !allowed.contains(sign) {
            return None;
        }
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days_of_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_of_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = &text[19..];
    let mut fraction_ms = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let three: String = fraction[..digits].chars().chain("00".chars()).take(3).collect();
        fraction_ms = three.parse::<i64>().ok()?;
        rest = &fraction[digits..];
    }
    let offset_minutes = offset_minutes(rest)?;
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some((seconds - offset_minutes * 60) * 1_000 + fraction_ms)
}

/// `Z`, `+01:00`, `-05:30`.
fn offset_minutes(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |digits: &str| -> Option<i64> {
        (digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| digits.parse().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, years counted from March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let leap_days = year_from_march.div_euclid(4) - year_from_march.div_euclid(100)
        + year_from_march.div_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year_from_march * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_as_kafka_splits_them() {
        assert_eq!(list(" a , b,c "), ["a", "b", "c"]);
        assert_eq!(list("   "), Vec::<String>::new());
        assert_eq!(list("a{1,3}"), ["a{1", "3}"]);
        assert_eq!(list("a,,b"), ["a", "", "b"]);
    }

    #[test]
    fn booleans_are_strict() {
        assert_eq!(boolean(" TRUE "), Some(true));
        assert_eq!(boolean("False"), Some(false));
        assert_eq!(boolean("yes"), None);
    }

    #[test]
    fn addresses() {
        let shown = |text: &str| server_address(text).map(|address| address.to_string());
        assert_eq!(shown("b1:9092").unwrap(), "b1:9092");
        assert_eq!(shown("SASL_SSL://b1.x:9093").unwrap(), "b1.x:9093");
        assert_eq!(shown("[::1]:9092").unwrap(), "[::1]:9092");
        for bad in ["b1", "b1:", "b1:0", "b1:70000", ":9092", "b 1:9092", ""] {
            assert!(shown(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_and_sizes() {
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("90d").unwrap(), Duration::from_secs(90 * 86_400));
        for bad in ["5", "s", "5 parsecs", "-5s", "99999999999999999999s", "1.5h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(bytes("64KiB", false).unwrap(), 65_536);
        assert_eq!(bytes("50MB/s", true).unwrap(), 50_000_000);
        assert_eq!(bytes("50 MB", true).unwrap(), 50_000_000);
        for bad in ["0", "50MB/s", "x", "10TB!", "-1"] {
            assert!(bytes(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn instants() {
        for (text, unix_ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2026-01-31T12:00:00.5+01:00", 1_769_857_200_500),
            ("1969-12-31T23:59:59Z", -1_000),
            ("1700000000000", 1_700_000_000_000),
        ] {
            assert_eq!(instant_unix_ms(text), Ok(unix_ms), "{text}");
        }
        for bad in ["2026-02-29T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00", "yesterday", "é"]
        {
            assert!(instant_unix_ms(bad).is_err(), "{bad}");
        }
    }
}
