//! Points in time as the pure parts see them.

pub mod lived;

use std::fmt;
use std::time::Duration;

pub use lived::Lived;

/// A point in time: milliseconds since the Unix epoch, UTC.
///
/// Pure code receives it as an argument; only the shell's clock makes one from the machine's. Differences saturate, so
/// that a clock that was set back never makes a negative age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment and `later` added.
    pub fn after(self, later: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(u64::try_from(later.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// RFC 3339 in UTC with seconds: `2026-11-23T14:03:11Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = i64::try_from(self.0 / 1000).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
        match second {
            Some(second) => write!(f, "{second}"),
            None => write!(f, "@{}ms", self.0),
        }
    }
}

/// A length of time as an operator reads it: `900 ms`, `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
pub fn human(length: Duration) -> String {
    let seconds = length.as_secs();
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big} {big_unit}"),
        _ => format!("{big} {big_unit} {small} {small_unit}"),
    };
    match seconds {
        0 => format!("{} ms", length.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_well() {
        let check = |millis, expected: &str| assert_eq!(human(Duration::from_millis(millis)), expected);
        check(0, "0 ms");
        check(999, "999 ms");
        check(42_000, "42 s");
        check(185_000, "3 min 5 s");
        check(7_800_000, "2 h 10 min");
        check(86_400_000, "1 d");
    }

    #[test]
    fn a_clock_set_back_makes_no_negative_age() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }

    #[test]
    fn shown_as_rfc_3339() {
        assert_eq!(Timestamp(1_795_442_591_500).to_string(), "2026-11-23T14:03:11Z");
    }
}
