//! One TLS connection without its socket: records in, octets of the stream out, and back.
//!
//! `rustls` without buffers of its own: what is read lies in the worker's buffer, what is encrypted goes into another, and
//! between two turns a session holds the start of a record and what the kernel has not taken of one.
//!
//! Pure, but for the clock and the randomness of `rustls`.

use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus};
use rustls::{Error, HandshakeKind, ServerConfig};

/// Octets of the stream in one record at most (RFC 8446 5.1).
pub(super) const RECORD: usize = 16 << 10;

/// Octets that a record of the stream has more at most, a message about keys before it included.
const OVERHEAD: usize = 1 << 10;

/// Octets of handshake messages that are begun with; more where they take more.
const HANDSHAKE: usize = 4 << 10;

/// One connection.
pub(in crate::serve) struct Session {
    tls: UnbufferedServerConnection,
    /// Octets received that no whole record is of.
    pub(super) received: Vec<u8>,
    /// Octets that the kernel has not taken; nothing else is encrypted before it has.
    pub(super) unsent: Vec<u8>,
    /// Whether the handshake is complete.
    established: bool,
    /// Whether what was received was no TLS: nothing more is asked of `rustls`.
    failed: bool,
    /// Whether it has been completed since somebody looked.
    pub(in crate::serve) settled: bool,
    /// Whether the client has said that nothing more comes (RFC 8446 6.1).
    pub(super) ended: bool,
    /// Whether a query was answered.
    pub(super) asked: bool,
    /// Whether the end of a response is among what is unsent.
    pub(super) owes: bool,
}

/// How a handshake went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Established {
    Full,
    Resumed,
}

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let tls = UnbufferedServerConnection::new(config)?;
        let (received, unsent) = (Vec::new(), Vec::new());
        let (established, failed, settled, ended, asked, owes) = (false, false, false, false, false, false);
        Ok(Self { tls, received, unsent, established, failed, settled, ended, asked, owes })
    }

    pub(in crate::serve) fn is_established(&self) -> bool {
        self.established
    }

    /// Whether a handshake or a message has begun, or something is not with the kernel.
    pub(in crate::serve) fn is_busy(&self) -> bool {
        !self.asked || !self.received.is_empty() || !self.unsent.is_empty()
    }

    /// Takes records at the start of `input`: what they carry of the stream is appended to `stream`, and what is to be
    /// sent for them to what is unsent. Returns how many octets were taken, and how the handshake went if it was
    /// completed by this.
    ///
    /// # Errors
    /// When what was received is no TLS, or not what can be agreed on. The alert that says so is unsent.
    pub(super) fn receive(
        &mut self,
        input: &mut [u8],
        stream: &mut Vec<u8>,
    ) -> Result<(usize, Option<Established>), Error> {
        let was_established = self.established;
        let mut at = 0;
        let taken = self.process(input, &mut at, stream);
        if taken.is_err() {
            self.failed = true;
            self.last_words(input, at);
        }
        let established = match (was_established, self.established, self.tls.handshake_kind()) {
            (false, true, Some(HandshakeKind::Resumed)) => Some(Established::Resumed),
            (false, true, _) => Some(Established::Full),
            _ => None,
        };
        taken.map(|()| (at, established))
    }

    /// [`Session::receive`] from `at` on, which is set to where it ended.
    fn process(&mut self, input: &mut [u8], at: &mut usize, stream: &mut Vec<u8>) -> Result<(), Error> {
        loop {
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(&mut input[*at..]);
            let mut again = true;
            let state = match state {
                Ok(state) => state,
                Err(error) => {
                    *at += discard;
                    return Err(error);
                }
            };
            match state {
                ConnectionState::ReadTraffic(mut records) => {
                    while let Some(record) = records.next_record() {
                        let record = record?;
                        discard += record.discard;
                        stream.extend_from_slice(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(mut message) => {
                    append(&mut self.unsent, HANDSHAKE, |room| match message.encode(room) {
                        Ok(octets) => Ok(octets),
                        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                            Err(Some(required_size))
                        }
                        Err(EncodeError::AlreadyEncoded) => Err(None),
                    })?;
                }
                // It is unsent, and goes before everything else.
                ConnectionState::TransmitTlsData(sent) => sent.done(),
                ConnectionState::PeerClosed => self.ended = true,
                ConnectionState::WriteTraffic(_) => {
                    self.established = true;
                    again = false;
                }
                ConnectionState::BlockedHandshake | ConnectionState::Closed => again = false,
                // It is not offered.
                _ => return Err(Error::General("a state that is not for this".into())),
            }
            *at += discard;
            if !again {
                return Ok(());
            }
        }
    }

    /// After a failure at `at`: makes the alert unsent. It comes first if there is one, and is all: asked again, `rustls`
    /// would go on with what was received.
    fn last_words(&mut self, input: &mut [u8], at: usize) {
        if let Ok(ConnectionState::EncodeTlsData(mut alert)) = self.tls.process_tls_records(&mut input[at..]).state {
            // Who is not told learns it from the socket.
            let _ = append(&mut self.unsent, HANDSHAKE, |room| alert.encode(room).map_err(|_| None));
        }
    }

    /// Encrypts the start of `stream`, a record at most, into what is unsent. Returns how many octets of it that is.
    pub(super) fn encrypt(&mut self, stream: &[u8]) -> Result<usize, Error> {
        let record = &stream[..stream.len().min(RECORD)];
        // A message that has begun is known by where it stands in what was received.
        let UnbufferedStatus { discard, state } = self.tls.process_tls_records(&mut self.received);
        let encrypted = match state? {
            ConnectionState::WriteTraffic(mut writing) => {
                let encrypt = |room: &mut [u8]| writing.encrypt(record, room).map_err(insufficient);
                append(&mut self.unsent, record.len() + OVERHEAD, encrypt)
            }
            _ => Err(Error::HandshakeNotComplete),
        };
        self.received.drain(..discard);
        encrypted.map(|()| record.len())
    }

    /// Says that nothing more comes from here (RFC 8446 6.1), in what is unsent.
    pub(super) fn close(&mut self) {
        if self.failed || !self.established {
            return;
        }
        if let Ok(ConnectionState::WriteTraffic(mut writing)) = self.tls.process_tls_records(&mut self.received).state {
            // Who is not told learns it from the socket.
            let _ = append(&mut self.unsent, OVERHEAD, |room| writing.queue_close_notify(room).map_err(insufficient));
        }
    }

    /// Octets on the heap, but for those of `rustls`.
    #[cfg(test)]
    pub(in crate::serve) fn octets(&self) -> usize {
        self.received.capacity() + self.unsent.capacity()
    }
}

fn insufficient(error: EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => Some(required_size),
        EncryptError::EncryptExhausted => None,
    }
}

