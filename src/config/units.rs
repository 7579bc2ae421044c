//! Octets and short times as the configuration writes them: `"4MiB"`, `"50us"`.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::document::Value;

/// From the largest, in octets.
const SIZES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// From the largest, in microseconds.
const TIMES: [(&str, u64); 2] = [("ms", 1000), ("us", 1)];

/// Octets within `range`, as a whole number of KiB, MiB or GiB.
pub(super) fn octets(value: &Value<'_>, range: RangeInclusive<u32>, problems: &mut Vec<Diagnostic>) -> Option<u32> {
    let quantity = Quantity { expected: "a size in KiB, MiB or GiB", example: "\"4MiB\"", units: &SIZES };
    let range = u64::from(*range.start())..=u64::from(*range.end());
    u32::try_from(quantity.read(value, range, problems)?).ok()
}

/// A time within `range`, as a whole number of microseconds or milliseconds; "0s" is none.
pub(super) fn micros(value: &Value<'_>, most: Duration, problems: &mut Vec<Diagnostic>) -> Option<Duration> {
    if value.as_text() == Some("0s") {
        return Some(Duration::ZERO);
    }
    let quantity = Quantity { expected: "a duration in us or ms, or \"0s\"", example: "\"50us\"", units: &TIMES };
    let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    quantity.read(value, 0..=most, problems).map(Duration::from_micros)
}

/// Whole numbers with one unit.
struct Quantity {
    expected: &'static str,
    example: &'static str,
    units: &'static [(&'static str, u64)],
}

impl Quantity {
    fn read(&self, value: &Value<'_>, range: RangeInclusive<u64>, problems: &mut Vec<Diagnostic>) -> Option<u64> {
        let problem = match value.as_text().map(|text| (text, self.parse(text))) {
            Some((_, Some(amount))) if range.contains(&amount) => return Some(amount),
            Some((text, Some(amount))) => {
                let (least, most) = (self.show(*range.start()), self.show(*range.end()));
                let hint = match amount < *range.start() {
                    true => format!("write at least \"{least}\""),
                    false => format!("write at most \"{most}\""),
                };
                value.error(format!("{} is \"{text}\", expected {least} to {most}", value.what())).hint(hint)
            }
            _ => value.mismatch(self.expected, &format!("a whole number with its unit, such as {}", self.example)),
        };
        problems.push(problem);
        None
    }

    fn parse(&self, text: &str) -> Option<u64> {
        let (digits, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
        let (_, size) = self.units.iter().find(|(word, _)| *word == unit)?;
        digits.parse::<u64>().ok()?.checked_mul(*size)
    }

    /// In the largest unit that it is a whole number of.
    fn show(&self, amount: u64) -> String {
        let whole = self.units.iter().find(|(_, size)| amount != 0 && amount.is_multiple_of(*size));
        let (word, size) = whole.or(self.units.last()).copied().unwrap_or(("", 1));
        format!("{}{word}", amount / size)
    }
}
