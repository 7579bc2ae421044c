//! Where in the files the records of problems stand: the files are read once more, for nothing else keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Open;
use super::check::{Finding, Findings, Site, Text};
use super::rdata;
use super::reader::{self, Record, Sink};
use super::report::{Mark, Problem, Report};
use super::store::{NodeId, Tree};
use crate::diagnostic::Severity;
use crate::dns::Rtype;

/// Adds the problems of the whole zone to those of its files.
pub(super) fn report(tree: &Tree, findings: Findings, path: &Path, open: &mut Open<'_>, report: &mut Report) {
    let mut locator = Locator { tree, wanted: BTreeMap::new(), owner: Vec::new(), node: None };
    for finding in &findings.list {
        match finding {
            Finding::Text { site, related, .. } => {
                locator.want(*site);
                related.iter().for_each(|(site, _)| locator.want(*site));
            }
            Finding::Uneven(node, rtype) => locator.want(Site::Head(*node, *rtype)),
        }
    }
    if !locator.wanted.is_empty() {
        // What cannot be read any more has no place below.
        let _ = reader::read(path, tree.apex(), open, &mut locator);
    }
    for finding in findings.list {
        match finding {
            Finding::Text { site, related, text: Text { severity, message, hint } } => {
                // Files that changed under the reader do not hide the problem.
                let mark = locator.mark(site).unwrap_or(Mark::START);
                let related = related.and_then(|(site, label)| Some((locator.mark(site)?, label.to_owned())));
                report.push(Problem { severity, mark, message, related, hint });
            }
            Finding::Uneven(node, rtype) => {
                if let Some(problem) = locator.uneven(node, rtype) {
                    report.push(problem);
                }
            }
        }
    }
    for (severity, count) in [Severity::Error, Severity::Warning].into_iter().zip(findings.more) {
        report.push_unseen(0, severity, count);
    }
}

/// Takes the records of the RRsets that problems speak of.
struct Locator<'a> {
    tree: &'a Tree,
    wanted: BTreeMap<(NodeId, Rtype), Wanted>,
    /// The last owner in lower case, and the node of it that is wanted.
    owner: Vec<u8>,
    node: Option<NodeId>,
}

#[derive(Default)]
struct Wanted {
    /// In the order of the RRset.
    records: Vec<Located>,
    seen: BTreeSet<Box<[u8]>>,
}

struct Located {
    ttl: u32,
    head: Mark,
    body: Mark,
}

impl Locator<'_> {
    fn want(&mut self, site: Site) {
        match site {
            Site::Start => {}
            Site::Head(node, rtype) | Site::Body(node, rtype, _) => {
                self.wanted.entry((node, rtype)).or_default();
            }
        }
    }

    fn mark(&self, site: Site) -> Option<Mark> {
        let record = |node, rtype, position: usize| self.wanted.get(&(node, rtype))?.records.get(position);
        Some(match site {
            Site::Start => Mark::START,
            Site::Head(node, rtype) => record(node, rtype, 0)?.head,
            Site::Body(node, rtype, position) => record(node, rtype, position)?.body,
        })
    }

    /// RFC 2181 5.2.
    fn uneven(&self, node: NodeId, rtype: Rtype) -> Option<Problem> {
        let records = &self.wanted.get(&(node, rtype))?.records;
        let first = records.first()?;
        let other = records.iter().find(|record| record.ttl != first.ttl)?;
        let lowest = records.iter().map(|record| record.ttl).min()?;
        let message = format!(
            "TTL {} of {rtype} `{}` differs from {} before; {lowest}, the lowest, is taken for all",
            other.ttl,
            self.tree.node(node).name(),
            first.ttl
        );
        Some(Problem::warning(other.head, message).related(first.head, "the first record"))
    }
}

impl Sink for Locator<'_> {
    fn take(&mut self, record: &Record<'_>) {
        if !self.owner.eq_ignore_ascii_case(record.owner) {
            self.owner.clear();
            self.owner.extend(record.owner.iter().map(u8::to_ascii_lowercase));
            let is_wanted = |id: &NodeId| self.wanted.range((*id, Rtype(0))..=(*id, Rtype(u16::MAX))).next().is_some();
            self.node = self.tree.find(&self.owner).filter(is_wanted);
        }
        let Some(node) = self.node else { return };
        let Some(wanted) = self.wanted.get_mut(&(node, record.rtype)) else { return };
        if wanted.seen.insert(rdata::comparable(record.rtype, record.rdata).into()) {
            wanted.records.push(Located { ttl: record.ttl, head: record.head, body: record.body });
        }
    }
}