/// Has `write` write into `room` octets at the end of `to`, or into as many as it says that it needs.
fn append(
    to: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Error> {
    let start = to.len();
    let mut room = room;
    // Twice: with what it says that it needs it cannot say so again.
    for _ in 0..2 {
        to.resize(start + room, 0);
        match write(&mut to[start..]) {
            Ok(octets) => {
                to.truncate(start + octets);
                return Ok(());
            }
            Err(Some(needed)) => room = needed,
            Err(None) => break,
        }
    }
    to.truncate(start);
    Err(Error::EncryptError)
}

/// Its keys are not shown.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("established", &self.established).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use rustls::ClientConnection;

    use super::super::super::tests::credentials::{Credentials, NAME};
    use super::super::{DOT, Identity, Tls};
    use super::*;

    static CREDENTIALS: LazyLock<Credentials> = LazyLock::new(Credentials::make);

    static CONFIG: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
        let tls = Tls::new(Identity::load(&CREDENTIALS.files()).unwrap()).unwrap();
        Arc::new(tls.config(DOT))
    });

    /// Hands the server what it is sent in parts of so many octets, and returns what it took of the stream.
    struct Pair {
        server: Session,
        client: ClientConnection,
        stream: Vec<u8>,
        handshakes: usize,
    }

    impl Pair {
        fn new() -> Self {
            let client = ClientConnection::new(CREDENTIALS.client(DOT), NAME.try_into().unwrap()).unwrap();
            let server = Session::new(CONFIG.clone()).unwrap();
            Self { server, client, stream: Vec::new(), handshakes: 0 }
        }

        fn receive(&mut self, octets: &[u8]) -> Result<(), Error> {
            let mut input = std::mem::take(&mut self.server.received);
            input.extend_from_slice(octets);
            let (taken, established) = self.server.receive(&mut input, &mut self.stream)?;
            self.server.received.extend_from_slice(&input[taken..]);
            self.handshakes += usize::from(established.is_some());
            Ok(())
        }

        /// Until neither has anything for the other.
        fn exchange(&mut self, mut parts: impl Iterator<Item = usize>) {
            loop {
                let mut sent = Vec::new();
                while self.client.wants_write() {
                    self.client.write_tls(&mut sent).unwrap();
                }
                if sent.is_empty() && self.server.unsent.is_empty() {
                    return;
                }
                let mut sent = &sent[..];
                while !sent.is_empty() {
                    let (part, rest) = sent.split_at(parts.next().unwrap().min(sent.len()));
                    self.receive(part).unwrap();
                    sent = rest;
                }
                let unsent = std::mem::take(&mut self.server.unsent);
                let mut unsent = &unsent[..];
                while !unsent.is_empty() {
                    self.client.read_tls(&mut unsent).unwrap();
                    self.client.process_new_packets().unwrap();
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

        /// However the records are cut, the stream is what was sent, both ways.
        #[test]
        fn records_may_come_in_any_parts(
            parts in prop::collection::vec(1..900_usize, 1..20),
            octets in prop::collection::vec(any::<u8>(), 1..40_000),
        ) {
            use std::io::{Read, Write};
            let mut pair = Pair::new();
            let mut parts = parts.into_iter().cycle();
            pair.exchange(&mut parts);
            prop_assert_eq!((pair.server.is_established(), pair.handshakes), (true, 1));
            pair.client.writer().write_all(&octets).unwrap();
            pair.exchange(&mut parts);
            prop_assert_eq!(&pair.stream, &octets);
            prop_assert!(pair.server.received.is_empty());
            let mut at = 0;
            while at < octets.len() {
                let taken = pair.server.encrypt(&octets[at..]).unwrap();
                prop_assert!((1..=RECORD).contains(&taken));
                pair.exchange(&mut parts);
                let mut received = vec![0; taken];
                pair.client.reader().read_exact(&mut received).unwrap();
                prop_assert_eq!(&received, &octets[at..at + taken]);
                at += taken;
            }
        }

        /// Nothing that comes, before or after a handshake, is more than an end of the connection.
        #[test]
        fn hostile_octets_end_in_an_error_at_worst(
            octets in prop::collection::vec(any::<u8>(), 0..400),
            is_record in any::<bool>(),
            is_established in any::<bool>(),
        ) {
            let mut pair = Pair::new();
            if is_established {
                pair.exchange(std::iter::repeat(usize::MAX));
            }
            let head = [if is_established { 23 } else { 22 }, 3, 3, 0, octets.len().min(255) as u8];
            let input = if is_record { [&head[..], &octets].concat() } else { octets };
            if pair.receive(&input).is_err() {
                prop_assert!(pair.server.unsent.len() < 100);
            }
            prop_assert!(pair.stream.is_empty());
            pair.server.close();
        }
    }
}
