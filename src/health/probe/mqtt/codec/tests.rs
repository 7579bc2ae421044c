//! The packets against the standards' own figures, and against whatever else may come.

use proptest::prelude::*;

use super::*;
use MqttVersion::{V3, V5};

fn identity<'a>(client_id: &'a str, username: Option<&'a str>, password: Option<&'a [u8]>) -> Identity<'a> {
    Identity { client_id, username, password }
}

/// The variable header of 3.1.1 figure 3.6 with the flags of what is there, and the payload of 3.1.3.
#[test]
fn a_connect_of_3_1_1() {
    let bare = connect(V3, &identity("c", None, None));
    assert_eq!(bare, b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x78\x00\x01c");
    let whole = connect(V3, &identity("c", Some("us"), Some(b"pwd")));
    assert_eq!(whole, b"\x10\x16\x00\x04MQTT\x04\xc2\x00\x78\x00\x01c\x00\x02us\x00\x03pwd");
    let named = connect(V3, &identity("c", Some("us"), None));
    assert_eq!(named, b"\x10\x11\x00\x04MQTT\x04\x82\x00\x78\x00\x01c\x00\x02us");
}

#[test]
fn a_connect_of_5_says_how_large_a_packet_may_be() {
    let bare = connect(V5, &identity("c", None, None));
    assert_eq!(bare, b"\x10\x13\x00\x04MQTT\x05\x02\x00\x78\x05\x27\x00\x01\x00\x00\x00\x01c");
}

#[test]
fn a_long_connect_has_a_length_of_two_octets() {
    let long = connect(V3, &identity(&"c".repeat(200), None, None));
    assert_eq!(&long[..3], [0x10, 0xd4, 0x01], "12 + 200 octets");
    assert_eq!(long.len(), 3 + 212);
}

#[test]
fn what_a_round_trip_writes() {
    assert_eq!(subscribe(V3, "a/b"), b"\x82\x08\x00\x01\x00\x03a/b\x00");
    assert_eq!(subscribe(V5, "a/b"), b"\x82\x09\x00\x01\x00\x00\x03a/b\x00");
    assert_eq!(publish(V3, "a/b", Qos::One, b"hi"), b"\x32\x09\x00\x03a/b\x00\x01hi");
    assert_eq!(publish(V5, "a/b", Qos::One, b"hi"), b"\x32\x0a\x00\x03a/b\x00\x01\x00hi");
    assert_eq!(publish(V3, "a/b", Qos::Zero, b"hi"), b"\x30\x07\x00\x03a/bhi");
    assert_eq!(disconnect(), b"\xe0\x00");
}

#[track_caller]
fn check(version: MqttVersion, packet: &[u8], expected: Packet<'_>) {
    assert_eq!(decode(version, packet), Ok(expected));
    // What is cut off is waited for, and what follows is not of the packet.
    for end in 0..packet.len() {
        assert_eq!(length(&packet[..end]), Ok((end > 1).then_some(packet.len())), "{end}");
    }
    assert_eq!(length(&[packet, b"\x20"].concat()), Ok(Some(packet.len())));
}

fn connack(code: u8, text: Option<&[u8]>, only_qos_0: bool) -> Packet<'_> {
    Packet::ConnAck { code, text, only_qos_0 }
}

#[test]
fn the_answers_to_a_connect() {
    check(V3, b"\x20\x02\x00\x00", connack(0, None, false));
    check(V3, b"\x20\x02\x01\x05", connack(5, None, false));
    check(V5, b"\x20\x03\x00\x00\x00", connack(0, None, false));
    check(V5, b"\x20\x05\x00\x00\x02\x24\x00", connack(0, None, true));
    check(V5, b"\x20\x05\x00\x00\x02\x24\x01", connack(0, None, false));
    check(V5, b"\x20\x08\x00\x87\x05\x1f\x00\x02no", connack(0x87, Some(b"no"), false));
    // Every type of property, each once, and then a reason.
    let properties = b"\x11\x00\x00\x00\x01\x21\x00\x14\x24\x01\x25\x01\x27\x00\x00\x10\x00\x12\x00\x01c\x22\x00\x00\
        \x26\x00\x01k\x00\x01v\x28\x01\x29\x01\x2a\x01\x13\x00\x3c\x1a\x00\x00\x1c\x00\x00\x15\x00\x00\x16\x00\x00\
        \x0b\x81\x01\x1f\x00\x01r";
    let whole =
        [b"\x20".as_slice(), &[properties.len() as u8 + 3, 0, 0x80, properties.len() as u8], properties].concat();
    check(V5, &whole, connack(0x80, Some(b"r"), false));
    // A server that speaks 3.1.1 alone.
    check(V5, b"\x20\x02\x00\x01", connack(1, None, false));
}

