use socket2::{Domain, Socket, Type};
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
