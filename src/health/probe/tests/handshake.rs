use std::path::PathBuf;
use std::sync::Mutex;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::*;

pub(super) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(super) fn authority() -> Authority {
    authority_called("an authority")
}

pub(super) fn authority_called(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A folder with the authority's certificate as `ca.pem`.
pub(super) struct Anchors {
    folder: TempDir,
}

impl Anchors {
    pub(super) fn of(authority: &Authority) -> Self {
        let anchors = Self { folder: TempDir::new().unwrap() };
        std::fs::write(anchors.file(), authority.pem()).unwrap();
        anchors
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Writes a client certificate beside it.
    pub(super) fn client(&self, authority: &Authority) -> ClientCertificate {
        let key = KeyPair::generate().unwrap();
        let mut params = certificate_for(&["probe.example.net"]);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, authority).unwrap();
        let client =
            ClientCertificate { cert: self.folder.path().join("cert.pem"), key: self.folder.path().join("key.pem") };
        std::fs::write(&client.cert, certificate.pem()).unwrap();
        std::fs::write(&client.key, key.serialize_pem()).unwrap();
        client
    }
}

pub(super) fn certificate_for(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// What the server saw of each handshake: the name asked for, and whether it was a whole one.
pub(super) type Handshakes = Arc<Mutex<Vec<(Option<String>, Option<HandshakeKind>)>>>;

/// An HTTPS server with a certificate issued by `authority`.
pub(super) async fn https(address: IpAddr, authority: &Authority, params: CertificateParams) -> (u16, Handshakes) {
    https_for(address, authority, params, None).await
}

/// An HTTPS server for clients with a certificate issued by `clients`, or for all.
pub(super) async fn https_for(
    address: IpAddr,
    authority: &Authority,
    params: CertificateParams,
    clients: Option<&Authority>,
) -> (u16, Handshakes) {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let handshakes = Handshakes::default();
    let seen = handshakes.clone();
    let port = listen(address, move |stream| {
        let (acceptor, seen) = (acceptor.clone(), seen.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let connection = stream.get_ref().1;
            let handshake = (connection.server_name().map(str::to_owned), connection.handshake_kind());
            seen.lock().unwrap().push(handshake);
            head(&mut stream).await;
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready").await);
            drop(stream.shutdown().await);
        }
    })
    .await;
    (port, handshakes)
}

fn over_tls(port: u16, host: Option<&str>, ca: Option<PathBuf>) -> Probe {
    probe(ProbeKind::Http(HttpProbe { tls: Some(trusting(ca)), host: host.map(str::to_owned), ..http(port) }))
}

#[tokio::test]
async fn a_certificate_for_the_host_is_good() {
    let authority = authority();
    let anchors = Anchors::of(&authority);
    let (port, handshakes) = https(V4, &authority, certificate_for(&["hub.example.net"])).await;
    let mut good = over_tls(port, Some("hub.example.net"), Some(anchors.file()));
    assert_eq!(observe(good.clone(), &[V4]).await, Outcome::Good);
    assert_eq!(handshakes.lock().unwrap()[0].0.as_deref(), Some("hub.example.net"));

    let ProbeKind::Http(http) = &mut good.kind else { unreachable!("it is an HTTP probe") };
    http.expect.body = Some("ready".to_owned());
    http.host = Some(format!("hub.example.net:{port}"));
    assert_eq!(observe(good, &[V4]).await, Outcome::Good, "the port is not part of the name");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = authority();
    let anchors = Anchors::of(&authority);
    let (port, _) = https(V4, &authority, certificate_for(&["other.example.net", "192.0.2.1"])).await;
    let outcome = observe(over_tls(port, Some("hub.example.net"), Some(anchors.file())), &[V4]).await;
    let expected = format!(
        "certificate of 127.0.0.1:{port} is not valid for `hub.example.net`: it is for other.example.net, 192.0.2.1"
    );
    assert_failed(&outcome, &expected);
}

#[tokio::test]
async fn a_certificate_outside_its_time_is_refused() {
    let authority = authority();
    let anchors = Anchors::of(&authority);
    let check = async |from: i32, until: i32, expected: &str| {
        let mut params = certificate_for(&["hub.example.net"]);
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let (port, _) = https(V4, &authority, params).await;
        let outcome = observe(over_tls(port, Some("hub.example.net"), Some(anchors.file())), &[V4]).await;
        assert_failed(&outcome, &format!("certificate of 127.0.0.1:{port} for `hub.example.net` {expected}"));
    };
    check(2020, 2021, "expired at 2021-01-01T00:00:00Z").await;
    check(3000, 3001, "is not valid before 3000-01-01T00:00:00Z").await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_is_refused() {
    let anchors = Anchors::of(&authority());
    let check = async |issuer: Authority, expected: &str| {
        let (port, _) = https(V4, &issuer, certificate_for(&["hub.example.net"])).await;
        let outcome = observe(over_tls(port, Some("hub.example.net"), Some(anchors.file())), &[V4]).await;
        assert_failed(&outcome, &format!("certificate of 127.0.0.1:{port} for `hub.example.net` {expected}"));
    };
    check(authority_called("another authority"), "is of an unknown issuer").await;
    // One that calls itself by the trusted name has another key.
    check(authority(), "is not signed by the issuer that it names").await;
}

#[tokio::test]
async fn the_systems_anchors_do_not_vouch_for_a_private_authority() {
    let authority = authority();
    let (port, _) = https(V4, &authority, certificate_for(&["hub.example.net"])).await;
    let Outcome::Failed(sentence) = observe(over_tls(port, Some("hub.example.net"), None), &[V4]).await else {
        panic!("a private authority is trusted")
    };
    // A machine may have no anchors at all.
    assert!(
        sentence.contains("is of an unknown issuer") || sentence.contains("the system's trust anchors"),
        "{sentence}"
    );
}

#[tokio::test]
async fn addresses_are_verified_as_addresses() {
    let authority = authority();
    let anchors = Anchors::of(&authority);
    for (dialled, named) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        let (port, handshakes) = https(address(dialled), &authority, certificate_for(&[dialled])).await;
        let good = over_tls(port, None, Some(anchors.file()));
        assert_eq!(observe(good, &[address(dialled)]).await, Outcome::Good);
        assert_eq!(handshakes.lock().unwrap()[0].0, None, "no server name is sent for an address (RFC 6066 3)");

        let (port, _) = https(address(dialled), &authority, certificate_for(&["192.0.2.1"])).await;
        let outcome = observe(over_tls(port, None, Some(anchors.file())), &[address(dialled)]).await;
        let expected = format!("certificate of {named}:{port} is not valid for `{dialled}`: it is for 192.0.2.1");
        assert_failed(&outcome, &expected);
    }
}

/// A resumed session would not be verified.
#[tokio::test]
async fn every_observation_verifies_anew() {
    let authority = authority();
    let anchors = Anchors::of(&authority);
    let (port, handshakes) = https(V4, &authority, certificate_for(&["hub.example.net"])).await;
    let prober = Arc::new(Prober::new(&[]));
    let probe = Arc::new(over_tls(port, Some("hub.example.net"), Some(anchors.file())));
    for _ in 0..3 {
        assert_eq!(prober.observe(&probe, &Target::Addresses(vec![V4])).await.outcome, Outcome::Good);
    }
    let kinds: Vec<_> = handshakes.lock().unwrap().iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [Some(HandshakeKind::Full); 3]);
}

#[tokio::test]
async fn a_peer_without_tls_says_so() {
    let port = listen(V4, |mut stream| async move {
        stream.write_all(b"220 mail.example.net ESMTP\r\n").await.unwrap();
        head(&mut stream).await;
    })
    .await;
    let authority = authority();
    let anchors = Anchors::of(&authority);
    let outcome = observe(over_tls(port, None, Some(anchors.file())), &[V4]).await;
    assert_failed(&outcome, &format!("127.0.0.1:{port} does not speak TLS"));
}

#[tokio::test]
async fn a_peer_that_ends_or_stalls_the_handshake_is_a_failure() {
    let authority = authority();
    let anchors = Anchors::of(&authority);
    let port = listen(V4, |mut stream| async move {
        drop(stream.read(&mut [0; 4096]).await);
    })
    .await;
    let outcome = observe(over_tls(port, None, Some(anchors.file())), &[V4]).await;
    assert_failed(&outcome, &format!("127.0.0.1:{port} closed the connection in the TLS handshake"));

    let port =
        listen(V4, |mut stream| async move { while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} })
            .await;
    let outcome = observe(within_ms(500, over_tls(port, None, Some(anchors.file()))), &[V4]).await;
    assert_failed(&outcome, &format!("timed out after 500 ms while in the TLS handshake with 127.0.0.1:{port}"));
}

