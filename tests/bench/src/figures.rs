//! Medians and percentiles.

/// The median; `None` of nothing.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted.get(middle).copied()
    } else {
        Some((sorted.get(middle.checked_sub(1)?)? + sorted[middle]) / 2.0)
    }
}

/// The smallest.
pub(crate) fn least(figures: &[f64]) -> Option<f64> {
    figures.iter().copied().min_by(f64::total_cmp)
}

/// The largest.
pub(crate) fn most(figures: &[f64]) -> Option<f64> {
    figures.iter().copied().max_by(f64::total_cmp)
}

/// Durations in nanoseconds, counted in bins of at most 1.6 % of their size.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    bins: Vec<u64>,
    count: u64,
    largest: u64,
}

/// Bins for each doubling.
const STEPS: u32 = 64;

impl Default for Histogram {
    fn default() -> Self {
        Self { bins: vec![0; (64 * STEPS) as usize], count: 0, largest: 0 }
    }
}

impl Histogram {
    /// Counts one.
    pub(crate) fn add(&mut self, nanoseconds: u64) {
        self.bins[bin(nanoseconds)] += 1;
        self.count += 1;
        self.largest = self.largest.max(nanoseconds);
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The largest, nanoseconds.
    pub(crate) fn largest(&self) -> u64 {
        self.largest
    }

    /// What so many in 100 do not exceed, nanoseconds.
    pub(crate) fn percentile(&self, percent: f64) -> u64 {
        let rank = ((percent / 100.0 * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bin, count) in self.bins.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(bin).min(self.largest);
            }
        }
        self.largest
    }
}

fn bin(value: u64) -> usize {
    let Some(bits) = value.checked_ilog2().filter(|&bits| bits >= STEPS.ilog2()) else { return value as usize };
    let shift = bits - STEPS.ilog2();
    ((shift + 1) * STEPS) as usize + ((value >> shift) as usize - STEPS as usize)
}

fn upper(bin: usize) -> u64 {
    let steps = STEPS as usize;
    if bin < 2 * steps {
        return bin as u64;
    }
    let shift = bin / steps - 1;
    (((bin % steps + steps + 1) as u64) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn percentiles_are_at_most_one_bin_too_large() {
        let mut histogram = Histogram::default();
        for value in 1..=100_000 {
            histogram.add(value);
        }
        for (percent, exact) in [(50.0, 50_000), (99.0, 99_000), (99.9, 99_900), (100.0, 100_000)] {
            let found = histogram.percentile(percent);
            assert!(found >= exact && found <= exact + exact / 60, "{percent}: {found}");
        }
        assert_eq!(histogram.largest(), 100_000);
    }

    #[test]
    fn bins_follow_each_other() {
        for value in [0, 1, 63, 64, 65, 127, 128, 1000, 123_456_789, u64::MAX / 2] {
            assert!(upper(bin(value)) >= value);
            assert!(value == 0 || upper(bin(value) - 1) < value, "{value}");
        }
    }
}
