//! Sockets: queries in over UDP, TCP, TLS, HTTPS and QUIC, responses out.
//!
//! ```text
//!  bind ─► one TCP listener and N UDP sockets for each address, on one port
//!    │        places: the addresses of a wildcard come and go with the interfaces
//!    ├───────────────────────────┐
//!  tcp: blocking threads, epoll  udp: one blocking thread a socket
//!  table: their connections      │
//!  seats: the limit              │
//!  connection: one turn of one   │           tls: records around it; web: HTTPS and QUIC, with tasks
//!  admission, clients, proxy     │
//!  pipeline: framing, no socket  batch: receive, answer, send
//!    └──────────► engine ◄───────┘   counters: one block a worker; sockets: what the kernel says of them
//!                                    cookies: their secrets and the time
//!                                    limiter: who is answered, and how much of it
//!                                    resolvers: who still asks late after a switch, from a sample
//! ```
//!
//! UDP, TCP and TLS are served by threads and not by the async runtime because a query is answered at once, from memory: there is
//! nothing to await between receiving and sending.
//!
//! What every worker promises:
//! - It enters the snapshot once for a batch, and leaves it when the responses are with the kernel, without having
//!   waited in between; so publishing waits for microseconds, and answers are not older than the switch acknowledged.
//! - No input and no error of a socket ends it. A panic, which is a defect, costs the batch or the connection.
//! - It logs nothing about queries above `TRACE`.
#![expect(clippy::disallowed_methods, reason = "I/O shell: clock")]

mod accept;
mod admission;
mod batch;
mod bind;
mod burst;
mod clients;
mod connection;
pub mod cookies;
mod counters;
pub(crate) mod descriptors;
mod engine;
mod interfaces;
mod limiter;
mod pipeline;
mod places;
mod post;
mod proxy;
pub mod resolvers;
mod seats;
mod sockets;
#[cfg(any(test, fuzzing))]
pub(crate) mod sound;
mod stop;
mod table;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod udp;
mod via;
mod web;

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use tokio::runtime::Handle;

use self::admission::Admission;
use self::bind::Udp;
use self::clients::{Clients, Prefixes, Rate};
use self::cookies::Cookies;
use self::counters::Block;
pub use self::counters::{Certificate, Connections, Counters, Event, Messages, Totals};
use self::engine::{Engine, Trust};
use self::limiter::Limiter;
pub use self::limiter::{Action, Actions};
use self::places::{Opener, Places};
use self::seats::Seats;
pub use self::sockets::UdpSockets;
use self::stop::Stop;
use self::tcp::{Listeners, Secure, Service, Workers};
use self::tls::Tls;
pub use self::tls::{Identity, Unusable, check};
use self::udp::Ended;
pub use self::via::Via;
use self::web::Web;
use crate::answer;
use crate::answer::client::Lots;
use crate::answer::publish::Readers;
use crate::answer::respond::{Amplification, Rules};
use crate::config::{Config, Limits, Listen, Proxy};
use crate::process::passed::{Given, Kind, Passed, Place};

/// The draws of a worker. Each begins somewhere else, so that no two answer alike.
#[expect(clippy::disallowed_methods, reason = "I/O shell: a number that nobody knows")]
fn lots() -> Lots {
    Lots::from(rand::random())
}

/// What the configuration says of serving.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// Sockets that the process was given.
    pub passed: Arc<Passed>,
    /// The addresses.
    pub listen: &'a Listen,
    /// What one client, and all together, may use.
    pub limits: &'a Limits,
    /// Who speaks for others.
    pub proxy: &'a Proxy,
    /// The certificate, where an address needs one.
    pub identity: Option<&'a Arc<Identity>>,
}

impl<'a> Settings<'a> {
    /// As configured, at sockets that were passed.
    pub fn of(config: &'a Config, passed: Arc<Passed>, identity: Option<&'a Arc<Identity>>) -> Self {
        let Config { listen, limits, proxy, .. } = config;
        Self { passed, listen, limits, proxy, identity }
    }
}

/// The sockets and all that runs on them.
///
/// Dropped without [`Serving::drain`] it stops at once and answers nothing more.
#[derive(Debug)]
pub struct Serving {
    addresses: Vec<SocketAddr>,
    encrypted: Vec<(Via, SocketAddr)>,
    /// The sockets of the encrypted listeners once more, for a successor: closed when the drain begins.
    spare: Vec<(Kind, SocketAddr, Socket)>,
    stop: Arc<Stop>,
    seats: Arc<Seats>,
    places: Arc<Places>,
    tcp: Option<Workers>,
    web: Option<Web>,
    runtime: Handle,
}

/// Whether the workers turn.
#[derive(Clone, Debug)]
pub struct Turns {
    places: Arc<Places>,
    listeners: Option<Listeners>,
    blocks: Vec<Arc<Block>>,
}

impl Turns {
    /// What every worker shows: a number of its own, and one that changes with every turn. Has each of them show another
    /// one soon, whether it has something to do or not.
    pub fn look(&self) -> Vec<(usize, u64)> {
        let shown = self.places.turns().into_iter().chain(self.blocks.iter().map(Block::shows)).collect();
        if let Some(listeners) = &self.listeners {
            listeners.turn();
        }
        shown
    }
}

