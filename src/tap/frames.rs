//! Frame Streams, in which dnstap is carried: control frames, and the length before each data frame.
//!
//! A control frame is escaped by a data frame of no octets; numbers are of 32 bits, the most significant octet first.

use std::io::{self, Read, Write};

/// What is carried.
const CONTENT: &[u8] = b"protobuf:dnstap.Dnstap";

/// Octets of a control frame that is read: none is larger.
const LARGEST: u32 = 512;

/// Field of a control frame: the type of what is carried.
const CONTENT_TYPE: u32 = 1;

/// Kinds of control frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Control {
    Accept = 1,
    Start = 2,
    Stop = 3,
    Ready = 4,
    Finish = 5,
}

/// Writes a control frame.
pub(super) fn control(kind: Control, to: &mut impl Write) -> io::Result<()> {
    let mut frame = (kind as u32).to_be_bytes().to_vec();
    if matches!(kind, Control::Accept | Control::Start | Control::Ready) {
        frame.extend_from_slice(&CONTENT_TYPE.to_be_bytes());
        frame.extend_from_slice(&(CONTENT.len() as u32).to_be_bytes());
        frame.extend_from_slice(CONTENT);
    }
    to.write_all(&0_u32.to_be_bytes())?;
    data(&frame, to)
}

/// Writes a data frame.
pub(super) fn data(octets: &[u8], to: &mut impl Write) -> io::Result<()> {
    to.write_all(&(octets.len() as u32).to_be_bytes())?;
    to.write_all(octets)
}

/// Reads a control frame of this kind; one that lists what it takes has to list what is carried.
pub(super) fn expect(kind: Control, from: &mut impl Read) -> io::Result<()> {
    let [escape, length, found] = [number(from)?, number(from)?, number(from)?];
    let rest = length.checked_sub(4).filter(|_| escape == 0 && found == kind as u32 && length <= LARGEST);
    let Some(rest) = rest else {
        return Err(io::Error::other("the receiver does not speak Frame Streams"));
    };
    let mut fields = vec![0; rest as usize];
    from.read_exact(&mut fields)?;
    let listed = fields.is_empty() || fields.windows(CONTENT.len()).any(|field| field == CONTENT);
    if listed { Ok(()) } else { Err(io::Error::other("the receiver does not take dnstap")) }
}

fn number(from: &mut impl Read) -> io::Result<u32> {
    let mut octets = [0; 4];
    from.read_exact(&mut octets)?;
    Ok(u32::from_be_bytes(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_frames_are_those_of_the_specification() {
        let mut octets = Vec::new();
        control(Control::Start, &mut octets).unwrap();
        let head = [0, 0, 0, 0, 0, 0, 0, 34, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 22];
        assert_eq!(octets, [&head[..], b"protobuf:dnstap.Dnstap"].concat());
        expect(Control::Start, &mut &octets[..]).unwrap();
        octets.clear();
        control(Control::Stop, &mut octets).unwrap();
        assert_eq!(octets, [0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3]);
        expect(Control::Stop, &mut &octets[..]).unwrap();
    }

    #[test]
    fn what_is_no_such_frame_is_an_error() {
        let check = |octets: &[u8]| assert!(expect(Control::Accept, &mut &octets[..]).is_err(), "{octets:?}");
        check(&[]);
        check(&[0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1]);
        check(&[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5]);
        check(&[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1]);
        check(&[0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 9]);
        check(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1]);
        expect(Control::Accept, &mut &[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1][..]).unwrap();
    }
}
