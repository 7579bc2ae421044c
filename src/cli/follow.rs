//! I/O shell: follows a move that the daemon carries out.
//!
//! What is on standard output is a line a stage, or with `--output json` an object a stage; the bar is on standard error,
//! and only on a terminal. Whoever follows is not needed: everything here may be killed at any moment. The one thing
//! that it does to the move is to have it cancelled at the first Ctrl-C, while it has not switched; and that only where
//! this command has begun it. Whoever repeats a move that is under way looks on, and Ctrl-C leaves.
#![expect(clippy::disallowed_methods, reason = "I/O shell: waits, and looks at the machine's clock while it does")]

use std::time::{Duration, Instant};

use hyper::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::{Client, ClientError};
use super::table::fold;
use super::{Common, Failed, Output, moves, operators, print};
use crate::admin::request::MoveRequest;
use crate::control::moves::{Move, Stage};
use crate::control::plan::{Plan, Progress};
use crate::control::report::{MoveStatus, Moved};
use crate::dns::Name;
use crate::policy::RegionName;
use crate::time::Timestamp;

/// How long a daemon that has stopped to answer is waited for.
const PATIENCE: Duration = Duration::from_mins(2);
/// Time between two looks while something may happen at any moment.
const PACE: Duration = Duration::from_millis(200);
/// The same while it takes hours, or the daemon is not there.
const SLOW_PACE: Duration = Duration::from_secs(1);

/// One move as it is followed.
pub(super) struct Follow<'a> {
    client: &'a Client,
    json: bool,
    plan: &'a Plan,
    author: String,
    interrupts: Signal,
    bar: ProgressBar,
    /// What was said last.
    said: Option<(Stage, String)>,
    /// When the move that is followed was asked for.
    asked: Option<Timestamp>,
    /// Whether this command has begun it; `None` while no answer says so.
    begun: Option<bool>,
    /// Since when the daemon gives no answer.
    lost: Option<Instant>,
}

/// What came of asking the daemon to begin.
enum Begun {
    /// Its answer.
    Answered(Moved),
    /// The answer was lost, and the move is there.
    There,
    /// Ctrl-C: nobody follows any more.
    Left,
}

/// A stage as programs read it.
#[derive(Serialize)]
struct Line<'a> {
    hub: &'a Name,
    from: &'a RegionName,
    to: &'a RegionName,
    /// The epoch that the move was planned at.
    planned_epoch: u64,
    /// The epoch of the hub.
    epoch: u64,
    now: Timestamp,
    /// The word of the stage, and what is known of it.
    #[serde(flatten)]
    stage: &'a Stage,
    sentence: &'a str,
}

impl<'a> Follow<'a> {
    /// Ctrl-C is heard from here on.
    pub(super) fn new(client: &'a Client, common: &Common, plan: &'a Plan, author: String) -> Result<Self, Failed> {
        let json = common.output == Output::Json;
        // Where standard error is no terminal, nothing is drawn.
        let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let interrupts = signal(SignalKind::interrupt())?;
        Ok(Self { client, json, plan, author, interrupts, bar, said: None, asked: None, begun: None, lost: None })
    }

    /// Has the daemon begin, and follows the move to its end.
    pub(super) async fn run(mut self, path: &str, request: &MoveRequest) -> Result<(), Failed> {
        let moved = match self.begin(path, request).await? {
            Begun::Answered(moved) => {
                self.begun = Some(moved.changed);
                Some(moved)
            }
            Begun::There => {
                self.begun = Some(true);
                None
            }
            Begun::Left => return Ok(()),
        };
        if let Some(moved) = moved.as_ref().filter(|moved| moved.changed && !self.json) {
            moves::show_beginning(moved)?;
        }
        loop {
            let progress = self.client.get(&operators::path(&self.plan.hub, "move")).await;
            let pace = match progress {
                Ok(progress) => {
                    self.found();
                    if let Some(end) = self.take(&progress, moved.as_ref())? {
                        self.bar.finish_and_clear();
                        return end;
                    }
                    match self.said {
                        Some((Stage::Approval { .. } | Stage::Scheduled { .. }, _)) => SLOW_PACE,
                        _ => PACE,
                    }
                }
                Err(error) if error.is_lost() => {
                    self.lose(&error)?;
                    SLOW_PACE
                }
                Err(error) => return Err(error.into()),
            };
            tokio::select! {
                () = tokio::time::sleep(pace) => {}
                _ = self.interrupts.recv() => return self.interrupted().await,
            }
        }
    }

    /// Has the daemon begin. A request whose answer is lost is repeated: it carries its epoch, so that it is applied
    /// once.
    async fn begin(&mut self, path: &str, request: &MoveRequest) -> Result<Begun, Failed> {
        loop {
            match self.client.send(Method::POST, path, request).await {
                Ok(moved) => {
                    self.found();
                    return Ok(Begun::Answered(moved));
                }
                Err(error) if error.is_lost() => self.lose(&error)?,
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = tokio::time::sleep(SLOW_PACE) => {}
                _ = self.interrupts.recv() => return self.interrupted().await.map(|()| Begun::Left),
            }
            // It may have been taken in, and another operator may have cancelled it since: then it is not asked for again.
            let progress: Result<Progress, _> = self.client.get(&operators::path(&self.plan.hub, "move")).await;
            if let Ok(progress) = progress
                && progress.hub.planned.is_some_and(|planned| is_ours(&planned.planned, self.plan, &self.author))
            {
                return Ok(Begun::There);
            }
        }
    }

