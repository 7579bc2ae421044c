//! The servers that are measured: how each is configured, started, reloaded and stopped.
//!
//! All answer the same zone with one worker for each transport, from loopback, without a rate limit and with their own
//! defaults in everything else, socket buffers among it.

mod concierge;
mod echo;
mod gdnsd;
mod knot;
mod nsd;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cpu::{self, Cores, Machine, Memory};
use crate::message::check;
use crate::probed::Probed;
use crate::workload::{Pool, Zone};

pub(crate) use concierge::{Concierge, SWITCHING_ADDRESSES, SWITCHING_REGIONS};
pub(crate) use echo::Echo;
pub(crate) use gdnsd::Gdnsd;
pub(crate) use knot::Knot;
pub(crate) use nsd::Nsd;

/// Longest time until a server answers for a million names, under valgrind too.
const START_DEADLINE: Duration = Duration::from_secs(600);
/// Longest time from SIGTERM to the end; afterwards it is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// A kind of server.
pub(crate) trait Server: Sync {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// Writes configuration and zone into the site's folder and says how the server is started in the foreground.
    fn prepare(&self, site: &Site) -> Result<Command>;

    /// Writes the zone file anew.
    fn write_zone(&self, site: &Site, zone: Zone) -> Result<()>;

    /// Makes the server read the zone file; may return before it has.
    fn reload(&self, running: &Running) -> Result<()>;
}

/// The server of this name.
pub(crate) fn named(name: &str) -> Result<&'static dyn Server> {
    Ok(match name {
        "echo" => &Echo,
        "concierge" => &Concierge,
        "gdnsd" => &Gdnsd,
        "knot" => &Knot,
        "nsd" => &Nsd,
        _ => bail!("no server `{name}`, expected echo, concierge, gdnsd, knot or nsd"),
    })
}

/// Ends everything that this process has started, and waits until it has ended or the patience has.
pub(crate) fn end_all() {
    let started: Vec<u32> = cpu::family(std::process::id()).into_iter().skip(1).collect();
    for pid in started.iter().filter_map(|&process| Pid::from_raw(process.try_into().ok()?)) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while started.iter().any(|&process| !has_ended(process)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process is gone, or only waits for its parent to hear of it.
fn has_ended(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat"))
        .map_or(true, |stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// A folder of its own.
    pub(crate) folder: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it answers.
    pub(crate) zone: Zone,
    /// Hubs with three regions beside the zone; concierge only.
    pub(crate) switching: u32,
    /// The database of countries that hubs beside the zone go by; concierge, gdnsd and Knot only.
    pub(crate) countries: Option<PathBuf>,
    /// What is probed beside; concierge and gdnsd only.
    pub(crate) probed: Option<Probed>,
    /// TCP connections that it takes at once.
    pub(crate) tcp_connections: u32,
    /// Where it listens for TLS; concierge only, with `tls.pem` and `tls.key` in its folder.
    pub(crate) tls: Option<SocketAddr>,
    /// Whether it runs under valgrind, which writes what it counted when the server ends.
    pub(crate) counted: bool,
    /// The program that was built.
    pub(crate) concierge: PathBuf,
}

/// Where things are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The folder for everything that is written.
    pub(crate) scratch: PathBuf,
    /// The concierge's program.
    pub(crate) concierge: PathBuf,
    /// The first port that is tried.
    pub(crate) first_port: u16,
}

impl Places {
    /// A site for this server, with a free port.
    pub(crate) fn site(&self, server: &dyn Server, zone: Zone) -> Result<Site> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let Some(port) = self.first_port.checked_add(number) else { bail!("no free port is left") };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if UdpSocket::bind(address).is_err() || TcpListener::bind(address).is_err() {
                continue;
            }
            let folder = self.scratch.join(format!("{}-{number}", server.name()));
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let concierge = self.concierge.clone();
            return Ok(Site {
                folder,
                address,
                zone,
                switching: 0,
                countries: None,
                probed: None,
                tcp_connections: 1000,
                tls: None,
                counted: false,
                concierge,
            });
        }
    }
}

/// A server that runs, and is ended when this is dropped.
pub(crate) struct Running {
    /// What it is.
    pub(crate) server: &'static dyn Server,
    /// What it was started with.
    pub(crate) site: Site,
    child: Child,
    started: Instant,
}

