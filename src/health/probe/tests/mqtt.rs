//! The `mqtt` probe with peers that say what no good broker says; those of a real broker are in `mosquitto`.

use super::brokers::{failed, scripted};
use super::*;
use crate::policy::{MqttProbe, MqttVersion, Password, Secret};

/// A plain session of nobody in particular.
pub(super) fn mqtt(port: u16) -> MqttProbe {
    MqttProbe {
        port,
        tls: None,
        alpn: None,
        websocket: None,
        version: MqttVersion::V3,
        client_id: Some("canary".to_owned()),
        username: None,
        password: None,
        topic: None,
    }
}

fn version_5(port: u16) -> MqttProbe {
    MqttProbe { version: MqttVersion::V5, ..mqtt(port) }
}

pub(super) async fn observe_mqtt(mqtt: MqttProbe) -> Outcome {
    observe(probe(ProbeKind::Mqtt(mqtt)), &[V4]).await
}

/// Octets of the CONNECT of `canary`: 2 + 12 + 6, and 6 more of properties.
const CONNECT: usize = 20;
const CONNECT_5: usize = 26;

#[tokio::test]
async fn a_refusal_is_told_with_its_code_and_name() {
    let check = async |version: MqttVersion, connack: &[u8], expected: &str| {
        let octets = if version == MqttVersion::V3 { CONNECT } else { CONNECT_5 };
        let port = scripted(&[(octets, connack)]).await;
        let outcome = observe_mqtt(MqttProbe { version, ..mqtt(port) }).await;
        assert_failed(&outcome, &format!("expected code 0 in the CONNACK from 127.0.0.1:{port}, got {expected}"));
    };
    use MqttVersion::{V3, V5};
    check(V3, b"\x20\x02\x00\x04", "4 (bad user name or password)").await;
    check(V3, b"\x20\x02\x00\x03", "3 (Server unavailable)").await;
    check(V5, b"\x20\x03\x00\x8a\x00", "0x8a (Banned)").await;
    check(V5, b"\x20\x0d\x00\x97\x0a\x1f\x00\x07too\x1bman", "0x97 (Quota exceeded): too\\u{1b}man").await;
    check(V5, b"\x20\x02\x00\x01", "1 (unacceptable protocol version, as MQTT 3.1.1 says it)").await;
}

#[tokio::test]
async fn a_peer_that_closes_or_speaks_something_else_says_so() {
    let check = async |answer: &[u8], expected: &str| {
        let port = scripted(&[(CONNECT, answer)]).await;
        let expected = expected.replace("PEER", &format!("127.0.0.1:{port}"));
        assert_failed(&observe_mqtt(mqtt(port)).await, &expected);
    };
    check(b"", "PEER closed the connection before the CONNACK").await;
    check(b"\x20\x02", "PEER closed the connection before the CONNACK").await;
    check(b"HTTP/1.1 400 Bad Request\r\n\r\n", "PEER does not speak MQTT").await;
    check(b"\x20\x01\x00", "PEER sent a malformed CONNACK").await;
    check(b"\xd0\x00", "expected a CONNACK from PEER, got a PINGRESP").await;
    check(b"\x30\xff\xff\xff\x7f", "PEER sent an MQTT packet of 268435455 octets, expected at most 65536").await;
}

#[tokio::test]
async fn a_broker_that_says_nothing_is_timed_out() {
    let port = listen(V4, |mut stream| async move { drop(stream.read_to_end(&mut Vec::new()).await) }).await;
    let outcome = observe(within_ms(400, probe(ProbeKind::Mqtt(mqtt(port)))), &[V4]).await;
    assert_failed(&outcome, &format!("timed out after 400 ms while waiting for the CONNACK from 127.0.0.1:{port}"));
}

#[tokio::test]
async fn a_session_that_the_broker_ends_says_why() {
    // SUBSCRIBE to `t`: 2 + 2 + 1 + 3 + 1.
    let answers: [(usize, &[u8]); 2] = [(CONNECT_5, b"\x20\x03\x00\x00\x00"), (9, b"\xe0\x02\x8e\x00")];
    let port = scripted(&answers).await;
    let outcome = observe_mqtt(MqttProbe { topic: Some("t".to_owned()), ..version_5(port) }).await;
    let expected =
        format!("127.0.0.1:{port} ended the session, expected a SUBACK: DISCONNECT 0x8e (Session taken over)");
    assert_failed(&outcome, &expected);
}

#[tokio::test]
async fn a_subscription_that_is_refused_says_why() {
    let answers: [(usize, &[u8]); 2] = [(CONNECT, b"\x20\x02\x00\x00"), (8, b"\x90\x03\x00\x01\x80")];
    let port = scripted(&answers).await;
    let outcome = observe_mqtt(MqttProbe { topic: Some("t".to_owned()), ..mqtt(port) }).await;
    let expected = format!("127.0.0.1:{port} refused SUBSCRIBE to `t`: 0x80 (Unspecified error)");
    assert_failed(&outcome, &expected);
}

