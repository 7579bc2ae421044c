//! The `grpc` probe: with peers that say what no good server says, and with gRPC's own server for Python, from Debian.

use h2::server;
use hyper::Response;
use hyper::header::HeaderMap;

use super::brokers::{Folder, failed};
use super::peers::Peer;
use super::*;
use crate::policy::GrpcProbe;

fn grpc(port: u16, service: &str) -> GrpcProbe {
    GrpcProbe { port, tls: None, host: None, service: service.to_owned() }
}

async fn observe_grpc(grpc: GrpcProbe) -> Outcome {
    observe(probe(ProbeKind::Grpc(grpc)), &[V4]).await
}

/// What a server answers with.
#[derive(Clone, Default)]
struct Script {
    status: Option<u16>,
    fields: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    trailers: &'static [(&'static str, &'static str)],
}

const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc+proto")];
const OK: &[(&str, &str)] = &[("grpc-status", "0")];

fn fields(of: &[(&'static str, &'static str)]) -> HeaderMap {
    of.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

/// A server of HTTP/2 that answers every request so.
async fn answering(script: Script) -> u16 {
    listen(V4, move |stream| {
        let script = script.clone();
        async move {
            let mut connection = server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                assert_eq!(request.headers()["te"], "trailers");
                let mut response = Response::builder().status(script.status.unwrap_or(200)).body(()).unwrap();
                *response.headers_mut() = fields(script.fields);
                let ends = script.body.is_empty() && script.trailers.is_empty();
                let mut body = respond.send_response(response, ends).unwrap();
                if !ends {
                    let last = script.trailers.is_empty();
                    body.send_data(bytes::Bytes::from_static(script.body), last).unwrap();
                    if !last {
                        body.send_trailers(fields(script.trailers)).unwrap();
                    }
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_serves_is_good() {
    let port =
        answering(Script { fields: GRPC, body: b"\0\0\0\0\x02\x08\x01", trailers: OK, ..Script::default() }).await;
    assert_eq!(observe_grpc(grpc(port, "")).await, Outcome::Good);
}

#[tokio::test]
async fn what_else_comes_is_told() {
    let check = async |script: Script, expected: &str| {
        let port = answering(script).await;
        let expected = expected.replace("PEER", &format!("127.0.0.1:{port}"));
        assert_failed(&observe_grpc(grpc(port, "hub")).await, &expected);
    };
    let said = |body| Script { fields: GRPC, body, trailers: OK, ..Script::default() };
    check(said(b"\0\0\0\0\x02\x08\x02"), "expected SERVING of service `hub` from PEER, got NOT_SERVING").await;
    check(said(b"\0\0\0\0\0"), "expected SERVING of service `hub` from PEER, got UNKNOWN").await;
    check(said(b"\0\0\0\0\x09"), "expected a HealthCheckResponse from PEER, got a message that is cut off").await;
    check(said(b""), "expected a HealthCheckResponse from PEER, got no message").await;
    check(said(&[0; 20_000]), "PEER sent a response of more than 16 KiB").await;
    let ended = |trailers| Script { fields: GRPC, trailers, ..Script::default() };
    check(
        ended(&[("grpc-status", "5"), ("grpc-message", "unknown%20service")]),
        "expected OK of service `hub` from PEER, got NOT_FOUND: unknown service",
    )
    .await;
    check(ended(&[("grpc-status", "x")]), "expected OK of service `hub` from PEER, got `x`").await;
    check(ended(&[]), "PEER ended its response without a grpc-status").await;
    let head = &[("content-type", "application/grpc"), ("grpc-status", "12")];
    check(Script { fields: head, ..Script::default() }, "expected OK of service `hub` from PEER, got UNIMPLEMENTED")
        .await;
    let html = Script { fields: &[("content-type", "text/html")], ..Script::default() };
    check(html, "expected content type `application/grpc` from PEER, got text/html").await;
    check(Script { status: Some(503), ..Script::default() }, "expected HTTP status 200 from PEER, got 503").await;
}

#[tokio::test]
async fn a_peer_that_speaks_something_else_says_so() {
    let port = listen(V4, |mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await);
        drop(stream.read_to_end(&mut Vec::new()).await);
    })
    .await;
    assert_failed(&observe_grpc(grpc(port, "")).await, &format!("127.0.0.1:{port} does not speak HTTP/2"));
    let port = listen(V4, |mut stream| async move { drop(stream.read_u8().await) }).await;
    let sentence = failed(observe_grpc(grpc(port, "")).await);
    assert!(sentence.starts_with(&format!("127.0.0.1:{port} closed the connection")), "{sentence}");
    let port = listen(V4, |mut stream| async move { drop(stream.read_to_end(&mut Vec::new()).await) }).await;
    let outcome = observe(within_ms(400, probe(ProbeKind::Grpc(grpc(port, "")))), &[V4]).await;
    assert_failed(&outcome, &format!("timed out after 400 ms while waiting for the response of 127.0.0.1:{port}"));
}

/// gRPC's own server, with the service as the published definition has it. It prints its port.
const SERVER: &str = r#"
import sys, time
from concurrent import futures
import grpc
import health_pb2, health_pb2_grpc

class Health(health_pb2_grpc.HealthServicer):
    def Check(self, request, context):
        known = {"": "SERVING", "hub.v1": "SERVING", "draining": "NOT_SERVING"}
        if request.service not in known:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service: 100%")
        return health_pb2.HealthCheckResponse(status=known[request.service])

server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
if sys.argv[1] != "none":
    health_pb2_grpc.add_HealthServicer_to_server(Health(), server)
if len(sys.argv) > 2:
    read = lambda name: open(sys.argv[2] + "/" + name, "rb").read()
    pair = [(read("server.key"), read("server.pem"))]
    credentials = grpc.ssl_server_credentials(pair, read("ca.pem"), True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print("port %d" % port, flush=True)
server.wait_for_termination()
"#;

fn python(folder: &Folder, service: &str, tls: bool) -> Peer {
    let definitions = "/usr/share/grpc-proto/grpc/health/v1";
    let here = folder.file("").display().to_string();
    let made = std::process::Command::new("/usr/bin/python3")
        .args(["-m", "grpc_tools.protoc", "-I", definitions])
        .args([format!("--python_out={here}"), format!("--grpc_python_out={here}")])
        .arg(format!("{definitions}/health.proto"))
        .status();
    assert!(made.unwrap().success());
    let mut command = std::process::Command::new("/usr/bin/python3");
    command.args(["-c", SERVER, service]).env("PYTHONPATH", &here);
    if tls {
        command.arg(&here);
    }
    Peer::start(&mut command, "port ")
}

#[tokio::test]
async fn grpcs_own_server() {
    let folder = Folder::new();
    let peer = python(&folder, "health", false);
    for service in ["", "hub.v1"] {
        assert_eq!(observe_grpc(grpc(peer.port, service)).await, Outcome::Good);
    }
    let at = format!("127.0.0.1:{}", peer.port);
    let expected = format!("expected SERVING of service `draining` from {at}, got NOT_SERVING");
    assert_failed(&observe_grpc(grpc(peer.port, "draining")).await, &expected);
    let expected = format!("expected OK of service `other` from {at}, got NOT_FOUND: unknown service: 100%");
    assert_failed(&observe_grpc(grpc(peer.port, "other")).await, &expected);
}

#[tokio::test]
async fn a_server_without_the_health_service() {
    let folder = Folder::new();
    let peer = python(&folder, "none", false);
    let sentence = failed(observe_grpc(grpc(peer.port, "")).await);
    let expected = format!("expected OK of the server from 127.0.0.1:{}, got UNIMPLEMENTED", peer.port);
    assert!(sentence.starts_with(&expected), "{sentence}");
}

#[tokio::test]
async fn grpcs_own_server_with_client_certificates() {
    let folder = Folder::new();
    let peer = python(&folder, "health", true);
    let mutual =
        |host: &str| GrpcProbe { tls: Some(folder.mutual()), host: Some(host.to_owned()), ..grpc(peer.port, "hub.v1") };
    assert_eq!(observe_grpc(mutual("hub.example.net")).await, Outcome::Good);
    let expected = format!("certificate of 127.0.0.1:{} is not valid for `other.example.net`", peer.port);
    let sentence = failed(observe_grpc(mutual("other.example.net")).await);
    assert!(sentence.starts_with(&expected), "{sentence}");
    let stranger = GrpcProbe { tls: Some(folder.trusted()), ..mutual("hub.example.net") };
    let sentence = failed(observe_grpc(stranger).await);
    let ended = sentence.contains("it requires a client certificate") || sentence.contains("closed the connection");
    assert!(ended, "{sentence}");
}
