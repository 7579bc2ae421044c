//! I/O shell: the `tcp` probe. A connection that is made is good; something may be sent over it and something expected.

use memchr::memmem::Finder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Attempt, Doing, Failure, Remarks, words};
use crate::policy::TcpProbe;

/// How much of what is received is searched for the expected text, octets.
const MAX_RECEIVED: usize = 64 * 1024;

pub(super) async fn attempt(probe: &TcpProbe, attempt: &Attempt) -> Result<Remarks, Failure> {
    let (mut stream, peer) = attempt.connect(probe.port).await?;
    if let Some(text) = &probe.send {
        let sent = attempt.deadline.within(Doing::Sending(peer), stream.write_all(text.as_bytes())).await?;
        sent.map_err(|error| format!("send to {peer}: {}", words(&error)))?;
    }
    let Some(text) = &probe.expect else { return Ok(Remarks::default()) };
    let finder = Finder::new(text);
    let mut received = Vec::new();
    loop {
        let got = || format!("expected `{text}` from {peer}, got {} octets without it", received.len());
        let mut buffer = [0; 4096];
        let read = attempt.deadline.within(Doing::Awaiting("the expected text", peer), stream.read(&mut buffer)).await;
        match read.map_err(|late| match received.len() {
            0 => late,
            octets => format!("{late}, got {octets} octets without it"),
        })? {
            Ok(0) => return Err(format!("{}, and the end", got()).into()),
            Ok(read) => received.extend_from_slice(&buffer[..read]),
            Err(error) => return Err(format!("{}, and then: {}", got(), words(&error)).into()),
        }
        // What was searched before is searched again at its end only, where the text may have begun.
        if finder.find(&received).is_some() {
            return Ok(Remarks::default());
        }
        if received.len() >= MAX_RECEIVED {
            return Err(format!("expected `{text}` in the first {} KiB from {peer}", MAX_RECEIVED / 1024).into());
        }
    }
}
