//! I/O shell: the `amqp` probe. A connection of AMQP 1.0 is opened as a device opens it, and closed.
//!
//! Deliberately absent: sessions and links, AMQP 0-9-1, and TLS inside of AMQP (5.2): it is spoken from the start.

mod codec;

use self::codec::{AMQP_HEADER, Frame, Malformed, Refusal, SASL_HEADER};
use super::mqtt::drawn;
use super::wire::{Carrier, Link, Wire, shown};
use super::{Attempt, Failure, Remarks};
use crate::policy::{AmqpProbe, Sasl};

/// Most frames of which a probe has no use, before one that it waits for.
const MOST_OTHERS: usize = 64;

pub(super) async fn attempt(probe: &AmqpProbe, attempt: &Attempt) -> Result<Remarks, Failure> {
    // Before anything is dialled, so that a secret that is not there is no concern of the peer.
    let sasl = match &probe.sasl {
        Sasl::None => None,
        Sasl::Anonymous => Some(("ANONYMOUS", b"concierge".to_vec())),
        Sasl::Plain { username, password } => {
            let password = attempt.password(password).await?;
            Some(("PLAIN", codec::plain(&attempt.filled(username), password.expose().as_bytes())))
        }
        Sasl::External => Some(("EXTERNAL", Vec::new())),
    };
    let (stream, peer) = attempt.connect_over(probe.port, probe.tls.as_ref(), &[]).await?;
    let name = probe.tls.as_ref().and_then(|tls| tls.name.as_deref());
    let host = probe.host.as_deref().or(name).unwrap_or(&attempt.host);
    let wire = Wire::new(Carrier::Octets(stream), Link { protocol: "AMQP", peer, deadline: attempt.deadline });
    let mut session = Session { wire, peer: peer.to_string(), host };
    if let Some((mechanism, response)) = &sasl {
        session.authenticate(mechanism, response).await?;
    }
    let container = probe.container_id.clone().unwrap_or_else(|| drawn("concierge"));
    session.open(&container).await?;
    session.close().await?;
    session.wire.finish().await;
    Ok(Remarks::default())
}

/// A connection with a broker.
struct Session<'p> {
    wire: Wire,
    peer: String,
    /// The name by which the broker is called.
    host: &'p str,
}

