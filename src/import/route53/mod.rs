//! Route 53: what `aws route53 list-resource-record-sets` and `list-health-checks` print.
//!
//! | there | here | read by |
//! | --- | --- | --- |
//! | record sets with a `SetIdentifier` | a hub for each name | `sets`, `hubs` |
//! | alias records | a hub, a CNAME, or the records of the target | `alias` |
//! | other record sets | a master file | `master` |
//! | health checks | probes, and what they dial | `health` |
//! | AWS regions | regions with their location | `places` |

mod alias;
mod health;
mod hubs;
mod master;
mod places;
mod sets;

use super::note::Refusal;
use super::{Import, Input, Output};
use health::HealthChecks;
use hubs::Hubs;
use sets::{Set, Zone};

/// What holds for everything that comes from Route 53.
const DIFFERENCES: &[&str] = &[
    "Route 53 looks from many places and asks a share of them; here each node looks for itself, and `confirm` is the interval.",
    "A hub that switches back and forth is held: `dwell` and `flap_limit` have no equivalent in Route 53 and keep their defaults.",
];

/// Makes a policy and master files of documents in JSON, each of which is told by its key: `ResourceRecordSets`,
/// `HealthChecks`, or `CidrBlocks`.
pub fn route53(inputs: &[Input]) -> Result<Import, Refusal> {
    const KEYS: &str = "`ResourceRecordSets`, `HealthChecks` or `CidrBlocks`";
    let mut zones = Vec::new();
    let mut checks = Vec::new();
    let mut blocks = Vec::new();
    for input in inputs {
        let document = input.json()?;
        let list = |key: &str| document[key].as_array().cloned();
        match (list("ResourceRecordSets"), list("HealthChecks"), list("CidrBlocks")) {
            (Some(sets), ..) => zones.push(Zone::read(&input.name, &sets)?),
            (_, Some(more), _) => checks.extend(more),
            (.., Some(more)) => blocks.extend(more),
            (None, None, None) => {
                return Err(Refusal::of(
                    &input.name,
                    format!("none of {KEYS} in it, expected what `aws route53` prints"),
                ));
            }
        }
        if document["IsTruncated"].as_bool() == Some(true) || document["NextToken"].is_string() {
            return Err(Refusal::of(&input.name, "only a part of the list, expected all of it: leave out --max-items"));
        }
    }
    let mut hubs = Hubs::new(HealthChecks::new(&checks), &blocks);
    hubs.draft.head.extend(DIFFERENCES.iter().map(ToString::to_string));
    let mut outputs = Vec::new();
    for zone in &zones {
        outputs.push(Output { name: format!("{}zone", zone.apex), text: convert(zone, &mut hubs) });
    }
    hubs.checks.report_unused(&mut hubs.draft);
    let policy = Output {
        name: "route53.toml".into(),
        text: hubs.draft.write("Made from record sets of Route 53 by `concierge import route53`."),
    };
    Ok(Import { policy, zones: outputs, notes: hubs.draft.notes })
}

/// Takes the hubs of a zone, and returns the master file of the rest.
fn convert(zone: &Zone, hubs: &mut Hubs<'_>) -> String {
    let mut text = master::head(zone);
    for (name, sets) in zone.by_name() {
        let routed = sets.iter().any(|set| set.identifier.is_some());
        let aliases: Vec<&Set> = sets.iter().filter(|set| set.alias.is_some()).copied().collect();
        if routed {
            hubs.add(zone, name, &sets);
        } else if !aliases.is_empty() {
            text.push_str(&alias::convert(zone, name, &sets, hubs));
            continue;
        }
        let simple = |set: &&&Set| set.identifier.is_none() && !(routed && set.is_address());
        for set in sets.iter().filter(simple) {
            text.push_str(&master::records(name, set));
        }
    }
    text
}
