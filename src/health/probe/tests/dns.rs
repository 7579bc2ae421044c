//! A name server of one function, to be asked as a recursive resolver.

use std::sync::Mutex;

use tokio::net::UdpSocket;

use super::*;
use crate::dns::{HEADER, Rcode, Rtype};

/// What is answered to one question.
pub(super) enum Reply {
    /// These records, in the answer section.
    Records(Vec<Record>),
    /// This response code, or NODATA with [`Rcode::NOERROR`], with an SOA that allows an hour of caching (RFC 2308).
    Negative(Rcode),
    Silence,
}

pub(super) struct Record {
    pub(super) owner: &'static str,
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    pub(super) rdata: Vec<u8>,
}

/// The address record of this address.
pub(super) fn at(owner: &'static str, ttl: u32, address: &str) -> Record {
    match address.parse().unwrap() {
        IpAddr::V4(v4) => Record { owner, rtype: Rtype::A, ttl, rdata: v4.octets().to_vec() },
        IpAddr::V6(v6) => Record { owner, rtype: Rtype::AAAA, ttl, rdata: v6.octets().to_vec() },
    }
}

/// What was asked, in order.
pub(super) type Questions = Arc<Mutex<Vec<(String, Rtype)>>>;

/// Answers over UDP on a free port of 127.0.0.1 until the test ends.
pub(super) async fn name_server(reply: impl Fn(&str, Rtype) -> Reply + Send + 'static) -> (SocketAddr, Questions) {
    let socket = UdpSocket::bind((V4, 0)).await.unwrap();
    let at = socket.local_addr().unwrap();
    let questions = Questions::default();
    let asked = questions.clone();
    tokio::spawn(async move {
        let mut datagram = [0; 4096];
        loop {
            let (length, client) = socket.recv_from(&mut datagram).await.unwrap();
            let query = &datagram[..length];
            let (name, used) = Name::from_wire_prefix(&query[HEADER..]).unwrap();
            let end = HEADER + used + 4;
            let rtype = Rtype(u16::from_be_bytes([query[end - 4], query[end - 3]]));
            asked.lock().unwrap().push((name.to_string(), rtype));
            if let Some(response) = response(&query[..end], reply(&name.to_lowercase().to_string(), rtype)) {
                socket.send_to(&response, client).await.unwrap();
            }
        }
    });
    (at, questions)
}

/// RFC 1035 4.1; the header says AA and not RA, as an authoritative server that is asked as a resolver does.
fn response(question: &[u8], reply: Reply) -> Option<Vec<u8>> {
    let (rcode, answers, authorities) = match reply {
        Reply::Records(records) => (Rcode::NOERROR, records, Vec::new()),
        Reply::Negative(rcode) => {
            let mut rdata = [name("ns.").wire(), name("mail.").wire()].concat();
            rdata.extend([1u32, 3_600, 600, 86_400, 3_600].into_iter().flat_map(u32::to_be_bytes));
            (rcode, Vec::new(), vec![Record { owner: ".", rtype: Rtype::SOA, ttl: 3_600, rdata }])
        }
        Reply::Silence => return None,
    };
    let mut message = question.to_vec();
    message[2] = 0b1000_0101;
    message[3] = rcode.0 as u8;
    message[6..8].copy_from_slice(&(answers.len() as u16).to_be_bytes());
    message[8..10].copy_from_slice(&(authorities.len() as u16).to_be_bytes());
    message[10..12].copy_from_slice(&[0, 0]);
    for record in answers.into_iter().chain(authorities) {
        message.extend_from_slice(name(record.owner).wire());
        message.extend_from_slice(&record.rtype.0.to_be_bytes());
        message.extend_from_slice(&1u16.to_be_bytes());
        message.extend_from_slice(&record.ttl.to_be_bytes());
        message.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
        message.extend_from_slice(&record.rdata);
    }
    Some(message)
}
