//! The two messages of `grpc.health.v1`, in Protocol Buffers, and the frame that gRPC puts around each.

use super::super::octets::Octets;

/// What a server says of a service (`HealthCheckResponse.ServingStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It has not been said.
    Unknown,
    /// It can be used.
    Serving,
    /// It cannot.
    NotServing,
    /// There is no such service; only where changes are watched.
    ServiceUnknown,
    /// A number that the service has no name for.
    Other(u64),
}

impl Status {
    /// As the service calls it.
    pub(super) fn word(self) -> String {
        match self {
            Self::Unknown => "UNKNOWN".to_owned(),
            Self::Serving => "SERVING".to_owned(),
            Self::NotServing => "NOT_SERVING".to_owned(),
            Self::ServiceUnknown => "SERVICE_UNKNOWN".to_owned(),
            Self::Other(number) => format!("status {number}"),
        }
    }
}

/// A `HealthCheckRequest` of a service, framed; the whole server is the service without a name.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, length-delimited.
        message.push(0x0a);
        put_varint(&mut message, service.len());
        message.extend(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    framed
}

fn put_varint(to: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// The status in a framed `HealthCheckResponse`.
///
/// # Errors
/// Why it is none.
pub(super) fn response(body: &[u8]) -> Result<Status, &'static str> {
    let mut octets = Octets(body);
    let (Some(compressed), Some(length)) = (octets.u8(), octets.u32()) else {
        return Err(if body.is_empty() { "no message" } else { "a message that is cut off" });
    };
    if compressed != 0 {
        return Err("a compressed message, which was not asked for");
    }
    let Some(message) = octets.take(length as usize) else { return Err("a message that is cut off") };
    if !octets.is_empty() {
        return Err("more than one message");
    }
    status(Octets(message)).ok_or("a message that is no HealthCheckResponse")
}

fn status(mut message: Octets<'_>) -> Option<Status> {
    // What is not in the message has its default (proto3), and what is in it twice is what it says last.
    let mut status = 0;
    while !message.is_empty() {
        let tag = message.varint(10)?;
        match (tag >> 3, tag & 7) {
            (0, _) => return None,
            (1, 0) => status = message.varint(10)?,
            (1, _) => return None,
            (_, 0) => {
                message.varint(10)?;
            }
            (_, 1) => skip(&mut message, 8)?,
            (_, 2) => {
                let length = message.varint(10)?;
                skip(&mut message, length)?;
            }
            (_, 5) => skip(&mut message, 4)?,
            _ => return None,
        }
    }
    Some(match status {
        0 => Status::Unknown,
        1 => Status::Serving,
        2 => Status::NotServing,
        3 => Status::ServiceUnknown,
        other => Status::Other(other),
    })
}

fn skip(message: &mut Octets<'_>, count: u64) -> Option<()> {
    message.take(usize::try_from(count).ok()?).map(|_| ())
}

/// The name of a status code of gRPC, with the number where it has none.
pub(super) fn code(number: u32) -> String {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    match usize::try_from(number).ok().and_then(|number| NAMES.get(number)) {
        Some(name) => (*name).to_owned(),
        None => format!("code {number}"),
    }
}

/// The text of a `grpc-message`, in which octets are written as `%` and two hexadecimal digits; what is not is kept.
pub(super) fn unescaped(message: &[u8]) -> Vec<u8> {
    let digit = |octet: &u8| char::from(*octet).to_digit(16);
    let mut text = Vec::new();
    let mut left = message;
    while let [first, rest @ ..] = left {
        let escaped = match rest {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        let (octet, taken) = escaped.map_or((*first, 0), |(high, low)| ((high * 16 + low) as u8, 2));
        text.push(octet);
        left = &rest[taken..];
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_names_the_service() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("hub.v1"), b"\x00\x00\x00\x00\x08\x0a\x06hub.v1");
        let long = request(&"s".repeat(200));
        assert_eq!(&long[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01]);
    }

    #[test]
    fn a_response_says_whether_it_serves() {
        let check = |body: &[u8], expected| assert_eq!(response(body), expected, "{body:?}");
        check(b"\0\0\0\0\x02\x08\x01", Ok(Status::Serving));
        check(b"\0\0\0\0\x02\x08\x02", Ok(Status::NotServing));
        check(b"\0\0\0\0\x02\x08\x03", Ok(Status::ServiceUnknown));
        check(b"\0\0\0\0\x00", Ok(Status::Unknown));
        check(b"\0\0\0\0\x03\x08\x80\x01", Ok(Status::Other(128)));
        // Fields of a later version, of every kind.
        check(b"\0\0\0\0\x07\x12\x03abc\x08\x01", Ok(Status::Serving));
        check(b"\0\0\0\0\x12\x15\0\0\0\0\x19\0\0\0\0\0\0\0\0\x20\x01\x08\x01", Ok(Status::Serving));
        check(b"", Err("no message"));
        check(b"\0\0\0", Err("a message that is cut off"));
        check(b"\0\0\0\0\x02\x08", Err("a message that is cut off"));
        check(b"\0\xff\xff\xff\xff\x08", Err("a message that is cut off"));
        check(b"\x01\0\0\0\x02\x08\x01", Err("a compressed message, which was not asked for"));
        check(b"\0\0\0\0\x02\x08\x01\0", Err("more than one message"));
        for bad in [b"\x0a\x01".as_slice(), b"\x08\x80", b"\x00\x01", b"\x13\x01", b"\x12\x05"] {
            let framed = [&[0, 0, 0, 0, bad.len() as u8], bad].concat();
            check(&framed, Err("a message that is no HealthCheckResponse"));
        }
    }

    #[test]
    fn codes_have_grpcs_names() {
        let check = |number, expected: &str| assert_eq!(code(number), expected);
        check(5, "NOT_FOUND");
        check(12, "UNIMPLEMENTED");
        check(14, "UNAVAILABLE");
        check(16, "UNAUTHENTICATED");
        check(17, "code 17");
    }

    #[test]
    fn a_message_is_unescaped() {
        let check = |message: &str, expected: &[u8]| assert_eq!(unescaped(message.as_bytes()), expected);
        check("unknown service", b"unknown service");
        check("100%25 down%0a", b"100% down\n");
        check("%C3%A4", "ä".as_bytes());
        check("%", b"%");
        check("%2", b"%2");
        check("%zz%41", b"%zzA");
    }

    proptest! {
        #[test]
        fn hostile_octets(body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = response(&body);
            prop_assert!(unescaped(&body).len() <= body.len());
            let framed = [&[0, 0, 0, 0, body.len() as u8], body.as_slice()].concat();
            let _ = response(&framed);
        }
    }
}
