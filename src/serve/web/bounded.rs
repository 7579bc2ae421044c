//! I/O shell: the streams of an HTTP/3 connection, with a limit to what `h3` may hold of them.
//!
//! `h3` keeps the frame that it waits for whole, whatever length its sender gave it, and knows a limit only for what is in a
//! frame of headers once it is there. So what comes on the streams of requests counts against the connection's allowance
//! for as long as its stream is open; and on the others, which are open for ever and carry little, against a budget that
//! each request refills, for clients tell the priority of each of them there (RFC 9218 7.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};

use super::allowance::{Allowance, Share};

/// Octets of control streams, and how many more each request allows.
const CONTROL: usize = 16 << 10;
const CONTROL_OF_REQUEST: usize = 1 << 10;

/// A connection.
pub(super) struct Bounded {
    connection: h3_quinn::Connection,
    allowance: Allowance,
    control: Arc<AtomicUsize>,
}

impl Bounded {
    pub(super) fn new(connection: quinn::Connection, allowance: Allowance) -> Self {
        let connection = h3_quinn::Connection::new(connection);
        Self { connection, allowance, control: Arc::new(AtomicUsize::new(CONTROL)) }
    }
}

/// A stream whose octets count.
pub(super) struct Counted<S> {
    stream: S,
    limit: Limit,
}

enum Limit {
    Of { allowance: Allowance, share: Share },
    Control(Arc<AtomicUsize>),
}

impl Limit {
    /// Whether so many octets more are within it.
    fn allows(&mut self, octets: usize) -> bool {
        match self {
            Self::Of { allowance, share } => allowance.take(octets, share).is_ok(),
            Self::Control(left) => {
                let less = |left: usize| left.checked_sub(octets);
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
            }
        }
    }
}

impl<B: Buf> quic::Connection<B> for Bounded {
    type RecvStream = Counted<h3_quinn::RecvStream>;
    type OpenStreams = Opener;

    fn poll_accept_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        let stream = ready!(quic::Connection::<B>::poll_accept_recv(&mut self.connection, cx))?;
        Poll::Ready(Ok(Counted { stream, limit: Limit::Control(self.control.clone()) }))
    }

    fn poll_accept_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        let stream = ready!(quic::Connection::<B>::poll_accept_bidi(&mut self.connection, cx))?;
        let more = |left: usize| Some(CONTROL.min(left + CONTROL_OF_REQUEST));
        // It is never refused.
        let _ = self.control.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let limit = Limit::Of { allowance: self.allowance.clone(), share: Share::default() };
        Poll::Ready(Ok(Counted { stream, limit }))
    }

    fn opener(&self) -> Self::OpenStreams {
        Opener(quic::Connection::<B>::opener(&self.connection))
    }
}

/// What opens streams of a connection: a server its own control streams, and none to ask something.
pub(super) struct Opener(h3_quinn::OpenStreams);

/// A server asks nothing, and what it opened for that would not be counted.
fn ask_nothing<T>() -> Poll<Result<T, StreamErrorIncoming>> {
    let connection_error = ConnectionErrorIncoming::InternalError("a server asks nothing".into());
    Poll::Ready(Err(StreamErrorIncoming::ConnectionErrorIncoming { connection_error }))
}

impl<B: Buf> quic::OpenStreams<B> for Bounded {
    type BidiStream = Counted<h3_quinn::BidiStream<B>>;
    type SendStream = h3_quinn::SendStream<B>;

    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        ask_nothing()
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        quic::OpenStreams::<B>::poll_open_send(&mut self.connection, cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<B>::close(&mut self.connection, code, reason);
    }
}

impl<B: Buf> quic::OpenStreams<B> for Opener {
    type BidiStream = Counted<h3_quinn::BidiStream<B>>;
    type SendStream = h3_quinn::SendStream<B>;

    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        ask_nothing()
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        quic::OpenStreams::<B>::poll_open_send(&mut self.0, cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<B>::close(&mut self.0, code, reason);
    }
}

impl<S: quic::RecvStream<Buf = Bytes>> quic::RecvStream for Counted<S> {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let part = ready!(self.stream.poll_data(cx))?;
        let octets = part.as_ref().map_or(0, Bytes::len);
        if octets > 0 && !self.limit.allows(octets) {
            let error_code = Code::H3_EXCESSIVE_LOAD.value();
            self.stream.stop_sending(error_code);
            return Poll::Ready(Err(StreamErrorIncoming::StreamTerminated { error_code }));
        }
        Poll::Ready(Ok(part))
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.stream.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.stream.recv_id()
    }
}

impl<B: Buf, S: quic::SendStream<B>> quic::SendStream<B> for Counted<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.stream.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<B>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.stream.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.stream.poll_finish(cx)
    }

    fn reset(&mut self, reset_code: u64) {
        self.stream.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.stream.send_id()
    }
}
