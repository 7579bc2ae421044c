//! Messages of a TCP connection: queries cut out of a stream of octets, responses strung together for one write.
//!
//! RFC 1035 4.2.2: each message stands behind two octets with its length. This file has no socket: it is told what was
//! read and how much was written. A query stays in the input until octets of its response are written, so that it can
//! be answered again from a younger snapshot.

use std::ops::Range;

use super::counters::Tally;
use super::engine::{Engine, Outcome, Transport};
use crate::answer::snapshot::Snapshot;
use crate::dns::{HEADER, Rcode};

/// Octets of the length before each message.
const LENGTH: usize = 2;

/// Octets read at once, and kept for the next message.
const INPUT: usize = 4096;

/// Octets of responses at which a batch is full.
const OUTPUT: usize = 16 << 10;

/// What follows the queries of a batch in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// A complete query: the batch was full.
    Query,
    /// The start of a message, or nothing.
    Partial,
    /// Something that is no query: a length below that of a header, or a message that deserves no response.
    NoQuery,
}

/// The buffers of one connection.
#[derive(Debug)]
pub(super) struct Pipeline {
    engine: Engine,
    /// What was read, from the start of a message.
    pub(super) input: Vec<u8>,
    /// Octets of `input` that are answered.
    answered: usize,
    output: Vec<u8>,
    /// The responses in `output`.
    frames: Vec<Frame>,
    /// Where in `output` the end of a response is whose start is written.
    rest: Range<usize>,
    /// A response without its length: names in it are compressed to offsets from its start.
    response: Vec<u8>,
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
}

impl Pipeline {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            input: Vec::new(),
            answered: 0,
            output: Vec::new(),
            frames: Vec::new(),
            rest: 0..0,
            response: Vec::new(),
        }
    }

    /// Whether nothing of an unanswered message has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.answered == self.input.len()
    }

    /// Forgets what is answered and makes room for what comes next: the rest of the message that has begun, or
    /// [`INPUT`] octets.
    pub(super) fn make_room(&mut self) {
        self.input.drain(..self.answered);
        self.answered = 0;
        if self.input.is_empty() {
            // One large message is no reason to keep a large buffer.
            self.input.shrink_to(INPUT);
            self.output.clear();
            self.output.shrink_to(OUTPUT);
            self.rest = 0..0;
        }
        let wanted = message_length(&self.input).map_or(0, |length| LENGTH + length).max(INPUT);
        self.input.reserve_exact(wanted.saturating_sub(self.input.len()));
    }

    /// Forgets all that was read and makes room.
    pub(super) fn discard_input(&mut self) {
        self.answered = self.input.len();
        self.make_room();
    }

    /// Answers the queries that are here into the output, up to a batch; what it held before is forgotten.
    pub(super) fn render(&mut self, snapshot: &Snapshot) -> Follows {
        self.output.clear();
        self.frames.clear();
        self.rest = 0..0;
        let mut at = self.answered;
        loop {
            let Some(length) = message_length(&self.input[at..]) else { return Follows::Partial };
            if length < HEADER {
                return Follows::NoQuery;
            }
            let query_end = at + LENGTH + length;
            let Some(query) = self.input.get(at + LENGTH..query_end) else { return Follows::Partial };
            if self.output.len() >= OUTPUT {
                return Follows::Query;
            }
            let Outcome::Reply { rcode, truncated } =
                self.engine.answer_one(snapshot, query, Transport::Tcp, &mut self.response)
            else {
                return Follows::NoQuery;
            };
            let Ok(length) = u16::try_from(self.response.len()) else {
                debug_assert!(false, "a response over TCP has at most 65,535 octets");
                return Follows::NoQuery;
            };
            self.output.extend_from_slice(&length.to_be_bytes());
            self.output.extend_from_slice(&self.response);
            self.frames.push(Frame { query_end, end: self.output.len(), rcode, truncated });
            at = query_end;
        }
    }

    /// What [`Pipeline::render`] made.
    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    /// Notes that the first `written` octets of the output are written, and tells whether a response is complete.
    ///
    /// Responses of which no octet is written count as never made.
    pub(super) fn written(&mut self, written: usize, tally: &mut Tally) -> bool {
        let mut start = 0;
        let mut complete = false;
        for frame in &self.frames {
            if start >= written {
                break;
            }
            tally.queries += 1;
            tally.response(frame.rcode, frame.truncated);
            self.answered = frame.query_end;
            self.rest = written.min(frame.end)..frame.end;
            complete |= self.rest.is_empty();
            start = frame.end;
        }
        complete
    }

    /// The end of a response whose start is written.
    pub(super) fn rest(&self) -> &[u8] {
        &self.output[self.rest.clone()]
    }

    /// Notes that so many octets of the rest are written, and tells whether the response is complete.
    pub(super) fn rest_written(&mut self, written: usize) -> bool {
        self.rest.start = self.rest.end.min(self.rest.start + written);
        self.rest.is_empty()
    }
}

