//! I/O shell: one observation over real sockets.
//!
//! [`Prober::observe`] does what a [`Probe`] says to a [`Target`] within the probe's timeout, which covers everything:
//! resolving, connecting, TLS and the response.
//!
//! **All addresses are tried, one that answers is enough.** The addresses of a target are dialled at once and the first
//! one that answers as expected makes the observation good: devices try the addresses that they are given one after
//! another, so that an endpoint is of use as long as one of them is. When none does, the sentence of the failed
//! observation says of each address what came instead. A and AAAA are asked for at the same time and what is resolved
//! is dialled without waiting for the other, so that a resolver that never answers one of them fails nothing.
//!
//! Each kind has a file here with a function `attempt`, and a line in `Attempt::make`, by which it dials.
//!
//! What is probed is that a device can come in, so each observation comes in anew: no TLS session is resumed, and no
//! connection kept but where a probe says `keep_alive`.
//!
//! Deliberately absent: redirects (a 3xx is judged by the expected status) and proxies.
#![expect(clippy::disallowed_methods, reason = "I/O shell: probes connect and wait")]

mod amqp;
mod dns;
mod exchange;
mod exec;
mod failure;
mod grpc;
mod handshake;
pub(crate) mod http;
mod icmp;
mod kept;
mod mqtt;
mod octets;
mod password;
mod renew;
pub(crate) mod request;
mod resolve;
mod secret;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod websocket;
mod wire;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

pub(crate) use self::failure::Failure;
use self::handshake::{Protocols, TlsConfigs};
use self::kept::Kept;
use self::resolve::{Family, Resolver, Unresolved};
use self::secret::{Revealed, Secrets};
use super::Outcome;
use crate::dns::Name;
use crate::policy::{ClientCertificate, DialFrom, Probe, ProbeKind, Secret, Target, TlsSettings};
use crate::time::{Timestamp, human};

/// Most addresses of one family that are dialled for one observation; more than a device would ever get.
const MAX_ADDRESSES: usize = 32;

/// Most addresses that the sentence of a failed observation names.
const MAX_NAMED: usize = 8;

/// Whether certificates can be verified with this file of trust anchors.
///
/// # Errors
/// Why not, as a probe would say it.
pub fn check_trust_anchors(ca: &Path) -> Result<(), String> {
    handshake::check(ca)
}

/// Whether this certificate can be shown to those who ask for one.
///
/// # Errors
/// Why not, as a probe would say it.
pub fn check_client_certificate(client: &ClientCertificate) -> Result<(), String> {
    handshake::check_client(client)
}

/// Whether a secret is there; what it is does not matter.
///
/// # Errors
/// Why not, as a probe would say it.
pub fn check_secret(secret: &Secret) -> Result<(), String> {
    secret::check(secret)
}

/// What all probers share: the resolver with its cache, and what was read from files.
#[derive(Debug)]
pub struct Prober {
    resolver: Resolver,
    tls: TlsConfigs,
    secrets: Secrets,
    kept: Kept,
}

/// What one observation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The verdict.
    pub outcome: Outcome,
    /// What else was seen.
    pub remarks: Remarks,
}

/// What a prober saw beside its verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// What an operator should know although the observation is good.
    pub note: Option<String>,
    /// When the certificate of what is probed expires.
    pub expires: Option<Timestamp>,
}

impl Prober {
    /// Resolves through these recursive resolvers; with none, through those of `/etc/resolv.conf`.
    pub fn new(resolvers: &[SocketAddr]) -> Self {
        Self::keeping(resolvers, usize::MAX)
    }

    /// The same with at most so many connections that are kept from one observation to the next.
    pub fn keeping(resolvers: &[SocketAddr], most: usize) -> Self {
        Self {
            resolver: Resolver::new(resolvers),
            tls: TlsConfigs::default(),
            secrets: Secrets::default(),
            kept: Kept::at_most(most),
        }
    }

    /// Reads the files that probes name, and `/etc/resolv.conf`, again when they are next needed. What can then not be read
    /// stays as it was, with a warning.
    pub fn renew(&self) {
        self.resolver.renew();
        self.tls.renew();
        self.secrets.renew();
        self.kept.clear();
    }

    /// Makes one observation; takes at most the probe's timeout.
    pub async fn observe(self: &Arc<Self>, probe: &Arc<Probe>, target: &Target) -> Observed {
        let deadline = Deadline::after(probe.timeout);
        if let ProbeKind::Exec(command) = &probe.kind {
            return exec::observe(command, probe, target, deadline).await;
        }
        let attempt = |host, address| {
            let (prober, probe) = (self.clone(), probe.clone());
            let attempt = Attempt { prober, probe, host, address, deadline, expires: OnceLock::new() };
            async move { attempt.make().await }
        };
        match self.first(target, deadline, attempt).await {
            Ok(remarks) => Observed { outcome: Outcome::Good, remarks },
            Err(failure) => Observed { outcome: failure.into(), remarks: Remarks::default() },
        }
    }