    /// Takes one look in; `Some` when it is over.
    fn take(&mut self, progress: &Progress, moved: Option<&Moved>) -> Result<Option<Result<(), Failed>>, Failed> {
        let hub = &progress.hub;
        let under_way = hub.planned.as_ref().is_some_and(|planned| {
            planned.planned.stage.is_open() || matches!(planned.planned.stage, Stage::Drain { .. })
        });
        // A repeat of a move that was applied, or of one that is active for another reason.
        if let Some(moved) = moved.filter(|moved| !moved.changed && self.asked.is_none() && !under_way) {
            self.say_end(&moved.summary)?;
            return Ok(Some(Ok(())));
        }
        let planned = hub.planned.as_ref().filter(|planned| {
            let Move { to, asked, .. } = &planned.planned;
            *to == self.plan.to && self.asked.is_none_or(|known| known == *asked)
        });
        let Some(MoveStatus { planned, sentence }) = planned else {
            let switched = matches!(self.said, Some((Stage::Drain { .. }, _)));
            let sentence = format!("another move has taken the place of this one: {} is active", hub.active);
            if switched {
                self.say_end(&sentence)?;
                return Ok(Some(Ok(())));
            }
            return Ok(Some(Err(Failed::Sentence(sentence))));
        };
        self.asked = Some(planned.asked);
        let same = |(stage, said): &(Stage, String)| match (stage, &planned.stage) {
            (Stage::Ready { held: before, .. }, Stage::Ready { held, .. }) => before == held,
            _ => stage.word() == planned.stage.word() && !said.is_empty(),
        };
        let over = matches!(planned.stage, Stage::Done { .. } | Stage::Stopped { .. });
        if over {
            self.bar.finish_and_clear();
        }
        if !self.said.as_ref().is_some_and(same) {
            self.say_stage(progress, planned, sentence)?;
            self.said = Some((planned.stage.clone(), sentence.clone()));
        }
        if !over {
            self.draw(progress, planned);
        }
        Ok(match &planned.stage {
            Stage::Done { .. } => Some(Ok(())),
            Stage::Stopped { .. } => Some(Err(Failed::Sentence(sentence.clone()))),
            _ => None,
        })
    }

    fn say_stage(&self, progress: &Progress, planned: &Move, sentence: &str) -> Result<(), Failed> {
        if !self.json {
            return match &planned.stage {
                // It ends with this sentence on standard error.
                Stage::Stopped { .. } => Ok(()),
                stage => self.say(&fold(&format!("{:<10}", stage.word()), sentence, print::width())),
            };
        }
        let line = Line {
            hub: &progress.hub.name,
            from: &planned.from,
            to: &planned.to,
            planned_epoch: planned.epoch,
            epoch: progress.hub.epoch,
            now: progress.now,
            stage: &planned.stage,
            sentence,
        };
        let text = serde_json::to_string(&line).map_err(|error| Failed::Sentence(error.to_string()))?;
        print::line(text)
    }

    fn say(&self, sentence: &str) -> Result<(), Failed> {
        self.bar.suspend(|| print::line(sentence))
    }

    /// The end of a move that was not followed through its stages.
    fn say_end(&self, sentence: &str) -> Result<(), Failed> {
        match self.json {
            true => {
                let Plan { hub, to, .. } = self.plan;
                print::line(serde_json::json!({ "hub": hub, "to": to, "stage": "done", "sentence": sentence }))
            }
            false => self.say(sentence),
        }
    }

    /// The part of the stage that is over.
    fn draw(&self, progress: &Progress, planned: &Move) {
        let stage = &planned.stage;
        let since = match stage {
            Stage::Approval { .. } | Stage::Scheduled { .. } => planned.asked,
            Stage::Ramp { since, .. } | Stage::Ready { since, .. } => *since,
            Stage::Drain { switched, .. } => *switched,
            Stage::Done { at, .. } | Stage::Stopped { at, .. } => *at,
        };
        let template = match stage.until() {
            Some(_) => "{prefix:<10}[{bar:40}] {msg}",
            None => "{prefix:<10}{spinner} {msg}",
        };
        // Both are of the form that a template takes.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar.set_style(style.progress_chars("=> "));
        self.bar.set_prefix(stage.word());
        if let Some(until) = stage.until() {
            self.bar.set_length(millis(until.since(since)).max(1));
            self.bar.set_position(millis(progress.now.since(since)));
            self.bar.set_message(format!("{} more", crate::time::human(until.since(progress.now))));
        } else {
            self.bar.set_message("waits");
            self.bar.tick();
        }
    }

