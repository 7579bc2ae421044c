//! I/O shell: puts the parts together, waits for signals, and takes them apart again.
//!
//! The order of the start is the order of the promises: files are checked before the store is touched, what the first
//! decision says is durable before a socket is bound, and probers and the admin socket come once queries are answered.
//! A process that takes over from another one does the same, with that one's sockets and store, and waits before anything
//! is decided anew until the other one answers no more (see [`upgrade`](crate::process::upgrade)).
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads the configuration file, makes the key of hashes")]

mod hand_over;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::admin::{self, Api};
use crate::answer::publish::Readers;
use crate::answer::respond::Amplification;
use crate::config::{self, Config, Public};
use crate::control::chain;
use crate::control::clock::Clock;
use crate::control::event::{Author, Loaded};
use crate::control::reason::many;
use crate::control::run::{self, Control, Parts, Recheck, Running, Senses};
use crate::control::state::State;
use crate::control::store::Store;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::evidence::{self, Listener};
use crate::process::passed::{Given, Passed};
use crate::process::upgrade::Order;
use crate::process::upgrade::successor::Successor;
use crate::process::watch::Watch;
use crate::process::{notify, privileges, stand};
use crate::serve::cookies::{self, Cookies};
use crate::serve::descriptors::{beside, for_probes};
use crate::serve::resolvers::Resolvers;
use crate::serve::{self, Answering, Counters, Drained, Identity, Serving, Settings};
use crate::tap::Tap;

/// Why the daemon could not start, or failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The running daemon.
#[derive(Debug)]
pub struct Daemon {
    config: Config,
    clock: Clock,
    /// The sockets and all that answers at them; `None` while another process may take over.
    serving: Option<Serving>,
    addresses: Vec<SocketAddr>,
    listener: Option<Listener>,
    api: Api,
    running: Running,
    control: Control,
    readers: Readers,
    counters: Arc<Counters>,
    cookies: Option<Arc<Cookies>>,
    identity: Option<Arc<Identity>>,
    public: Arc<evidence::Counters>,
    signals: Signals,
    watch: Watch,
    upgrades: mpsc::Receiver<Order>,
    /// The sockets once more while another process may take over, to answer at them again if it does not.
    spare: Vec<Given>,
    /// Whether another process answers and decides.
    handed_over: bool,
    /// The signal that came while another process was about to take over.
    told_to_stop: Option<&'static str>,
}

/// What the process is told by signals, from the moment that this is made.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn watch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// What a daemon is started from, beside the configuration.
#[derive(Debug)]
pub struct Start {
    /// How it runs; [`check_files`] finds nothing wrong with the files that it names.
    pub config: Config,
    /// The file that the configuration came from: a reload looks at it again.
    pub config_path: Option<PathBuf>,
    /// Zones and policy.
    pub loaded: Loaded,
    /// Routes served on the admin socket beside the API.
    pub routes: Router,
    /// Ask this daemon itself for the addresses of probed names, instead of a resolver.
    pub resolve_here: bool,
    /// Sockets that the process was given.
    pub passed: Passed,
    /// The process that is to be taken over from.
    pub successor: Option<Successor>,
}

