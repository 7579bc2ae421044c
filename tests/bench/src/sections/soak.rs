//! Half an hour of everything at once, at half of the peak rate. concierge only.
//!
//! ```text
//! queries       | at half of what a closed loop reached, every answer checked
//! every 5 s     | a new serial and a reload; the active region of some hubs marked down, and unmarked
//! every 30 s    | a new certificate, and a query over TLS that it has to be taken for
//! all the while | malformed datagrams, and connections over TCP and TLS that send what is none of theirs
//! memory        | every second: it must not grow
//! ```

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::admin::Admin;
use crate::bench::{Bench, SMALL};
use crate::generator::{Between, Closed, Open, Outcome};
use crate::message::{Additional, Ask, Expected};
use crate::servers::{Concierge, Running, SWITCHING_ADDRESSES, SWITCHING_REGIONS, Server};
use crate::table::{Cell, Table};
use crate::workload::{HUB_TTL, Pool, Zone};

/// Hubs whose region changes.
const HUBS: u32 = 100;
/// Time between two reloads, and between two switches.
const TURN: Duration = Duration::from_secs(5);
/// Turns between two certificates.
const CERTIFICATE: u64 = 6;
/// Queries by which the peak is found.
const PEAK: u64 = 500_000;
/// Malformed datagrams a second.
const MALFORMED: u32 = 2_000;
/// Growth from the second quarter of the time to the last that is no noise.
const GROWTH: f64 = 1.05;

/// What was done to it.
#[derive(Default)]
struct Done {
    reloads: u64,
    switches: u64,
    certificates: u64,
    over_tls: u64,
    /// Messages that are no queries.
    malformed: u64,
    dropped: Dropped,
    /// RSS in octets, once a second.
    memory: Vec<u64>,
}

/// Runs, and adds a table.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let duration = Duration::from_secs(bench.seconds.unwrap_or(if bench.quick { 60 } else { 1800 }));
    let mut site = bench.places.site(&Concierge, SMALL)?;
    site.switching = HUBS;
    site.tls = Some(bench.places.site(&Concierge, SMALL)?.address);
    certify(&site.folder)?;
    let running = Running::start(&Concierge, site, &bench.machine, bench.machine.server)?;
    let pool = pool();
    bench.machine.run_on(bench.machine.generator)?;
    let peak = Closed::connect(running.site.address, bench.window)?.run(&pool, PEAK)?;
    bench.machine.run_on(crate::cpu::Cores::All)?;
    let rate = (peak.answered() as f64 / peak.elapsed.as_secs_f64() / 2.0) as u32;
    bench.say(&format!("{rate} queries/s, half of the peak, for {} s", duration.as_secs()));
    let (stop, malformed) = (AtomicBool::new(false), AtomicU64::new(0));
    let before = Dropped::now()?;
    let machine = bench.machine;
    let (outcome, mut done) = thread::scope(|scope| {
        let load = scope.spawn(|| {
            machine.run_on(machine.generator)?;
            let server = running.site.address;
            let open = Open { server, pool: &pool, rate, between: Between::Sleep, epoch: Instant::now() };
            open.run(|_| stop.load(Ordering::Acquire), |_| {})
        });
        let noise = scope.spawn(|| disturb(&running, &stop, &malformed));
        let done = upset(&running, duration);
        stop.store(true, Ordering::Release);
        let outcome = load.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        noise.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<_, anyhow::Error>((outcome, done?))
    })?;
    done.dropped = Dropped::now()?.since(before);
    done.malformed = malformed.load(Ordering::Relaxed);
    report(bench, &running, &peak, rate, &outcome, &done)
}

/// Datagrams that the kernel dropped, of everyone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Dropped {
    /// At sockets whose receive buffer was full.
    sockets: u64,
    /// On their way to a socket, because a core had too many of them to look at.
    backlog: u64,
}

impl Dropped {
    /// Since the machine started.
    fn now() -> Result<Self> {
        let udp = fs::read_to_string("/proc/net/snmp")?;
        let backlog = fs::read_to_string("/proc/net/softnet_stat")?;
        Self::of(&udp, &backlog).context("what the kernel counts in /proc/net is not understood")
    }

