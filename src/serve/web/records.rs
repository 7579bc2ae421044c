//! The records of a message, as far as HTTP and QUIC have to look into one.
//!
//! Pure. Nothing is decoded but what stands around RDATA: a response is ours, and a query is the engine's to judge.

use crate::dns::HEADER;

/// The section of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) section: Section,
    pub(super) rtype: u16,
    pub(super) ttl: u32,
    pub(super) rdata: &'a [u8],
}

/// The records in their order, up to the first that is none.
pub(super) fn records(message: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let count = |at: usize| message.get(at..at + 2).map_or(0, |count| u16::from_be_bytes([count[0], count[1]]));
    let [questions, answers, authorities, additionals] = [4, 6, 8, 10].map(count);
    let mut at = Some(HEADER);
    for _ in 0..questions {
        at = at.and_then(|at| end_of_name(message, at)).map(|end| end + 4);
    }
    let sections = [(Section::Answer, answers), (Section::Authority, authorities), (Section::Additional, additionals)];
    let sections = sections.into_iter().flat_map(|(section, count)| std::iter::repeat_n(section, count.into()));
    sections.map_while(move |section| {
        let fixed = end_of_name(message, at?)?;
        let [type_high, type_low, _, _, t0, t1, t2, t3, high, low] = *message.get(fixed..)?.first_chunk()?;
        let end = fixed + 10 + usize::from(u16::from_be_bytes([high, low]));
        at = Some(end);
        let rdata = message.get(fixed + 10..end)?;
        let (rtype, ttl) = (u16::from_be_bytes([type_high, type_low]), u32::from_be_bytes([t0, t1, t2, t3]));
        Some(Record { section, rtype, ttl, rdata })
    })
}

/// Where a name ends that begins at `at` (RFC 1035 4.1.4).
fn end_of_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// Whether the OPT record of a query has an option.
pub(super) fn has_option(query: &[u8], code: u16) -> bool {
    const OPT: u16 = 41;
    let opts = records(query).filter(|record| record.section == Section::Additional && record.rtype == OPT);
    opts.into_iter().any(|opt| {
        let mut options = opt.rdata;
        while let Some(([c0, c1, l0, l1], rest)) = options.split_first_chunk() {
            if u16::from_be_bytes([*c0, *c1]) == code {
                return true;
            }
            options = rest.get(usize::from(u16::from_be_bytes([*l0, *l1]))..).unwrap_or_default();
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..120), code in 0..20_u16) {
            prop_assert!(records(&octets).count() <= octets.len());
            has_option(&octets, code);
        }
    }

    #[test]
    fn an_option_is_found_where_it_is() {
        let query = |options: &[u8]| {
            let mut query = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, b'a', 0, 0, 1, 0, 1];
            query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, options.len() as u8]);
            query.extend_from_slice(options);
            query
        };
        let check = |options: &[u8], expected| assert_eq!(has_option(&query(options), 11), expected, "{options:?}");
        check(&[], false);
        check(&[0, 11, 0, 0], true);
        check(&[0, 10, 0, 1, 11, 0, 11, 0, 2, 0, 1], true);
        check(&[0, 10, 0, 4, 0, 11, 0, 0], false);
        check(&[0, 10, 0, 9, 0, 11, 0, 0], false);
    }
}