impl Daemon {
    /// Starts everything; when it returns, queries are answered.
    ///
    /// # Errors
    /// Names the file, address or socket, and what was tried.
    pub async fn start(start: Start) -> Result<Self, Failure> {
        let Start { config, config_path, loaded, routes, resolve_here, passed, successor } = start;
        let passed = Arc::new(passed);
        // Before anybody is told that the daemon runs: a signal that comes first would end it without a drain.
        let signals = Signals::watch()?;
        let clock = Clock::start();
        let store = match &successor {
            Some(successor) => {
                successor.await_store()?;
                Store::open_lent(&config.state)?
            }
            None => Store::open(&config.state)?,
        };
        let store = Arc::new(store);
        // After the store, which makes the state folder.
        let cookies = Cookies::open(&config.edns, &config.state)?;
        let persisted = store.read()?;
        tell_head(&store);
        let (state, effects) = State::new(loaded, persisted, clock.now());
        let (publisher, probes) = run::first(effects, &store)?;
        let readers = publisher.readers();
        let glance = clock.clone();
        let watched = Resolvers::new(config.statistics.resolvers, rand::random(), Box::new(move || glance.glance()));
        let counters = Arc::new(Counters::with(watched, Tap::open(&config)?));
        let runtime = tokio::runtime::Handle::current();
        let identity = match &config.tls {
            Some(files) if config.listen.is_encrypted() => Some(Identity::load(files).map_err(std::io::Error::from)?),
            _ => None,
        };
        let answering = Answering::of(&config, cookies.clone());
        let settings = Settings::of(&config, passed.clone(), identity.as_ref());
        let serving = serve::start(settings, answering, readers.clone(), counters.clone(), runtime)?;
        for address in serving.addresses() {
            tracing::info!(event = "listen", %address, "answering on {address} over UDP and TCP");
        }
        for (via, address) in serving.encrypted() {
            let transport = via.word();
            tracing::info!(event = "listen", %address, transport, "answering on {address} over {}", via.name());
        }
        let resolvers = match resolve_here {
            true => serving.addresses().to_vec(),
            false => config.health.resolvers.clone(),
        };
        let public = Arc::new(evidence::Counters::default());
        let listener = listen_publicly(&config, &passed, readers.clone(), &clock, &public)?;
        let public_connections = if config.public.listen.is_empty() { 0 } else { config.public.connections };
        let descriptors = for_probes(stream_connections(&config), public_connections);
        let senses = Senses::start(&resolvers, descriptors, probes, &clock)?;
        if let Some(successor) = &successor {
            // From here on nobody else answers, and nobody else will decide again.
            successor.answer()?;
            stand(|standing| standing.took_over = true);
        }
        // What a process before kept, to go on as it was, is of no use any more.
        if let Err(error) = store.forget() {
            tracing::warn!(event = "store", "{error}");
        }
        let (orders, upgrades) = mpsc::channel(1);
        let routes = routes.merge(admin::drill::addresses(serving.addresses())).merge(admin::upgrade::router(orders));
        let (zones, keep) = (config.zones.clone(), config.audit.keep);
        let (kept, certificate) = (cookies.clone(), identity.clone());
        let recheck = Recheck::by(move |path| recheck(path, kept.as_ref(), certificate.as_ref()));
        let parts = Parts { state, store, publisher, clock: clock.clone(), zones, recheck, config: config_path, keep };
        let (control, running) = run::start(parts, senses)?;
        if let Some(successor) = &successor {
            let (pid, version, before) = (std::process::id(), env!("CARGO_PKG_VERSION"), successor.before);
            let sentence = format!("process {pid} (version {version}) has taken over from process {before}");
            hand_over::keep(&control, sentence, Author::daemon()).await;
        }
        let shown = (counters.clone(), public.clone());
        let api = admin::start(&config.admin.socket, &passed, control.clone(), shown.0, shown.1, routes).await?;
        let socket = config.admin.socket.display();
        tracing::info!(event = "listen", %socket, "admin API on {socket}");
        passed.settle()?;
        privileges::settle();
        let watch = Watch::start(serving.turns(), control.clone());
        let addresses = serving.addresses().to_vec();
        Ok(Self {
            config,
            clock,
            serving: Some(serving),
            addresses,
            listener,
            api,
            running,
            control,
            readers,
            counters,
            cookies,
            identity,
            public,
            signals,
            watch,
            upgrades,
            spare: Vec::new(),
            handed_over: false,
            told_to_stop: None,
        })
    }

    /// The addresses that are answered on, port 0 resolved.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The way to the one writer.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// What is answered from.
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Runs until SIGTERM or SIGINT, until `until` completes, or until another process has taken over; SIGHUP reloads.
    ///
    /// # Errors
    /// When the control loop has ended.
    pub async fn run(&mut self, until: impl Future<Output = ()>) -> Result<(), Failure> {
        let mut look = tokio::time::interval(Duration::from_secs(1));
        tokio::pin!(until);
        loop {
            let Signals { terminate, interrupt, hang_up } = &mut self.signals;
            let told = tokio::select! {
                () = &mut until => return Ok(()),
                _ = terminate.recv() => Told::Stop("SIGTERM"),
                _ = interrupt.recv() => Told::Stop("SIGINT"),
                _ = hang_up.recv() => Told::Reload,
                Some(order) = self.upgrades.recv() => Told::Upgrade(order),
                _ = look.tick() => Told::Look,
            };
            match told {
                Told::Stop(signal) => {
                    tracing::info!(event = "stop", "{signal}: draining");
                    return Ok(());
                }
                Told::Reload => {
                    let author = Author { name: "SIGHUP".into(), origin: "signal".into() };
                    notify::reloading("reading zones and policy anew");
                    tokio::spawn(reload(self.control.clone(), author));
                }
                Told::Upgrade(order) => {
                    self.upgrade(order).await;
                    if self.handed_over || self.told_to_stop.is_some() {
                        return Ok(());
                    }
                }
                Told::Look if self.running.has_ended() => {
                    return Err("the control loop has ended; answers stay as they are, but nothing decides".into());
                }
                Told::Look => {}
            }
        }
    }

