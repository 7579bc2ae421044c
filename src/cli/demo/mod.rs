//! `concierge demo`: the daemon with two regions on this machine, and a failover to look at.
//!
//! The daemon is the one that `serve` runs; only the regions are played. They listen where the policy's probes dial, on
//! loopback addresses, and fail when told to: by a key, by `concierge demo fail REGION` from another terminal, or by the
//! story that `--auto` plays.

pub(super) mod device;
mod keys;
mod regions;
mod story;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use clap::{Args, Subcommand};
use hickory_proto::rr::RecordType;
use hyper::Method;
use serde_json::{Value, json};

use self::device::Way;
use self::regions::{Regions, Speaks};
use super::client::{Client, escape};
use super::print::{line, say};
use super::{Common, Failed, serve};
use crate::config::Config;
use crate::control::run::Control;
use crate::daemon::{Daemon, Start};
use crate::dns::Name;
use crate::policy::{Policy, ProbeKind, RegionName, Target};
use crate::process::passed::Passed;

/// The zones folder of the project, for a machine that has only the program.
const EMBEDDED: [(&str, &str); 2] = [
    ("example.net.zone", include_str!("../../../zones/example.net.zone")),
    ("example.net.toml", include_str!("../../../zones/example.net.toml")),
];

/// Run a daemon with two regions on this machine, and fail one of them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
From another terminal, with the socket that the demo names:
           concierge demo fail westeurope       close what the region listens on
           concierge demo restore westeurope    listen again
           concierge status, mark, failover ... as with any daemon")]
pub(super) struct Demo {
    /// Play the whole story without a person, check every answer, and exit 0 only if each was right
    #[arg(long)]
    auto: bool,
    /// Zones and policy [default: the folder zones, or a copy that the program carries]
    #[arg(long, value_name = "FOLDER")]
    zones: Option<PathBuf>,
    /// Where queries come in; port 0 takes a free one [default: 127.0.0.1:5300, with --auto 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    #[command(subcommand)]
    order: Option<Order>,
}

/// What another terminal tells a running demo.
#[derive(Debug, Subcommand)]
enum Order {
    /// Fail a region of the running demo
    Fail {
        /// The region
        region: String,
    },
    /// Let a region of the running demo listen again
    Restore {
        /// The region
        region: String,
    },
}

/// The first hub of the policy, as the story looks at it.
#[derive(Clone, Debug)]
struct Hub {
    owner: Name,
    /// The owner name as a device writes it.
    name: String,
    /// The regions in order of preference; at least two.
    regions: Vec<RegionName>,
    /// Whose address is whose.
    addresses: BTreeMap<IpAddr, RegionName>,
    worst_detection: Duration,
}

/// Everything that the demo has on stage.
struct Stage {
    hub: Hub,
    regions: Regions,
    control: Control,
    server: SocketAddr,
    /// A name below a wildcard, where the zones are known.
    wildcard: Option<&'static str>,
}

impl Demo {
    pub(super) fn run(&self, common: &Common) -> Result<(), Failed> {
        match &self.order {
            Some(Order::Fail { region }) => order(common, region, "fail"),
            Some(Order::Restore { region }) => order(common, region, "restore"),
            None => {
                let folder = tempfile::Builder::new().prefix("concierge-demo-").tempdir()?;
                serve::runtime()?.block_on(self.show(folder.path()))
            }
        }
    }

    async fn show(&self, folder: &Path) -> Result<(), Failed> {
        let mut config = Config::default_at(&folder.join("config"));
        config.zones = self.zones(folder)?;
        let port = if self.auto { 0 } else { 5300 };
        config.listen.dns = vec![self.listen.unwrap_or_else(|| ([127, 0, 0, 1], port).into())];
        // The demo tells itself what happens, in fewer words than the log.
        config.log.filter = "error".into();
        serve::start_log(&config.log)?;
        let loaded = serve::load(&config)?;
        let policy = loaded.policy.clone();
        let socket = config.admin.socket.clone();
        let regions = Regions::default();
        let routes = Router::new().route("/demo/regions/{region}/{order}", post(ordered)).with_state(regions.clone());
        let daemon = Daemon::start(Start {
            config,
            config_path: None,
            loaded,
            routes,
            resolve_here: true,
            passed: Passed::default(),
            successor: None,
        })
        .await;
        let mut daemon = daemon.map_err(|error| {
            let taken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
            let hint = match error.downcast_ref().is_some_and(taken) {
                true => "\nhint: is another demo running? `--listen 127.0.0.1:0` takes a free port",
                false => "",
            };
            Failed::Sentence(format!("{error}{hint}"))
        })?;
        let outcome = self.play(&mut daemon, &policy, regions, &socket).await;
        daemon.stop().await;
        outcome
    }

