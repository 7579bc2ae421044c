//! A response that the network does not take as it is, made into one that sends the client to TCP.

use crate::dns::{HEADER, Rtype};

/// TC (RFC 1035 4.1.1).
const TC: u8 = 0x02;

/// Leaves of one of our own responses the header, which then says TC, the question, and the OPT record, which is the last of
/// its records (RFC 9715 3.1, RFC 6891 7).
pub fn cut(response: &mut Vec<u8>) {
    let Some(parts) = Parts::of(response) else { return };
    let opt = parts.opt.unwrap_or(response.len());
    response.drain(parts.question_end..opt);
    let counts = [0, 0, 0, 0, 0, u8::from(parts.opt.is_some())];
    if let Some(header) = response.first_chunk_mut::<HEADER>() {
        header[2] |= TC;
        header[6..].copy_from_slice(&counts);
    }
}

struct Parts {
    question_end: usize,
    opt: Option<usize>,
}

impl Parts {
    fn of(response: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(usize::from(u16::from_be_bytes(*response.get(at..)?.first_chunk()?)));
        let mut at = HEADER;
        for _ in 0..number(4)? {
            at = past_name(response, at)? + 4;
        }
        let (question_end, mut opt) = (at, None);
        for _ in 0..number(6)? + number(8)? + number(10)? {
            let fixed = past_name(response, at)?;
            opt = (number(fixed)? == usize::from(Rtype::OPT.0)).then_some(at);
            at = fixed + 10 + number(fixed + 8)?;
        }
        (at == response.len()).then_some(Self { question_end, opt })
    }
}

/// Where the name at `at` ends.
fn past_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            label => at += 1 + usize::from(label),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::respond::Transport;
    use super::super::testing::{Ask, options_of, send, show, snapshot, zone};
    use super::*;

    #[test]
    fn what_is_cut_is_what_is_truncated() {
        let lines: String =
            (0..60).map(|n| format!("many A 192.0.2.{n}\nsub NS n{n}.sub\nn{n}.sub A 192.0.2.{n}\n")).collect();
        let served = snapshot(&[zone("example.", &lines)], vec![]);
        for question in ["many.example. A", "x.sub.example. A", "nothing.example. A", "example. SOA"] {
            let plain = Ask::new(question);
            for query in [plain.clone(), plain.clone().edns(), plain.opt(1232, 0, true, &[])] {
                let mut response = send(&served, &query.octets(), Transport::Tcp);
                let (before, opt) = (response.clone(), options_of(&response));
                cut(&mut response);
                assert!(show(&response).contains(" tc") && !show(&response).contains('|'), "{question}");
                assert_eq!((&response[..2], &response[3..6]), (&before[..2], &before[3..6]), "{question}");
                assert_eq!(response[2], before[2] | TC, "{question}");
                assert_eq!(options_of(&response), opt, "{question}");
                assert_eq!(response.len(), query.octets().len(), "{question}");
            }
        }
    }

    #[test]
    fn what_is_no_response_stays_what_it_is() {
        for octets in [&b""[..], &[0; 12][..11], &[0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9, 1]] {
            let mut response = octets.to_vec();
            cut(&mut response);
            assert_eq!(response, octets);
        }
    }
}