/// What a drain left unanswered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Connections cut at the deadline, with a query begun or a response that the client did not take.
    pub connections_cut: u64,
    /// UDP sockets that at the deadline may have held unanswered queries.
    pub queues_cut: usize,
    /// How long it took.
    pub took: Duration,
}

/// What queries are answered by, beside the snapshot.
#[derive(Debug)]
pub struct Answering {
    /// What a response has to keep to.
    pub rules: Rules,
    /// Without them cookies are not looked at.
    pub cookies: Option<Arc<Cookies>>,
    /// Without it everybody is answered.
    limiter: Option<Limiter>,
}

impl Answering {
    /// By these rules, without cookies, to everybody.
    pub fn by(rules: Rules) -> Self {
        Self { rules, cookies: None, limiter: None }
    }

    /// As configured.
    pub fn of(config: &Config, cookies: Option<Arc<Cookies>>) -> Self {
        let octets = |text: &String| text.as_bytes().into();
        let Config { limits, edns, identity, .. } = config;
        let rules = Rules {
            max_udp_bytes: limits.max_udp_bytes,
            cookies_required: edns.cookies_required,
            amplification: Amplification::times(limits.amplification),
            nsid: octets(&edns.nsid),
            // At most ten minutes.
            idle: u16::try_from(limits.tcp_idle.as_millis() / 100).unwrap_or(u16::MAX),
            identity: answer::Identity {
                version: octets(&identity.version),
                hostname: octets(&identity.hostname),
                id: octets(&identity.id),
            },
        };
        Self { rules, cookies, limiter: Limiter::of(config) }
    }
}

/// Binds all addresses, but for those whose sockets were passed, and answers at them until the drain.
///
/// Workers are threads of their own; the drain is waited for on `runtime`.
///
/// # Errors
/// When an address cannot be bound or a thread not be started; the message names the address and what it was for, and
/// nothing is left running.
pub fn start(
    settings: Settings<'_>,
    answering: Answering,
    readers: Readers,
    counters: Arc<Counters>,
    runtime: Handle,
) -> io::Result<Serving> {
    let Answering { rules, cookies, limiter } = answering;
    let mut engine = Engine::new(rules, cookies, Trust::of(&settings.limits.trust_ecs_from));
    engine.limiter = limiter.map(|limiter| Arc::new(limiter.counting(counters.actions())));
    start_with(engine, settings, readers, counters, runtime)
}

fn start_with(
    engine: Engine,
    settings: Settings<'_>,
    readers: Readers,
    counters: Arc<Counters>,
    runtime: Handle,
) -> io::Result<Serving> {
    let Settings { passed, listen, limits, proxy, identity } = settings;
    let udp = Udp::of(listen);
    let binding = bind::bind(listen, &udp, &passed)?;
    let tls = identity.map(|identity| Tls::new(identity.clone())).transpose()?;
    let secured = bind::bind_streams(&listen.tls, &passed, "TLS")?;
    let sockets = web::Sockets {
        https: bind::bind_streams(&listen.https, &passed, "HTTPS")?,
        quic: bind::bind_quic(&listen.quic, &udp, &passed, "QUIC")?,
        https3: bind::bind_quic(&listen.https3, &udp, &passed, "HTTP/3")?,
    };
    let stop = Stop::new();
    let connections = descriptors::connections(limits.tcp_connections);
    let tcp_workers = bind::workers(listen.tcp_workers);
    let seats = Seats::new(usize::try_from(connections).unwrap_or(usize::MAX), tcp_workers, counters.clone());
    let guard = Guard::new(limits, proxy, engine.trust.clone(), tls.is_some());
    let secure = tls
        .as_ref()
        .filter(|_| !secured.is_empty())
        .map(|tls| Secure { config: Arc::new(tls.config(tls::DOT)), handshakes: limits.tls_handshakes });
    let service = Arc::new(Service {
        engine,
        idle: limits.tcp_idle,
        counters: counters.clone(),
        stop: stop.clone(),
        seats: seats.clone(),
        admission: Arc::new(guard.admission()),
        secure,
    });
    let again =
        |(address, listener): &(SocketAddr, TcpListener)| Ok((Kind::Tcp, *address, listener.try_clone()?.into()));
    let spare = secured.iter().map(again).chain(sockets.again()).collect::<io::Result<_>>()?;
    // From here on an error stops what has been started, by dropping this.
    let mut serving = Serving {
        addresses: binding.bound.iter().map(|bound| bound.address).collect(),
        encrypted: secured.iter().map(|(address, _)| (Via::Tls, *address)).chain(sockets.addresses()).collect(),
        spare,
        stop: stop.clone(),
        seats,
        places: Arc::default(),
        tcp: None,
        web: None,
        runtime,
    };
    if let Some(tls) = &tls {
        counters.shows(tls.identity());
        tls.identity().follow(stop.clone())?;
    }
    if let Some(tls) = tls.as_ref().filter(|_| !sockets.is_empty()) {
        let admissions = [Arc::new(guard.admission()), Arc::new(guard.admission())];
        let (engine, readers, counters, threads) = (&service.engine, &readers, &counters, tcp_workers);
        let parts = web::Parts { sockets, tls, limits, engine, readers, counters, admissions, threads };
        serving.web = Some(Web::start(parts)?);
    }
    let tcp = serving.tcp.insert(Workers::start(tcp_workers, &service, &readers)?);
    for (address, listener) in secured {
        tcp.listeners().listen_secured(address, listener);
    }
    let busy_poll = listen.busy_poll;
    let opener = Opener { service, listeners: tcp.listeners(), readers, counters, stop, busy_poll, passed };
    serving.places.open(binding, udp, &opener)?;
    Ok(serving)
}