    async fn play(&self, daemon: &mut Daemon, policy: &Policy, regions: Regions, socket: &Path) -> Result<(), Failed> {
        let server = daemon.addresses()[0];
        let hub = raise_curtain(policy, &regions, server).await.map_err(Failed::Sentence)?;
        let wildcard = self.zones.is_none().then_some("shop.sites.example.net.");
        let stage = Stage { hub, regions, control: daemon.control().clone(), server, wildcard };
        if self.auto {
            say(format_args!("concierge on {server}, over UDP and TCP; the story begins"));
            return tokio::select! {
                told = story::play(&stage) => {
                    told.map_err(|sentence| Failed::Sentence(format!("the story did not come out right: {sentence}")))
                }
                stopped = daemon.run(std::future::pending()) => {
                    stopped?;
                    Err(Failed::Sentence("stopped before the story was over".into()))
                }
            };
        }
        introduce(&stage, socket);
        let keys = keys::Keys::start(stage.regions.clone(), stage.control.clone());
        daemon.run(keys.quit()).await?;
        Ok(())
    }

    /// The zones folder: the one that was named, the project's, or the copy in the program.
    fn zones(&self, folder: &Path) -> Result<PathBuf, Failed> {
        let project = PathBuf::from("zones");
        if let Some(zones) = &self.zones {
            return Ok(zones.clone());
        }
        if project.join(EMBEDDED[1].0).is_file() {
            return Ok(project);
        }
        let zones = folder.join("zones");
        std::fs::create_dir(&zones)?;
        for (name, text) in EMBEDDED {
            write(&zones.join(name), text)?;
        }
        Ok(zones)
    }
}

#[expect(clippy::disallowed_methods, reason = "I/O shell: the demo's own folder")]
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}

/// Finds where each region has to listen, and lets all of them listen.
async fn raise_curtain(policy: &Policy, regions: &Regions, server: SocketAddr) -> Result<Hub, String> {
    let hubs = policy.hubs.values();
    let hub = hubs
        .filter(|hub| hub.endpoints.len() > 1)
        .max_by_key(|hub| matches!(hub.endpoints[0].answer, crate::policy::Answer::Cname(_)))
        .ok_or("the demo needs a hub with two endpoints")?;
    let mut whose = BTreeMap::new();
    let mut worst_detection = Duration::ZERO;
    for other in policy.hubs.values() {
        for endpoint in &other.endpoints {
            let Some(target) = &endpoint.probe else {
                if other.name == hub.name {
                    return Err(format!("{} of {} has no probe: nothing would see it fail", endpoint.region, hub.name));
                }
                continue;
            };
            let probe = &policy.probes[&target.probe];
            let (port, speaks) = match &probe.kind {
                ProbeKind::Tcp(tcp) => (tcp.port, Speaks::Tcp),
                ProbeKind::Http(http) if http.tls.is_none() => (http.port, Speaks::Http),
                _ => {
                    return Err(format!(
                        "the demo's regions speak TCP and HTTP without TLS, and probe {} is of another kind",
                        probe.name
                    ));
                }
            };
            for address in addresses(&target.target, server).await? {
                if !address.is_loopback() {
                    return Err(format!(
                        "{} of {}: the demo plays regions on loopback addresses only",
                        address, endpoint.region
                    ));
                }
                regions.add(&endpoint.region, SocketAddr::new(address, port), speaks);
                if other.name == hub.name {
                    whose.insert(address, endpoint.region.clone());
                    worst_detection = worst_detection.max(probe.worst_detection());
                }
            }
        }
    }
    regions.restore_all().map_err(|error| {
        format!("{error}\nhint: another demo plays its regions at the same addresses, one at a time")
    })?;
    Ok(Hub {
        owner: hub.name.clone(),
        name: hub.name.to_string(),
        regions: hub.endpoints.iter().map(|endpoint| endpoint.region.clone()).collect(),
        addresses: whose,
        worst_detection,
    })
}

