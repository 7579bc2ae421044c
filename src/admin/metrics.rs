//! The metrics in the OpenMetrics text format, made of the status and the counters when somebody asks for them.
//!
//! Pure: nothing is kept between two requests, so a metric can never disagree with `status`. Labels are bounded by the
//! policy (hubs, regions, gates) and by fixed lists (transports, response codes, causes). Times are seconds since the Unix epoch.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::control::chain::Reach;
use crate::control::report::{Condition, Effective, EndpointStatus, HubStatus, Status};
use crate::evidence;
use crate::health::Health;
use crate::policy::Waiting;
use crate::process;
use crate::serve::resolvers::{BOUNDS, Comebacks};
use crate::serve::{Action, Event, Messages, Totals, Via};
use crate::time::Timestamp;

/// The whole page.
pub fn render(
    status: Status,
    totals: Totals,
    public: evidence::Totals,
    audit: Option<Reach>,
    process: process::Standing,
) -> String {
    let mut registry = Registry::with_prefix("concierge");
    registry.register_collector(Box::new(Page { status, totals, public, audit, process }));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Page {
    status: Status,
    totals: Totals,
    public: evidence::Totals,
    /// `None` when the store could not be read.
    audit: Option<Reach>,
    process: process::Standing,
}

/// One sample: its labels and its value.
type Sample<'a> = (Vec<(&'static str, &'a str)>, f64);

struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn family(&mut self, kind: MetricType, name: &str, help: &str, samples: &[Sample<'_>]) -> fmt::Result {
        if samples.is_empty() {
            return Ok(());
        }
        let encode = |value: f64, encoder: MetricEncoder<'_>| match kind {
            MetricType::Counter => ConstCounter::new(value).encode(encoder),
            _ => ConstGauge::new(value).encode(encoder),
        };
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        match samples {
            [(labels, value)] if labels.is_empty() => encode(*value, encoder),
            _ => samples.iter().try_for_each(|(labels, value)| encode(*value, encoder.encode_family(labels)?)),
        }
    }

    fn counters(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) -> fmt::Result {
        self.family(MetricType::Counter, name, help, samples)
    }

    fn gauges(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) -> fmt::Result {
        self.family(MetricType::Gauge, name, help, samples)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, &[(Vec::new(), value as f64)])
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.gauges(name, help, &[(Vec::new(), value)])
    }
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        self.queries(&mut writer)?;
        self.public(&mut writer)?;
        self.resolvers(&mut writer)?;
        self.hubs(&mut writer)?;
        self.endpoints(&mut writer)?;
        self.gates(&mut writer)?;
        self.process(&mut writer)?;
        self.daemon(&mut writer)
    }
}

