//! What the RFCs ask of an answer, by RFC and section; read back by another codec.

mod amplification;
mod cookies;
mod delegations;
mod hubs;
mod messages;
mod names;
mod options;
mod spread;
mod subnets;
mod texts;

use super::respond::Transport;
use super::snapshot::Snapshot;
use super::testing::{Ask, ask, hub, name, send, show, snapshot, zone};

const SOA: &str = "example. 60 SOA ns.example.org. host.example.org. 7 3600 600 86400 60";

fn world() -> Snapshot {
    let example = zone(
        "example.",
        "
        @ TXT apex
        www A 192.0.2.1
        www A 192.0.2.2
        www AAAA 2001:db8::1
        www TXT hello
        MiXed A 192.0.2.3
        mail MX 10 www
        alias CNAME www
        alias2 CNAME alias
        away CNAME www.example.org.
        gone CNAME nothing
        intosub CNAME host.sub
        intochild CNAME www.child
        notxt CNAME mixed
        loop1 CNAME loop2
        loop2 CNAME loop1
        self CNAME self
        a.b.ent A 192.0.2.4
        *.wild A 192.0.2.5
        *.wild TXT any
        deep.exists.wild A 192.0.2.6
        *.wc CNAME www
        *.wcself CNAME x.wcself
        sub NS ns.sub
        sub NS ns.other
        sub NS www
        sub NS ns.example.org.
        sub DS 00010d02aa
        ns.sub A 192.0.2.53
        ns.sub AAAA 2001:db8::53
        other NS ns.other
        ns.other A 192.0.2.54
        glueless NS ns.example.org.
        old DNAME new.example.
        old TXT itself
        x.new A 192.0.2.7
        back DNAME example.
        long DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.new
        grow DNAME y.grow
        child NS ns.child
        child DS 00020d02bb
        ns.child A 192.0.2.55
        www.child A 192.0.2.66
        ",
    );
    let child = zone("child.example.", "www A 192.0.2.8\nup CNAME www.example.\nns A 192.0.2.55");
    let orphan = zone("un.delegated.example.", "www A 192.0.2.9");
    let hubs = vec![
        hub("hub.example.", "weu cname hub-weu.azure-devices.net.\nneu cname hub-neu.azure-devices.net."),
        hub("inner.deep.example.", "weu cname www.example.\nneu 192.0.2.99"),
    ];
    snapshot(&[example, child, orphan], hubs)
}

#[track_caller]
fn check(question: &str, expected: &str) {
    assert_eq!(ask(&world(), &Ask::new(question)), expected.replace("SOA!", SOA), "{question}");
}
