//! `push = { lease = "30s" }`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::super::{ProbeKind, PushProbe};
use crate::diagnostic::Diagnostic;
use crate::document::Value;

const LEASE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

pub(super) fn read(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<ProbeKind> {
    let mut table = value.table("`push`", "`push = { lease = \"30s\" }`", problems)?;
    let lease = table.setting("lease", problems, |value, problems| value.duration(LEASE, problems));
    table.close(problems);
    Some(ProbeKind::Push(PushProbe { lease: lease.or(Duration::from_secs(30))? }))
}