impl Running {
    /// Starts a server on these cores and waits until it answers for the last name of its zone.
    pub(crate) fn start(server: &'static dyn Server, site: Site, machine: &Machine, cores: Cores) -> Result<Self> {
        let running = Self::launch(server, site, machine, cores, &[])?;
        running.wait(Duration::from_millis(5))?;
        Ok(running)
    }

    /// Starts a server through `wrapper`, a program with its arguments, and does not wait.
    ///
    /// To be called by the main thread: the server is told to end when the thread that started it does.
    pub(crate) fn launch(
        server: &'static dyn Server,
        site: Site,
        machine: &Machine,
        cores: Cores,
        wrapper: &[String],
    ) -> Result<Self> {
        let command = server.prepare(&site)?;
        let log = File::create(site.folder.join("log")).context("cannot make the log")?;
        let mut whole = Command::new("setpriv");
        whole.args(["--pdeathsig", "TERM", "--"]).args(wrapper).arg(command.get_program()).args(command.get_args());
        whole.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).current_dir(&site.folder);
        machine.run_on(cores)?;
        let started = Instant::now();
        let child = whole.spawn();
        machine.run_on(Cores::All)?;
        let child = child.with_context(|| format!("cannot start {}", server.name()))?;
        Ok(Self { server, site, child, started })
    }

    /// Waits for the first right answer for the zone's last name, asking every `pause`; returns the time since the
    /// launch.
    pub(crate) fn wait(&self, pause: Duration) -> Result<Duration> {
        let pool = self.questions(&Arc::new(self.site.zone.last()));
        let (query, item) = pool.item(0);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(self.site.address)?;
        socket.set_read_timeout(Some(pause))?;
        let mut answer = [0; 1232];
        loop {
            // Refused as long as nobody listens.
            let sent = socket.send(query);
            match sent.and_then(|_| socket.recv(&mut answer)) {
                Ok(length) if check(query, usize::from(item.question), &item.expected, &answer[..length]).is_ok() => {
                    return Ok(self.started.elapsed());
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => std::thread::sleep(pause),
            }
            if self.has_ended() || self.started.elapsed() > START_DEADLINE {
                bail!("{} does not answer:\n{}", self.server.name(), self.log());
            }
        }
    }

    /// The queries as this server answers them.
    pub(crate) fn questions(&self, pool: &Arc<Pool>) -> Arc<Pool> {
        if self.server.name() == "echo" { Arc::new(pool.echoed()) } else { Arc::clone(pool) }
    }

    /// The processes that it consists of.
    pub(crate) fn processes(&self) -> Vec<u32> {
        cpu::family(self.child.id())
    }

    /// What it has in memory.
    pub(crate) fn memory(&self) -> Memory {
        cpu::memory(&self.processes())
    }

    /// Sends a signal to its first process.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal).with_context(|| format!("cannot signal {}", self.server.name()))
    }

    fn pid(&self) -> Result<Pid> {
        Pid::from_raw(self.child.id().try_into()?).context("no process id")
    }

    fn has_ended(&self) -> bool {
        // Until it is waited for, which only `stop` does.
        has_ended(self.child.id())
    }

    /// The end of what it has said.
    pub(crate) fn log(&self) -> String {
        let read = |file| fs::read_to_string(self.site.folder.join(file)).ok();
        let whole: String = ["log", "nsd.log"].into_iter().filter_map(read).collect();
        let lines: Vec<&str> = whole.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Ends it, and waits until all of its processes are gone.
    pub(crate) fn stop(&mut self) {
        let family = self.processes();
        drop(self.signal(Signal::TERM));
        let started = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if started.elapsed() > STOP_DEADLINE {
                drop(self.child.kill());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        for process in family.into_iter().skip(1) {
            let gone = || !Path::new(&format!("/proc/{process}")).exists();
            let started = Instant::now();
            while !gone() && started.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(2));
            }
            if !gone()
                && let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw)
            {
                let _ = kill_process(process, Signal::KILL);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() || matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
        drop(fs::remove_dir_all(&self.site.folder));
    }
}