/// A broker that sends without end does not hold a prober, nor fill it.
#[tokio::test]
async fn a_broker_without_end_is_left() {
    let port = listen(V4, |mut stream| async move {
        drop(stream.read_exact(&mut [0; CONNECT]).await);
        drop(stream.write_all(b"\x20\x02\x00\x00").await);
        let message = [b"\x30\x80\x20\x00\x01t".as_slice(), &[b'x'; 4093]].concat();
        while stream.write_all(&message).await.is_ok() {}
    })
    .await;
    let outcome = observe_mqtt(MqttProbe { topic: Some("t".to_owned()), ..mqtt(port) }).await;
    assert_failed(&outcome, &format!("127.0.0.1:{port} sent more than 1 MiB of MQTT without the SUBACK"));
}

#[tokio::test]
async fn a_session_is_ended_as_it_should_be() {
    let (said, heard) = tokio::sync::oneshot::channel();
    let said = std::sync::Mutex::new(Some(said));
    let port = listen(V4, move |mut stream| {
        let said = said.lock().unwrap().take();
        async move {
            let mut all = vec![0; CONNECT];
            stream.read_exact(&mut all).await.unwrap();
            stream.write_all(b"\x20\x02\x00\x00").await.unwrap();
            stream.read_to_end(&mut all).await.unwrap();
            said.unwrap().send(all).unwrap();
        }
    })
    .await;
    assert_eq!(observe_mqtt(mqtt(port)).await, Outcome::Good);
    let all = heard.await.unwrap();
    assert_eq!(all, b"\x10\x12\x00\x04MQTT\x04\x02\x00\x78\x00\x06canary\xe0\x00");
}

/// Without a client identifier of the policy's each session has its own, of a form that every broker has to take.
#[tokio::test]
async fn client_identifiers_are_drawn() {
    let drawn: Vec<String> = (0..100).map(|_| super::super::mqtt::drawn("concierge")).collect();
    for id in &drawn {
        assert!((1..=23).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric()), "{id}");
    }
    let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
    assert_eq!(distinct.len(), drawn.len());
}

#[tokio::test]
async fn a_password_that_is_not_there_is_no_failure_of_the_broker() {
    let password = Some(Password::Secret(Secret::Env("CONCIERGE_TEST_NO_SUCH_PASSWORD".to_owned())));
    let outcome = observe_mqtt(MqttProbe { username: Some("canary".to_owned()), password, ..mqtt(1) }).await;
    let expected = "read the secret in environment variable `CONCIERGE_TEST_NO_SUCH_PASSWORD`: it is not set";
    assert_unable(&outcome, expected);
}

#[tokio::test]
async fn a_peer_that_opens_no_websocket_says_what_came() {
    let check = async |response: &str, expected: &str| {
        let port = canned(V4, response).await;
        let expected = expected.replace("PEER", &format!("127.0.0.1:{port}"));
        assert_failed(&observe_mqtt(MqttProbe { websocket: Some("/mqtt".to_owned()), ..mqtt(port) }).await, &expected);
    };
    check(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "expected status 101 of a WebSocket from PEER, got 404",
    )
    .await;
    check("", "PEER closed the connection in the WebSocket handshake").await;
    check("SSH-2.0-OpenSSH_9.2\r\n\r\n", "PEER does not speak HTTP/1.1").await;
}

/// The WebSocket's own rules, and that a message of it may hold any part of a packet.
#[tokio::test]
async fn a_websocket_carries_octets() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
    let serve = async |pieces: Vec<Message>, speaks: bool| {
        listen(V4, move |stream| {
            let pieces = pieces.clone();
            async move {
                #[expect(clippy::result_large_err, reason = "the library's own type")]
                let choose = |request: &Request, mut response: Response| {
                    assert_eq!(request.uri(), "/mqtt?a=b");
                    assert_eq!(request.headers()["Sec-WebSocket-Protocol"], "mqtt");
                    if speaks {
                        response.headers_mut().insert("Sec-WebSocket-Protocol", "mqtt".parse().unwrap());
                    }
                    Ok(response)
                };
                let Ok(mut stream) = tokio_tungstenite::accept_hdr_async(stream, choose).await else { return };
                drop(stream.next().await);
                for piece in pieces {
                    drop(stream.send(piece).await);
                }
                while let Some(Ok(_)) = stream.next().await {}
            }
        })
        .await
    };
    let through = |port| MqttProbe { websocket: Some("/mqtt?a=b".to_owned()), ..mqtt(port) };
    let binary = |octets: &[u8]| Message::Binary(octets.to_vec().into());
    let pieces = vec![binary(b"\x20"), Message::Ping("p".into()), binary(b""), binary(b"\x02\x00"), binary(b"\x00")];
    assert_eq!(observe_mqtt(through(serve(pieces, true).await)).await, Outcome::Good);

    let port = serve(vec![Message::Text("hello".into())], true).await;
    let expected =
        format!("MQTT session with 127.0.0.1:{port} in a WebSocket: a text message came, expected a binary one");
    assert_failed(&observe_mqtt(through(port)).await, &expected);

    let port = serve(vec![Message::Close(None)], true).await;
    let expected = format!("127.0.0.1:{port} closed the connection before the CONNACK");
    assert_failed(&observe_mqtt(through(port)).await, &expected);

    let port = serve(vec![], false).await;
    let expected = format!("127.0.0.1:{port} opened a WebSocket without the subprotocol `mqtt`");
    assert_failed(&observe_mqtt(through(port)).await, &expected);
}

