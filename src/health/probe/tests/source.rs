//! Where probes dial from.

use std::sync::Mutex;

use super::*;

fn from(source: DialFrom, probe: Probe) -> Probe {
    Probe { source: Some(source), ..probe }
}

#[tokio::test]
async fn a_connection_comes_from_the_address() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let peers = seen.clone();
    let port = listen(V4, move |stream| {
        peers.lock().unwrap().push(stream.peer_addr().unwrap().ip());
        async {}
    })
    .await;
    let source = address("127.0.0.9");
    assert_eq!(observe(from(DialFrom::Address(source), tcp(port)), &[V4]).await, Outcome::Good);
    // The connection is made before it is accepted.
    for _ in 0..1_000 {
        if !seen.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*seen.lock().unwrap(), [source]);
}

#[tokio::test]
async fn a_source_that_this_machine_does_not_have_is_no_failure_of_the_peer() {
    let port = listen(V4, |_| async {}).await;
    let elsewhere = DialFrom::Address(address("192.0.2.7"));
    let expected = "dial from 192.0.2.7: cannot assign requested address";
    assert_unable(&observe(from(elsewhere, tcp(port)), &[V4]).await, expected);
    let other = DialFrom::Address(address("::1"));
    let expected = "127.0.0.1 cannot be dialled from ::1, an address of the other family";
    assert_unable(&observe(from(other, tcp(port)), &[V4]).await, expected);
    let Outcome::Unable(sentence) = observe(from(DialFrom::Interface("none-such0".into()), tcp(port)), &[V4]).await
    else {
        panic!("there is no such interface")
    };
    assert!(sentence.starts_with("dial from interface none-such0: "), "{sentence}");
}

#[tokio::test]
async fn addresses_of_the_other_family_are_left_out() {
    let v6 = address("::1");
    let port = listen(V4, |_| async {}).await;
    let source = DialFrom::Address(V4);
    assert_eq!(observe(from(source.clone(), tcp(port)), &[v6, V4]).await, Outcome::Good);
    let closed = closed_port(V4).await;
    let expected = format!(
        "::1 cannot be dialled from 127.0.0.1, an address of the other family; \
         connect 127.0.0.1:{closed} from 127.0.0.1: connection refused"
    );
    assert_failed(&observe(from(source, tcp(closed)), &[v6, V4]).await, &expected);
}

#[tokio::test]
async fn a_connection_goes_out_of_the_interface() {
    let port = listen(V4, |_| async {}).await;
    match observe(from(DialFrom::Interface("lo".into()), tcp(port)), &[V4]).await {
        Outcome::Good => {}
        // Of kernels before 5.7, to whom is not root.
        Outcome::Unable(sentence) => assert!(sentence.ends_with("(needs CAP_NET_RAW)"), "{sentence}"),
        other => panic!("{other:?}"),
    }
}
