//! The load over TCP: pipelined on connections that stay, or one query for each connection.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_tcp_quickack;
use socket2::{Domain, Protocol, Socket, Type};

use crate::generator::Outcome;
use crate::message::check;
use crate::workload::Pool;

/// A query without an answer for this long is lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of the loopback network that clients come from, so that the ports of none run out.
const SOURCES: u32 = 200;

/// Opens a connection from one of many addresses, and waits for it.
pub(crate) fn connect(server: SocketAddr, number: u32) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    let source = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + number % SOURCES);
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&server.into())?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Appends a query with its length in front (RFC 1035 4.2.2).
fn frame(out: &mut Vec<u8>, query: &[u8], id: u16) {
    out.extend_from_slice(&(query.len() as u16).to_be_bytes());
    let start = out.len();
    out.extend_from_slice(query);
    out[start..start + 2].copy_from_slice(&id.to_be_bytes());
}

/// What has arrived on a connection.
#[derive(Default)]
struct Incoming {
    octets: Vec<u8>,
    taken: usize,
}

impl Incoming {
    /// Reads what is there; `false` when the server has closed.
    fn read(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        self.octets.drain(..self.taken);
        self.taken = 0;
        let mut chunk = [0; 16 * 1024];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.octets.extend_from_slice(&chunk[..length]);
                    if length < chunk.len() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next whole message.
    fn next(&mut self) -> Option<&[u8]> {
        let rest = &self.octets[self.taken..];
        let length = usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?));
        let message = rest.get(2..2 + length)?;
        self.taken += 2 + length;
        Some(message)
    }
}

/// The queries in flight on one connection; the id is the position.
struct InFlight {
    items: Vec<Option<usize>>,
    live: usize,
}

impl InFlight {
    /// Judges an answer.
    fn land(&mut self, pool: &Pool, answer: &[u8], outcome: &mut Outcome) {
        let id = answer.get(..2).map(|id| u16::from_be_bytes([id[0], id[1]]));
        let Some((id, item)) = id.and_then(|id| Some((id, self.items.get_mut(usize::from(id))?.take()?))) else {
            outcome.stray += 1;
            return;
        };
        self.live -= 1;
        let (query, item) = pool.item(item);
        let mut asked = query.to_vec();
        asked[..2].copy_from_slice(&id.to_be_bytes());
        outcome.judge(check(&asked, usize::from(item.question), &item.expected, answer));
    }
}

/// One connection of a load.
struct Connection {
    stream: TcpStream,
    incoming: Incoming,
    flight: InFlight,
}

impl Connection {
    fn open(server: SocketAddr, number: u32, depth: usize) -> io::Result<Self> {
        let flight = InFlight { items: vec![None; depth], live: 0 };
        Ok(Self { stream: connect(server, number)?, incoming: Incoming::default(), flight })
    }

    /// Sends as many queries as fit into the depth, with one write.
    fn ask(&mut self, pool: &Pool, position: &mut usize, most: u64) -> Result<u64> {
        let mut out = Vec::with_capacity(4096);
        let mut asked = 0;
        for (id, slot) in self.flight.items.iter_mut().enumerate().take(most as usize) {
            if slot.is_none() {
                frame(&mut out, pool.item(*position).0, id as u16);
                *slot = Some(*position);
                *position = (*position + 1) % pool.len();
                asked += 1;
            }
        }
        self.flight.live += asked;
        // The send buffer holds far more than the depth allows.
        if self.stream.write(&out).context("cannot write to a connection")? < out.len() {
            bail!("the server does not read");
        }
        // A server that writes answers one by one without TCP_NODELAY would wait 40 ms for each acknowledgement, and the
        // loop would measure that. The kernel forgets it after a while, so that it is said each time.
        set_tcp_quickack(&self.stream, true)?;
        Ok(asked as u64)
    }

    /// Takes what has arrived; `false` when the server has closed.
    fn take(&mut self, pool: &Pool, outcome: &mut Outcome) -> Result<bool> {
        let open = self.incoming.read(&mut self.stream).context("cannot read from a connection")?;
        set_tcp_quickack(&self.stream, true)?;
        while let Some(answer) = self.incoming.next() {
            self.flight.land(pool, answer, outcome);
        }
        Ok(open)
    }
}

/// Connections that stay, with this many queries in flight on each: the next ones go out when all are answered.
pub(crate) struct Pipelined {
    connections: Vec<Connection>,
    position: usize,
}

impl Pipelined {
    /// Opens the connections.
    pub(crate) fn connect(server: SocketAddr, connections: u32, depth: usize) -> io::Result<Self> {
        let connections =
            (0..connections).map(|number| Connection::open(server, number, depth)).collect::<io::Result<_>>()?;
        Ok(Self { connections, position: 0 })
    }

