//! I/O shell: the keys of a person in front of the demo.
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads the terminal on a thread, waits for changes")]

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::time::Duration;

use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use tokio::sync::mpsc;

use super::regions::Regions;
use super::toggled;
use crate::cli::print::{self, say};
use crate::cli::status;
use crate::cli::table::fold;
use crate::control::report::Status;
use crate::control::run::Control;
use crate::dns::Name;
use crate::policy::RegionName;

/// Reads keys one by one where standard input is a terminal, else the letters of its lines.
pub(super) struct Keys {
    pressed: mpsc::Receiver<u8>,
    regions: Regions,
    control: Control,
    /// How the terminal was; put back at the end.
    before: Option<Termios>,
}

impl Keys {
    pub(super) fn start(regions: Regions, control: Control) -> Self {
        let before = raw();
        let (sender, pressed) = mpsc::channel(16);
        std::thread::spawn(move || {
            let mut key = [0];
            while std::io::stdin().read(&mut key).is_ok_and(|read| read == 1) {
                if sender.blocking_send(key[0]).is_err() {
                    return;
                }
            }
        });
        Self { pressed, regions, control, before }
    }

    /// Does what the keys say and tells of every change, until `q`.
    pub(super) async fn quit(mut self) {
        let mut seen = Seen::new();
        let mut open = true;
        loop {
            tokio::select! {
                key = self.pressed.recv(), if open => match key {
                    // A terminal that is gone takes its demo along; without one the demo runs until it is told to end.
                    None if self.before.is_some() => return,
                    None => open = false,
                    Some(b'q' | b'Q') => return,
                    Some(b's' | b'S') => {
                        if let Some(status) = self.status().await {
                            say(format_args!("\n{}", status::render(&status, print::width())));
                        }
                    }
                    Some(digit @ b'1'..=b'9') => {
                        if let Some(sentence) = toggled(&self.regions, usize::from(digit - b'1')) {
                            say(sentence);
                        }
                    }
                    Some(_) => {}
                },
                () = tokio::time::sleep(Duration::from_millis(200)) => {
                    if let Some(status) = self.status().await {
                        tell(&status, &mut seen);
                    }
                }
            }
        }
    }

    async fn status(&self) -> Option<Status> {
        self.control.status().await.ok()
    }
}

/// What a person has been told of a hub: its epoch, whether it answers everything, what it waits for.
type Seen = BTreeMap<Name, (u64, bool, Option<RegionName>)>;

/// Says what has changed since the last look.
fn tell(status: &Status, seen: &mut Seen) {
    let width = print::width();
    for hub in &status.hubs {
        let stands = (hub.epoch, hub.all, hub.hold.as_ref().map(|hold| hold.wanted.clone()));
        let before = seen.insert(hub.name.clone(), stands.clone());
        if before.as_ref() == Some(&stands) {
            continue;
        }
        if before.as_ref().is_none_or(|(epoch, all, _)| (*epoch, *all) != (hub.epoch, hub.all)) {
            let active = if hub.all { "all regions".into() } else { hub.active.to_string() };
            say(format_args!("{}  {} answers {active}, epoch {}", status.now, hub.name, hub.epoch));
            say(fold("    ", &hub.answer.join(", "), width));
        }
        if before.is_some_and(|(epoch, ..)| epoch != hub.epoch) {
            say(fold("    because ", &hub.reason, width));
        }
        if let Some(hold) = &hub.hold {
            say(format_args!("{}  {} stays at {}", status.now, hub.name, hub.active));
            say(fold("    waiting: ", &hold.reason, width));
        }
    }
}

/// Lets keys through one by one, without showing them. Ctrl-C still ends the demo.
fn raw() -> Option<Termios> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return None;
    }
    let before = termios::tcgetattr(&stdin).ok()?;
    let mut raw = before.clone();
    raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
    termios::tcsetattr(&stdin, SetArg::TCSANOW, &raw).ok()?;
    Some(before)
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs no mending.
            let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, before);
        }
    }
}
