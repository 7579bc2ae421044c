//! LOC (RFC 1876): `d [m [s]] N|S d [m [s]] E|W altitude [size [horizontal [vertical]]]`.

use super::RdataError;
use super::cursor::{Cursor, What, Word};
use super::show::Line;

/// Thousandths of an arc second at the equator and at the prime meridian (RFC 1876 2).
const ZERO_ANGLE: u32 = 1 << 31;
/// Centimetres from the base of the altitude to the reference spheroid.
const ZERO_ALTITUDE: i64 = 10_000_000;
/// Size 1 m, horizontal precision 10 km, vertical precision 10 m: RFC 1876 3.
const DEFAULTS: [u8; 3] = [0x12, 0x16, 0x13];

pub(super) fn scan(cursor: &mut Cursor<'_>, what: What, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let what = |field| What { field, ..what };
    let latitude = angle(cursor, what("latitude"), 90, *b"NS")?;
    let longitude = angle(cursor, what("longitude"), 180, *b"EW")?;
    let expected = "metres from -100000.00 to 42849672.95";
    let word = cursor.word(what("altitude"), expected)?;
    let altitude = centimetres(&word)
        .and_then(|altitude| u32::try_from(altitude + ZERO_ALTITUDE).ok())
        .ok_or_else(|| cursor.bad(what("altitude"), &word, expected))?;
    let mut sizes = DEFAULTS;
    for (size, field) in sizes.iter_mut().zip(["size", "horizontal precision", "vertical precision"]) {
        if cursor.is_empty() {
            break;
        }
        let expected = "metres from 0.00 to 90000000.00";
        let word = cursor.word(what(field), expected)?;
        *size = centimetres(&word).and_then(power_of_ten).ok_or_else(|| cursor.bad(what(field), &word, expected))?;
    }
    out.push(0);
    out.extend_from_slice(&sizes);
    for number in [latitude, longitude, altitude] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    Ok(())
}

/// Degrees, minutes, seconds and hemisphere; the first of `hemispheres` is the positive one.
fn angle(cursor: &mut Cursor<'_>, what: What, max: u32, hemispheres: [u8; 2]) -> Result<u32, RdataError> {
    let expected = if max == 90 {
        "degrees up to 90, minutes, seconds and `N` or `S`"
    } else {
        "degrees up to 180, minutes, seconds and `E` or `W`"
    };
    let limits = [(max, 3_600_000_u32), (59, 60_000), (59, 1_000)];
    let (mut total, start) = (0_u32, cursor.position());
    for count in 0..=limits.len() {
        let word = cursor.word(what, expected)?;
        let hemisphere = hemispheres.iter().position(|letter| word.text.eq_ignore_ascii_case(&[*letter]));
        if let Some(hemisphere) = hemisphere.filter(|_| count > 0) {
            if total > max * 3_600_000 {
                let message = format!("{what} beyond {max} degrees, expected {expected}");
                return Err(RdataError::new(start..cursor.end(), message));
            }
            return Ok(if hemisphere == 0 { ZERO_ANGLE + total } else { ZERO_ANGLE - total });
        }
        let bad = || cursor.bad(what, &word, expected);
        let (limit, unit) = *limits.get(count).ok_or_else(bad)?;
        let thousandths =
            if unit == 1_000 { fraction(word.text, 3) } else { fraction(word.text, 0).map(|n| n * 1_000) };
        let value = thousandths.filter(|n| *n < (u64::from(limit) + 1) * 1_000).ok_or_else(bad)?;
        total += (value * u64::from(unit) / 1_000) as u32;
    }
    Err(cursor.missing(what, expected))
}

/// A decimal number times ten to the power of `places`, with at most that many digits behind the point.
fn fraction(text: &[u8], places: usize) -> Option<u64> {
    let point = text.iter().position(|octet| *octet == b'.');
    let (whole, part) = point.map_or((text, &[][..]), |at| (&text[..at], &text[at + 1..]));
    if whole.is_empty() || whole.len() > 10 || part.len() > places || point.is_some() && part.is_empty() {
        return None;
    }
    let digits = whole.iter().chain(part).chain(std::iter::repeat_n(&b'0', places - part.len()));
    digits
        .copied()
        .try_fold(0_u64, |number, octet| octet.is_ascii_digit().then(|| number * 10 + u64::from(octet - b'0')))
}

/// Metres with an optional `m`, in centimetres.
fn centimetres(word: &Word<'_>) -> Option<i64> {
    let text = word.text.strip_suffix(b"m").or_else(|| word.text.strip_suffix(b"M")).unwrap_or(word.text);
    let (sign, digits) = text.strip_prefix(b"-").map_or((1, text), |digits| (-1, digits));
    Some(sign * i64::try_from(fraction(digits, 2)?).ok()?)
}

/// RFC 1876 2: the first digit in the high half of the octet, the power of ten in the low half; the rest is cut off.
fn power_of_ten(centimetres: i64) -> Option<u8> {
    let (mut digit, mut power) = (u64::try_from(centimetres).ok().filter(|size| *size <= 9_000_000_000)?, 0);
    while digit > 9 {
        (digit, power) = (digit / 10, power + 1);
    }
    Some((digit as u8) << 4 | power)
}

pub(super) fn show(octets: [u8; 16], line: &mut Line) -> Option<()> {
    let [version, sizes @ .., _, _, _, _, _, _, _, _, _, _, _, _] = octets;
    if version != 0 || sizes.iter().any(|size| size >> 4 > 9 || size & 0xf > 9) {
        return None;
    }
    let number = |at: usize| u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
    for (angle, max, hemispheres) in [(number(4), 90, ["N", "S"]), (number(8), 180, ["E", "W"])] {
        let distance = angle.abs_diff(ZERO_ANGLE);
        if distance > max * 3_600_000 {
            return None;
        }
        line.word(distance / 3_600_000);
        line.word(distance / 60_000 % 60);
        line.word(format_args!("{}.{:03}", distance / 1_000 % 60, distance % 1_000));
        line.word(hemispheres[usize::from(angle < ZERO_ANGLE)]);
    }
    let altitude = i64::from(number(12)) - ZERO_ALTITUDE;
    let sign = if altitude < 0 { "-" } else { "" };
    line.word(format_args!("{sign}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100));
    for size in sizes {
        let centimetres = u64::from(size >> 4) * 10_u64.pow(u32::from(size & 0xf));
        line.word(format_args!("{}.{:02}m", centimetres / 100, centimetres % 100));
    }
    Some(())
}