impl Page {
    fn queries(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let transports = Via::ALL.map(|via| (via.word(), self.totals.messages(via)));
        let per_transport = |value: fn(&Messages) -> u64| -> Vec<Sample<'_>> {
            transports.iter().map(|(name, messages)| (vec![("transport", *name)], value(messages) as f64)).collect()
        };
        writer.counters("queries", "Messages received", &per_transport(|messages| messages.queries))?;
        let responses: Vec<Sample<'_>> = transports
            .iter()
            .flat_map(|(transport, messages)| {
                messages
                    .by_rcode()
                    .map(|(rcode, count)| (vec![("transport", *transport), ("rcode", rcode)], count as f64))
            })
            .collect();
        writer.counters("responses", "Responses made, by response code", &responses)?;
        let cookies: Vec<Sample<'_>> = transports
            .iter()
            .flat_map(|(transport, messages)| {
                messages
                    .by_cookie()
                    .map(|(cookie, count)| (vec![("transport", *transport), ("cookie", cookie)], count as f64))
            })
            .collect();
        writer.counters("cookies", "Responses, by what the cookie of the query was worth", &cookies)?;
        writer.counters("truncated", "Responses with the TC bit", &per_transport(|messages| messages.truncated))?;
        writer.counters("silent", "Messages that deserve no response", &per_transport(|messages| messages.silent))?;
        writer.counters(
            "unsent",
            "Responses that the kernel did not take",
            &per_transport(|messages| messages.unsent),
        )?;
        let actions = |done: [(&'static str, Action); 2]| -> Vec<Sample<'_>> {
            done.map(|(word, action)| (vec![("action", word)], self.totals.actions.of(action) as f64)).into()
        };
        writer.counters(
            "rate_limited",
            "Responses over UDP beyond the rate of their network and class",
            &actions([("drop", Action::ResponseDropped), ("truncate", Action::ResponseTruncated)]),
        )?;
        writer.counters(
            "client_limited",
            "Queries beyond the rate of their client: dropped over UDP, times that a connection was not read on",
            &actions([("drop", Action::QueryDropped), ("pause", Action::QueryPaused)]),
        )?;
        writer.counters(
            "denied",
            "Queries of clients that are not answered",
            &actions([("refuse", Action::Refused), ("drop", Action::Denied)]),
        )?;
        let shown: Vec<Sample<'_>> = self
            .totals
            .shown
            .iter()
            .flat_map(|shown| {
                let each = [("written", shown.written), ("dropped", shown.dropped)];
                each.map(|(result, count)| (vec![("sink", shown.sink), ("result", result)], count as f64))
            })
            .collect();
        let help = "Messages for dnstap and the query log: written, or dropped because nobody took them";
        writer.counters("shown_messages", help, &shown)?;
        self.connections(writer)?;
        let tcp = &self.totals.connections;
        writer.gauge("tcp_connections", "TCP connections open, those of TLS among them", tcp.open as f64)?;
        writer.counter("tcp_accepted", "TCP connections accepted", tcp.accepted)?;
        writer.counter("tcp_evicted", "TCP connections closed at the limit to make room", tcp.evicted)?;
        writer.counter("tcp_timed_out", "TCP connections closed for idleness", tcp.timed_out)?;
        writer.counter("tcp_accept_failures", "Failures to accept a TCP connection", tcp.accept_failures)?;
        let help = "Datagrams from port 0, or from a proxy without its header";
        writer.counter("udp_unreadable", help, self.totals.udp.unreadable)?;
        writer.counter(
            "udp_receive_failures",
            "Failures to receive from a UDP socket",
            self.totals.receive_failures,
        )?;
        let udp = &self.totals.udp_sockets;
        writer.counter("udp_dropped", "Datagrams that the kernel dropped at our UDP sockets", udp.dropped)?;
        writer.gauge("udp_workers", "UDP workers, each with a socket of its own", udp.open as f64)?;
        writer.gauge("udp_receive_buffer_bytes", "Smallest receive buffer granted", udp.receive_buffer as f64)?;
        writer.gauge("udp_send_buffer_bytes", "Smallest send buffer granted", udp.send_buffer as f64)?;
        writer.gauge("listen_addresses", "Addresses answered on", self.totals.addresses as f64)?;
        writer.gauge(
            "listen_waiting",
            "Addresses of a wildcard that cannot be answered on yet",
            self.totals.addresses_waiting as f64,
        )?;
        writer.counter("worker_restarts", "Workers started again after a defect", self.totals.restarts)
    }

    /// What comes in over streams, by transport; and the certificate.
    fn connections(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let totals = &self.totals;
        let by_event = |vias: &[Via], events: &[(Event, &'static str)], label: &'static str| -> Vec<Sample<'_>> {
            let each = |&via: &Via| {
                let sample = move |&(event, word): &(Event, &'static str)| {
                    (vec![("transport", via.word()), (label, word)], totals.events(via, event) as f64)
                };
                events.iter().map(sample).collect::<Vec<_>>()
            };
            vias.iter().flat_map(each).collect()
        };
        let [_, streams @ ..] = Via::ALL;
        let [_, encrypted @ ..] = streams;
        let handshakes = by_event(&encrypted, &Event::HANDSHAKES, "result");
        writer.counters("handshakes", "TLS and QUIC handshakes, by how they went", &handshakes)?;
        let refused = by_event(&streams, &Event::REFUSALS, "reason");
        writer.counters("refused_connections", "Connections closed by a limit, by which", &refused)?;
        let [_, counted @ ..] = encrypted;
        let open: Vec<Sample<'_>> =
            counted.iter().map(|via| (vec![("transport", via.word())], totals.open(*via) as f64)).collect();
        writer.gauges("encrypted_connections", "Connections open over HTTPS and QUIC", &open)?;
        if let Some(certificate) = &totals.certificate {
            let expires = seconds(certificate.expires);
            writer.gauge("tls_certificate_expiry_seconds", "When the certificate in use expires", expires)?;
            let ok = f64::from(u8::from(certificate.problem.is_none()));
            writer.gauge("tls_certificate_ok", "1 while the files of the certificate can be used", ok)?;
        }
        Ok(())
    }

    fn public(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let responses: Vec<Sample<'_>> = self
            .public
            .responses
            .iter()
            .map(|(route, class, count)| (vec![("route", *route), ("status", *class)], *count as f64))
            .collect();
        writer.counters("public_responses", "Responses of the public listener, by class of status", &responses)?;
        let public = &self.public;
        writer.counter("public_accepted", "Connections that the public listener accepted", public.accepted)?;
        writer.counter("public_refused", "Connections closed at the limit of the public listener", public.refused)?;
        writer.gauge("public_connections", "Connections open at the public listener", public.connections as f64)?;
        writer.gauge("public_waiting", "Requests and streams that wait for a switch", public.waiting as f64)
    }

    fn resolvers(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Comebacks { returned, late_tenths, displaced } = self.totals.comebacks;
        let on_time = [(0.0, returned.on_time)];
        let bounds = BOUNDS.iter().map(|bound| *bound as f64).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = on_time.into_iter().chain(bounds.zip(returned.late)).collect();
        let help = "How long after the end of their TTL sampled resolvers came back after a switch";
        let mut encoder = writer.0.encode_descriptor("resolver_overrun_seconds", help, None, MetricType::Histogram)?;
        encoder.encode_histogram::<[(&str, &str); 0]>(late_tenths as f64 / 10.0, returned.total(), &buckets, None)?;
        writer.counter("resolvers_displaced", "Sampled resolvers that there was no place for, or no longer", displaced)
    }

    fn hubs(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let names: Vec<String> = self.status.hubs.iter().map(|hub| hub.name.to_string()).collect();
        let each = |value: fn(&HubStatus) -> f64| -> Vec<Sample<'_>> {
            self.status.hubs.iter().zip(&names).map(|(hub, name)| (vec![("hub", name.as_str())], value(hub))).collect()
        };
        let stateless = |hub: &HubStatus| hub.active.as_str().is_empty();
        let active = self.each_endpoint(&names).filter(|(_, hub, _)| !stateless(hub));
        let active = active.map(|(labels, _, endpoint)| (labels, f64::from(u8::from(endpoint.active))));
        let active: Vec<Sample<'_>> = active.collect();
        writer.gauges("hub_active", "1 for the active region of a hub, 0 for the others", &active)?;
        let usable = self.status.hubs.iter().zip(&names).filter(|(hub, _)| stateless(hub));
        let usable = usable.map(|(hub, name)| (vec![("hub", name.as_str())], hub.usable.len() as f64));
        let usable: Vec<Sample<'_>> = usable.collect();
        let help = "Endpoints that a hub without an active region answers out of";
        writer.gauges("hub_usable_endpoints", help, &usable)?;
        writer.gauges("hub_epoch", "Changes of a hub's active region so far", &each(|hub| hub.epoch as f64))?;
        writer.gauges(
            "hub_since_timestamp_seconds",
            "When a hub's active region, or what it answers out of, last changed",
            &each(|hub| seconds(hub.since)),
        )?;
        let held = self.status.hubs.iter().zip(&names).map(|(hub, name)| {
            let waiting = hub.hold.as_ref().map_or(NOT_HELD, |hold| word(&Waiting::WORDS, &hold.waiting));
            (vec![("hub", name.as_str()), ("waiting", waiting)], f64::from(u8::from(hub.hold.is_some())))
        });
        let held: Vec<Sample<'_>> = held.collect();
        writer.gauges("hub_hold", "1 while a change that policy wants waits, with what for; 0 and none else", &held)?;
        self.moves(writer, &names)?;
        let pinned = each(|hub| f64::from(u8::from(hub.pinned)));
        writer.gauges("hub_pinned", "1 while a hub that has been flapping waits for an operator", &pinned)?;
        let low = each(|hub| f64::from(u8::from(hub.low_ttl)));
        writer.gauges("hub_low_ttl", "1 while a hub answers with its lower TTL", &low)?;
        let overrides = each(|hub| hub.overrides.len() as f64);
        writer.gauges("hub_overrides", "Moves that overrode something and were not acknowledged", &overrides)?;
        let notices = each(|hub| hub.notices.len() as f64);
        let help = "Moves that stopped by themselves, and regions told that they are left that stay, not acknowledged";
        writer.gauges("hub_notices", help, &notices)?;
        let all_down = each(|hub| f64::from(u8::from(hub.condition == Condition::AllDown)));
        writer.gauges("hub_all_down", "1 while no endpoint of a hub may be chosen", &all_down)
    }

    fn moves(&self, writer: &mut Writer<'_>, names: &[String]) -> fmt::Result {
        let hubs = || self.status.hubs.iter().zip(names);
        let stages: Vec<Sample<'_>> = hubs()
            .filter_map(|(hub, name)| {
                let stage = hub.planned.as_ref()?.planned.stage.word();
                Some((vec![("hub", name.as_str()), ("stage", stage)], 1.0))
            })
            .collect();
        writer.gauges(
            "hub_move_stage",
            "1 for the stage of the planned move that is under way or was last",
            &stages,
        )?;
        let budgets: Vec<Sample<'_>> = hubs()
            .filter_map(|(hub, name)| {
                let budget = hub.budget.as_ref()?;
                Some((vec![("hub", name.as_str())], budget.allowed.saturating_sub(budget.used) as f64))
            })
            .collect();
        writer.gauges("hub_budget_left", "Switches that the budget of a hub still allows", &budgets)
    }

    /// Gates that are looked at: what an operator acknowledges is of hubs.
    fn gates(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let gates = || self.status.gates.iter().filter(|gate| gate.kind != "ack");
        let open: Vec<Sample<'_>> =
            gates().map(|gate| (vec![("gate", gate.gate.as_str())], f64::from(u8::from(gate.open)))).collect();
        writer.gauges("gate_open", "1 while a gate is open by evidence that is not too old", &open)?;
        let seen: Vec<Sample<'_>> =
            gates().filter_map(|gate| Some((vec![("gate", gate.gate.as_str())], seconds(gate.at?)))).collect();
        writer.gauges("gate_evidence_timestamp_seconds", "When a gate was last looked at", &seen)
    }

    fn endpoints(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let names: Vec<String> = self.status.hubs.iter().map(|hub| hub.name.to_string()).collect();
        let health = self.labelled(&names, |endpoint| match endpoint.measured {
            Health::Up => 1.0,
            Health::Unknown => 0.5,
            Health::Down => 0.0,
        });
        writer.gauges("endpoint_health", "What observations say: 1 up, 0.5 unknown, 0 down", &health)?;
        let eligible = self.labelled(&names, |endpoint| match endpoint.effective {
            Effective::Eligible => 1.0,
            Effective::Drained => 0.5,
            Effective::NotEligible => 0.0,
        });
        writer.gauges(
            "endpoint_eligible",
            "What follows with marks: 1 eligible, 0.5 drained, 0 not eligible",
            &eligible,
        )?;
        let observed = |value: fn(&crate::control::report::ObservationStatus) -> f64| -> Vec<Sample<'_>> {
            self.each_endpoint(&names)
                .filter_map(|(labels, _, endpoint)| Some((labels, value(endpoint.observed.as_ref()?))))
                .collect()
        };
        writer.gauges(
            "endpoint_latency_seconds",
            "How long the last observation took",
            &observed(|observation| observation.latency_ms / 1e3),
        )?;
        writer.gauges(
            "endpoint_observed_timestamp_seconds",
            "When the last observation was complete",
            &observed(|observation| seconds(observation.at)),
        )?;
        let stalled = self.labelled(&names, |endpoint| f64::from(u8::from(endpoint.stalled)));
        writer.gauges("endpoint_stalled", "1 while a prober gives no observations and health is frozen", &stalled)
    }

