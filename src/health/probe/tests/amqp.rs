//! The `amqp` probe: with peers that say what no good broker says, and with Qpid Proton, from Debian.

use super::brokers::{Folder, failed, scripted};
use super::peers::Peer;
use super::*;
use crate::policy::{AmqpProbe, Sasl};

fn amqp(port: u16, sasl: Sasl) -> AmqpProbe {
    AmqpProbe { port, tls: None, host: Some("h".to_owned()), container_id: Some("canary".to_owned()), sasl }
}

async fn observe_amqp(amqp: AmqpProbe) -> Outcome {
    observe(probe(ProbeKind::Amqp(amqp)), &[V4]).await
}

const HEADER: &[u8] = b"AMQP\x00\x01\x00\x00";
const SASL_HEADER: &[u8] = b"AMQP\x03\x01\x00\x00";
/// `open` of a container `id`.
const OPEN: &[u8] = b"\x00\x00\x00\x12\x02\x00\x00\x00\x00\x53\x10\xc0\x05\x01\xa1\x02id";
/// `close` for an error.
const CLOSE_ERROR: &[u8] =
    b"\x00\x00\x00\x23\x02\x00\x00\x00\x00\x53\x18\xc0\x16\x01\x00\x53\x1d\xc0\x10\x02\xa3\x09amqp:gone\xa1\x02no";
const CLOSE: &[u8] = b"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x18\x45";
/// An empty frame: a heartbeat.
const HEARTBEAT: &[u8] = b"\x00\x00\x00\x08\x02\x00\x00\x00";
const MECHANISMS: &[u8] = b"\x00\x00\x00\x13\x02\x01\x00\x00\x00\x53\x40\xc0\x06\x01\xa3\x03FOO";

/// Octets of what the probe sends for `canary` and `h`: an `open`, and a `close`.
const SENT_OPEN: usize = 45;
const SENT_CLOSE: usize = 20;

#[tokio::test]
async fn a_connection_without_sasl_is_opened_and_closed() {
    let pipelined = [OPEN, HEARTBEAT].concat();
    let port = scripted(&[(8, HEADER), (SENT_OPEN, &pipelined), (SENT_CLOSE, CLOSE)]).await;
    assert_eq!(observe_amqp(amqp(port, Sasl::None)).await, Outcome::Good);
}

#[tokio::test]
async fn a_peer_that_does_not_open_says_what_came() {
    let check = async |turns: &[(usize, &[u8])], sasl: Sasl, expected: &str| {
        let port = scripted(turns).await;
        let expected = expected.replace("PEER", &format!("127.0.0.1:{port}"));
        assert_failed(&observe_amqp(amqp(port, sasl)).await, &expected);
    };
    let none = || Sasl::None;
    check(&[(8, b"AMQP\x00\x00\x09\x01")], none(), "expected AMQP 1.0.0 from PEER, got AMQP 0-9").await;
    check(&[(8, SASL_HEADER)], none(), "expected AMQP 1.0.0 from PEER, got SASL 1.0.0").await;
    check(&[(8, HEADER)], Sasl::Anonymous, "expected SASL 1.0.0 from PEER, got AMQP 1.0.0").await;
    check(&[(8, b"HTTP/1.1 400 Bad Request\r\n\r\n")], none(), "PEER does not speak AMQP").await;
    check(&[(8, b"A plain text")], none(), "PEER does not speak AMQP").await;
    check(&[(8, b"")], none(), "PEER closed the connection before the AMQP header").await;
    check(&[(8, HEADER)], none(), "PEER closed the connection before the open").await;
    check(&[(8, HEADER), (SENT_OPEN, CLOSE)], none(), "expected the open from PEER, got a close").await;
    let refusal = "PEER refused the connection before the close: amqp:gone: no";
    check(&[(8, HEADER), (SENT_OPEN, &[OPEN, CLOSE_ERROR].concat())], none(), refusal).await;
    check(&[(8, HEADER), (SENT_OPEN, b"\x00\x00\x00\x04")], none(), "PEER does not speak AMQP 1.0").await;
    check(
        &[(8, HEADER), (SENT_OPEN, b"\x00\x00\x00\x09\x02\x00\x00\x00\x45")],
        none(),
        "PEER sent a malformed AMQP frame",
    )
    .await;
    let large = "PEER sent an AMQP frame of 16777216 octets, expected at most 65536";
    check(&[(8, HEADER), (SENT_OPEN, b"\x01\x00\x00\x00")], none(), large).await;
    let idle = HEARTBEAT.repeat(100);
    check(&[(8, HEADER), (SENT_OPEN, &idle)], none(), "PEER sent more than 64 frames without the open").await;
    check(
        &[(8, &[SASL_HEADER, MECHANISMS].concat())],
        Sasl::Anonymous,
        "expected the mechanism ANONYMOUS of SASL from PEER, got FOO",
    )
    .await;
}

/// A container that others wrote. It prints its port, and opens every connection but that of a host `nowhere`.
const CONTAINER: &str = r#"
import sys
from proton import Condition, SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import Container

class Server(MessagingHandler):
    def on_start(self, event):
        if len(sys.argv) > 1:
            domain = event.container.ssl.server
            domain.set_credentials(sys.argv[1] + "/server.pem", sys.argv[1] + "/server.key", None)
            domain.set_trusted_ca_db(sys.argv[1] + "/ca.pem")
            domain.set_peer_authentication(SSLDomain.VERIFY_PEER, sys.argv[1] + "/ca.pem")
        scheme = "amqps" if len(sys.argv) > 1 else "amqp"
        import socket
        free = socket.socket()
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        event.container.listen("%s://127.0.0.1:%d" % (scheme, port))
        print("port %d" % port, flush=True)

    def on_connection_opening(self, event):
        if event.connection.remote_hostname == "nowhere":
            event.connection.condition = Condition("amqp:not-found", "no such host")
            event.connection.open()
            event.connection.close()

Container(Server()).run()
"#;

fn container(folder: Option<&Folder>) -> Peer {
    let mut command = std::process::Command::new("/usr/bin/python3");
    command.args(["-c", CONTAINER]);
    if let Some(folder) = folder {
        command.arg(folder.file(""));
    }
    Peer::start(&mut command, "port ")
}

#[tokio::test]
async fn qpid_proton_opens_a_connection() {
    let peer = container(None);
    assert_eq!(observe_amqp(amqp(peer.port, Sasl::None)).await, Outcome::Good);
    assert_eq!(observe_amqp(amqp(peer.port, Sasl::Anonymous)).await, Outcome::Good);

    let nowhere = AmqpProbe { host: Some("nowhere".to_owned()), ..amqp(peer.port, Sasl::Anonymous) };
    let expected =
        format!("127.0.0.1:{} refused the connection before the close: amqp:not-found: no such host", peer.port);
    assert_failed(&observe_amqp(nowhere).await, &expected);

    let sentence = failed(observe_amqp(amqp(peer.port, Sasl::External)).await);
    assert!(sentence.starts_with("expected the mechanism EXTERNAL of SASL from"), "{sentence}");
}

#[tokio::test]
async fn qpid_proton_knows_a_client_by_its_certificate() {
    let folder = Folder::new();
    let peer = container(Some(&folder));
    let mutual = AmqpProbe { tls: Some(folder.mutual()), ..amqp(peer.port, Sasl::External) };
    assert_eq!(observe_amqp(mutual).await, Outcome::Good);
}
