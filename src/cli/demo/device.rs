//! I/O shell: a device, as far as DNS goes. It asks a name server over UDP or TCP and reads what comes with the codec of
//! hickory-proto, which shares no code with the server's own.
#![expect(clippy::disallowed_methods, reason = "I/O shell: sockets, time limits")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// Which way the device asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Way {
    Udp,
    Tcp,
}

impl Way {
    pub(in crate::cli) fn word(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// How long a device waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks for the A records of a name.
pub(in crate::cli) async fn ask(server: SocketAddr, name: &str, way: Way) -> Result<Message, String> {
    ask_type(server, name, RecordType::A, way).await
}

/// Asks one question.
pub(in crate::cli) async fn ask_type(
    server: SocketAddr,
    name: &str,
    kind: RecordType,
    way: Way,
) -> Result<Message, String> {
    let name = Name::from_ascii(name).map_err(|error| error.to_string())?;
    let mut query = Message::query();
    query.add_query(Query::query(name, kind));
    let id = query.metadata.id;
    let octets = query.to_vec().map_err(|error| error.to_string())?;
    let exchange = async {
        match way {
            Way::Udp => udp(server, &octets).await,
            Way::Tcp => tcp(server, &octets).await,
        }
    };
    let response = tokio::time::timeout(PATIENCE, exchange)
        .await
        .map_err(|_| format!("no answer over {} within {} s", way.word(), PATIENCE.as_secs()))?
        .map_err(|error| format!("{}: {error}", way.word()))?;
    let message = Message::from_vec(&response).map_err(|error| format!("unreadable answer: {error}"))?;
    if message.metadata.id == id { Ok(message) } else { Err("an answer to another question".into()) }
}

async fn udp(server: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut response = vec![0; 4096];
    let length = socket.recv(&mut response).await?;
    response.truncate(length);
    Ok(response)
}

async fn tcp(server: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(std::io::Error::other)?;
    let mut message = length.to_be_bytes().to_vec();
    message.extend_from_slice(query);
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    let mut response = vec![0; usize::from(length)];
    stream.read_exact(&mut response).await?;
    Ok(response)
}

/// The addresses in the answer section.
pub(in crate::cli) fn addresses(message: &Message) -> Vec<IpAddr> {
    message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .collect()
}
