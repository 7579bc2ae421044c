//! Points in time as operators write them.

use crate::time::Timestamp;

/// Reads `2h30m` (from now), `14:00` (the next time that this machine's clock shows it) or RFC 3339
/// (`2026-11-23T14:00:00Z`).
pub(super) fn parse(text: &str, now: &jiff::Zoned) -> Result<Timestamp, String> {
    let millis = |at: jiff::Timestamp| {
        u64::try_from(at.as_millisecond()).map(Timestamp).map_err(|_| format!("`{text}` is before 1970"))
    };
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return millis(at);
    }
    let clock = match text.len() {
        4 | 5 => jiff::civil::Time::strptime("%H:%M", text).ok(),
        _ => None,
    };
    if let Some(clock) = clock {
        let today = now.with().time(clock).second(0).subsec_nanosecond(0).build().map_err(|error| error.to_string())?;
        let at = match today <= *now {
            true => {
                today.tomorrow().and_then(|day| day.with().time(clock).build()).map_err(|error| error.to_string())?
            }
            false => today,
        };
        return millis(at.timestamp());
    }
    match crate::document::parse_duration(text) {
        Some(length) => millis(now.timestamp()).map(|now| now.after(length)),
        None => Err(format!(
            "`{text}` is no time: expected a length such as `2h30m`, a clock time such as `14:00`, or RFC 3339 such as \
             `2026-11-23T14:00:00Z`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_clock_times_and_rfc_3339() {
        let now: jiff::Timestamp = "2026-11-23T13:00:00Z".parse().unwrap();
        let now = now.to_zoned(jiff::tz::TimeZone::UTC);
        let check = |text: &str, expected: &str| assert_eq!(parse(text, &now).unwrap().to_string(), expected, "{text}");
        check("2h30m", "2026-11-23T15:30:00Z");
        check("45s", "2026-11-23T13:00:45Z");
        check("14:00", "2026-11-23T14:00:00Z");
        check("12:59", "2026-11-24T12:59:00Z");
        check("13:00", "2026-11-24T13:00:00Z");
        check("2026-12-01T00:00:00+01:00", "2026-11-30T23:00:00Z");
        for bad in ["", "soon", "25:00", "5", "14:00:"] {
            assert!(parse(bad, &now).is_err(), "{bad}");
        }
    }
}