    /// The daemon is not there: nothing of the move depends on this command, so it is waited for.
    fn lose(&mut self, error: &ClientError) -> Result<(), Failed> {
        let seconds = PATIENCE.as_secs();
        match self.lost {
            None => {
                self.lost = Some(Instant::now());
                let sentence = format!(
                    "note: {error}\nnote: the daemon carries on with the move by itself, also after a restart; it is \
                     looked for again for {seconds} s\n"
                );
                self.bar.suspend(|| print::complain(sentence));
                Ok(())
            }
            Some(since) if since.elapsed() < PATIENCE => Ok(()),
            Some(_) => {
                self.bar.finish_and_clear();
                Err(Failed::Sentence(format!(
                    "the daemon was not found again in {seconds} s; it carries on with the move when it runs: \
                     `concierge status {}` then shows how far it is",
                    self.plan.hub
                )))
            }
        }
    }

    fn found(&mut self) {
        if self.lost.take().is_some() {
            self.bar.suspend(|| print::complain("note: the daemon answers again\n"));
        }
    }

    /// Ctrl-C: cancels what has not switched, and otherwise leaves.
    async fn interrupted(&mut self) -> Result<(), Failed> {
        self.bar.finish_and_clear();
        let Plan { hub, from, to, .. } = self.plan;
        let left = |sentence: String| {
            print::complain(format_args!("{sentence}\n"));
            Ok(())
        };
        if let Some((Stage::Drain { .. }, _)) = &self.said {
            return left(format!("left: {hub} has switched to {to}, and the drain goes on without this command"));
        }
        // Not done, and not stopped either: for a script that is a failure.
        let failed = |sentence: String| {
            print::complain(format_args!("{sentence}\n"));
            Err(Failed::Said(sentence))
        };
        let (epoch, begun) = (self.plan.epoch, self.begun);
        if begun == Some(false) {
            return failed(format!(
                "left: this command has not begun the move of {hub}, which goes on; `concierge cancel {hub} --epoch {epoch}` \
                 cancels it"
            ));
        }
        print::complain("cancelling the move; Ctrl-C again leaves without waiting for it\n");
        let cancelled = tokio::select! {
            cancelled = cancel(self.client, self.plan, &self.author, begun) => cancelled,
            _ = self.interrupts.recv() => {
                return failed(format!(
                    "left: whether the move is cancelled is not known; `concierge status {hub}` shows it"
                ));
            }
        };
        match cancelled {
            Ok(moved) if moved.changed => {
                let ttl = if self.has_lowered() { ", and the TTL goes back" } else { "" };
                // Such as that the region has been told that it is left.
                moved.notes.iter().for_each(|note| print::complain(format_args!("note: {note}\n")));
                failed(format!("cancelled: nothing was switched, {hub} stays on {from}{ttl}"))
            }
            // It has switched and drained meanwhile, or was stopped by something else.
            Ok(_) => {
                let progress: Progress = self.client.get(&operators::path(hub, "move")).await?;
                if progress.hub.active == *to && progress.hub.epoch > self.plan.epoch {
                    let epoch = progress.hub.epoch;
                    return left(format!("too late to cancel: {hub} has switched to {to} meanwhile, epoch {epoch}"));
                }
                let sentence = progress.hub.planned.map(|planned| planned.sentence);
                failed(sentence.unwrap_or_else(|| "there is no move to cancel".into()))
            }
            Err(ClientError::Refused { message, .. }) => {
                left(format!("too late to cancel: {message}\nthe drain goes on without this command"))
            }
            Err(error) => failed(format!(
                "note: {error}\nleft: the daemon could not be told to cancel the move, and carries on with it; \
                 `concierge cancel {hub}` when it answers again"
            )),
        }
    }

    /// Whether the TTL is low for the move: by the stage that was seen last, or else by the plan.
    fn has_lowered(&self) -> bool {
        let line = &self.plan.timeline;
        let begun = match &self.said {
            Some((stage, _)) => stage.is_under_way(),
            None => line.approve_by.is_none() && line.ramp.is_none_or(|ramp| ramp <= self.plan.now),
        };
        line.low_ttl_until.is_some() && begun
    }
}

/// Whether a move must be the one that this command has asked for.
fn is_ours(planned: &Move, plan: &Plan, author: &str) -> bool {
    let same = (planned.epoch, &planned.to, planned.author.as_str()) == (plan.epoch, &plan.to, author);
    same && planned.asked >= plan.now
}

/// Has the move cancelled that this command has begun. Where it is not known whether it has, another operator's may be under
/// way: then that stays.
async fn cancel(client: &Client, plan: &Plan, author: &str, begun: Option<bool>) -> Result<Moved, ClientError> {
    let Plan { hub, epoch, .. } = plan;
    if begun.is_none() {
        let progress: Progress = client.get(&operators::path(hub, "move")).await?;
        if !progress.hub.planned.is_some_and(|planned| is_ours(&planned.planned, plan, author)) {
            let summary = format!("{hub} has no move that this command has begun");
            return Ok(Moved { summary, ..Moved::default() });
        }
    }
    operators::cancel(client, hub, Some(*epoch), author, "Ctrl-C").await
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