    /// Asks `count` queries and waits for their answers.
    pub(crate) fn run(&mut self, pool: &Pool, count: u64) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let start = Instant::now();
        loop {
            let mut live = 0;
            for connection in &mut self.connections {
                if connection.flight.live == 0 && outcome.sent < count {
                    outcome.sent += connection.ask(pool, &mut self.position, count - outcome.sent)?;
                }
                live += connection.flight.live;
            }
            if live == 0 {
                outcome.elapsed = start.elapsed();
                return Ok(outcome);
            }
            let ready = wait(self.connections.iter().map(|connection| &connection.stream))?;
            if ready.is_empty() {
                outcome.lost += live as u64;
                outcome.elapsed = start.elapsed();
                return Ok(outcome);
            }
            for ready in ready {
                if !self.connections[ready].take(pool, &mut outcome)? {
                    bail!("the server has closed a connection");
                }
            }
        }
    }
}

/// One query for each connection, several of them at once.
pub(crate) struct OneEach {
    server: SocketAddr,
    at_once: usize,
    number: u32,
    position: usize,
}

impl OneEach {
    /// So many connections at once.
    pub(crate) fn new(server: SocketAddr, at_once: usize) -> Self {
        Self { server, at_once, number: fastrand::u32(..1 << 20), position: 0 }
    }

    /// Opens `count` connections, asks on each, waits for the answer and closes.
    pub(crate) fn run(&mut self, pool: &Pool, count: u64) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let start = Instant::now();
        let mut open: Vec<Connection> = Vec::new();
        while outcome.sent < count || !open.is_empty() {
            while open.len() < self.at_once && outcome.sent < count {
                let connection = Connection::open(self.server, self.number, 1);
                let mut connection = connection.with_context(|| format!("cannot connect to {}", self.server))?;
                self.number = self.number.wrapping_add(1);
                outcome.sent += connection.ask(pool, &mut self.position, 1)?;
                open.push(connection);
            }
            let ready = wait(open.iter().map(|connection| &connection.stream))?;
            if ready.is_empty() {
                outcome.lost += open.len() as u64;
                open.clear();
            }
            // From the last one, so that the positions before it stay what they are.
            for ready in ready.into_iter().rev() {
                let is_open = open[ready].take(pool, &mut outcome)?;
                if open[ready].flight.live == 0 {
                    open.swap_remove(ready);
                } else if !is_open {
                    outcome.lost += 1;
                    open.swap_remove(ready);
                }
            }
        }
        outcome.elapsed = start.elapsed();
        Ok(outcome)
    }
}

/// Waits until any of the streams can be read, and returns the positions of those that can; none, when it takes too long.
fn wait<'a>(streams: impl Iterator<Item = &'a TcpStream>) -> Result<Vec<usize>> {
    let mut watched: Vec<PollFd<'_>> = streams.map(|stream| PollFd::new(stream, PollFlags::IN)).collect();
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    loop {
        match poll(&mut watched, Some(&patience)) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for answers"),
        }
    }
    let ready = watched.iter().enumerate().filter(|(_, watched)| !watched.revents().is_empty());
    Ok(ready.map(|(position, _)| position).collect())
}

/// Connections that each have asked one query, and then stay as they are.
pub(crate) struct Idle {
    connections: Vec<Connection>,
}

impl Idle {
    /// Opens `count` connections, one after the other, and asks one query on each.
    pub(crate) fn open(server: SocketAddr, pool: &Pool, count: u32, outcome: &mut Outcome) -> Result<Self> {
        let mut idle = Self { connections: Vec::new() };
        let mut position = 0;
        for number in 0..count {
            let connection = Connection::open(server, number, 1);
            let mut connection = connection.with_context(|| format!("connection {number}"))?;
            outcome.sent += connection.ask(pool, &mut position, 1)?;
            if wait([&connection.stream].into_iter())?.is_empty() {
                outcome.lost += 1;
            } else {
                connection.take(pool, outcome)?;
            }
            idle.connections.push(connection);
        }
        Ok(idle)
    }

    /// How many the server has not closed.
    pub(crate) fn still_open(&mut self) -> Result<u64> {
        let mut open = 0;
        for connection in &mut self.connections {
            open += u64::from(connection.incoming.read(&mut connection.stream)?);
        }
        Ok(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_whole() {
        let mut incoming = Incoming::default();
        incoming.octets.extend_from_slice(&[0, 2, 7, 8, 0, 3, 9]);
        assert_eq!(incoming.next(), Some(&[7, 8][..]));
        assert_eq!(incoming.next(), None);
        incoming.octets.extend_from_slice(&[10, 11]);
        assert_eq!(incoming.next(), Some(&[9, 10, 11][..]));
        assert_eq!(incoming.next(), None);
    }

    #[test]
    fn an_id_that_was_not_asked_is_stray() {
        let mut flight = InFlight { items: vec![Some(0)], live: 1 };
        let mut outcome = Outcome::default();
        let pool = Pool::soa(1);
        flight.land(&pool, &[0, 1], &mut outcome);
        assert_eq!((outcome.stray, flight.live), (1, 1));
        flight.land(&pool, &[0, 0], &mut outcome);
        assert_eq!((outcome.wrong, flight.live), (1, 0));
        flight.land(&pool, &[0, 0], &mut outcome);
        assert_eq!(outcome.stray, 2, "twice");
    }
}