    /// Makes an attempt, of a host and its address, at every address of the target at once. The first one that succeeds
    /// is the result; when none does, a sentence that says why for each.
    async fn first<T, F>(
        self: &Arc<Self>,
        target: &Target,
        deadline: Deadline,
        attempt: impl Fn(String, IpAddr) -> F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        if let Target::Addresses(addresses) = target
            && let [address] = addresses.as_slice()
        {
            return attempt(host_of(target, *address), *address).await;
        }
        let mut steps = JoinSet::new();
        let mut dialled = Vec::new();
        let mut dial = |steps: &mut JoinSet<Step<T>>, addresses: &[IpAddr]| {
            for address in addresses.iter().take(MAX_ADDRESSES) {
                if !dialled.contains(address) {
                    let position = dialled.len();
                    dialled.push(*address);
                    let attempt = attempt(host_of(target, *address), *address);
                    steps.spawn(async move { Step::Dialled(position, attempt.await) });
                }
            }
        };
        match target {
            Target::Addresses(addresses) => dial(&mut steps, addresses),
            Target::Host(name) => {
                for family in [Family::V4, Family::V6] {
                    let (prober, name) = (self.clone(), name.clone());
                    steps.spawn(async move {
                        Step::Resolved(family, prober.resolver.lookup(&name, family, deadline).await)
                    });
                }
            }
        }
        let (mut failed, mut unresolved): (Vec<(usize, Failure)>, _) = (Vec::new(), Vec::new());
        while let Some(step) = steps.join_next().await {
            match step {
                Ok(Step::Resolved(_, Ok(addresses))) => dial(&mut steps, &addresses),
                Ok(Step::Resolved(family, Err(why))) => unresolved.push((family, why)),
                // The other attempts are dropped with `steps`, and their connections closed.
                Ok(Step::Dialled(_, Ok(found))) => return Ok(found),
                Ok(Step::Dialled(position, Err(failure))) => failed.push((position, failure)),
                Err(died) => {
                    // A step that panicked is a prober that panicked: its supervisor sees it. Nothing but the end of
                    // the runtime cancels a step, and then nobody waits for the outcome.
                    if let Ok(panic) = died.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
        // In the order of the addresses and not of their failing, so that equal failures read alike.
        failed.sort();
        unresolved.sort();
        let failed: Vec<Failure> = failed.into_iter().map(|(_, failure)| failure).collect();
        let unfound = unresolved.iter().filter_map(|(_, why)| why.failure());
        let verdict = failure::verdict(failed.iter().chain(unfound));
        Err(verdict(sentence(target, failed.iter().map(ToString::to_string).collect(), unresolved)))
    }
}

/// What one of the concurrent parts of an observation came to.
enum Step<T> {
    Resolved(Family, Result<Vec<IpAddr>, Unresolved>),
    Dialled(usize, Result<T, Failure>),
}

/// The name by which a device would know the target at this address.
fn host_of(target: &Target, address: IpAddr) -> String {
    match target {
        Target::Host(name) => host_name(name),
        Target::Addresses(_) => address.to_string(),
    }
}

/// A name as URLs and certificates write it: in lower case and without the final dot (RFC 6066 3).
fn host_name(name: &Name) -> String {
    let text = name.to_lowercase().to_string();
    text.strip_suffix('.').map(str::to_owned).unwrap_or(text)
}

/// One attempt at one address: what every kind of probe that dials is given, and dials by.
pub(super) struct Attempt {
    prober: Arc<Prober>,
    probe: Arc<Probe>,
    /// The name by which a device would know what is dialled: in lower case and without final dot, or an address.
    host: String,
    address: IpAddr,
    deadline: Deadline,
    /// When the certificate that was shown expires.
    expires: OnceLock<Timestamp>,
}

/// Either kind of stream, TLS or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Attempt {
    async fn make(&self) -> Result<Remarks, Failure> {
        // A line a kind.
        let remarks = match &self.probe.kind {
            ProbeKind::Tcp(tcp) => tcp::attempt(tcp, self).await,
            ProbeKind::Tls(tls) => tls::attempt(tls, self).await,
            ProbeKind::Http(http) => http::attempt(http, self).await,
            ProbeKind::Mqtt(mqtt) => mqtt::attempt(mqtt, self).await,
            ProbeKind::Amqp(amqp) => amqp::attempt(amqp, self).await,
            ProbeKind::Grpc(grpc) => grpc::attempt(grpc, self).await,
            ProbeKind::Dns(dns) => dns::attempt(dns, self).await,
            ProbeKind::Icmp => icmp::attempt(self).await,
            ProbeKind::Exec(_) | ProbeKind::Push(_) | ProbeKind::Composite(_) => {
                Err(Failure::Unable(format!("a probe of kind {} dials nothing", self.probe.kind.word())))
            }
        }?;
        Ok(Remarks { expires: remarks.expires.or(self.certificate_expires()), ..remarks })
    }

    /// When the certificate that was shown to this attempt expires.
    fn certificate_expires(&self) -> Option<Timestamp> {
        self.expires.get().copied()
    }

    fn saw_certificate(&self, expires: Option<Timestamp>) {
        if let Some(expires) = expires {
            // One that was seen before is of the same attempt.
            let _ = self.expires.set(expires);
        }
    }

    /// Connects to a port, from where the probe's `source` says.
    async fn connect(&self, port: u16) -> Result<(TcpStream, SocketAddr), Failure> {
        let peer = SocketAddr::new(self.address, port);
        Ok((connect(peer, self.probe.source.as_ref(), self.deadline).await?, peer))
    }

    /// A socket for datagrams to a port and from it, from where the probe's `source` says.
    async fn datagrams(&self, port: u16) -> Result<(UdpSocket, SocketAddr), Failure> {
        let peer = SocketAddr::new(self.address, port);
        Ok((datagrams(peer, self.probe.source.as_ref()).await?, peer))
    }

    /// Connects to a port and speaks TLS if there are settings for it, as the settings' `name` or the host.
    async fn connect_over(
        &self,
        port: u16,
        tls: Option<&TlsSettings>,
        protocols: Protocols<'_>,
    ) -> Result<(Box<dyn Stream>, SocketAddr), Failure> {
        let (stream, peer) = self.connect(port).await?;
        let stream: Box<dyn Stream> = match tls {
            Some(settings) => Box::new(self.handshake(settings, protocols, (stream, peer)).await?),
            None => Box::new(stream),
        };
        Ok((stream, peer))
    }

    /// Speaks TLS over a connection, as the settings' `name` or the host.
    async fn handshake(
        &self,
        settings: &TlsSettings,
        protocols: Protocols<'_>,
        connection: (TcpStream, SocketAddr),
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let host = settings.name.as_deref().unwrap_or(&self.host);
        self.handshake_as(host, settings, protocols, connection).await
    }

    /// Speaks TLS over a connection and verifies that the peer is `host`.
    async fn handshake_as(
        &self,
        host: &str,
        settings: &TlsSettings,
        protocols: Protocols<'_>,
        connection: (TcpStream, SocketAddr),
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let tls = &self.prober.tls;
        let stream = handshake::handshake(tls, settings, protocols, host, connection, self.deadline).await?;
        self.saw_certificate(handshake::expiry(&stream));
        Ok(stream)
    }

    /// Reads a secret, if it was not read since the start or the last reload.
    async fn reveal(&self, secret: &Secret) -> Result<Revealed, Failure> {
        let reading = self.prober.secrets.reveal(secret);
        self.deadline.within(Doing::ReadingFiles, reading).await.and_then(|secret| secret).map_err(Failure::Unable)
    }
}

fn sentence(target: &Target, mut failed: Vec<String>, mut unresolved: Vec<(Family, Unresolved)>) -> String {
    if failed.is_empty() {
        return match target {
            Target::Host(name) => resolve::sentence(name, &unresolved),
            Target::Addresses(_) => "there is no address to probe".to_owned(),
        };
    }
    let more = failed.len().saturating_sub(MAX_NAMED);
    failed.truncate(MAX_NAMED);
    if more > 0 {
        failed.push(format!("and {more} more addresses"));
    }
    // That a host has addresses of one family only is no failure; that a family could not be resolved is.
    unresolved.retain(|(_, why)| why.failure().is_some());
    if let (Target::Host(name), false) = (target, unresolved.is_empty()) {
        failed.push(resolve::sentence(name, &unresolved));
    }
    failed.join("; ")
}

/// When an observation has failed for want of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    length: Duration,
}

impl Deadline {
    /// So long from this moment on.
    pub(crate) fn after(length: Duration) -> Self {
        Self::from(Instant::now(), length)
    }

