//! The invariants, next to each other.
//!
//! The checker looks at everything that goes in and comes out, and names the one that was broken.

/// A rule that no history may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Its name, as a failing history shows it.
    pub name: &'static str,
    /// What it says.
    pub says: &'static str,
}

/// Every invariant.
pub const INVARIANTS: [Invariant; 31] = [
    Invariant {
        name: "one-answer",
        says: "every hub has exactly one choice in every snapshot, and it can be answered",
    },
    Invariant {
        name: "single-region",
        says: "all endpoints at once only where when_all_down says so, nothing is eligible and nothing drained is left",
    },
    Invariant { name: "all-ends", says: "all endpoints at once ends when an endpoint is known to be good" },
    Invariant { name: "epoch", says: "an epoch is the number of changes of the active region, and never goes back" },
    Invariant {
        name: "eligible",
        says: "no move leads to an endpoint that may not be chosen, nor past one that is preferred and may be",
    },
    Invariant {
        name: "stay",
        says: "no active region that is eligible is left but for a better one, as failback says, or by an operator",
    },
    Invariant {
        name: "dwell",
        says: "no move inside the dwell since the last automatic switch, but away from a mark down",
    },
    Invariant {
        name: "verdict",
        says: "no move to an endpoint whose first verdict is still to come, unless it is marked up",
    },
    Invariant {
        name: "failback",
        says: "a better region takes over only once it has been good for failback.after without a break",
    },
    Invariant {
        name: "sight",
        says: "no automatic move while this node is blind, or has reached no reference since the failure began",
    },
    Invariant {
        name: "flap-limit",
        says: "no automatic move of a hub that has flapped, until an operator acknowledges it",
    },
    Invariant { name: "budget", says: "no move of any origin over the budget, but by break-glass" },
    Invariant {
        name: "gate",
        says: "no move through a shut gate, but by force, or when proceed_after has passed since gates began to hold it",
    },
    Invariant {
        name: "safety-rule",
        says: "no move that breaks a safety rule, or breaks it further, but by break-glass",
    },
    Invariant {
        name: "look",
        says: "no move by health to an endpoint that was last seen good before the active one began to fail, unless its probe has had its time",
    },
    Invariant {
        name: "fence",
        says: "no move before the region that is left has acknowledged, or could not and need not",
    },
    Invariant {
        name: "told",
        says: "a region that was told that it is left, or may have been, and stays, is in a notice until an operator acknowledges it",
    },
    Invariant {
        name: "drill",
        says: "a drill is of a canary's active region that is up, counts for that hub alone, and is over at its time, with a load and with a start",
    },
    Invariant {
        name: "low-ttl",
        says: "a hub answers its lower TTL exactly while its active endpoint is unsettled, a move is under way, or it has just switched",
    },
    Invariant { name: "prompt", says: "a move that is wanted and that nothing holds is made by the same event" },
    Invariant {
        name: "alive",
        says: "a region that is healthy, and the only one, has the traffic within the bound that probes and dwell allow",
    },
    Invariant { name: "mark-health", says: "health is what observations say, whatever is marked" },
    Invariant { name: "mark", says: "a mark is what an operator said last, until it was said to end, and no longer" },
    Invariant { name: "move", says: "an operator's move is applied once or not at all, and only as planned" },
    Invariant { name: "refusal", says: "nothing is decided that the last look before the publication refuses" },
    Invariant {
        name: "durable",
        says: "what was acknowledged or published is found again after a kill at any point, and nothing else",
    },
    Invariant { name: "restart", says: "a restart changes no answer" },
    Invariant {
        name: "quiet",
        says: "a change that moves nothing publishes nothing, and a change that moves publishes once",
    },
    Invariant { name: "order", says: "commit, publication, reply, in this order and at most once each" },
    Invariant {
        name: "wake",
        says: "what waits says when it is over, and the loop is never asked to wake in the past",
    },
    Invariant { name: "books", says: "what the daemon holds is what it has committed" },
];

/// An invariant that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub rule: &'static str,
    /// What happened instead.
    pub sentence: String,
}

/// What a test may add to the invariants: looks at a hub and the region it answers, `None` for all of them, and says what
/// is wrong with it.
pub type Extra = fn(hub: &str, active: Option<&str>) -> Option<String>;