#[test]
fn the_answers_of_a_round_trip() {
    check(V3, b"\x90\x03\x00\x01\x80", Packet::SubAck { code: 0x80, text: None });
    check(V5, b"\x90\x04\x00\x01\x00\x00", Packet::SubAck { code: 0, text: None });
    check(V5, b"\x90\x09\x00\x01\x05\x1f\x00\x02no\x87", Packet::SubAck { code: 0x87, text: Some(b"no") });
    check(V3, b"\x40\x02\x00\x01", Packet::PubAck { code: 0, text: None });
    check(V5, b"\x40\x02\x00\x01", Packet::PubAck { code: 0, text: None });
    check(V5, b"\x40\x03\x00\x01\x87", Packet::PubAck { code: 0x87, text: None });
    check(V5, b"\x40\x04\x00\x01\x10\x00", Packet::PubAck { code: 0x10, text: None });
    check(V3, b"\x30\x05\x00\x01thi", Packet::Publish { payload: b"hi" });
    check(V3, b"\x33\x07\x00\x01t\x00\x09hi", Packet::Publish { payload: b"hi" });
    check(V5, b"\x30\x06\x00\x01t\x00hi", Packet::Publish { payload: b"hi" });
    check(V5, b"\x30\x03\x00\x00\x00", Packet::Publish { payload: b"" });
    check(V5, b"\xe0\x00", Packet::Disconnect { code: 0, text: None });
    check(V5, b"\xe0\x01\x8e", Packet::Disconnect { code: 0x8e, text: None });
    check(V5, b"\xe0\x07\x8e\x05\x1f\x00\x02no", Packet::Disconnect { code: 0x8e, text: Some(b"no") });
    check(V3, b"\xd0\x00", Packet::Other(13));
}

#[test]
fn what_is_no_packet_of_a_broker() {
    let check = |came: &[u8], expected| assert_eq!(length(came), Err(expected), "{came:?}");
    check(b"HTTP/1.1 400", Malformed::Header);
    check(b"SSH-2.0", Malformed::Header);
    check(b"\x15\x03", Malformed::Header);
    check(b"\x00", Malformed::Header);
    check(b"\x36\x00", Malformed::Header);
    check(b"\x21\x00", Malformed::Header);
    check(b"\x30\xff\xff\xff\xff\x7f", Malformed::Header);
    check(b"\x30\xff\xff\xff\x7f", Malformed::Large(268_435_455));
    check(b"\x30\x81\x80\x04", Malformed::Large(65_537));
    assert_eq!(length(b"\x30\x80\x80\x04"), Ok(Some(4 + MAX_PACKET)), "the largest that is read");
    assert_eq!(length(b"\x30\x80\x80"), Ok(None));
}

#[test]
fn what_is_no_answer() {
    let check = |version, packet: &[u8], name| {
        assert_eq!(decode(version, packet), Err(Malformed::Fields(name)), "{packet:?}");
    };
    check(V3, b"\x20\x01\x00", "CONNACK");
    check(V3, b"\x20\x02\x02\x00", "CONNACK");
    check(V5, b"\x20\x02\x00\x00", "CONNACK");
    check(V5, b"\x20\x04\x00\x00\x01\x7e", "CONNACK");
    check(V5, b"\x20\x06\x00\x00\x03\x1f\x00\x02", "CONNACK");
    check(V5, b"\x20\x03\x00\x00\x05", "CONNACK");
    check(V3, b"\x90\x02\x00\x01", "SUBACK");
    check(V3, b"\x90\x04\x00\x01\x00\x00", "SUBACK");
    check(V3, b"\x30\x03\x00\x05t", "PUBLISH");
    check(V3, b"\x32\x03\x00\x01t", "PUBLISH");
    check(V5, b"\x40\x01\x00", "PUBACK");
    check(V5, b"\xe0\x02\x00\x01", "DISCONNECT");
    assert_eq!(decode(V3, b"\x20\x02\x00"), Err(Malformed::Header), "what is cut off");
}

fn version() -> impl Strategy<Value = MqttVersion> {
    prop::sample::select(vec![V3, V5])
}

proptest! {
    /// Whatever comes: nothing panics, no packet is longer than the limit, and once it can be told whether octets begin
    /// a packet, more octets do not change it.
    #[test]
    fn hostile_octets(version in version(), first in any::<u8>(), rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let came = [&[first], rest.as_slice()].concat();
        let mut told = None;
        for end in 0..=came.len() {
            match (&told, length(&came[..end])) {
                (Some(before), now) => prop_assert_eq!(before, &now),
                (None, Ok(None)) => prop_assert!(end < 5),
                (None, now) => told = Some(now),
            }
        }
        if let Some(Ok(Some(length))) = told {
            prop_assert!(length <= 5 + MAX_PACKET);
        }
        // Also what is no packet of that length.
        let _ = decode(version, &came);
    }

    /// A valid fixed header with any fields.
    #[test]
    fn hostile_fields(
        version in version(),
        first in prop::sample::select(vec![0x20u8, 0x30, 0x32, 0x34, 0x40, 0x90, 0xd0, 0xe0, 0xf0]),
        body in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let came = packet(first, &body);
        match decode(version, &came) {
            Ok(_) => prop_assert_eq!(length(&came), Ok(Some(came.len()))),
            Err(Malformed::Fields(name)) => prop_assert!(!name.is_empty()),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// What a probe publishes is what it would read.
    #[test]
    fn a_message_comes_back(version in version(), topic in "[a-z/]{1,40}", payload in prop::collection::vec(any::<u8>(), 0..300)) {
        for qos in [Qos::Zero, Qos::One] {
            let sent = publish(version, &topic, qos, &payload);
            prop_assert_eq!(length(&sent), Ok(Some(sent.len())));
            prop_assert_eq!(decode(version, &sent), Ok(Packet::Publish { payload: &payload }));
        }
    }
}
