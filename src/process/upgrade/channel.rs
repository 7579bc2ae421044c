//! I/O shell: messages between the two processes, with sockets in them, over a pair of sockets that nobody else has.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair, sockopt,
};

use super::{About, Message};
use crate::process::passed::{Given, Kind, Place};

/// Octets of a message at most.
const LONGEST: usize = 64 << 10;

/// Sockets in one message; the kernel takes 253.
const SOCKETS: usize = 32;

/// One end. Messages keep their bounds, and each side learns of the other's end.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// A new pair: one end to speak over, and the other to give away.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(ours), theirs))
    }

    /// The end that was given to this process, as its standard input.
    ///
    /// # Errors
    /// When it is none, or was made by another process than the one that started this one.
    pub fn given() -> io::Result<Self> {
        let end = io::stdin().as_fd().try_clone_to_owned()?;
        let wrong = |what: &str| io::Error::other(format!("the standard input is no channel to take over by: {what}"));
        if sockopt::socket_type(&end).map_err(|error| wrong(&error.to_string()))? != SocketType::SEQPACKET {
            return Err(wrong("it is another kind of socket"));
        }
        let maker = sockopt::socket_peercred(&end)?;
        let (parent, own) = (rustix::process::getppid(), rustix::process::geteuid());
        if maker.uid != own || Some(maker.pid) != parent {
            return Err(wrong("another process made it than the one that started this one"));
        }
        Ok(Self(end))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the other process is gone.
    pub fn send(&self, message: &Message) -> io::Result<()> {
        self.send_with(message, &[])
    }

    /// Sends sockets and what they are.
    ///
    /// # Errors
    /// When the other process is gone.
    pub fn send_sockets(&self, sockets: &[Given]) -> io::Result<()> {
        let mut chunks = sockets.chunks(SOCKETS).peekable();
        loop {
            let chunk = chunks.next().unwrap_or_default();
            let about = chunk.iter().map(|given| About { kind: given.kind, place: given.place.to_string() }).collect();
            let more = chunks.peek().is_some();
            let descriptors: Vec<_> = chunk.iter().map(|given| given.socket.as_fd()).collect();
            self.send_with(&Message::Sockets { about, more }, &descriptors)?;
            if !more {
                return Ok(());
            }
        }
    }

    fn send_with(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many sockets for one message"));
        }
        // The other process may be gone: that is an error, and no signal.
        sendmsg(&self.0, &[IoSlice::new(&text)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Waits for a message; `None` when the other process is gone.
    ///
    /// # Errors
    /// When what came is none.
    pub fn receive(&self) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        self.receive_with(RecvFlags::empty())
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when there is none yet.
    pub fn try_receive(&self) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        self.receive_with(RecvFlags::DONTWAIT)
    }

    fn receive_with(&self, flags: RecvFlags) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        let mut text = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut text)];
            match recvmsg(&self.0, &mut parts, &mut ancillary, flags | RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                // Gone with a message of ours unread.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                other => break other?,
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::Error::other("a message of the other process does not fit"));
        }
        let descriptors = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        let descriptors = descriptors.flatten().collect();
        let message = serde_json::from_slice(&text[..received.bytes])
            .map_err(|error| io::Error::other(format!("a message of the other process is not understood: {error}")))?;
        Ok(Some((message, descriptors)))
    }
}

/// What was received, as sockets that can be asked for.
///
/// # Errors
/// When what is said and what came do not agree.
pub(super) fn sockets(about: Vec<About>, descriptors: Vec<OwnedFd>) -> io::Result<Vec<Given>> {
    if about.len() != descriptors.len() {
        return Err(io::Error::other("sockets were lost on the way: the limit of open files may be too low"));
    }
    let given = about.into_iter().zip(descriptors).map(|(About { kind, place }, descriptor)| {
        let place = match kind {
            Kind::Unix => Place::Path(place.into()),
            Kind::Udp | Kind::Tcp => Place::Address(place.parse().map_err(io::Error::other)?),
        };
        Ok(Given { kind, place, name: String::new(), socket: descriptor.into() })
    });
    given.collect()
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "takes a port")]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn messages_and_sockets_arrive_in_order_and_the_end_is_told() {
        let (one, other) = Channel::pair().unwrap();
        let other = Channel(other);
        one.send(&Message::Store).unwrap();
        // More than one message's worth.
        let socket = || Given::of(UdpSocket::bind("127.0.0.1:0").unwrap().into(), "").unwrap();
        let given: Vec<_> = (0..SOCKETS + 3).map(|_| socket()).collect();
        one.send_sockets(&given).unwrap();
        one.send_sockets(&[]).unwrap();
        drop(one);
        assert_eq!(other.receive().unwrap().unwrap().0, Message::Store);
        let mut places = Vec::new();
        loop {
            let (message, descriptors) = other.receive().unwrap().unwrap();
            let Message::Sockets { about, more } = message else { panic!("{message:?}") };
            for given in sockets(about, descriptors).unwrap() {
                let there = given.socket.local_addr().unwrap().as_socket().unwrap();
                assert_eq!(given.place, Place::Address(there));
                places.push(given.place);
            }
            if !more {
                break;
            }
        }
        assert_eq!(places, given.into_iter().map(|given| given.place).collect::<Vec<_>>());
        let none = Message::Sockets { about: Vec::new(), more: false };
        assert_eq!(other.try_receive().unwrap().unwrap().0, none);
        assert!(other.receive().unwrap().is_none());
        assert!(other.send(&Message::Store).is_err());
    }

    #[test]
    fn what_does_not_agree_is_refused() {
        let about = vec![About { kind: Kind::Udp, place: "127.0.0.1:53".into() }];
        assert!(sockets(about, Vec::new()).unwrap_err().to_string().contains("limit of open files"));
    }
}