    /// So long from `start` on.
    pub(crate) fn from(start: Instant, length: Duration) -> Self {
        Self { at: start + length, length }
    }

    /// The one that comes first.
    pub(crate) fn or(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }

    /// The moment.
    pub(crate) fn at(self) -> Instant {
        self.at
    }

    /// Waits for `work` until the deadline; the sentence of the failure says what was being done.
    async fn within<T>(self, doing: Doing, work: impl Future<Output = T>) -> Result<T, String> {
        timeout_at(self.at, work).await.map_err(|_| format!("timed out after {} while {doing}", exact(self.length)))
    }
}

/// What a deadline cut off.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Resolving,
    Connecting(SocketAddr),
    ReadingFiles,
    Handshaking(SocketAddr),
    AwaitingResponse(SocketAddr),
    AwaitingEcho(IpAddr),
    ReadingBody(SocketAddr),
    Sending(SocketAddr),
    /// Waiting for this, such as "the CONNACK".
    Awaiting(&'static str, SocketAddr),
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolving => write!(f, "resolving"),
            Self::Connecting(peer) => write!(f, "connecting to {peer}"),
            Self::ReadingFiles => write!(f, "reading the files that the probe names"),
            Self::Handshaking(peer) => write!(f, "in the TLS handshake with {peer}"),
            Self::AwaitingResponse(peer) => write!(f, "waiting for the response of {peer}"),
            Self::AwaitingEcho(peer) => write!(f, "waiting for the echo reply of {peer}"),
            Self::ReadingBody(peer) => write!(f, "reading the body from {peer}"),
            Self::Sending(peer) => write!(f, "sending to {peer}"),
            Self::Awaiting(what, peer) => write!(f, "waiting for {what} from {peer}"),
        }
    }
}