    /// Stops taking queries and commands, finishes those in flight, and ends.
    pub async fn stop(self) {
        let Self { config, serving, listener, api, running, control, watch, counters, handed_over, .. } = self;
        let drain = config.limits.drain;
        if !handed_over {
            notify::stopping("draining: what has come in is answered");
        }
        drop(watch);
        let public = async {
            if let Some(listener) = listener {
                listener.stop(drain).await;
            }
        };
        let drained = async {
            match serving {
                Some(serving) => Some(serving.drain(drain).await),
                None => None,
            }
        };
        let (_, (), drained) = tokio::join!(api.stop(drain), public, drained);
        if let Some(drained) = drained {
            tell_drained(&drained);
        }
        running.stop().await;
        if let Some(tap) = counters.tap() {
            tap.close();
        }
        if !handed_over {
            tell_head(control.store());
        }
        tracing::info!(event = "stop", "stopped");
    }
}

/// What the daemon is told while it runs.
enum Told {
    /// To end, by this signal.
    Stop(&'static str),
    Reload,
    Upgrade(Order),
    /// A second is over.
    Look,
}

fn tell_drained(drained: &Drained) {
    if drained.is_complete() {
        tracing::info!(event = "stop", "{drained}");
    } else {
        tracing::warn!(event = "stop", "{drained}");
    }
}

/// Reads zones and policy anew, and tells the service manager when that is over and what came of it.
async fn reload(control: Control, author: Author) {
    match control.reload(author).await {
        Ok(_) => notify::ready("answering; zones and policy are those of the last reload"),
        Err(_) => notify::ready("answering; the last reload was refused, the answers of before stay"),
    }
}

/// Says how far the audit trail has come, in a place that whoever can write the store need not be able to write.
fn tell_head(store: &Store) {
    match store.head() {
        Ok((records, head)) => {
            let reaches = match records {
                0 => "is empty".into(),
                _ => format!("reaches record {}", chain::thousands(records)),
            };
            tracing::info!(event = "audit", records, %head, "the audit trail {reaches}, head {head}");
        }
        Err(error) => tracing::warn!(event = "audit", "{error}"),
    }
}

/// Connections over which queries may come at once, each with a descriptor.
fn stream_connections(config: &Config) -> u32 {
    let https = if config.listen.https.is_empty() { 0 } else { config.limits.https_connections };
    config.limits.tcp_connections.saturating_add(https)
}

/// Starts the public listener, if it has an address.
fn listen_publicly(
    config: &Config,
    passed: &Passed,
    readers: Readers,
    clock: &Clock,
    counters: &Arc<evidence::Counters>,
) -> std::io::Result<Option<Listener>> {
    if config.public.listen.is_empty() {
        return Ok(None);
    }
    let connections = beside(stream_connections(config), "public", config.public.connections);
    let public = Public { connections, ..config.public.clone() };
    let clock = clock.clone();
    let listener = Listener::start(&public, &config.state, passed, readers, counters.clone(), move || clock.now())?;
    for address in listener.addresses() {
        tracing::info!(event = "listen", %address, "public HTTP on {address}");
    }
    Ok(Some(listener))
}

/// Reads and checks a configuration file.
///
/// # Errors
/// Every problem of the file.
pub fn read_config(path: &Path) -> (Option<Config>, Vec<Diagnostic>) {
    match std::fs::read(path) {
        Ok(text) => config::read(&Source::new(path, text)),
        Err(error) => {
            let sentence = format!("cannot read the configuration {}: {error}", path.display());
            (None, vec![Diagnostic::without_place(sentence)])
        }
    }
}

/// The zones folder of a configuration that was refused, when there is one to look into.
pub fn zones_of_refused(path: &Path) -> Option<PathBuf> {
    let text = std::fs::read(path).ok()?;
    config::zones(&Source::new(path, text)).filter(|folder| folder.is_dir())
}

/// What is wrong with the files that a configuration names, beside zones and policy: with an error the next start fails. The
/// kind is that of the failure to read one, which may be this account's alone.
pub fn check_files(config: &Config) -> Vec<(Option<ErrorKind>, Diagnostic)> {
    let errors = [check_public_key(config), check_certificate(config), check_cookies(config)];
    let errors = errors.into_iter().flatten().map(|(kind, problem)| (Some(kind), problem));
    let mode = cookies::check_mode(&config.edns).map(|sentence| {
        let problem = Diagnostic::without_place(sentence).hint("chmod 600 it, or 640 for a group that shares it");
        (None, Diagnostic { severity: Severity::Warning, ..problem })
    });
    errors.chain(mode).collect()
}

/// What the limits of the configuration do to what zones and policy say.
pub fn check_limits(config: &Config, loaded: &Loaded) -> Option<Diagnostic> {
    let most = config.limits.amplification;
    let mut amplified = loaded.content.amplified(Amplification::times(most));
    let (name, query, response) = amplified.next()?;
    let place = loaded.policy.hubs.get(name)?.place.clone();
    let others = match amplified.count() {
        0 => String::new(),
        others => format!("; so it is with {}", many(others, "other hub")),
    };
    let sentence = format!(
        "hub {name} has an answer of {response} octets, more than {most} times the {query} of a query: whoever asks over UDP \
         without a cookie may be told to ask over TCP{others}"
    );
    let hint = "some clients never come back over TCP: name fewer addresses or shorter records, or raise \
                `limits.amplification`";
    Some(Diagnostic::warning(place, sentence).hint(hint))
}

/// The key that the public listener is to sign with.
fn check_public_key(config: &Config) -> Option<(ErrorKind, Diagnostic)> {
    if config.public.listen.is_empty() {
        return None;
    }
    let error = evidence::check_key(&config.state).err()?;
    let sentence = error.to_string();
    let problem = match sentence.split_once("; ") {
        Some((sentence, hint)) => Diagnostic::without_place(sentence).hint(hint),
        None => Diagnostic::without_place(sentence).hint("let the account that runs the daemon read it"),
    };
    Some((error.kind(), problem))
}

/// The certificate that the encrypted listeners need.
fn check_certificate(config: &Config) -> Option<(ErrorKind, Diagnostic)> {
    let files = config.tls.as_ref()?;
    let unusable = serve::check(files).err()?;
    Some((unusable.kind, *unusable.problem))
}

/// The secrets of cookies.
fn check_cookies(config: &Config) -> Option<(ErrorKind, Diagnostic)> {
    let error = cookies::check(&config.edns)?;
    let problem = Diagnostic::without_place(error.to_string());
    Some((error.kind(), problem.hint("a file with 32 hexadecimal digits a line, that the daemon's account may read")))
}

/// What was looked at beside zones and policy: what is done with it where nothing is refused, or the problems of the
/// configuration file and of the files that it needs. What the configuration says takes effect at the next start, which must
/// not fail then; secrets of cookies and the certificate that are in use are read anew.
fn recheck(
    path: &Path,
    cookies: Option<&Arc<Cookies>>,
    identity: Option<&Arc<Identity>>,
) -> Result<run::Then, Vec<String>> {
    let (config, diagnostics) = read_config(path);
    // Whatever becomes of the reload, `status` says of the certificate in use what is wrong with its files.
    let certificate = identity.map(|identity| (identity.clone(), identity.look()));
    let secrets = cookies.map(|cookies| (cookies.clone(), cookies.look()));
    let mut problems: Vec<String> = match &config {
        Some(config) => {
            let files = check_files(config).into_iter().map(|(_, problem)| problem);
            files.filter(|problem| problem.severity == Severity::Error).map(|problem| problem.to_string()).collect()
        }
        None => diagnostics.iter().map(ToString::to_string).collect(),
    };
    let mut then: Vec<run::Then> = Vec::new();
    // Files that are to be used from the next start on come first: mostly they are the same.
    let of_next_start = !problems.is_empty();
    match certificate {
        Some((identity, Ok(reading))) => then.push(Box::new(move || identity.replace(reading))),
        Some((_, Err(unusable))) if !of_next_start => problems.push(unusable.problem.to_string()),
        _ => {}
    }
    match secrets {
        Some((cookies, Ok(secrets))) => then.push(Box::new(move || cookies.replace(secrets))),
        Some((_, Err(error))) if !of_next_start => problems.push(error.to_string()),
        _ => {}
    }
    match problems.is_empty() {
        true => Ok(Box::new(move || then.into_iter().for_each(|then| then()))),
        false => Err(problems),
    }
}
