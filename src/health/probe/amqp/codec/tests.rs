//! Frames against those of other implementations, and against whatever else may come.

use proptest::prelude::*;

use super::*;

#[test]
fn what_a_probe_writes() {
    assert_eq!(
        open("c", "h"),
        b"\x00\x00\x00\x28\x02\x00\x00\x00\x00\x53\x10\xd0\x00\x00\x00\x18\x00\x00\x00\x04\
            \xb1\x00\x00\x00\x01c\xb1\x00\x00\x00\x01h\x70\x00\x01\x00\x00\x60\x00\x00"
    );
    assert_eq!(close(), b"\x00\x00\x00\x14\x02\x00\x00\x00\x00\x53\x18\xd0\x00\x00\x00\x04\x00\x00\x00\x00");
    assert_eq!(
        init("PLAIN", &plain("u", b"p"), "h"),
        b"\x00\x00\x00\x2d\x02\x01\x00\x00\x00\x53\x41\xd0\x00\x00\x00\x1d\x00\x00\x00\x03\
            \xb3\x00\x00\x00\x05PLAIN\xb0\x00\x00\x00\x04\x00u\x00p\xb1\x00\x00\x00\x01h"
    );
    assert_eq!(
        response(),
        b"\x00\x00\x00\x19\x02\x01\x00\x00\x00\x53\x43\xd0\x00\x00\x00\x09\x00\x00\x00\x01\xb0\x00\x00\x00\x00"
    );
}

/// A frame with this body.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), [2, kind, 0, 0].as_slice(), body].concat()
}

#[track_caller]
fn check(kind: u8, body: &[u8], expected: Frame<'_>) {
    let frame = framed(kind, body);
    assert_eq!(length(&frame), Ok(Some(frame.len())));
    assert_eq!(decode(&frame), Ok(expected));
}

#[test]
fn mechanisms_are_one_symbol_or_an_array() {
    let both = || Frame::Mechanisms(vec![b"PLAIN".as_slice(), b"ANONYMOUS"]);
    check(SASL, b"\x00\x53\x40\xc0\x08\x01\xa3\x05PLAIN", Frame::Mechanisms(vec![b"PLAIN"]));
    check(SASL, b"\x00\x53\x40\xc0\x15\x01\xe0\x12\x02\xa3\x05PLAIN\x09ANONYMOUS", both());
    check(
        SASL,
        b"\x00\x53\x40\xd0\x00\x00\x00\x24\x00\x00\x00\x01\xf0\x00\x00\x00\x1b\x00\x00\x00\x02\
            \xb3\x00\x00\x00\x05PLAIN\x00\x00\x00\x09ANONYMOUS",
        both(),
    );
    check(SASL, b"\x00\xa3\x19amqp:sasl-mechanisms:list\xc0\x08\x01\xa3\x05PLAIN", Frame::Mechanisms(vec![b"PLAIN"]));
    check(SASL, b"\x00\x53\x44\xc0\x03\x01\x50\x01", Frame::Outcome(1));
    check(SASL, b"\x00\x80\x00\x00\x00\x00\x00\x00\x00\x44\xc0\x03\x01\x50\x00", Frame::Outcome(0));
    check(SASL, b"\x00\x53\x42\xc0\x03\x01\xa0\x00", Frame::Challenge);
}

