//! I/O shell: what the service manager is told (`NOTIFY_SOCKET`, sd_notify(3)). Without one nothing is.

use std::time::Duration;

use sd_notify::NotifyState;

/// Queries are answered.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Zones and policy are being read anew; [`ready`] ends it. With the time, as `Type=notify-reload` wants it.
pub fn reloading(status: &str) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status(status)]),
        Err(_) => tell(&[NotifyState::Reloading, NotifyState::Status(status)]),
    }
}

/// What is going on, in a sentence.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// What has come in is answered, and nothing more.
pub fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Another process answers from here on: it is the one to watch.
pub fn successor(process: u32, status: &str) {
    tell(&[NotifyState::MainPid(process), NotifyState::Status(status)]);
}

/// Everything turns.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How long the service manager waits for [`alive`] before it ends this process, if it does.
pub fn patience() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
}

fn tell(states: &[NotifyState<'_>]) {
    // A service manager that is gone has its own log.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
