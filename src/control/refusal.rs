//! What is never published, whoever asks for it.
//!
//! The rules that need only the files (a name left empty, two regions in one answer, a CNAME to itself, a TTL above the
//! `rto`) are checked when the content is compiled. Here stand those that compare with what is being answered: they are
//! the last look before the swap and hold even if a decision were wrong.

use crate::policy::{Hub, RegionName, Standing, WhenAllDown};

/// A publication that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused by rule {rule}: {sentence}")]
pub struct Refused {
    /// The rule's name.
    pub rule: &'static str,
    /// What would have happened.
    pub sentence: String,
}

/// Looks at one hub's change, from what is answered to what would be. `regions` are those of its endpoints.
///
/// # Errors
/// Names the rule that refuses it:
/// - `known-region`: the active region is none of the hub's.
/// - `single-region`: all endpoints at once, though the policy does not say so.
/// - `rising-epoch`: the epoch goes back, or does not count the change of the active region by exactly one.
pub fn examine<'a>(
    hub: &Hub,
    mut regions: impl Iterator<Item = &'a RegionName>,
    before: Option<&Standing>,
    after: &Standing,
) -> Result<(), Refused> {
    let refuse = |rule, sentence| Err(Refused { rule, sentence });
    if !regions.any(|region| *region == after.active) {
        return refuse("known-region", format!("{} has no endpoint in {}", hub.name, after.active));
    }
    if after.all && hub.when_all_down != WhenAllDown::All {
        return refuse("single-region", format!("{} would answer several regions at once", hub.name));
    }
    let Some(before) = before else {
        return if after.epoch == 1 {
            Ok(())
        } else {
            refuse("rising-epoch", format!("{} would start at epoch {}, not at 1", hub.name, after.epoch))
        };
    };
    let expected = before.epoch.saturating_add(u64::from(before.active != after.active));
    if after.epoch == expected {
        return Ok(());
    }
    let change = format!("{} (epoch {}) to {} (epoch {})", before.active, before.epoch, after.active, after.epoch);
    refuse("rising-epoch", format!("{} would go from {change}", hub.name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::diagnostic::Place;
    use crate::dns::Name;
    use crate::policy::{Answer, Cause, Endpoint};
    use crate::time::Timestamp;

    fn hub(when_all_down: WhenAllDown) -> Hub {
        let endpoint = |region| Endpoint::new(RegionName::new(region), Answer::Addresses(vec![[192, 0, 2, 1].into()]));
        let place = Place { path: Path::new("t").into(), line: 1, column: 1, width: 1, text: String::new() };
        let name = Name::parse("hub.x.", None).unwrap();
        Hub { when_all_down, ..Hub::new(name, vec![endpoint("weu"), endpoint("neu")], place) }
    }

    fn judge(when_all_down: WhenAllDown, before: Option<&Standing>, after: &Standing) -> Result<(), Refused> {
        let hub = hub(when_all_down);
        examine(&hub, hub.endpoints.iter().map(|endpoint| &endpoint.region), before, after)
    }

    fn standing(active: &str, epoch: u64, all: bool) -> Standing {
        Standing {
            active: RegionName::new(active),
            epoch,
            since: Timestamp(0),
            cause: Cause::Health,
            reason: "".into(),
            last_automatic: None,
            all,
            recent: [].into(),
        }
    }

    #[test]
    fn what_is_never_published() {
        let check = |before: Option<(&str, u64)>, after: (&str, u64, bool), expected: Option<&str>| {
            let before = before.map(|(active, epoch)| standing(active, epoch, false));
            let after = standing(after.0, after.1, after.2);
            let rule = judge(WhenAllDown::Keep, before.as_ref(), &after).err().map(|refused| refused.rule);
            assert_eq!(rule, expected, "{before:?} {after:?}");
        };
        check(None, ("weu", 1, false), None);
        check(None, ("weu", 2, false), Some("rising-epoch"));
        check(Some(("weu", 4)), ("neu", 5, false), None);
        check(Some(("weu", 4)), ("weu", 4, false), None);
        check(Some(("weu", 4)), ("neu", 4, false), Some("rising-epoch"));
        check(Some(("weu", 4)), ("neu", 3, false), Some("rising-epoch"));
        check(Some(("weu", 4)), ("neu", 6, false), Some("rising-epoch"));
        check(Some(("weu", 4)), ("weu", 5, false), Some("rising-epoch"));
        check(Some(("weu", 4)), ("asia", 5, false), Some("known-region"));
        check(Some(("weu", 4)), ("weu", 4, true), Some("single-region"));
        let all = judge(WhenAllDown::All, Some(&standing("weu", 4, false)), &standing("weu", 4, true));
        assert_eq!(all, Ok(()));
    }
}