impl Session<'_> {
    async fn authenticate(&mut self, mechanism: &str, response: &[u8]) -> Result<(), String> {
        self.header(SASL_HEADER, "the SASL header").await?;
        let offered = self
            .frame("the mechanisms of SASL", |frame| match frame {
                Frame::Mechanisms(offered) => {
                    Some(offered.into_iter().take(16).map(<[u8]>::to_vec).collect::<Vec<_>>())
                }
                _ => None,
            })
            .await?;
        if !offered.iter().any(|offered| offered == mechanism.as_bytes()) {
            let offered: Vec<String> = offered.iter().map(|offered| shown(offered)).collect();
            let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
            return Err(format!("expected the mechanism {mechanism} of SASL from {}, got {offered}", self.peer));
        }
        const OUTCOME: &str = "the outcome of SASL";
        self.wire.write(codec::init(mechanism, response, self.host), OUTCOME).await?;
        // One challenge is answered: there are servers that ask for what an initial response has already said.
        let code = match self.frame(OUTCOME, challenged).await? {
            Some(code) => code,
            None => {
                self.wire.write(codec::response(), OUTCOME).await?;
                self.frame(OUTCOME, |frame| challenged(frame).flatten()).await?
            }
        };
        match code {
            0 => Ok(()),
            code => {
                let (peer, why) = (&self.peer, outcome(code));
                Err(format!("expected outcome 0 of SASL {mechanism} from {peer}, got {code} ({why})"))
            }
        }
    }

    /// Opens the connection; nothing of it is used.
    async fn open(&mut self, container: &str) -> Result<(), String> {
        self.header(AMQP_HEADER, "the AMQP header").await?;
        const ANSWER: &str = "the open";
        self.wire.write(codec::open(container, self.host), ANSWER).await?;
        self.frame(ANSWER, |frame| matches!(frame, Frame::Open).then_some(())).await
    }

    /// Closes it. A broker that does not want it has opened it all the same, to close it with an error.
    async fn close(&mut self) -> Result<(), String> {
        const ANSWER: &str = "the close";
        self.wire.write(codec::close(), ANSWER).await?;
        self.frame(ANSWER, |frame| matches!(frame, Frame::Close(None)).then_some(())).await
    }

    /// Sends a protocol header and expects the same one back (2.2).
    async fn header(&mut self, header: [u8; 8], answer: &'static str) -> Result<(), String> {
        self.wire.write(header.to_vec(), answer).await?;
        let peer = &self.peer;
        // What does not begin so is as long as it may be.
        let length = |came: &[u8]| match came {
            [] => Ok(None),
            [b'A', ..] => Ok(Some(8)),
            _ => Err(format!("{peer} does not speak AMQP")),
        };
        let came = self.wire.packet(answer, length).await?;
        if came == header { Ok(()) } else { Err(self.other_header(&came, header)) }
    }

    fn other_header(&self, came: &[u8], expected: [u8; 8]) -> String {
        let peer = &self.peer;
        let Some([protocol, major, minor, revision]) = came.strip_prefix(b"AMQP") else {
            return format!("{peer} does not speak AMQP");
        };
        let called = |protocol: u8| match protocol {
            0 => "AMQP",
            2 => "TLS inside of AMQP",
            3 => "SASL",
            _ => "an unknown protocol",
        };
        let expected = format!("expected {} 1.0.0 from {peer}", called(expected[4]));
        // AMQP 0-9-1 has a header of the same beginning.
        if (*protocol, *major, *minor) == (0, 0, 9) || (*protocol, *major) == (1, 1) {
            return format!("{expected}, got AMQP 0-9");
        }
        format!("{expected}, got {} {major}.{minor}.{revision}", called(*protocol))
    }

    /// What `wanted` makes of the next frame for which a probe has a use.
    async fn frame<T>(&mut self, answer: &'static str, wanted: impl Fn(Frame<'_>) -> Option<T>) -> Result<T, String> {
        let peer = &self.peer;
        for _ in 0..=MOST_OTHERS {
            let length = |came: &[u8]| codec::length(came).map_err(|malformed| sentence(malformed, peer));
            let came = self.wire.packet(answer, length).await?;
            let frame = codec::decode(&came).map_err(|malformed| sentence(malformed, peer))?;
            match frame {
                Frame::Other => {}
                Frame::Close(Some(Refusal { condition, description })) => {
                    let description = description.map(|text| format!(": {}", shown(text))).unwrap_or_default();
                    let condition = shown(condition);
                    return Err(format!("{peer} refused the connection before {answer}: {condition}{description}"));
                }
                frame => {
                    let name = frame.name();
                    return wanted(frame).ok_or_else(|| format!("expected {answer} from {peer}, got {name}"));
                }
            }
        }
        Err(format!("{peer} sent more than {MOST_OTHERS} frames without {answer}"))
    }
}

/// The code of an outcome, or that there is a challenge before it.
fn challenged(frame: Frame<'_>) -> Option<Option<u8>> {
    match frame {
        Frame::Outcome(code) => Some(Some(code)),
        Frame::Challenge => Some(None),
        _ => None,
    }
}

/// What an outcome's code means (5.3.3.6).
fn outcome(code: u8) -> &'static str {
    match code {
        1 => "auth: the credentials are not accepted",
        2 => "sys: the server has failed",
        3 => "sys-perm: the server has failed and will again",
        4 => "sys-temp: the server has failed for the moment",
        _ => "no code of SASL",
    }
}

fn sentence(malformed: Malformed, peer: &str) -> String {
    match malformed {
        Malformed::Header => format!("{peer} does not speak AMQP 1.0"),
        Malformed::Large(octets) => {
            let most = codec::MAX_FRAME;
            format!("{peer} sent an AMQP frame of {octets} octets, expected at most {most}")
        }
        Malformed::Body => format!("{peer} sent a malformed AMQP frame"),
    }
}