#[test]
fn a_connection_is_opened_and_closed() {
    check(AMQP, b"\x00\x53\x10\xc0\x05\x01\xa1\x02id", Frame::Open);
    // As a container writes it that leaves most to be said in its properties.
    check(
        AMQP,
        b"\x00\x53\x10\xc0\x1c\x0a\xa1\x02id\x40\x70\x00\x00\x80\x00\x60\x7f\xff\x40\x40\x40\x40\x40\xc1\x07\x02\
            \xa3\x01k\xa1\x01v",
        Frame::Open,
    );
    check(AMQP, b"\x00\x53\x18\x45", Frame::Close(None));
    check(AMQP, b"\x00\x53\x18\xc0\x02\x01\x40", Frame::Close(None));
    check(
        AMQP,
        b"\x00\x53\x18\xc0\x19\x01\x00\x53\x1d\xc0\x13\x03\xa3\x0bamqp:denied\xa1\x02no\x40",
        Frame::Close(Some(Refusal { condition: b"amqp:denied", description: Some(b"no") })),
    );
    check(
        AMQP,
        b"\x00\x53\x18\xc0\x12\x01\x00\x53\x1d\xc0\x0c\x01\xa3\x09amqp:gone",
        Frame::Close(Some(Refusal { condition: b"amqp:gone", description: None })),
    );
    check(AMQP, b"", Frame::Other);
    check(AMQP, b"\x00\x53\x11\x45", Frame::Other);
    assert_eq!(decode(b"\x00\x00\x00\x0c\x02\x00\x00\x01\x00\x53\x18\x45"), Ok(Frame::Other), "of another channel");
    assert_eq!(decode(b"\x00\x00\x00\x10\x03\x00\x00\x00extd\x00\x53\x18\x45"), Ok(Frame::Close(None)));
}

#[test]
fn what_is_no_frame() {
    let header = |came: &[u8], expected| assert_eq!(length(came), expected, "{came:?}");
    header(b"\x00\x00\x00\x07", Err(Malformed::Header));
    header(b"HTTP", Err(Malformed::Large(0x4854_5450)));
    header(b"\x00\x01\x00\x01", Err(Malformed::Large(65_537)));
    header(b"\x00\x01\x00\x00", Ok(Some(MAX_FRAME)));
    header(b"\x00\x01\x00", Ok(None));
    let check = |kind, body: &[u8], expected| assert_eq!(decode(&framed(kind, body)), Err(expected), "{body:?}");
    check(2, b"\x00\x53\x18\x45", Malformed::Header);
    check(AMQP, b"\x45", Malformed::Body);
    check(AMQP, b"\x00\x53\x18", Malformed::Body);
    check(AMQP, b"\x00\x53\x18\xc0\x03\x02\x40", Malformed::Body);
    check(AMQP, b"\x00\x53\x18\xd0\xff\xff\xff\xff\x00\x00\x00\x00", Malformed::Body);
    check(AMQP, b"\x00\x53\x18\xd0\x00\x00\x00\x04\xff\xff\xff\xff", Malformed::Body);
    check(AMQP, b"\x00\x53\x10\x45", Malformed::Body);
    check(SASL, b"\x00\x53\x44\x45", Malformed::Body);
    check(SASL, b"\x00\x53\x40\xc0\x02\x01\x40", Malformed::Body);
    assert_eq!(decode(b"\x00\x00\x00\x08\x01\x00\x00\x00"), Err(Malformed::Header), "no room for the header");
    assert_eq!(decode(b"\x00\x00\x00\x08\x03\x00\x00\x00"), Err(Malformed::Header), "an extended header that is cut");
}

proptest! {
    #[test]
    fn hostile_octets(came in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(Some(length)) = length(&came) {
            prop_assert!((8..=MAX_FRAME).contains(&length));
        }
        let _ = decode(&came);
    }

    /// A valid header, a descriptor that is known, and any fields.
    #[test]
    fn hostile_fields(
        kind in 0u8..2,
        descriptor in prop::sample::select(vec![OPEN, CLOSE, ERROR, MECHANISMS, CHALLENGE, OUTCOME]),
        count in any::<u8>(),
        fields in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let size = fields.len() as u8 + 1;
        let frame = framed(kind, &[&[0x00, 0x53, descriptor, 0xc0, size, count], fields.as_slice()].concat());
        prop_assert!(matches!(decode(&frame), Ok(_) | Err(Malformed::Body)));
    }

    /// What a probe writes is read as what it is.
    #[test]
    fn what_is_written_is_read(container in ".{1,64}", host in ".{0,64}") {
        let (open, close) = (open(&container, &host), close());
        prop_assert_eq!(decode(&open), Ok(Frame::Open));
        prop_assert_eq!(decode(&close), Ok(Frame::Close(None)));
    }
}
