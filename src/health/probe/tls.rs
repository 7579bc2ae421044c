//! I/O shell: the `tls` probe. A handshake, the certificate verified, and how long it is valid yet.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use rustls::ProtocolVersion;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_rustls::client::TlsStream;

use super::handshake::alert;
use super::{Attempt, Deadline, Failure, Remarks, words};
use crate::policy::TlsProbe;
use crate::time::{Timestamp, human};

/// How long a peer may be silent after a handshake before it is asked to end the connection.
const SILENCE: Duration = Duration::from_millis(250);

const DAY: Duration = Duration::from_hours(24);

pub(super) async fn attempt(probe: &TlsProbe, attempt: &Attempt) -> Result<Remarks, Failure> {
    let (stream, peer) = attempt.connect(probe.port).await?;
    let mut stream = attempt.handshake(&probe.settings, &[], (stream, peer)).await?;
    object(&mut stream, peer, attempt.deadline).await?;
    let host = probe.settings.name.as_deref().unwrap_or(&attempt.host);
    let expires = attempt.certificate_expires();
    let note = match expires {
        Some(expires) => judge(probe, host, peer, expires, now())?,
        None => None,
    };
    Ok(Remarks { note, expires })
}

/// Waits for what the peer says to the client's side of the handshake, such as that it demands a certificate.
///
/// In TLS 1.3 the client's handshake is complete before the peer has seen the client's certificate (RFC 8446 2): the
/// peer's objection comes after it. A session ticket or data come of a peer that has none. One that is silent is asked to
/// end the connection, which it does without an alert.
async fn object(stream: &mut TlsStream<TcpStream>, peer: SocketAddr, deadline: Deadline) -> Result<(), String> {
    if stream.get_ref().1.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Ok(());
    }
    let of_itself = timeout_at(deadline.or(Deadline::after(SILENCE)).at(), word(stream)).await;
    match of_itself {
        Ok(Ok(true)) => return Ok(()),
        Ok(Ok(false)) => return Err(format!("{peer} closed the connection right after the TLS handshake")),
        Ok(Err(error)) => {
            let other = || format!("after the TLS handshake with {peer}: {}", words(&error));
            return Err(alert(&error, peer).unwrap_or_else(other));
        }
        Err(_) => {}
    }
    let asked = async {
        // Whether that can still be sent is what is to be found out.
        drop(stream.shutdown().await);
        word(stream).await
    };
    match timeout_at(deadline.at(), asked).await {
        Ok(Err(error)) => alert(&error, peer).map_or(Ok(()), Err),
        // The end, or a peer that does not care to end: neither is an objection.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Waits for a session ticket or data, or else, which is false, for the end.
async fn word(stream: &mut TlsStream<TcpStream>) -> io::Result<bool> {
    std::future::poll_fn(|context| {
        let mut octet = [0];
        let mut buffer = ReadBuf::new(&mut octet);
        match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
            Poll::Pending if stream.get_ref().1.tls13_tickets_received() > 0 => Poll::Ready(Ok(true)),
            read => read.map_ok(|()| !buffer.filled().is_empty()),
        }
    })
    .await
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Judges how long a certificate is valid yet: what is to be remarked on, or why it fails.
fn judge(
    probe: &TlsProbe,
    host: &str,
    peer: SocketAddr,
    expires: Timestamp,
    now: Timestamp,
) -> Result<Option<String>, String> {
    let left = expires.since(now);
    // Whole days, so that the sentence is another one once a day only.
    let days = left.as_secs() / DAY.as_secs();
    let when = match days {
        0 => "in less than a day".to_owned(),
        1 => "in a day".to_owned(),
        days => format!("in {days} days"),
    };
    if let Some(least) = probe.expiry_fail.filter(|least| left < *least) {
        let least = human(least);
        return Err(format!(
            "certificate of {peer} for `{host}` expires at {expires}, {when}, expected no sooner than in {least}"
        ));
    }
    let note = format!("certificate for `{host}` expires at {expires}, {when}");
    Ok((left < probe.expiry_warn).then_some(note))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::TlsSettings;

    #[test]
    fn a_certificate_is_good_then_remarked_on_and_then_fails() {
        let probe =
            |expiry_fail| TlsProbe { port: 443, settings: TlsSettings::default(), expiry_fail, expiry_warn: 14 * DAY };
        let peer = "192.0.2.1:443".parse().unwrap();
        let expires = Timestamp(1_795_442_591_000);
        let check = |expiry_fail, left: Duration, expected: Result<Option<&str>, &str>| {
            let now = Timestamp(expires.0 - left.as_millis() as u64);
            let found = judge(&probe(expiry_fail), "hub.example.net", peer, expires, now);
            assert_eq!(found, expected.map(|note| note.map(str::to_owned)).map_err(str::to_owned));
        };
        let note = |when| format!("certificate for `hub.example.net` expires at 2026-11-23T14:03:11Z, {when}");
        check(None, 14 * DAY, Ok(None));
        check(None, 14 * DAY - Duration::from_millis(1), Ok(Some(&note("in 13 days"))));
        check(None, 2 * DAY - Duration::from_secs(1), Ok(Some(&note("in a day"))));
        check(None, Duration::ZERO, Ok(Some(&note("in less than a day"))));
        check(Some(2 * DAY), 2 * DAY, Ok(Some(&note("in 2 days"))));
        let failed = "certificate of 192.0.2.1:443 for `hub.example.net` expires at 2026-11-23T14:03:11Z, in a day, \
                      expected no sooner than in 2 d";
        check(Some(2 * DAY), 2 * DAY - Duration::from_secs(1), Err(failed));
    }
}