/// The addresses of what is probed; names are in the zones that the demo serves.
async fn addresses(target: &Target, server: SocketAddr) -> Result<Vec<IpAddr>, String> {
    match target {
        Target::Addresses(addresses) => Ok(addresses.clone()),
        Target::Host(name) => {
            let mut found = Vec::new();
            for kind in [RecordType::A, RecordType::AAAA] {
                let message = device::ask_type(server, &name.to_string(), kind, Way::Udp).await?;
                found.extend(device::addresses(&message));
            }
            if found.is_empty() { Err(format!("{name} has no address in the zones of the demo")) } else { Ok(found) }
        }
    }
}

fn introduce(stage: &Stage, socket: &Path) {
    let Stage { hub, regions, server, .. } = stage;
    say(format_args!("concierge answers on {server} over UDP and TCP, and plays these regions:\n"));
    let regions = regions.list();
    for (at, (region, addresses, _)) in regions.iter().enumerate() {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        say(format_args!("  {}  {region:<14} listens on {}", at + 1, addresses.join(", ")));
    }
    let (address, port) = (server.ip(), server.port());
    say(format_args!("\nLook, from another terminal:\n"));
    say(format_args!("  dig @{address} -p {port} {} A", hub.name));
    say(format_args!("  dig @{address} -p {port} {} A +tcp", hub.name));
    if let Some(wildcard) = &stage.wildcard {
        say(format_args!("  dig @{address} -p {port} {wildcard} A        # a wildcard"));
    }
    say(format_args!("  watch -n 0.5 dig @{address} -p {port} {} A +noall +answer", hub.name));
    say(format_args!("\n  export CONCIERGE_SOCKET={}", socket.display()));
    say(format_args!("  concierge status"));
    say(format_args!("  concierge explain {}", hub.name));
    say(format_args!("  concierge demo fail {}", hub.regions[0]));
    say(format_args!("  concierge mark {} down --reason \"I said so\"", hub.regions[0]));
    say(format_args!("\nKeys: a number fails or restores that region, s shows the status, q ends.\n"));
}

/// Tells a running demo to fail or restore a region.
fn order(common: &Common, region: &str, order: &str) -> Result<(), Failed> {
    let Some(socket) = &common.socket else {
        return Err(Failed::Sentence("which demo? name its socket with --socket or CONCIERGE_SOCKET".into()));
    };
    let client = Client::new(socket.clone());
    let path = format!("/demo/regions/{}/{order}", escape(region));
    let done: Value = serve::runtime()?.block_on(client.send(Method::POST, &path, &json!({})))?;
    line(done["summary"].as_str().unwrap_or_default())
}

async fn ordered(
    State(regions): State<Regions>,
    UrlPath((region, order)): UrlPath<(String, String)>,
) -> (StatusCode, Json<Value>) {
    let region = RegionName::new(&region);
    let done = match order.as_str() {
        "fail" => regions.fail(&region).map(|()| format!("{region} has failed: nothing listens there")),
        "restore" => regions.restore(&region).map(|()| format!("{region} listens again")),
        other => Err(format!("no order `{other}`: expected fail or restore")),
    };
    match done {
        Ok(summary) => {
            say(&summary);
            (StatusCode::OK, Json(json!({ "summary": summary })))
        }
        Err(message) => (StatusCode::NOT_FOUND, Json(json!({ "error": { "code": "not-found", "message": message } }))),
    }
}

/// What the demo says of a change that a person made.
fn toggled(regions: &Regions, at: usize) -> Option<String> {
    let (region, _, listens) = regions.list().into_iter().nth(at)?;
    let done = match listens {
        true => regions.fail(&region).map(|()| format!("{region} has failed: nothing listens there")),
        false => regions.restore(&region).map(|()| format!("{region} listens again")),
    };
    Some(done.unwrap_or_else(|error| error))
}
