//! How long an HTTP cache may keep a response (RFC 8484 5.1). Pure.

use super::records::{Record, Section, records};

/// Type number of SOA.
const SOA: u16 = 6;

/// NOERROR and NXDOMAIN: everything else is a failure, not to be kept.
const KEPT: [u8; 2] = [0, 3];

/// Seconds: the smallest TTL of the answer section; without one, that of the SOA record beside a negative answer, bounded
/// by its MINIMUM (RFC 2308 5); and nothing for all others, such as a referral or a failure.
pub(super) fn freshness(response: &[u8]) -> u32 {
    let rcode = response.get(3).map(|octet| octet & 0xf);
    if !rcode.is_some_and(|rcode| KEPT.contains(&rcode)) || !is_plain(response) {
        return 0;
    }
    let answer = records(response).filter(|record| record.section == Section::Answer);
    match answer.map(|record| record.ttl).min() {
        // The chain of a CNAME may end in a negative answer, whose own time counts too.
        Some(ttl) => negative(response).map_or(ttl, |negative| negative.min(ttl)),
        None => negative(response).unwrap_or(0),
    }
}

/// Whether the extended part of the response code is zero (RFC 6891 6.1.3).
fn is_plain(response: &[u8]) -> bool {
    const OPT: u16 = 41;
    records(response)
        .all(|record| record.rtype != OPT || record.section != Section::Additional || record.ttl >> 24 == 0)
}

/// Of the SOA record in the authority section.
fn negative(response: &[u8]) -> Option<u32> {
    let soa = records(response).find(|record| record.section == Section::Authority && record.rtype == SOA)?;
    let Record { ttl, rdata, .. } = soa;
    let minimum = u32::from_be_bytes(*rdata.last_chunk()?);
    Some(ttl.min(minimum))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_proto::op::{Message, Query, ResponseCode};
    use hickory_proto::rr::rdata::{A, CNAME, SOA};
    use hickory_proto::rr::{Name, RData, Record as HickoryRecord, RecordType};
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_str(text).unwrap()
    }

    fn message(rcode: ResponseCode, answers: &[(RData, u32)], soa: Option<(u32, u32)>) -> Vec<u8> {
        let mut message = Message::query();
        message.metadata.response_code = rcode;
        message.add_query(Query::query(name("hub.example.net."), RecordType::A));
        for (rdata, ttl) in answers {
            message.add_answer(HickoryRecord::from_rdata(name("hub.example.net."), *ttl, rdata.clone()));
        }
        if let Some((ttl, minimum)) = soa {
            let soa = SOA::new(name("ns.example.net."), name("h.example.net."), 1, 2, 3, 4, minimum);
            message.add_authority(HickoryRecord::from_rdata(name("example.net."), ttl, RData::SOA(soa)));
        }
        message.to_vec().unwrap()
    }

    fn a() -> RData {
        RData::A(A::new(192, 0, 2, 1))
    }

    #[test]
    fn the_time_is_that_of_what_ends_first() {
        let check = |rcode, answers: &[(RData, u32)], soa, expected| {
            assert_eq!(freshness(&message(rcode, answers, soa)), expected, "{answers:?} {soa:?}");
        };
        let cname = || RData::CNAME(CNAME(name("a.example.net.")));
        check(ResponseCode::NoError, &[(a(), 30)], None, 30);
        check(ResponseCode::NoError, &[(cname(), 30), (a(), 20), (a(), 20)], None, 20);
        check(ResponseCode::NoError, &[(a(), 0)], None, 0);
        check(ResponseCode::NoError, &[], Some((300, 60)), 60);
        check(ResponseCode::NXDomain, &[], Some((60, 300)), 60);
        check(ResponseCode::NXDomain, &[(cname(), 30)], Some((60, 10)), 10);
        check(ResponseCode::NoError, &[], None, 0);
        check(ResponseCode::Refused, &[], None, 0);
        check(ResponseCode::ServFail, &[(a(), 30)], None, 0);
        assert_eq!(freshness(&[]), 0);
    }

    proptest! {
        #[test]
        fn it_is_the_smallest_ttl(ttls in prop::collection::vec(0..100_000_u32, 1..20)) {
            let answers: Vec<_> = ttls.iter().map(|ttl| (a(), *ttl)).collect();
            let expected = ttls.iter().min().copied().unwrap();
            prop_assert_eq!(freshness(&message(ResponseCode::NoError, &answers, None)), expected);
        }

        #[test]
        fn any_octets_are_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..120)) {
            freshness(&octets);
        }
    }
}
