//! Durations as the API and the flags write them: `^([0-9]+[hms])+$`, for example `90s`, `1h30m`.

use std::time::Duration;

/// Reads a duration.
///
/// # Errors
/// Says what a duration must look like, for anything else and for values beyond 2^32 seconds.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} must be a duration such as 30s, 15m or 1h30m");
    let mut seconds: u64 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return Err(refused()),
        };
        let count: u64 = digits.parse().map_err(|_| refused())?;
        digits.clear();
        seconds = count.checked_mul(unit).and_then(|s| seconds.checked_add(s)).ok_or_else(refused)?;
    }
    if text.is_empty() || !digits.is_empty() || seconds > u64::from(u32::MAX) {
        return Err(refused());
    }
    Ok(Duration::from_secs(seconds))
}

/// Writes a duration for people: the largest units first, nothing below a second.
pub fn display(duration: Duration) -> String {
    let (h, m, s) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60, duration.as_secs() % 60);
    let parts: String = [(h, 'h'), (m, 'm'), (s, 's')]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if parts.is_empty() { "0s".to_owned() } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_pattern_allows() {
        assert_eq!(parse("72h"), Ok(Duration::from_hours(72)));
        assert_eq!(parse("1h30m5s"), Ok(Duration::from_secs(5405)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        for bad in ["", "5", "h", "5d", "1h5", "-1s", "1.5h", " 1s", "99999999999999999999h", "9999999999h"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["72h", "1h30m5s", "15m", "30s", "0s"] {
            assert_eq!(display(parse(text).unwrap()), text);
        }
    }
}
