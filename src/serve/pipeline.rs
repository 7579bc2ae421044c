//! Messages of a TCP connection: queries cut out of a stream of octets, responses strung together for one write.
//!
//! RFC 1035 4.2.2: each message stands behind two octets with its length. This file has no socket: it is given what was
//! read and told how much was written. A query counts as answered when octets of its response are written; until then
//! it is its owner's to keep, so that it can be answered again from a younger snapshot.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::counters::{Counters, Tally};
use super::engine::{Engine, Outcome, Transport};
use super::resolvers::Sighting;
use super::via::Via;
use crate::answer::client::{Client, Lots};
use crate::answer::cookie::Cookie;
use crate::answer::snapshot::Snapshot;
use crate::dns::{HEADER, Rcode};
use crate::tap::{Sample, Seen};

/// Octets of the length before each message.
const LENGTH: usize = 2;

/// Octets of responses at which a batch is full.
const OUTPUT: usize = 16 << 10;

/// What follows the queries of a batch in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// A complete query: the batch was full.
    Query,
    /// The start of a message, or nothing.
    Partial,
    /// A complete query for which there is a time to wait: its client has sent too many.
    Wait(Duration),
    /// Something that is no query: a length below that of a header, or a message that deserves no response.
    NoQuery,
}

/// Makes responses; one for all connections of a worker, for it holds nothing from one batch to the next.
#[derive(Debug)]
pub(super) struct Pipeline {
    engine: Engine,
    transport: Transport,
    lots: Lots,
    counters: Arc<Counters>,
    output: Vec<u8>,
    /// The responses in `output`.
    frames: Vec<Frame>,
    /// Those of them that are to be shown once they are sent, with where they begin in `output`.
    samples: Vec<(usize, Sample)>,
    /// A response without its length: names in it are compressed to offsets from its start.
    response: Vec<u8>,
}

/// What became of a batch of which so many octets were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Octets of the input that are answered: the queries of whose responses something is written.
    pub(super) answered: usize,
    /// Where in the output the end of a response stands whose start is written.
    pub(super) rest: Range<usize>,
    /// Whether a response is completely written.
    pub(super) completed: bool,
}

/// A response in the output.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Where its query ends in the input.
    query_end: usize,
    /// Where it ends in the output.
    end: usize,
    rcode: Rcode,
    truncated: bool,
    cookie: Cookie,
    sighting: Option<Sighting>,
}

impl Pipeline {
    pub(super) fn new(engine: Engine, transport: Transport, lots: Lots, counters: Arc<Counters>) -> Self {
        Self {
            engine,
            transport,
            lots,
            counters,
            output: Vec::new(),
            frames: Vec::new(),
            samples: Vec::new(),
            response: Vec::new(),
        }
    }

    /// Answers the queries of `client` at the start of `input` into the output, up to a batch; what it held before is forgotten.
    pub(super) fn render(&mut self, snapshot: &Snapshot, client: Client, input: &[u8]) -> Follows {
        self.output.clear();
        self.frames.clear();
        self.samples.clear();
        let mut at = 0;
        loop {
            let Some(length) = message_length(&input[at..]) else { return Follows::Partial };
            if length < HEADER {
                return Follows::NoQuery;
            }
            let query_end = at + LENGTH + length;
            let Some(query) = input.get(at + LENGTH..query_end) else { return Follows::Partial };
            if self.output.len() >= OUTPUT {
                return Follows::Query;
            }
            if let Some(wait) = self.engine.wait(client) {
                return Follows::Wait(wait);
            }
            let client = client.with_lot(self.lots.draw());
            let outcome = self.engine.answer_one(snapshot, query, client, self.transport, &mut self.response);
            let Outcome::Reply { rcode, truncated, hub, cookie } = outcome else { return Follows::NoQuery };
            if let Some(tap) = self.counters.tap() {
                let via = if self.transport == Transport::Encrypted { Via::Tls } else { Via::Tcp };
                let sample =
                    tap.sample(&Seen { snapshot, client, port: None, via, query, outcome, response: &self.response });
                self.samples.extend(sample.map(|sample| (self.output.len(), sample)));
            }
            let Ok(length) = u16::try_from(self.response.len()) else {
                debug_assert!(false, "a response over a stream has at most 65,535 octets");
                return Follows::NoQuery;
            };
            self.output.extend_from_slice(&length.to_be_bytes());
            self.output.extend_from_slice(&self.response);
            let sighting = hub.and_then(|hub| self.counters.resolvers().sight(snapshot, hub, client));
            self.frames.push(Frame { query_end, end: self.output.len(), rcode, truncated, cookie, sighting });
            at = query_end;
        }
    }