/// As [`human`], but not rounded: timeouts are short and often no whole seconds.
pub(crate) fn exact(length: Duration) -> String {
    if length.subsec_millis() == 0 { human(length) } else { format!("{} ms", length.as_millis()) }
}

/// Connects, for every kind of probe.
async fn connect(peer: SocketAddr, source: Option<&DialFrom>, deadline: Deadline) -> Result<TcpStream, Failure> {
    let failed = |error: &io::Error| failure::of_connect(error, peer, source);
    let socket = if peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|error| failed(&error))?;
    match source {
        None => {}
        Some(DialFrom::Address(address)) if address.is_ipv4() != peer.is_ipv4() => {
            return Err(failure::of_other_family(peer.ip(), *address));
        }
        Some(source @ DialFrom::Address(address)) => {
            // The port is chosen when the peer is known: more connections than ports are possible to different peers.
            nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true)
                .map_err(io::Error::from)
                .and_then(|()| socket.bind(SocketAddr::new(*address, 0)))
                .map_err(|error| failure::of_source(&error, source))?;
        }
        Some(source @ DialFrom::Interface(name)) => {
            socket.bind_device(Some(name.as_bytes())).map_err(|error| failure::of_source(&error, source))?;
        }
    }
    let stream = deadline.within(Doing::Connecting(peer), socket.connect(peer)).await?;
    Ok(not_itself(stream.map_err(|error| failed(&error))?, peer)?)
}

/// A socket that sends datagrams to the peer, and receives none but from it.
async fn datagrams(peer: SocketAddr, source: Option<&DialFrom>) -> Result<UdpSocket, Failure> {
    let failed = |error: &io::Error| failure::of_datagram("send to", error, peer, source);
    let any = if peer.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    let socket = match source {
        Some(DialFrom::Address(address)) if address.is_ipv4() != peer.is_ipv4() => {
            return Err(failure::of_other_family(peer.ip(), *address));
        }
        Some(source @ DialFrom::Address(address)) => {
            UdpSocket::bind((*address, 0)).await.map_err(|error| failure::of_source(&error, source))?
        }
        _ => UdpSocket::bind((any, 0)).await.map_err(|error| failed(&error))?,
    };
    if let Some(source @ DialFrom::Interface(name)) = source {
        socket.bind_device(Some(name.as_bytes())).map_err(|error| failure::of_source(&error, source))?;
    }
    socket.connect(peer).await.map_err(|error| failed(&error))?;
    Ok(socket)
}

/// Refuses a connection to itself: dialling a port of this machine that nobody listens on, when the kernel happens to
/// choose that very port to dial from, is a simultaneous open of one (RFC 9293 3.5). There is nobody there.
fn not_itself(stream: TcpStream, peer: SocketAddr) -> Result<TcpStream, String> {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(remote)) if local == remote => Err(format!("connect {peer}: connection refused")),
        _ => Ok(stream),
    }
}

/// The system's words for an error, to stand inside a sentence: in lower case and without the error's number.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => error.kind().to_string(),
    }
}
