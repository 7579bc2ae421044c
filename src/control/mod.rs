//! The one writer: whatever can change an answer enters here as an [`Event`] and leaves as [`Effect`]s.
//!
//! [`State::apply`] is pure: an event and the time in, effects out. [`run`] carries them out on one thread, in this order:
//! commit to the store (audit records and new state in one transaction), publish, reply, log. So an acknowledged command
//! is on disk, and no answer from before it is given after its acknowledgement. When a commit fails, nothing is
//! published, what the event changed is taken back, the command is answered with the error, and what policy wants is
//! tried again a second later.
//!
//! | module | what it holds | I/O |
//! | --- | --- | --- |
//! | [`event`] | what comes in and what goes out | pure |
//! | [`fact`] | what else is durable: acknowledgements, planned moves, windows, notices | pure |
//! | [`mark`] | operators' words on regions and endpoints | pure |
//! | [`state`] | the state, and what an event does to it | pure |
//! | [`known`] | durable facts: acknowledgements, windows, what was overridden | pure |
//! | `notices` | what is shown of a hub until an operator acknowledges it | pure |
//! | [`drill`] | an endpoint of a canary that counts as dark | pure |
//! | [`moves`], `asks`, `advance` | planned moves, what operators ask of them, and what drives them | pure |
//! | [`plan`], [`foresee`] | what a move would be, and what a mark would move | pure |
//! | `gated` | since when gates have held a move, kept over a restart | pure |
//! | `gates`, `safety`, `sight`, `window` | what holds a move: gates, safety rules, blindness; maintenance windows | pure |
//! | `among` | hubs without an active region: the endpoints that are usable | pure |
//! | [`roster`] | every hub that ever was, by number | pure |
//! | `layout` | the policy by position | pure |
//! | [`chain`] | the hashes over the audit trail | pure |
//! | [`export`] | the audit trail as JSON Lines | pure |
//! | [`change`], `batch` | what becomes of hubs, and the row of the store that says so | pure |
//! | `composite`, [`push`] | probes that follow from others, and verdicts that are told | pure |
//! | `turn`, `observe`, `reload`, `settle` | its parts: health in, files in, decisions out | pure |
//! | `commands` | what operators ask for | pure |
//! | `told` | what is said of many hubs at once | pure |
//! | `explain` | why a name is answered as it is | pure |
//! | [`past`] | why a hub answered what it did at a past time | pure |
//! | [`view`] | the state as operators see it | pure |
//! | [`reason`] | the sentences that logs, API and CLI share | pure |
//! | [`refusal`] | what is never published | pure |
//! | [`report`] | what `status`, `explain` and `history` show | pure |
//! | `set_back` | what a clock that was set back makes of the last switches | pure |
//! | `lived` | what a clock that was set forward has passed over | pure |
//! | `left` | regions that were told that they are left, over a restart | pure |
//! | [`clock`] | the one clock | shell |
//! | [`load`] | zones and policy from files to a snapshot's content | shell |
//! | [`store`] | the embedded database | shell |
//! | [`run`] | the loop | shell |

mod advance;
mod among;
mod asks;
mod batch;
pub mod chain;
pub mod change;
pub mod clock;
pub(crate) mod commands;
mod composite;
pub mod drill;
pub mod event;
mod explain;
pub mod export;
pub mod fact;
pub mod foresee;
mod gated;
mod gates;
pub mod known;
mod layout;
mod left;
mod lived;
pub mod load;
pub mod mark;
pub mod moves;
mod notices;
mod observe;
pub mod past;
pub mod plan;
pub mod push;
pub mod reason;
pub mod refusal;
mod reload;
pub mod report;
pub mod roster;
pub mod run;
mod safety;
mod set_back;
mod settle;
mod sight;
pub mod state;
pub mod store;
pub(crate) mod told;
mod turn;
pub mod view;
mod window;

pub use event::{Command, Effect, Event};
pub use state::State;