    /// What [`Pipeline::render`] made.
    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    /// What became of the batch now that its first `octets` octets are written.
    ///
    /// Responses of which no octet is written count as never made.
    pub(super) fn written(&self, octets: usize, tally: &mut Tally) -> Written {
        let mut written = Written::default();
        let mut start = 0;
        let (resolvers, mut now) = (self.counters.resolvers(), None);
        for frame in &self.frames {
            if start >= octets {
                break;
            }
            tally.queries += 1;
            tally.response(frame.rcode, frame.truncated, frame.cookie);
            if let Some(sighting) = &frame.sighting {
                resolvers.note(sighting, *now.get_or_insert_with(|| resolvers.now()));
            }
            written.answered = frame.query_end;
            written.rest = octets.min(frame.end)..frame.end;
            written.completed |= written.rest.is_empty();
            start = frame.end;
        }
        written
    }

    /// Shows those of the batch of which something is in its first `octets` octets, which are written.
    pub(super) fn show(&mut self, octets: usize) {
        if let Some(tap) = self.counters.tap() {
            let sent = self.samples.drain(..).filter(|(start, _)| *start < octets);
            sent.for_each(|(_, sample)| tap.show(sample));
        }
    }
}

/// Whether a message is complete at the start of `input`, or what is there can be none.
pub(super) fn has_message(input: &[u8]) -> bool {
    message_length(input).is_some_and(|length| length < HEADER || input.len() >= LENGTH + length)
}