    /// Reads `/proc/net/snmp` and `/proc/net/softnet_stat`.
    fn of(udp: &str, backlog: &str) -> Option<Self> {
        let mut lines = udp.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let (names, values) = (lines.next()?, lines.next()?);
        let (_, sockets) = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "RcvbufErrors")?;
        // A line for each core, hexadecimal; the second field is of those that were dropped.
        let cores = backlog.lines().map(|line| u64::from_str_radix(line.split(' ').nth(1)?, 16).ok());
        Some(Self { sockets: sockets.parse().ok()?, backlog: cores.sum::<Option<u64>>()? })
    }

    fn since(self, before: Self) -> Self {
        Self { sockets: self.sockets - before.sockets, backlog: self.backlog - before.backlog }
    }
}

/// A mix, and hubs that move meanwhile.
fn pool() -> Pool {
    let mut pool = Pool::mix(SMALL.names, true);
    let mut random = fastrand::Rng::with_seed(4);
    let expected = Expected::Either { addresses: [SWITCHING_ADDRESSES[0], SWITCHING_ADDRESSES[1]], ttl: HUB_TTL };
    for _ in 0..1 << 15 {
        pool.push(&[&format!("s{:05}", random.u32(..HUBS))], Ask::A, Additional::Nothing, expected);
    }
    pool
}

/// A new certificate and its key, each exchanged by a rename.
fn certify(folder: &std::path::Path) -> Result<()> {
    let name = |file: &str| folder.join(file);
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=ns.bench.example", "-keyout"])
        .arg(name("new.key"))
        .arg("-out")
        .arg(name("new.pem"))
        .output()
        .context("openssl")?;
    if !made.status.success() {
        bail!("openssl: {}", String::from_utf8_lossy(&made.stderr));
    }
    fs::rename(name("new.key"), name("tls.key"))?;
    fs::rename(name("new.pem"), name("tls.pem"))?;
    Ok(())
}

/// Reloads, switches and new certificates until the time is over, and what that does to the memory.
fn upset(running: &Running, duration: Duration) -> Result<Done> {
    let (admin, mut done, start) = (Admin::of(running), Done::default(), Instant::now());
    let (mut active, mut turn, mut next) = (0, 0, Duration::ZERO);
    while start.elapsed() < duration {
        if start.elapsed() >= next {
            next += TURN;
            turn += 1;
            Concierge.write_zone(&running.site, Zone { serial: 1 + turn as u32, ..SMALL })?;
            running.signal(Signal::HUP)?;
            done.reloads += 1;
            admin.mark_down(SWITCHING_REGIONS[active])?;
            admin.unmark(SWITCHING_REGIONS[active])?;
            active = 1 - active;
            done.switches += 1;
            if turn % CERTIFICATE == 0 {
                certify(&running.site.folder)?;
                done.certificates += 1;
            }
            ask_over_tls(running)?;
            done.over_tls += 1;
        }
        done.memory.push(running.memory().rss);
        thread::sleep(Duration::from_secs(1));
    }
    Ok(done)
}

/// Asks over TLS, whichever certificate is in use.
fn ask_over_tls(running: &Running) -> Result<()> {
    let tls = running.site.tls.context("no TLS")?;
    let asked = Command::new("kdig")
        .args([&format!("@{}", tls.ip()), "-p", &tls.port().to_string(), "+tls", "+retry=0", "+time=10"])
        .args(["bench.example.", "SOA"])
        .output()
        .context("kdig")?;
    let said = String::from_utf8_lossy(&asked.stdout);
    if !said.contains("NOERROR") {
        bail!("no answer over TLS: {said}");
    }
    Ok(())
}