/// What the limits of one client are made of, for each kind of listener.
struct Guard {
    trust: Trust,
    proxies: Prefixes,
    unlimited: Prefixes,
    connections_per_client: u32,
    handshakes: Option<Arc<Rate>>,
}

impl Guard {
    #[expect(clippy::disallowed_methods, reason = "I/O shell: a number that nobody knows, clock")]
    fn new(limits: &Limits, proxy: &Proxy, trust: Trust, is_encrypted: bool) -> Self {
        let rate = || Arc::new(Rate::new(limits.tls_handshakes_per_client, rand::random(), Instant::now()));
        Self {
            trust,
            proxies: Prefixes::of(&proxy.from),
            unlimited: Prefixes::of(&limits.unlimited),
            connections_per_client: limits.tcp_connections_per_client,
            handshakes: is_encrypted.then(rate),
        }
    }

    /// For one kind of listener: its connections are counted apart.
    #[expect(clippy::disallowed_methods, reason = "I/O shell: a number that nobody knows")]
    fn admission(&self) -> Admission {
        Admission {
            trust: self.trust.clone(),
            proxies: self.proxies.clone(),
            clients: Clients::new(self.connections_per_client, self.unlimited.clone(), rand::random()),
            handshakes: self.handshakes.clone(),
        }
    }
}

impl Serving {
    /// The addresses that were bound at start, each over UDP and TCP, with the port that was taken for port 0. A wildcard
    /// address appears as those that the interfaces had.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses of the encrypted listeners, with the transport of each.
    pub fn encrypted(&self) -> &[(Via, SocketAddr)] {
        &self.encrypted
    }

    /// The sockets that are answered at, for a successor to read from too.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn sockets(&self) -> io::Result<Vec<Given>> {
        let mut sockets = self.places.sockets()?;
        for (kind, address, socket) in &self.spare {
            let (name, place) = (String::new(), Place::Address(*address));
            sockets.push(Given { kind: *kind, place, name, socket: socket.try_clone()? });
        }
        Ok(sockets)
    }

    /// The way to see whether the workers turn.
    pub fn turns(&self) -> Turns {
        let (listeners, blocks) = match &self.tcp {
            Some(tcp) => (Some(tcp.listeners()), tcp.blocks().to_vec()),
            None => (None, Vec::new()),
        };
        Turns { places: self.places.clone(), listeners, blocks }
    }

    /// Accepts nothing more, answers what has arrived, and returns when all is answered or the deadline has passed.
    ///
    /// Has arrived: datagrams in a socket's queue, queries of a connection read or in its buffer, also of one that is
    /// still to be accepted, and a query that has begun to arrive, which is waited for. Connections are closed when
    /// they are answered.
    pub async fn drain(mut self, deadline: Duration) -> Drained {
        let begun = Instant::now();
        self.stop.begin(begun + deadline);
        self.spare.clear();
        let workers: Vec<_> = self.places.take().into_iter().map(|place| place.workers).collect();
        let tcp = self.tcp.take();
        let ended = self.runtime.spawn_blocking(|| {
            if let Some(tcp) = tcp {
                tcp.join();
            }
            // A worker catches its panics; one that failed all the same has cut its queue.
            workers
                .into_iter()
                .flatten()
                .map(|worker| worker.join())
                .filter(|ended| !matches!(ended, Ok(Ended::Answered)))
                .count()
        });
        let web = self.web.take();
        let web = async {
            match web {
                Some(web) => web.drain(deadline).await,
                None => 0,
            }
        };
        let (ended, web_cut) = tokio::join!(ended, web);
        let connections_cut = self.seats.cut() + web_cut;
        Drained { connections_cut, queues_cut: ended.unwrap_or_default(), took: begun.elapsed() }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.begin(Instant::now());
    }
}

impl Drained {
    /// Whether everything that had arrived was answered.
    pub fn is_complete(&self) -> bool {
        self.connections_cut == 0 && self.queues_cut == 0
    }
}

/// The sentence of the log: what was cut, after how long.
impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_complete() {
            write!(f, "every query that had arrived is answered")?;
        } else {
            let Self { connections_cut, queues_cut, .. } = self;
            write!(f, "cut at the deadline: {connections_cut} connections, {queues_cut} UDP queues")?;
        }
        write!(f, " ({:.1} s)", self.took.as_secs_f64())
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without a text")
}
