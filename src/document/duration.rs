//! Lengths of time as files write them: `5s`, `1m30s`, `250ms`, `2d`.

use std::time::Duration;

/// The units from the largest, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads whole numbers with units, the larger unit first, each unit at most once, without spaces.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut millis = 0u64;
    let mut allowed = UNITS.as_slice();
    let mut rest = text;
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
        let (unit, tail) = tail.split_at(tail.bytes().take_while(u8::is_ascii_alphabetic).count());
        let at = allowed.iter().position(|(word, _)| *word == unit)?;
        millis = digits.parse::<u64>().ok()?.checked_mul(allowed[at].1)?.checked_add(millis)?;
        allowed = &allowed[at + 1..];
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(millis))
}

/// Writes a length of time as [`parse_duration`] reads it; what is shorter than a millisecond is left out.
pub(crate) fn show_duration(length: Duration) -> String {
    let mut rest = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let mut shown = String::new();
    for (word, millis) in UNITS {
        if rest >= millis {
            shown.push_str(&format!("{}{word}", rest / millis));
            rest %= millis;
        }
    }
    if shown.is_empty() { "0s".into() } else { shown }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_units() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}")
        };
        check("5s", Some(5_000));
        check("250ms", Some(250));
        check("1m30s", Some(90_000));
        check("1d2h3m4s5ms", Some(93_784_005));
        check("0s", Some(0));
        check("90m", Some(5_400_000));
        for bad in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "30s1m",
            "1s1s",
            "5S",
            "5sec",
            "5s ",
            "99999999999999999999s",
            "999999999999999d",
            "5µs",
        ] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(millis in 0u64..1_000_000_000_000) {
            let length = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&show_duration(length)), Some(length));
        }
    }
}
