use socket2::{Domain, Socket, Type};
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn an_open_port_is_good() {
    let port = listen(V4, |_| async {}).await;
    assert_eq!(observe(tcp(port), &[V4]).await, Outcome::Good);
}

#[tokio::test]
async fn an_open_port_is_good_on_ipv6() {
    let v6 = address("::1");
    let port = listen(v6, |_| async {}).await;
    assert_eq!(observe(tcp(port), &[v6]).await, Outcome::Good);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let port = closed_port(V4).await;
    let expected = format!("connect 127.0.0.1:{port}: connection refused");
    assert_failed(&observe(tcp(port), &[V4]).await, &expected);
    let expected = format!("connect [::1]:{port}: connection refused");
    assert_failed(&observe(tcp(port), &[address("::1")]).await, &expected);
}

/// A listener whose queue of connections is full drops what else comes, as a firewall would.
#[tokio::test]
async fn a_peer_that_drops_everything_is_timed_out() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::new(V4, 0).into()).unwrap();
    listener.listen(0).unwrap();
    let peer = listener.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(peer)).await {
        queued.push(connected.unwrap());
        assert!(queued.len() < 100, "the queue never fills");
    }
    let began = Instant::now();
    let outcome = observe(within_ms(400, tcp(peer.port())), &[V4]).await;
    assert_failed(&outcome, &format!("timed out after 400 ms while connecting to {peer}"));
    assert!(began.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn one_address_that_answers_is_enough() {
    let port = listen(address("127.0.0.3"), |_| async {}).await;
    let addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(address);
    assert_eq!(observe(tcp(port), &addresses).await, Outcome::Good);
}

#[tokio::test]
async fn a_failure_says_of_each_address_what_came_in_the_order_of_the_policy() {
    let port = closed_port(V4).await;
    let addresses = ["127.0.0.9", "127.0.0.1", "127.0.0.9"].map(address);
    let expected =
        format!("connect 127.0.0.9:{port}: connection refused; connect 127.0.0.1:{port}: connection refused");
    assert_failed(&observe(tcp(port), &addresses).await, &expected);
}

#[tokio::test]
async fn a_failure_names_a_few_of_many_addresses() {
    let port = closed_port(V4).await;
    let addresses: Vec<IpAddr> = (1..=12).map(|last| IpAddr::from([127, 0, 0, last])).collect();
    let Outcome::Failed(sentence) = observe(tcp(port), &addresses).await else { panic!("nobody listens") };
    assert_eq!(sentence.matches("connection refused").count(), MAX_NAMED);
    assert!(sentence.ends_with("; and 4 more addresses"), "{sentence}");
}

#[tokio::test]
async fn no_address_is_a_failure() {
    assert_failed(&observe(tcp(1), &[]).await, "there is no address to probe");
}

#[tokio::test]
async fn a_connection_to_itself_is_refused() {
    // Dialling from the port that is dialled makes certain what is else a matter of luck.
    let peer = SocketAddr::new(V4, closed_port(V4).await);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(peer).unwrap();
    let itself = socket.connect(peer).await.unwrap();
    assert_eq!(not_itself(itself, peer).map(drop), Err(format!("connect {peer}: connection refused")));
}

/// A peer that answers each line with what `says` makes of it.
async fn answering(says: fn(&str) -> Vec<u8>) -> u16 {
    listen(V4, move |stream| async move {
        let (reader, mut writer) = stream.into_split();
        let mut lines = tokio::io::BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if writer.write_all(&says(&line)).await.is_err() {
                return;
            }
        }
    })
    .await
}

fn expecting(port: u16, send: Option<&str>, expect: Option<&str>) -> Probe {
    probe(ProbeKind::Tcp(TcpProbe { port, send: send.map(str::to_owned), expect: expect.map(str::to_owned) }))
}

#[tokio::test]
async fn what_is_expected_has_to_come_after_what_is_sent() {
    let port = answering(|line| format!("+{}\r\n", line.replace("PING", "PONG")).into_bytes()).await;
    let ping = |expect| expecting(port, Some("PING\r\n"), Some(expect));
    assert_eq!(observe(ping("+PONG"), &[V4]).await, Outcome::Good);
    assert_eq!(observe(expecting(port, Some("PING\r\n"), None), &[V4]).await, Outcome::Good);
    let late = format!("timed out after 2 s while waiting for the expected text from 127.0.0.1:{port}");
    let outcome = observe(within_ms(2_000, ping("+OK")), &[V4]).await;
    assert_failed(&outcome, &format!("{late}, got 7 octets without it"));
    assert_failed(&observe(within_ms(2_000, expecting(port, None, Some("+PONG"))), &[V4]).await, &late);
}

#[tokio::test]
async fn an_expected_text_may_come_in_parts_and_its_lack_is_said() {
    let port = listen(V4, |mut stream| async move {
        for part in ["220 hub.exam", "ple.net ESM", "TP\r\n"] {
            stream.write_all(part.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(observe(expecting(port, None, Some("hub.example.net ESMTP")), &[V4]).await, Outcome::Good);
    let expected = format!("expected `554` from 127.0.0.1:{port}, got 27 octets without it, and the end");
    assert_failed(&observe(expecting(port, None, Some("554")), &[V4]).await, &expected);
    let port = listen(V4, |mut stream| async move {
        drop(stream.write_all(&[b'x'; 70_000]).await);
        drop(stream.write_all(b"ok").await);
    })
    .await;
    let expected = format!("expected `ok` in the first 64 KiB from 127.0.0.1:{port}");
    assert_failed(&observe(expecting(port, None, Some("ok")), &[V4]).await, &expected);
}
