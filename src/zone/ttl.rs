//! Times to live as they are written: seconds, or numbers with units.

/// Largest TTL (RFC 2181 8), seconds.
pub(super) const MAX: u32 = (1 << 31) - 1;

/// Reads seconds such as `3600`, or numbers with a unit each such as `1h30m`: weeks, days, hours, minutes, seconds.
///
/// `None` for anything else and for more than 2^32 - 1 seconds.
pub(super) fn parse(text: &[u8]) -> Option<u32> {
    let (mut total, mut number, mut digits, mut units) = (0_u64, 0_u64, false, false);
    for octet in text {
        let unit = match octet.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                number = number * 10 + u64::from(digit - b'0');
                digits = true;
                if number > u64::from(u32::MAX) {
                    return None;
                }
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        if !digits {
            return None;
        }
        total += number * unit;
        if total > u64::from(u32::MAX) {
            return None;
        }
        (number, digits, units) = (0, false, true);
    }
    match (digits, units) {
        (true, false) => u32::try_from(number).ok(),
        (false, true) => u32::try_from(total).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_units() {
        let check = |text: &str, expected| assert_eq!(parse(text.as_bytes()), expected, "{text}");
        check("0", Some(0));
        check("3600", Some(3_600));
        check("1h30m", Some(5_400));
        check("1W2D3h4M5s", Some(788_645));
        check("30m1h", Some(5_400));
        check("4294967295", Some(u32::MAX));
        check("4294967296", None);
        check("7102w", None);
        check("99999999999999999999999w", None);
        check("1h30", None);
        check("h", None);
        check("1x", None);
        check("", None);
        check("-1", None);
    }
}