#[tokio::test]
async fn trust_anchors_that_cannot_be_read_are_a_failure_with_the_file() {
    let authority = authority();
    let anchors = Anchors::of(&authority);
    let (port, _) = https(V4, &authority, certificate_for(&["127.0.0.1"])).await;
    let file = anchors.file();
    let check = async |expected: &str| {
        let outcome = observe(over_tls(port, None, Some(file.clone())), &[V4]).await;
        assert_unable(&outcome, &format!("read trust anchors `{}`: {expected}", file.display()));
    };
    std::fs::write(&file, "not a certificate").unwrap();
    check("0 certificates, none of which can be used").await;
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    check("1 certificates, none of which can be used").await;
    std::fs::remove_file(&file).unwrap();
    check("no such file or directory").await;
}

#[tokio::test]
async fn a_reload_reads_trust_anchors_again_and_a_bad_file_changes_nothing() {
    let (first, second) = (authority(), authority());
    let anchors = Anchors::of(&first);
    let prober = Arc::new(Prober::new(&[]));
    let (port, _) = https(V4, &first, certificate_for(&["127.0.0.1"])).await;
    let probe = Arc::new(over_tls(port, None, Some(anchors.file())));
    let target = Target::Addresses(vec![V4]);
    assert_eq!(prober.observe(&probe, &target).await.outcome, Outcome::Good);

    std::fs::write(anchors.file(), "").unwrap();
    prober.renew();
    assert_eq!(prober.observe(&probe, &target).await.outcome, Outcome::Good);

    std::fs::write(anchors.file(), second.pem()).unwrap();
    assert_eq!(prober.observe(&probe, &target).await.outcome, Outcome::Good, "nothing is read without a reload");
    prober.renew();
    assert_ne!(prober.observe(&probe, &target).await.outcome, Outcome::Good);
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks_for_it() {
    let (authority, clients) = (authority(), authority_called("the clients' authority"));
    let anchors = Anchors::of(&authority);
    let (port, _) = https_for(V4, &authority, certificate_for(&["127.0.0.1"]), Some(&clients)).await;
    let with = |client: Option<ClientCertificate>| {
        let settings = TlsSettings { client, ..trusting(Some(anchors.file())) };
        probe(ProbeKind::Http(HttpProbe { tls: Some(settings), ..http(port) }))
    };
    let peer = format!("127.0.0.1:{port}");
    assert_failed(&observe(with(None), &[V4]).await, &format!("{peer} demands a client certificate"));
    assert_eq!(observe(with(Some(anchors.client(&clients))), &[V4]).await, Outcome::Good);
    let Outcome::Failed(sentence) = observe(with(Some(anchors.client(&authority))), &[V4]).await else {
        panic!("another authority's client is accepted")
    };
    assert!(sentence.starts_with(&format!("{peer} does not accept the client certificate: alert ")), "{sentence}");
}

#[tokio::test]
async fn a_client_certificate_that_cannot_be_used_is_no_failure_of_the_peer() {
    let authority = authority();
    let anchors = Anchors::of(&authority);
    let client = anchors.client(&authority);
    let (port, _) = https(V4, &authority, certificate_for(&["127.0.0.1"])).await;
    let settings = TlsSettings { client: Some(client.clone()), ..trusting(Some(anchors.file())) };
    let probe = probe(ProbeKind::Http(HttpProbe { tls: Some(settings), ..http(port) }));
    let check = async |expected: String| assert_unable(&observe(probe.clone(), &[V4]).await, &expected);
    let (cert, key) = (client.cert.display(), client.key.display());
    std::fs::write(&client.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let other = "keys may not be consistent: KeyMismatch";
    check(format!("use client certificate `{cert}` with private key `{key}`: {other}")).await;
    std::fs::remove_file(&client.key).unwrap();
    check(format!("read private key `{key}`: no such file or directory")).await;
    std::fs::write(&client.cert, "").unwrap();
    check(format!("read client certificate `{cert}`: there is no certificate in it")).await;
}
