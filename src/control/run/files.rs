//! I/O shell: what is read on threads of their own: zones and policy at a reload, and databases that have changed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Loop;
use super::handle::{Answer, Message};
use crate::answer::snapshot::Content;
use crate::control::event::{Author, CommandError, Commit, Event, LoadFailure, Loaded};
use crate::control::load;
use crate::control::report::Moved;
use crate::process::sandbox;

/// Time between two looks at the database files.
const DATABASES: Duration = Duration::from_secs(10);

/// What is answered by databases that had changed, or what is wrong with them: one sentence each.
pub(super) type Reclassed = Result<Arc<Content>, Vec<String>>;

/// A loader at work, and those who wait for it.
#[derive(Debug)]
pub(super) struct Loading {
    waiting: Vec<Waiting>,
    /// Asked since it began. The files may have changed in between: these wait for another run.
    later: Vec<Waiting>,
}

/// Somebody who asked for a reload.
#[derive(Debug)]
struct Waiting {
    author: Author,
    answer: Option<Answer>,
}

/// Looks at what a reload reads beside zones and policy: what is done when nothing is refused, or the problems.
#[derive(Clone)]
pub struct Recheck(Arc<Look>);

type Look = dyn Fn(&Path) -> Result<Then, Vec<String>> + Send + Sync;

impl Recheck {
    /// By this look at the configuration file.
    pub fn by(look: impl Fn(&Path) -> Result<Then, Vec<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }
}

impl std::fmt::Debug for Recheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recheck")
    }
}

/// Makes what a reload has read count.
pub type Then = Box<dyn FnOnce() + Send>;

impl Loop {
    /// Looks whether a database file has changed, and reads them if so: on a thread of its own, for it takes its time.
    pub(super) fn look_at_databases(&mut self) {
        let now = self.parts.clock.now();
        if self.looking || self.loading.is_some() || now < self.databases_at {
            return;
        }
        self.databases_at = now.after(DATABASES);
        if self.parts.state.stamps.0.is_empty() {
            return;
        }
        let (policy, content) = (self.parts.state.policy.clone(), self.parts.state.content.clone());
        let (known, own) = (self.parts.state.stamps.clone(), self.own.clone());
        let spawned = std::thread::Builder::new().name("databases".into()).spawn(move || {
            load::step_back();
            let stamps = load::stamps(&policy.geo);
            let changed = (stamps != *known).then(|| {
                let failed = |_| Err(vec!["the loader failed; this is a defect of concierge".into()]);
                let work = std::panic::AssertUnwindSafe(|| load::class_anew(&policy.geo, &content).map(Arc::new));
                let content = std::panic::catch_unwind(work).unwrap_or_else(failed);
                (stamps, content)
            });
            if let Some(own) = own.upgrade() {
                // A loop that is gone has no use for it.
                drop(own.blocking_send(Message::Classed(changed)));
            }
        });
        self.looking = spawned.is_ok();
    }

    /// Reads the files anew, after the run that is under way: they may have changed since that began.
    pub(super) fn reload(&mut self, author: Author, answer: Option<Answer>) {
        let waiting = Waiting { author, answer };
        match &mut self.loading {
            Some(loading) => loading.later.push(waiting),
            None => self.load(vec![waiting]),
        }
    }

    /// Reads and compiles the files on a thread of its own: observations and commands go on meanwhile.
    fn load(&mut self, waiting: Vec<Waiting>) {
        self.loading = Some(Loading { waiting, later: Vec::new() });
        let (zones, recheck, config) =
            (self.parts.zones.clone(), self.parts.recheck.clone(), self.parts.config.clone());
        let own = self.own.clone();
        let spawned = std::thread::Builder::new().name("loader".into()).spawn(move || {
            load::step_back();
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let beside = config.map(|config| (recheck.0)(&config)).transpose();
                let (loaded, diagnostics) = load::load(&zones);
                let objection = loaded.as_ref().and_then(|loaded| sandbox::objection(&loaded.policy));
                match (loaded, beside, objection) {
                    (Some(loaded), Ok(then), None) => {
                        then.into_iter().for_each(|then| then());
                        Ok(loaded)
                    }
                    (_, beside, objection) => {
                        let LoadFailure { problems: more } = LoadFailure::from(diagnostics.as_slice());
                        Err(LoadFailure {
                            problems: beside.err().into_iter().flatten().chain(objection).chain(more).collect(),
                        })
                    }
                }
            }));
            let loaded = outcome.unwrap_or_else(|_| {
                Err(LoadFailure { problems: vec!["the loader failed; this is a defect of concierge".into()] })
            });
            if let Some(own) = own.upgrade() {
                // A loop that is gone has no use for it.
                drop(own.blocking_send(Message::Loaded(Box::new(loaded))));
            }
        });
        if let Err(error) = spawned {
            let problems = vec![format!("cannot start the loader's thread: {error}")];
            self.loaded(Err(LoadFailure { problems }));
        }
    }

    pub(super) fn loaded(&mut self, loaded: Result<Loaded, LoadFailure>) {
        let Some(Loading { waiting, later }) = self.loading.take() else { return };
        let mut waiting = waiting.into_iter();
        let first = waiting.next();
        let author = first.as_ref().map_or_else(Author::daemon, |first| first.author.clone());
        let reply = first.and_then(|first| first.answer).map(|answer| self.expect(answer));
        let now = self.jump();
        // Only a load needs the state of before: a commit of anything else says what it changed.
        let before = self.parts.state.clone();
        let mut outcome =
            loaded.as_ref().map(|_| ()).map_err(|failure| CommandError::Rejected(failure.problems.clone()));
        let event = Event::Loaded { loaded, author, reply };
        let effects = self.parts.state.apply(event, now);
        if let Err((_, error)) = self.carry_out(effects) {
            self.parts.state = before;
            self.parts.state.revert(&Commit::default(), now);
            outcome = Err(error);
        }
        for other in waiting.filter_map(|waiting| waiting.answer) {
            let moved = Moved {
                summary: "reloaded together with another request".into(),
                changed: true,
                moved: 0,
                switched: Vec::new(),
                usable_changed: 0,
                usable: Vec::new(),
                notes: Vec::new(),
            };
            drop(other.send(outcome.clone().map(|()| moved)));
        }
        if !later.is_empty() {
            self.load(later);
        }
    }
}
