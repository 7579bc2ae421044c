//! Cookies, and what is said beside answers, of the real process: secrets that roll over, clients that have to learn a cookie
//! first, and responses that an interface does not take (`docs/edns.md`).

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::differential::options::{CLIENT_COOKIE, COOKIE, KEEPALIVE, NSID, Reaction, chaos, option, query};
use crate::process::{Daemon, Site, client, eventually, framed, read_message};

const NAME: &[u8] = b"\x07example\x03net\0";
const SOA: u16 = 6;
const BADCOOKIE: u16 = 23;
const PATIENCE: Duration = Duration::from_secs(20);

const ONE: &str = "11111111111111111111111111111111\n";
const TWO: &str = "22222222222222222222222222222222\n";

fn told_by(dns: SocketAddr, query: &[u8]) -> Reaction {
    let socket = client(PATIENCE);
    socket.send_to(query, dns).unwrap();
    let mut response = [0; 4096];
    let length = socket.recv(&mut response).unwrap();
    Reaction::of(&response[..length])
}

fn told_over_tcp(dns: SocketAddr, query: &[u8]) -> Reaction {
    let mut stream = TcpStream::connect(dns).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&framed(query)).unwrap();
    Reaction::of(&read_message(&mut stream).unwrap())
}

/// The rcode, and the cookie that is given for one.
fn cookie(dns: SocketAddr, sent: &[u8]) -> (u16, Vec<u8>) {
    let told = told_by(dns, &query(NAME, SOA, 0, &option(COOKIE, sent)));
    (told.rcode, told.option(COOKIE).unwrap_or_default().to_vec())
}

fn counted(site: &Site, worth: &str) -> f64 {
    site.metric(&format!("cookies_total{{transport=\"udp\",cookie=\"{worth}\"}}"))
}

#[test]
fn a_secret_rolls_over_without_a_client_noticing_and_a_bad_file_changes_nothing() {
    let site = Site::with("[edns]\ncookie_secrets = \"../cookies\"");
    site.write("cookies", ONE);
    let _daemon = Daemon::start(&site);
    let dns = site.net.dns();
    let (_, of_one) = cookie(dns, &CLIENT_COOKIE);
    assert_eq!(of_one.len(), 24);
    assert_eq!(cookie(dns, &of_one), (0, of_one.clone()), "a young cookie is answered with itself");

    // A server that rolls over first takes what the others still make, and the other way round.
    let reload = |secrets: &str| {
        site.write("cookies", secrets);
        site.run(&["reload"])
    };
    assert_eq!(reload(&format!("{ONE}{TWO}")).code, Some(0));
    assert_eq!(cookie(dns, &of_one).1, of_one, "the second secret is accepted, the first makes cookies");
    assert_eq!(reload(&format!("{TWO}{ONE}")).code, Some(0));
    let (_, of_two) = cookie(dns, &of_one);
    assert_ne!(of_two, of_one, "it is renewed by the active secret");
    assert!(eventually(PATIENCE, || counted(&site, "valid") == 3.0), "and was valid");
    assert_eq!(cookie(dns, &of_two).1, of_two);

    let refused = reload("2222");
    assert_eq!(refused.code, Some(78), "{refused:?}");
    assert!(refused.err.contains("line 1 is not 32 hexadecimal digits"), "{refused:?}");
    assert_eq!(cookie(dns, &of_two).1, of_two, "a bad file changes nothing");

    assert_eq!(reload(TWO).code, Some(0));
    assert_eq!(cookie(dns, &of_two).1, of_two);
    cookie(dns, &of_one);
    assert_eq!(told_by(dns, &query(NAME, SOA, 0, &option(COOKIE, &[1]))).rcode, 1);
    // Those of the daemon's own resolver have no cookie.
    let counts = || ["client", "valid", "bad", "malformed"].map(|worth| counted(&site, worth));
    assert!(eventually(PATIENCE, || counts() == [1.0, 6.0, 1.0, 1.0]), "{:?}", counts());
}

#[test]
fn where_a_cookie_is_required_it_is_learnt_first() {
    let site = Site::with("[edns]\ncookies_required = true");
    let daemon = Daemon::start(&site);
    let dns = site.net.dns();
    let (rcode, given) = cookie(dns, &CLIENT_COOKIE);
    assert_eq!((rcode, given.len()), (BADCOOKIE, 24));
    assert_eq!(cookie(dns, &given), (0, given.clone()));
    // Without cookies: TC, and then all over TCP.
    let plain = query(NAME, SOA, 0, b"");
    let told = told_by(dns, &plain);
    assert_eq!((told.flags & 0x02, told.answers), (0x02, 0));
    assert_eq!(told_over_tcp(dns, &plain).answers, 1);
    let badcookie = "responses_total{transport=\"udp\",rcode=\"BADCOOKIE\"}";
    assert!(eventually(PATIENCE, || site.metric(badcookie) == 1.0));

    // Kept over a restart in the state folder, where nothing is configured.
    drop(daemon);
    let _daemon = Daemon::start(&site);
    assert_eq!(cookie(dns, &given), (0, given.clone()));
}

#[test]
fn what_the_server_says_of_itself_is_what_is_configured() {
    let configured = Site::with("[edns]\nnsid = \"ns1\"\n[identity]\nid = \"one\"\n[limits]\ntcp_idle = \"30s\"");
    let _daemon = Daemon::start(&configured);
    let dns = configured.net.dns();
    let asked = query(NAME, SOA, 0, &[option(NSID, b""), option(KEEPALIVE, b"")].concat());
    let told = told_by(dns, &asked);
    assert_eq!((told.option(NSID), told.option(KEEPALIVE)), (Some(&b"ns1"[..]), None));
    let told = told_over_tcp(dns, &asked);
    assert_eq!((told.option(NSID), told.option(KEEPALIVE)), (Some(&b"ns1"[..]), Some(&[1, 44][..])));
    assert_eq!(told_by(dns, &chaos(b"\x02id\x06server\0", 16)).answers, 1);
    assert_eq!(told_by(dns, &chaos(b"\x07version\x04bind\0", 16)).rcode, 5);
}

#[test]
fn a_check_and_a_start_name_what_is_wrong_with_the_secrets() {
    let site = Site::with("[edns]\ncookie_secrets = \"../cookies\"");
    let refused = |says: &str| {
        for command in ["check", "serve"] {
            let refused = site.run(&[command]);
            assert_eq!(refused.code, Some(78), "{command}: {refused:?}");
            assert!(refused.err.contains(says) && !refused.err.contains("0123"), "{command}: {refused:?}");
            assert!(refused.err.contains("hint: a file with 32 hexadecimal digits a line"), "{command}: {refused:?}");
        }
        assert!(!site.path("state").exists(), "the store was touched");
    };
    refused("cannot read the cookie secrets");
    site.write("cookies", "0123\n");
    refused("line 1 is not 32 hexadecimal digits");
    site.write("cookies", ONE);
    let open = site.run(&["check"]);
    assert_eq!(open.code, Some(0), "{open:?}");
    assert!(open.err.contains("may be read by everybody"), "{open:?}");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(site.path("cookies"), mode).unwrap();
    assert_eq!(site.run(&["check"]).err, "");
}
