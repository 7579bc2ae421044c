//! One server as its clients see it: octets in, octets out, over UDP and over one TCP connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::message::Transport;
use crate::process::client;

/// Longest time until a server answers.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long no answer is taken for none at all.
const SILENCE: Duration = Duration::from_millis(500);

pub(super) struct Client {
    server: SocketAddr,
    udp: UdpSocket,
    tcp: Option<TcpStream>,
}

impl Client {
    pub(super) fn new(server: SocketAddr) -> Self {
        let udp = client(DEADLINE);
        udp.connect(server).unwrap();
        Self { server, udp, tcp: None }
    }

    pub(super) fn ask(&mut self, query: &[u8], transport: Transport) -> Vec<u8> {
        let answered = match transport {
            Transport::Udp => self.ask_within(query, DEADLINE),
            // A server may close a connection after some queries or time.
            Transport::Tcp => self.ask_over_tcp(query).or_else(|| {
                self.tcp = None;
                self.ask_over_tcp(query)
            }),
        };
        answered.unwrap_or_else(|| panic!("{} does not answer {query:02x?} over {transport:?}", self.server))
    }

    /// Asks over UDP what need not be answered.
    pub(super) fn ask_once(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        self.ask_within(query, SILENCE)
    }

    pub(super) fn ask_within(&mut self, query: &[u8], patience: Duration) -> Option<Vec<u8>> {
        self.udp.set_read_timeout(Some(patience)).unwrap();
        self.udp.send(query).ok()?;
        let mut response = [0; 65_535];
        let length = self.udp.recv(&mut response).ok()?;
        Some(response[..length].to_vec())
    }

    /// Takes what is left from questions that were asked repeatedly.
    pub(super) fn forget(&mut self) {
        self.udp.set_read_timeout(Some(SILENCE)).unwrap();
        while self.udp.recv(&mut [0; 4096]).is_ok() {}
    }

    fn ask_over_tcp(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let server = self.server;
        let stream = self.tcp.get_or_insert_with(|| {
            let stream = TcpStream::connect(server).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream
        });
        let length = u16::try_from(query.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length, query].concat()).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut response).ok()?;
        Some(response)
    }
}