/// A token of a shared access key, as Azure's hub takes it for a password.
#[tokio::test]
async fn a_shared_access_signature_is_the_password() {
    use crate::policy::SharedAccess;
    let (said, mut heard) = tokio::sync::mpsc::channel(1);
    let port = listen(V4, move |mut stream| {
        let said = said.clone();
        async move {
            let mut header = [0; 3];
            stream.read_exact(&mut header).await.unwrap();
            let mut connect = vec![0; usize::from(header[1] & 0x7f) + 128 * usize::from(header[2])];
            stream.read_exact(&mut connect).await.unwrap();
            stream.write_all(b"\x20\x02\x00\x00").await.unwrap();
            said.send(connect).await.unwrap();
            drop(stream.read_to_end(&mut Vec::new()).await);
        }
    })
    .await;
    let folder = super::brokers::Folder::new();
    let resource = "{host}/devices/canary".to_owned();
    let key = folder.secret("canary.key", "c2VjcmV0IG9mIGEgY2FuYXJ5\n");
    let good = MqttProbe {
        username: Some("{host}/canary/?api-version=2021-04-12".to_owned()),
        password: Some(Password::SharedAccess(SharedAccess { key, resource: resource.clone(), policy: None })),
        ..mqtt(port)
    };
    assert_eq!(observe_mqtt(good.clone()).await, Outcome::Good);
    let connect = String::from_utf8_lossy(&heard.recv().await.unwrap()).into_owned();
    assert!(connect.contains("127.0.0.1/canary/?api-version=2021-04-12"), "{connect}");
    let token = &connect[connect.find("SharedAccessSignature").unwrap()..];
    assert!(token.starts_with("SharedAccessSignature sr=127.0.0.1%2Fdevices%2Fcanary&sig="), "{token}");
    let expires: u64 = token.split_once("&se=").unwrap().1.parse().unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!((now..=now + 3_600).contains(&expires), "{expires}");

    let key = folder.secret("bad.key", "no key!\n");
    let password = Some(Password::SharedAccess(SharedAccess { key, resource, policy: None }));
    let outcome = observe_mqtt(MqttProbe { password, ..good }).await;
    assert_unable(&outcome, "the shared access key is not written in base64");
}

#[tokio::test]
async fn sentences_hold_no_secret() {
    let folder = super::brokers::Folder::new();
    let password = Some(Password::Secret(folder.secret("password", "open sesame")));
    let username = Some("canary".to_owned());
    // 2 + 12 + 6 + 8 + 13.
    let port = scripted(&[(41, b"\x20\x02\x00\x04")]).await;
    let probe = MqttProbe { username, password, ..mqtt(port) };
    assert!(!format!("{probe:?}").contains("sesame"));
    let sentence = failed(observe_mqtt(probe).await);
    assert!(sentence.ends_with("got 4 (bad user name or password)"), "{sentence}");
}

/// A broker behind a port of several protocols takes the handshake for MQTT's by the protocol that is named in it.
#[tokio::test]
async fn the_protocol_is_named_in_the_handshake() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let folder = super::brokers::Folder::new();
    let certificate = CertificateDer::from_pem_file(folder.file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.file("server.key")).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"x-amzn-mqtt-ca".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let port = listen(V4, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            // Who names no protocol is no device.
            if stream.get_ref().1.alpn_protocol() == Some(b"x-amzn-mqtt-ca") {
                drop(stream.read_exact(&mut [0; CONNECT]).await);
                drop(stream.write_all(b"\x20\x02\x00\x00").await);
                drop(stream.read_to_end(&mut Vec::new()).await);
            }
        }
    })
    .await;
    let naming = |alpn: Option<&str>| {
        observe_mqtt(MqttProbe { tls: Some(folder.trusted()), alpn: alpn.map(str::to_owned), ..mqtt(port) })
    };
    assert_eq!(naming(Some("x-amzn-mqtt-ca")).await, Outcome::Good);
    let expected = format!("127.0.0.1:{port} closed the connection before the CONNACK");
    assert_failed(&naming(None).await, &expected);
    let expected = format!("127.0.0.1:{port} speaks none of the protocols that were offered (ALPN)");
    assert_failed(&naming(Some("mqtt")).await, &expected);
}
