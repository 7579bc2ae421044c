//! What is never published, whoever asks for it.
//!
//! The rules that need only the files (a name left empty, two regions in one answer, a CNAME to itself, a TTL above the
//! `rto`) are checked when the content is compiled. Here stand those that compare with what is being answered: they are
//! the last look before the swap and hold even if a decision were wrong.

use crate::policy::{Hub, Standing, WhenAllDown};

/// A publication that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused by rule {rule}: {sentence}")]
pub struct Refused {
    /// The rule's name.
    pub rule: &'static str,
    /// What would have happened.
    pub sentence: String,
}

/// Looks at one hub's change, from what is answered to what would be.
///
/// # Errors
/// Names the rule that refuses it:
/// - `known-region`: the active region is none of the hub's.
/// - `single-region`: all endpoints at once, though the policy does not say so.
/// - `rising-epoch`: the epoch goes back, or does not count the change of the active region by exactly one.
pub fn examine(hub: &Hub, before: Option<&Standing>, after: &Standing) -> Result<(), Refused> {
    let refuse = |rule, sentence| Err(Refused { rule, sentence });
    if hub.position(&after.active).is_none() {
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
