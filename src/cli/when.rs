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
    if let Some(clock) = clock(text) {
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

/// Reads a past time: RFC 3339, `14:00` (the last time that this machine's clock showed it), a day (`2026-11-23`, its
/// beginning here), or `2h30m`, which may be written `2h30m ago`.
pub(super) fn parse_past(text: &str, now: &jiff::Zoned) -> Result<Timestamp, String> {
    let millis = |at: jiff::Timestamp| {
        u64::try_from(at.as_millisecond()).map(Timestamp).map_err(|_| format!("`{text}` is before 1970"))
    };
    let passed = |at: Timestamp| match millis(now.timestamp())? < at {
        true => Err(format!("`{text}` has not come yet")),
        false => Ok(at),
    };
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return passed(millis(at)?);
    }
    if let Some(clock) = clock(text) {
        let today = now.with().time(clock).second(0).subsec_nanosecond(0).build().map_err(|error| error.to_string())?;
        let at = match today <= *now {
            true => today,
            false => {
                today.yesterday().and_then(|day| day.with().time(clock).build()).map_err(|error| error.to_string())?
            }
        };
        return millis(at.timestamp());
    }
    if let Ok(day) = jiff::civil::Date::strptime("%Y-%m-%d", text) {
        let begins = day.to_zoned(now.time_zone().clone()).map_err(|error| error.to_string())?;
        return passed(millis(begins.timestamp())?);
    }
    let length = text.strip_suffix("ago").map_or(text, str::trim_end);
    match crate::document::parse_duration(length) {
        Some(length) => {
            let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            millis(now.timestamp()).map(|now| Timestamp(now.0.saturating_sub(length)))
        }
        None => Err(format!(
            "`{text}` is no past time: expected RFC 3339 such as `2026-11-23T14:00:00Z`, a day such as `2026-11-23`, a \
             clock time such as `14:00`, or a length such as `2h ago`"
        )),
    }
}

/// A time of day.
fn clock(text: &str) -> Option<jiff::civil::Time> {
    match text.len() {
        4 | 5 => jiff::civil::Time::strptime("%H:%M", text).ok(),
        _ => None,
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

    #[test]
    fn past_times() {
        let now: jiff::Timestamp = "2026-11-23T13:00:00Z".parse().unwrap();
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(1));
        let now = now.to_zoned(zone);
        let check =
            |text: &str, expected: &str| assert_eq!(parse_past(text, &now).unwrap().to_string(), expected, "{text}");
        check("2h30m", "2026-11-23T10:30:00Z");
        check("2h30m ago", "2026-11-23T10:30:00Z");
        check("45s ago", "2026-11-23T12:59:15Z");
        check("2d", "2026-11-21T13:00:00Z");
        check("14:00", "2026-11-23T13:00:00Z");
        check("13:59", "2026-11-23T12:59:00Z");
        check("14:01", "2026-11-22T13:01:00Z");
        check("2026-11-23", "2026-11-22T23:00:00Z");
        check("2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z");
        for bad in ["", "ago", "soon", "25:00", "2026-13-01", "2026-11-24", "2026-11-23T13:00:01Z", "1900-01-01"] {
            assert!(parse_past(bad, &now).is_err(), "{bad}");
        }
    }
}
