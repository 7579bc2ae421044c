//! A hub's recovery time objective against everything that takes time before the last resolver has moved.

use std::time::Duration;

use super::super::{Probe, ProbeKind};
use super::barriers::Barriers;
use super::endpoint::EndpointDraft;
use super::hub::DEFAULT_TTL;
use crate::diagnostic::Diagnostic;
use crate::document::{Setting, show_duration};

/// The TTL alone must keep within the recovery time objective; everything together should.
pub(super) fn check(
    endpoints: &[EndpointDraft],
    ttl: &Setting<Duration>,
    ttl_min: &Setting<Duration>,
    barriers: &Barriers,
    rto: &Setting<Duration>,
    problems: &mut Vec<Diagnostic>,
) {
    let (Some((rto, rto_place)), Some(length)) = (rto.placed(), ttl.clone().or(DEFAULT_TTL)) else { return };
    let (shown_rto, shown_ttl) = (show_duration(*rto), show_duration(length));
    if length > *rto {
        let place = ttl.placed().map_or(rto_place, |(_, place)| place);
        let message = format!("`ttl` is {shown_ttl}, longer than the `rto` of {shown_rto}");
        let hint = format!("write a `ttl` of at most \"{shown_rto}\"");
        let problem = Diagnostic::error(place.clone(), message).hint(hint);
        problems.push(if place == rto_place { problem } else { problem.related(rto_place.clone(), "the `rto`") });
        return;
    }
    let slowest =
        endpoints.iter().filter_map(|endpoint| endpoint.definition.as_ref()).max_by_key(|p| p.worst_detection());
    let (Some(probe), Some(low)) = (slowest, ttl_min.clone().or(length)) else { return };
    let low = low.min(length);
    // What a resolver took just before the first failed observation it keeps for the whole TTL.
    let first_look = probe.interval.mul_f64(1.1) + probe.timeout;
    let mut switched = probe.worst_detection();
    let mut steps = format!("probe `{}` detects in {}", probe.name, arithmetic(probe));
    let mut what = vec!["a shorter `ttl`"];
    if let Some((gate, after)) = barriers.longest_gate() {
        switched += after;
        steps.push_str(&format!(", gate `{gate}` passes after {}", show_duration(after)));
        what.push("`proceed_after`");
    }
    if let Some(timeout) = barriers.fence_timeout() {
        switched += timeout;
        steps.push_str(&format!(", the fence is waited for {}", show_duration(timeout)));
        what.push("`timeout` of the fence");
    }
    let (total, last) = if first_look + length > switched + low {
        let look = show_duration(first_look);
        (
            first_look + length,
            format!(
                "but a resolver that asked just before the first failed observation, {look} after the failure, keeps its answer for `ttl` {shown_ttl}"
            ),
        )
    } else if low < length {
        (switched + low, format!("then `ttl_min` {}", show_duration(low)))
    } else {
        (switched + length, format!("then `ttl` {shown_ttl}"))
    };
    if total > *rto {
        let message = format!(
            "an automatic switch may take {} from the failure to the last resolver, longer than the `rto` of {shown_rto}: \
             {steps}, {last}",
            show_duration(total),
        );
        let what = what.join(", ");
        let hint = format!("write {what}, or a shorter `interval`, `timeout`, `confirm` or `fall` of the probe");
        problems.push(Diagnostic::warning(rto_place.clone(), message).hint(hint));
    }
}

/// `interval + 10 % 5s500ms + timeout 2s + 2 * 2s (the longer of confirm + 10 % and timeout) = 11s500ms`.
fn arithmetic(probe: &Probe) -> String {
    if let ProbeKind::Push(push) = &probe.kind {
        let (lease, detected) = (show_duration(push.lease), show_duration(probe.worst_detection()));
        return format!("{} * lease {lease} = {detected}", probe.fall.get());
    }
    let timeout = show_duration(probe.timeout);
    let repeats = probe.fall.get() - 1;
    let confirmed = match repeats {
        0 => String::new(),
        _ => {
            let confirm = show_duration(probe.worst_confirm());
            format!(" + {repeats} * {confirm} (the longer of confirm + 10 % and timeout)")
        }
    };
    format!(
        "interval + 10 % {} + timeout {timeout}{confirmed} = {}",
        show_duration(probe.interval.mul_f64(1.1)),
        show_duration(probe.worst_detection()),
    )
}
