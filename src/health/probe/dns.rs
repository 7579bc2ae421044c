//! I/O shell: the `dns` probe. One query over UDP, over TCP when the response is truncated, and the response judged.
//!
//! The query is sent again while no response comes, as resolvers do, for a lost datagram is no failure. It has no EDNS, so
//! that the simplest server understands it. A datagram that is no response to it is not counted.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout_at;

use super::{Attempt, Deadline, Doing, Failure, Remarks, failure, words};
use crate::dns::{HEADER, Rcode, Rtype};
use crate::policy::DnsProbe;
use crate::zone::display_rdata;

/// Time after which a query is sent again.
const AGAIN: Duration = Duration::from_millis(500);

/// Most records that the sentence of a failed observation names.
const MAX_NAMED: usize = 4;

pub(super) async fn attempt(probe: &DnsProbe, attempt: &Attempt) -> Result<Remarks, Failure> {
    let query = query(probe, rand::random());
    let (response, peer) = over_udp(probe, &query, attempt).await?;
    let response = match response.metadata.truncation {
        true => over_tcp(probe, &query, attempt).await?,
        false => response,
    };
    judge(probe, &response, peer)?;
    Ok(Remarks::default())
}

/// RFC 1035 4.1: recursion is desired, for a resolver may be what is probed; others ignore it.
fn query(probe: &DnsProbe, id: u16) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    query.extend(probe.name.wire());
    query.extend(probe.rtype.0.to_be_bytes());
    query.extend(1u16.to_be_bytes());
    query
}

/// Whether a message is a response to the query: its id, the QR bit and its question (RFC 5452 9.1).
fn answers(message: &[u8], query: &[u8]) -> bool {
    let (Some(head), Some(question)) = (message.get(..HEADER), message.get(HEADER..query.len())) else { return false };
    head[..2] == query[..2]
        && head[2] & 0x80 != 0
        && head[4..6] == [0, 1]
        && question.eq_ignore_ascii_case(&query[HEADER..])
}

async fn over_udp(probe: &DnsProbe, query: &[u8], attempt: &Attempt) -> Result<(Message, SocketAddr), Failure> {
    let (socket, peer) = attempt.datagrams(probe.port).await?;
    let source = attempt.probe.source.as_ref();
    let exchange = async {
        let mut datagram = [0; 4096];
        loop {
            socket.send(query).await?;
            let again = Deadline::after(AGAIN);
            while let Ok(received) = timeout_at(again.at(), socket.recv(&mut datagram)).await {
                let message = &datagram[..received?];
                if answers(message, query) {
                    return Ok::<_, std::io::Error>(message.to_vec());
                }
            }
        }
    };
    let received = attempt.deadline.within(Doing::AwaitingResponse(peer), exchange).await?;
    let message = received.map_err(|error| failure::of_datagram("query", &error, peer, source))?;
    Ok((read(&message, peer)?, peer))
}

async fn over_tcp(probe: &DnsProbe, query: &[u8], attempt: &Attempt) -> Result<Message, Failure> {
    let (mut stream, peer) = attempt.connect(probe.port).await?;
    let exchange = async {
        // RFC 7766 8: length and message in one segment.
        let length = u16::try_from(query.len()).unwrap_or(u16::MAX);
        stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
        let mut message = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut message).await?;
        Ok::<_, std::io::Error>(message)
    };
    let received = attempt.deadline.within(Doing::AwaitingResponse(peer), exchange).await?;
    let message = received.map_err(|error| format!("query {peer} over TCP: {}", words(&error)))?;
    if !answers(&message, query) {
        return Err(format!("what {peer} sent over TCP is no response to the query").into());
    }
    Ok(read(&message, peer)?)
}

fn read(message: &[u8], peer: SocketAddr) -> Result<Message, String> {
    Message::from_vec(message).map_err(|error| format!("the response of {peer} cannot be read: {error}"))
}

fn judge(probe: &DnsProbe, response: &Message, peer: SocketAddr) -> Result<(), String> {
    let DnsProbe { name, rtype, rcode, .. } = probe;
    let got = Rcode(u16::from(response.metadata.response_code));
    if got != *rcode {
        let got = match got.mnemonic() {
            "OTHER" => format!("response code {}", got.0),
            known => known.to_owned(),
        };
        return Err(format!("expected {rcode} for `{name}` {rtype} from {peer}, got {got}"));
    }
    let Some(wanted) = &probe.answer else { return Ok(()) };
    let of_type = response.answers.iter().filter(|record| u16::from(record.record_type()) == rtype.0);
    let found: Vec<Vec<u8>> = of_type.filter_map(rdata).collect();
    if found.iter().any(|rdata| same(*rtype, rdata, wanted)) {
        return Ok(());
    }
    let mut shown: Vec<String> =
        found.iter().take(MAX_NAMED).map(|rdata| format!("`{}`", display_rdata(*rtype, rdata))).collect();
    if found.len() > MAX_NAMED {
        shown.push(format!("and {} more", found.len() - MAX_NAMED));
    }
    let got = if shown.is_empty() { format!("no record of type {rtype}") } else { shown.join(", ") };
    let wanted = display_rdata(*rtype, wanted);
    Err(format!("expected `{wanted}` for `{name}` {rtype} from {peer}, got {got}"))
}

/// The RDATA in uncompressed wire form.
fn rdata(record: &Record<RData>) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    record.data.emit(&mut encoder).ok()?;
    Some(octets)
}

/// Whether RDATA is the same: domain names in it are, in any case of letters (RFC 4343 3).
fn same(rtype: Rtype, found: &[u8], wanted: &[u8]) -> bool {
    const OF_NAMES: [Rtype; 7] = [Rtype::CNAME, Rtype::DNAME, Rtype::NS, Rtype::PTR, Rtype::MX, Rtype::SRV, Rtype::SOA];
    match OF_NAMES.contains(&rtype) {
        true => found.eq_ignore_ascii_case(wanted),
        false => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Name;

    #[test]
    fn a_response_has_the_id_and_the_question_of_the_query() {
        let name = Name::parse("hub.example.net.", None).unwrap();
        let probe = DnsProbe { port: 53, name, rtype: Rtype::A, rcode: Rcode::NOERROR, answer: None };
        let query = query(&probe, 0x1234);
        assert_eq!(query[..HEADER], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(query[HEADER..], *b"\x03hub\x07example\x03net\0\0\x01\0\x01");
        let response = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut response = query.clone();
            response[2] |= 0x80;
            change(&mut response);
            answers(&response, &query)
        };
        assert!(response(&|_| {}));
        assert!(response(&|message| message[13] = b'H'), "letters of either case");
        assert!(response(&|message| message.extend([0; 20])));
        assert!(!response(&|message| message[2] = 1), "a query");
        assert!(!response(&|message| message[0] = 0), "another id");
        assert!(!response(&|message| message[13] = b'x'), "another name");
        assert!(!response(&|message| message[5] = 0), "no question");
        assert!(!response(&|message| message.truncate(query.len() - 1)));
        assert!(!response(&|message| message.truncate(3)));
    }
}