/// The length that a message announces.
fn message_length(input: &[u8]) -> Option<usize> {
    let (length, _) = input.split_first_chunk::<LENGTH>()?;
    Some(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::engine::ResponseLimits;
    use super::*;
    use crate::answer::snapshot::Content;

    fn snapshot(generation: u8) -> Snapshot {
        Snapshot { generation: generation.into(), content: Arc::new(Content::default()), choices: Box::new([]) }
    }

    /// Answers with the query's first octet and the generation; an odd first octet gets no response.
    fn stamp(snapshot: &Snapshot, query: &[u8], _: Transport, _: &ResponseLimits, response: &mut Vec<u8>) -> Outcome {
        response.clear();
        if query[0] % 2 == 1 {
            return Outcome::Silence;
        }
        response.extend_from_slice(&[query[0], u8::try_from(snapshot.generation).unwrap()]);
        Outcome::Reply { rcode: Rcode::NOERROR, truncated: false }
    }

    fn pipeline(input: &[u8]) -> Pipeline {
        let mut pipeline = Pipeline::new(Engine { respond: stamp, limits: ResponseLimits { max_udp_bytes: 512 } });
        pipeline.make_room();
        pipeline.input.extend_from_slice(input);
        pipeline
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
    fn sent(pipeline: &mut Pipeline, taken: usize) -> Vec<u8> {
        let mut tally = Tally::default();
        pipeline.render(&snapshot(1));
        let mut sent = pipeline.output()[..taken].to_vec();
        pipeline.written(taken, &mut tally);
        sent.extend_from_slice(pipeline.rest());
        if !pipeline.rest().is_empty() {
            let rest = pipeline.rest().len();
            assert!(pipeline.rest_written(rest));
        }
        assert_eq!(pipeline.render(&snapshot(2)), Follows::Partial);
        let output = pipeline.output().len();
        sent.extend_from_slice(pipeline.output());
        pipeline.written(output, &mut tally);
        assert!(pipeline.is_empty());
        let mut expected = Tally::default();
        expected.queries = 3;
        (0..3).for_each(|_| expected.response(Rcode::NOERROR, false));
        assert_eq!(tally, expected);
        sent
    }

    #[test]
    fn only_a_response_that_has_begun_to_leave_is_from_the_older_snapshot() {
        for taken in 0..=12_usize {
            let older = taken.div_ceil(4);
            let expected: Vec<u8> =
                (0..3).flat_map(|number| [0, 2, number * 2, if usize::from(number) < older { 1 } else { 2 }]).collect();
            assert_eq!(sent(&mut pipeline(&queries(3)), taken), expected, "{taken} octets taken");
        }
    }

    #[test]
    fn a_response_is_complete_when_its_last_octet_is_taken() {
        let check = |taken, expected| {
            let mut pipeline = pipeline(&queries(2));
            pipeline.render(&snapshot(1));
            assert_eq!(pipeline.written(taken, &mut Tally::default()), expected, "{taken}");
        };
        check(0, false);
        check(3, false);
        check(4, true);
        check(5, true);
        check(8, true);
        let mut pipeline = pipeline(&queries(1));
        pipeline.render(&snapshot(1));
        pipeline.written(1, &mut Tally::default());
        assert!(!pipeline.rest_written(2));
        assert!(pipeline.rest_written(1));
    }

    #[test]
    fn what_follows_the_queries_is_told() {
        let check = |after: &[u8], expected| {
            let mut pipeline = pipeline(&[&queries(2), after].concat());
            assert_eq!(pipeline.render(&snapshot(1)), expected, "{after:?}");
            assert_eq!(pipeline.output().len(), 8);
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
        let mut pipeline = pipeline(&query(8).repeat(10_000));
        let mut responses = 0;
        loop {
            let follows = pipeline.render(&snapshot(1));
            let output = pipeline.output().len();
            assert!(output < OUTPUT + 4);
            pipeline.written(output, &mut Tally::default());
            responses += output / 4;
            match follows {
                Follows::Query => assert!(output >= OUTPUT),
                follows => break assert_eq!(follows, Follows::Partial),
            }
        }
        assert_eq!(responses, 10_000);
        assert!(pipeline.is_empty());
    }

    #[test]
    fn there_is_room_for_the_message_that_has_begun_and_none_is_kept() {
        let spare = |pipeline: &Pipeline| pipeline.input.capacity() - pipeline.input.len();
        let mut pipeline = pipeline(&[255, 255, 0]);
        pipeline.make_room();
        assert!(spare(&pipeline) >= 65_534);
        pipeline.discard_input();
        assert_eq!(pipeline.input.capacity(), INPUT);
        pipeline.input.extend_from_slice(&queries(1));
        pipeline.input.extend_from_slice(&[0, 20, 1]);
        pipeline.render(&snapshot(1));
        pipeline.written(4, &mut Tally::default());
        pipeline.make_room();
        assert_eq!(pipeline.input, [0, 20, 1]);
    }
}