/// The length that a message announces.
fn message_length(input: &[u8]) -> Option<usize> {
    let (length, _) = input.split_first_chunk::<LENGTH>()?;
    Some(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::engine::{Rules, Terms, Trust};
    use super::*;
    use crate::answer::snapshot::Content;

    fn snapshot(generation: u8) -> Snapshot {
        Snapshot::new(generation.into(), Arc::new(Content::default()), Box::new([])).unwrap()
    }

    /// Answers with the query's first octet and the generation; an odd first octet gets no response.
    fn stamp(
        snapshot: &Snapshot,
        query: &[u8],
        _: Client,
        _: Transport,
        _: &Terms<'_>,
        response: &mut Vec<u8>,
    ) -> Outcome {
        response.clear();
        if query[0] % 2 == 1 {
            return Outcome::Silence;
        }
        response.extend_from_slice(&[query[0], u8::try_from(snapshot.generation).unwrap()]);
        Outcome::Reply { rcode: Rcode::NOERROR, truncated: false, hub: None, cookie: Cookie::Absent }
    }

    fn nobody() -> Client {
        Client::at([192, 0, 2, 1].into())
    }

    fn pipeline() -> Pipeline {
        let engine = Engine { respond: stamp, ..Engine::new(Rules::sized(512), None, Trust::default()) };
        Pipeline::new(engine, Transport::Tcp, Lots::from(0), Arc::default())
    }

    fn query(first: u8) -> Vec<u8> {
        let mut query = vec![0, 12, first];
        query.resize(LENGTH + HEADER, 0);
        query
    }

    fn queries(count: u8) -> Vec<u8> {
        (0..count).flat_map(|number| query(number * 2)).collect()
    }

    /// The octets that go out when so many are taken at first, and all after the next snapshot.
    fn sent(input: &[u8], taken: usize) -> Vec<u8> {
        let mut pipeline = pipeline();
        let mut tally = Tally::default();
        pipeline.render(&snapshot(1), nobody(), input);
        let mut sent = pipeline.output()[..taken].to_vec();
        let written = pipeline.written(taken, &mut tally);
        sent.extend_from_slice(&pipeline.output()[written.rest]);
        let input = &input[written.answered..];
        assert_eq!(pipeline.render(&snapshot(2), nobody(), input), Follows::Partial);
        sent.extend_from_slice(pipeline.output());
        let all = pipeline.written(pipeline.output().len(), &mut tally);
        assert_eq!(all.answered, input.len());
        let mut expected = Tally::default();
        expected.queries = 3;
        (0..3).for_each(|_| expected.response(Rcode::NOERROR, false, Cookie::Absent));
        assert_eq!(tally, expected);
        sent
    }

    #[test]
    fn only_a_response_that_has_begun_to_leave_is_from_the_older_snapshot() {
        for taken in 0..=12_usize {
            let older = taken.div_ceil(4);
            let expected: Vec<u8> =
                (0..3).flat_map(|number| [0, 2, number * 2, if usize::from(number) < older { 1 } else { 2 }]).collect();
            assert_eq!(sent(&queries(3), taken), expected, "{taken} octets taken");
        }
    }

    #[test]
    fn a_response_is_complete_when_its_last_octet_is_taken() {
        let mut pipeline = pipeline();
        pipeline.render(&snapshot(1), nobody(), &queries(2));
        let check = |octets, answered, rest, completed| {
            let written = pipeline.written(octets, &mut Tally::default());
            assert_eq!(written, Written { answered, rest, completed }, "{octets}");
        };
        check(0, 0, 0..0, false);
        check(1, 14, 1..4, false);
        check(3, 14, 3..4, false);
        check(4, 14, 4..4, true);
        check(5, 28, 5..8, true);
        check(8, 28, 8..8, true);
    }

    #[test]
    fn what_follows_the_queries_is_told() {
        let check = |after: &[u8], expected| {
            let mut pipeline = pipeline();
            assert_eq!(pipeline.render(&snapshot(1), nobody(), &[&queries(2), after].concat()), expected, "{after:?}");
            assert_eq!(pipeline.output().len(), 8);
            assert_eq!(has_message(after), expected == Follows::NoQuery, "{after:?}");
        };
        check(&[], Follows::Partial);
        check(&[0], Follows::Partial);
        check(&[0, 12], Follows::Partial);
        check(&query(0)[..13], Follows::Partial);
        check(&[255, 255, 1, 2, 3], Follows::Partial);
        check(&[0, 11], Follows::NoQuery);
        check(&[0, 0, 0, 0], Follows::NoQuery);
        check(&query(1), Follows::NoQuery);
    }

    #[test]
    fn a_batch_is_bounded_and_goes_on_where_it_ended() {
        let mut pipeline = pipeline();
        let input = query(8).repeat(10_000);
        let (mut responses, mut answered) = (0, 0);
        loop {
            let follows = pipeline.render(&snapshot(1), nobody(), &input[answered..]);
            let output = pipeline.output().len();
            assert!(output < OUTPUT + 4);
            answered += pipeline.written(output, &mut Tally::default()).answered;
            responses += output / 4;
            match follows {
                Follows::Query => assert!(output >= OUTPUT),
                follows => break assert_eq!(follows, Follows::Partial),
            }
        }
        assert_eq!((responses, answered), (10_000, input.len()));
    }

    proptest! {
        /// However the octets arrive and however many the kernel takes each time, the responses are those of the
        /// queries in their order, and none is from an older snapshot than one before it.
        #[test]
        fn the_stream_of_responses_is_that_of_the_queries(
            firsts in prop::collection::vec(0..128_u8, 1..40),
            arrivals in prop::collection::vec(1..60_usize, 1..20),
            takes in prop::collection::vec(0..20_usize, 1..20),
        ) {
            let stream: Vec<u8> = firsts.iter().flat_map(|first| query(first * 2)).collect();
            let mut pipeline = pipeline();
            let (mut arrived, mut answered, mut sent) = (0, 0, Vec::new());
            let mut tally = Tally::default();
            let (mut arrivals, mut takes) = (arrivals.iter().cycle(), takes.iter().chain([&3]).cycle());
            for generation in 1..=u8::MAX {
                arrived = stream.len().min(arrived + arrivals.next().unwrap());
                pipeline.render(&snapshot(generation), nobody(), &stream[answered..arrived]);
                let taken = pipeline.output().len().min(*takes.next().unwrap());
                sent.extend_from_slice(&pipeline.output()[..taken]);
                let written = pipeline.written(taken, &mut tally);
                answered += written.answered;
                sent.extend_from_slice(&pipeline.output()[written.rest]);
            }
            pipeline.render(&snapshot(u8::MAX), nobody(), &stream[answered..]);
            pipeline.written(pipeline.output().len(), &mut tally);
            sent.extend_from_slice(pipeline.output());
            let numbers: Vec<u8> = sent.chunks(4).map(|response| response[2] / 2).collect();
            prop_assert_eq!(numbers, &firsts[..]);
            prop_assert!(sent.chunks(4).is_sorted_by_key(|response| response[3]));
            prop_assert_eq!(tally.queries, firsts.len() as u64);
        }
    }
}