    fn process(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let process::Standing { landlock, capabilities, no_new_privs, core_dumps, took_over, upgrades_failed, silent } =
            self.process;
        let flag = |holds: bool| f64::from(u8::from(holds));
        let parts = [
            ("landlock", landlock),
            ("capabilities", flag(capabilities)),
            ("no_new_privs", flag(no_new_privs)),
            ("core_dumps", flag(core_dumps)),
        ];
        let parts = parts.map(|(part, holds)| (vec![("part", part)], holds));
        let help = "1 for what the process has given up or shut itself out of, 0.5 in part, 0 not";
        writer.gauges("sandbox", help, &parts)?;
        let upgrades = [
            (vec![("result", "ok")], f64::from(u8::from(took_over))),
            (vec![("result", "failed")], upgrades_failed as f64),
        ];
        writer.counters("upgrades", "Upgrades: ok is the one by which this process took over", &upgrades)?;
        let help = "Longest time for which a worker or the control loop has shown no turn";
        writer.gauge("silent_seconds", help, silent.as_secs_f64())
    }

    fn daemon(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Status { totals, reload, probers, .. } = &self.status;
        let version = [(vec![("version", self.status.version.as_str())], 1.0)];
        writer.gauges("build", "1, with the version as label", &version)?;
        let switches: Vec<Sample<'_>> =
            totals.switches.iter().map(|(cause, count)| (vec![("cause", cause.as_str())], *count as f64)).collect();
        writer.counters("switches", "Changes of active regions, by cause", &switches)?;
        let help = "Changes of what hubs without an active region answer out of";
        writer.counter("usable_changes", help, totals.usable_changes)?;
        writer.counters(
            "observations",
            "Observations, by outcome",
            &[
                (vec![("outcome", "good")], totals.observations_good as f64),
                (vec![("outcome", "failed")], totals.observations_failed as f64),
            ],
        )?;
        writer.counters(
            "loads",
            "Loads of zones and policy, the first one included",
            &[
                (vec![("result", "ok")], totals.reloads_ok as f64),
                (vec![("result", "refused")], totals.reloads_refused as f64),
            ],
        )?;
        writer.gauge("load_ok", "1 when the last load is what is answered", f64::from(u8::from(reload.ok)))?;
        if let Some(databases) = &self.status.databases {
            let help = "1 when clients are classed by the database files as they are";
            writer.gauge("geo_database_ok", help, f64::from(u8::from(databases.ok)))?;
            let help = "When the database files were last read";
            writer.gauge("geo_database_timestamp_seconds", help, seconds(databases.at))?;
        }
        writer.gauge("load_timestamp_seconds", "When the last load was", seconds(reload.at))?;
        writer.gauge("load_read_seconds", "Reading and checking the files", reload.read_ms / 1e3)?;
        writer.gauge("snapshot_compile_seconds", "Compiling the snapshot's content", reload.compile_ms / 1e3)?;
        let turn = self.status.turn;
        writer.counter("events", "Events that the control loop took in, loads left out", turn.events)?;
        writer.gauge("event_last_seconds", "Time to work out what followed from the last one", turn.last_ms / 1e3)?;
        writer.gauge(
            "event_longest_seconds",
            "Longest time to work out what follows from one",
            turn.longest_ms / 1e3,
        )?;
        writer.gauge("snapshot_generation", "Publications so far", self.status.generation as f64)?;
        writer.gauge("start_timestamp_seconds", "When the daemon started", seconds(self.status.started))?;
        if let Some(Reach { first, records, .. }) = self.audit {
            writer.counter("audit_records", "Audit records ever written", records)?;
            let first = first.map_or(1.0, |first| first.sequence as f64);
            writer.gauge("audit_first_record", "First audit record that was not removed for its age", first)?;
        }
        writer.gauge("marks", "Marks that hold", self.status.marks.len() as f64)?;
        let drills = self.status.hubs.iter().filter(|hub| hub.drill.is_some()).count();
        writer.gauge("drills", "Canaries whose active region counts as dark for a drill", drills as f64)?;
        writer.gauge("windows", "Maintenance windows that have not ended", self.status.windows.len() as f64)?;
        let sight = &self.status.sight;
        writer.gauge("blind", "1 while this node is cut off and health is frozen", f64::from(u8::from(sight.blind)))?;
        writer.gauge("references", "What this node has to reach, or it is blind", sight.references as f64)?;
        writer.gauge("probers", "Probers that run", probers.running as f64)?;
        writer.gauge("probers_stalled", "Probers that give no observations", probers.stalled as f64)?;
        writer.gauge(
            "probers_unable",
            "Probers that lack something of this machine to observe",
            probers.unable as f64,
        )?;
        writer.counter("probes_unable", "Observations that this machine could not make", totals.observations_unable)?;
        let certificates = self.status.remarks.iter().filter_map(|remark| {
            let labels = vec![("probe", remark.probe.as_str()), ("target", remark.target.as_str())];
            Some((labels, seconds(remark.expires?)))
        });
        writer.gauges(
            "probe_certificate_expiry_seconds",
            "When the certificate that a probe last saw expires",
            &certificates.collect::<Vec<_>>(),
        )?;
        writer.counter("prober_restarts", "Probers started again after they had ended", probers.restarts)?;
        writer.counter("commit_failures", "Changes that the store could not make durable", totals.commits_failed)?;
        let help = "Times that the clock went forward by more than was lived through";
        writer.counter("clock_jumps", help, totals.clock_jumps)?;
        writer.counter("refused_publications", "Changes that a rule refused to publish", totals.refused)?;
        let zones: Vec<(String, f64)> =
            self.status.zones.iter().map(|zone| (zone.apex.to_string(), f64::from(zone.serial))).collect();
        let serials: Vec<Sample<'_>> =
            zones.iter().map(|(apex, serial)| (vec![("zone", apex.as_str())], *serial)).collect();
        writer.gauges("zone_serial", "SOA serial of a zone", &serials)
    }

    fn each_endpoint<'a>(
        &'a self,
        names: &'a [String],
    ) -> impl Iterator<Item = (Vec<(&'static str, &'a str)>, &'a HubStatus, &'a EndpointStatus)> {
        self.status.hubs.iter().zip(names).flat_map(|(hub, name)| {
            hub.endpoints.iter().map(move |endpoint| {
                (vec![("hub", name.as_str()), ("region", endpoint.region.as_str())], hub, endpoint)
            })
        })
    }

    fn labelled<'a>(&'a self, names: &'a [String], value: fn(&EndpointStatus) -> f64) -> Vec<Sample<'a>> {
        self.each_endpoint(names).map(|(labels, _, endpoint)| (labels, value(endpoint))).collect()
    }
}

/// What `waiting` says of a hub that is not held.
const NOT_HELD: &str = "none";

/// The word of a fixed list: a label is bounded whatever the status says.
fn word<'a>(known: &[&'a str], said: &str) -> &'a str {
    known.iter().copied().find(|word| *word == said).unwrap_or("other")
}

fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1e3
}