/// Sends what is no query until told to stop.
fn disturb(running: &Running, stop: &AtomicBool, sent: &AtomicU64) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(5);
    let pool = Pool::mix(SMALL.names, true);
    let server = running.site.address;
    let socket = UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let mut taken = [0; 4096];
    let mut count = 0_u64;
    let start = Instant::now();
    while !stop.load(Ordering::Acquire) {
        let mut message = pool.item(random.usize(..pool.len())).0.to_vec();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..message.len());
            message[at] = random.u8(..);
        }
        message.truncate(random.usize(..=message.len()));
        // Refused and full buffers are no matter here.
        let _ = socket.send_to(&message, server);
        while socket.recv(&mut taken).is_ok() {}
        if count.is_multiple_of(200) {
            for server in [Some(server), running.site.tls].into_iter().flatten() {
                waste(server, &message);
            }
        }
        count += 1;
        sent.store(count, Ordering::Relaxed);
        let due = Duration::from_secs_f64(count as f64 / f64::from(MALFORMED));
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    Ok(())
}

/// A connection that begins with what is malformed, and is left.
fn waste(server: SocketAddr, message: &[u8]) {
    let Ok(mut stream) = TcpStream::connect_timeout(&server, Duration::from_secs(1)) else { return };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
    let _ = stream.write_all(message);
    let _ = stream.read(&mut [0; 64]);
}

fn report(
    bench: &mut Bench,
    running: &Running,
    peak: &Outcome,
    rate: u32,
    outcome: &Outcome,
    done: &Done,
) -> Result<()> {
    let memory = &done.memory;
    let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len().max(1) as f64 / 1e6;
    let quarter = memory.len() / 4;
    let (second, last) = (mean(&memory[quarter..2 * quarter]), mean(&memory[3 * quarter..]));
    let columns = [
        "minutes",
        "peak q/s",
        "q/s",
        "queries",
        "lost",
        "wrong",
        "reloads",
        "switches",
        "certificates",
        "malformed",
        "RSS MB 2nd quarter",
        "last",
        "most",
    ];
    let mut table = Table::new("soak: everything at once", &columns);
    table.row(vec![
        Cell::Number(outcome.elapsed.as_secs_f64() / 60.0, 1),
        Cell::Number(peak.answered() as f64 / peak.elapsed.as_secs_f64(), 0),
        u64::from(rate).into(),
        outcome.sent.into(),
        outcome.lost.into(),
        outcome.wrong.into(),
        done.reloads.into(),
        done.switches.into(),
        done.certificates.into(),
        done.malformed.into(),
        Cell::Number(second, 1),
        Cell::Number(last, 1),
        Cell::Number(memory.iter().copied().max().unwrap_or_default() as f64 / 1e6, 1),
    ]);
    table.note(format!("asked over TLS {} times, each answered; RSS: means over quarters of the time", done.over_tls));
    let metrics = Admin::of(running).metrics()?;
    let sum = |family: &str| -> f64 {
        let family = format!("concierge_{family}");
        let samples =
            metrics.lines().filter(|line| line.strip_prefix(&*family).is_some_and(|rest| rest.starts_with(['{', ' '])));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    table.note(format!(
        "dropped by the kernel: {} for full receive buffers, {} of them the server's, and {} in the queues of its cores; \
         answers that the server could not send: {}",
        done.dropped.sockets,
        sum("udp_dropped_total"),
        done.dropped.backlog,
        sum("unsent_total"),
    ));
    bench.publish(table);
    bench.judge(&Concierge, "soak", outcome);
    if last > second * GROWTH {
        bench.fail(&Concierge, format!("soak: memory has grown from {second:.1} to {last:.1} MB"));
    }
    for counter in ["worker_restarts_total", "refused_publications_total", "commit_failures_total"] {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("concierge_{counter} ")));
        if line.context("no such metric")?.parse::<f64>()? != 0.0 {
            bench.fail(&Concierge, format!("soak: {counter} is {}", line.unwrap_or_default()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_dropped_is_read_by_name_and_in_all_cores() {
        let udp = "Tcp: A\nTcp: 1\nUdp: InDatagrams InErrors RcvbufErrors MemErrors\nUdp: 9 8 7 6\nUdpLite: A\n";
        let cores = "0a 00000003 1\n0b 00000010 1\n";
        assert_eq!(Dropped::of(udp, cores), Some(Dropped { sockets: 7, backlog: 19 }));
        assert_eq!(Dropped::of("Udp: InDatagrams\nUdp: 1\n", cores), None);
        assert_eq!(Dropped::of(udp, "0a\n"), None);
    }
}
