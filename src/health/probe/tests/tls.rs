//! The `tls` probe.

use std::time::SystemTime;

use rcgen::CertificateParams;

use super::handshake::{Anchors, Authority, authority, certificate_for, https, https_for};
use super::*;
use crate::policy::TlsProbe;

const DAY: Duration = Duration::from_hours(24);

/// A certificate for 127.0.0.1 that is valid for so long from now on.
fn valid_for(length: Duration) -> (CertificateParams, Timestamp) {
    let mut params = certificate_for(&["127.0.0.1"]);
    let expires = SystemTime::now() + length;
    params.not_after = expires.into();
    let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    (params, Timestamp(seconds * 1000))
}

fn tls(port: u16, anchors: &Anchors) -> TlsProbe {
    TlsProbe { port, settings: trusting(Some(anchors.file())), expiry_fail: None, expiry_warn: 14 * DAY }
}

async fn observed(tls: TlsProbe) -> Observed {
    let probe = Arc::new(probe(ProbeKind::Tls(tls)));
    Arc::new(Prober::new(&[])).observe(&probe, &Target::Addresses(vec![V4])).await
}

async fn serve(length: Duration) -> (u16, Timestamp, Authority) {
    let authority = authority();
    let (params, expires) = valid_for(length);
    let (port, _) = https(V4, &authority, params).await;
    (port, expires, authority)
}

#[tokio::test]
async fn a_handshake_is_good_and_says_when_the_certificate_expires() {
    let (port, expires, authority) = serve(100 * DAY).await;
    let anchors = Anchors::of(&authority);
    let good = Observed { outcome: Outcome::Good, remarks: Remarks { note: None, expires: Some(expires) } };
    assert_eq!(observed(tls(port, &anchors)).await, good);
    let https = HttpProbe { tls: Some(trusting(Some(anchors.file()))), ..http(port) };
    let https = Arc::new(probe(ProbeKind::Http(https)));
    let seen = Arc::new(Prober::new(&[])).observe(&https, &Target::Addresses(vec![V4])).await;
    assert_eq!(seen, good, "every kind that speaks TLS sees it");
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_remarked_on_or_fails() {
    let (port, expires, authority) = serve(5 * DAY + DAY / 2).await;
    let anchors = Anchors::of(&authority);
    let seen = observed(tls(port, &anchors)).await;
    let note = format!("certificate for `127.0.0.1` expires at {expires}, in 5 days");
    assert_eq!(
        seen,
        Observed { outcome: Outcome::Good, remarks: Remarks { note: Some(note), expires: Some(expires) } }
    );
    let failed = observed(TlsProbe { expiry_fail: Some(6 * DAY), ..tls(port, &anchors) }).await;
    let expected = format!(
        "certificate of 127.0.0.1:{port} for `127.0.0.1` expires at {expires}, in 5 days, expected no sooner than in 6 d"
    );
    assert_failed(&failed.outcome, &expected);
}

#[tokio::test]
async fn the_name_and_the_chain_are_verified() {
    let (port, _, authority) = serve(100 * DAY).await;
    let anchors = Anchors::of(&authority);
    let mut other = tls(port, &anchors);
    other.settings.name = Some("hub.example.net".to_owned());
    let expected = format!("certificate of 127.0.0.1:{port} is not valid for `hub.example.net`: it is for 127.0.0.1");
    assert_failed(&observed(other).await.outcome, &expected);
    let stranger = Anchors::of(&super::handshake::authority_called("a stranger"));
    let expected = format!("certificate of 127.0.0.1:{port} for `127.0.0.1` is of an unknown issuer");
    assert_failed(&observed(tls(port, &stranger)).await.outcome, &expected);
}

/// In TLS 1.3 the peer objects after the client's handshake is complete.
#[tokio::test]
async fn a_peer_that_demands_a_client_certificate_fails_without_one() {
    let authority = authority();
    let anchors = Anchors::of(&authority);
    let (port, _) = https_for(V4, &authority, certificate_for(&["127.0.0.1"]), Some(&authority)).await;
    let without = tls(port, &anchors);
    let expected = format!("127.0.0.1:{port} demands a client certificate");
    assert_failed(&observed(without.clone()).await.outcome, &expected);
    let mut with = without;
    with.settings.client = Some(anchors.client(&authority));
    assert_eq!(observed(with).await.outcome, Outcome::Good);
}

#[tokio::test]
async fn a_peer_without_tls_is_a_failure() {
    let port = listen(V4, |mut stream| async move {
        drop(stream.write_all(b"SSH-2.0-server\r\n").await);
        head(&mut stream).await;
    })
    .await;
    let anchors = Anchors::of(&authority());
    let expected = format!("127.0.0.1:{port} does not speak TLS");
    assert_failed(&observed(tls(port, &anchors)).await.outcome, &expected);
    let closed = closed_port(V4).await;
    let expected = format!("connect 127.0.0.1:{closed}: connection refused");
    assert_failed(&observed(tls(closed, &anchors)).await.outcome, &expected);
}
