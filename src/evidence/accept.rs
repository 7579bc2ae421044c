//! I/O shell: connections of the public listener, and what bounds them.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::counters::Counters;
use crate::process::passed::{Kind, Passed};

/// Connections that wait in the kernel for being accepted.
const BACKLOG: i32 = 1024;

/// Time for the head of a request, counted from the connection or the response before it: idleness ends with it too.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Time after which a peer that does not acknowledge what it is sent is given up (TCP_USER_TIMEOUT).
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Largest head of a request, octets, and most fields in it.
const MAX_HEAD: usize = 8 * 1024;
const MAX_FIELDS: usize = 64;

/// Time after a failure to accept, mostly for want of descriptors, before the next attempt.
const PAUSE: Duration = Duration::from_millis(100);

/// Binds one address, or takes the socket that was passed for it. Must be called within a tokio runtime.
pub(super) fn bind(address: SocketAddr, passed: &Passed) -> io::Result<(TcpListener, SocketAddr)> {
    let address = passed.port_for(Kind::Tcp, address);
    let bind = || {
        if let Some(socket) = passed.take_tcp(address) {
            socket.set_nonblocking(true)?;
            return Ok((TcpListener::from_std(socket.into())?, address));
        }
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bind().map_err(|error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen for the public on {address}: {error}"))
    })
}

/// What every listening socket shares.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// The places that are free.
    pub(super) connections: Arc<Semaphore>,
    pub(super) counters: Arc<Counters>,
}

/// Accepts until it is to stop.
pub(super) async fn accept(listener: TcpListener, router: Router, door: Door, mut stopped: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(event = "public", "cannot accept: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = door.connections.clone().try_acquire_owned() else {
            // Closed at once: a device that is told nothing here goes on by DNS.
            door.counters.refused();
            continue;
        };
        let (router, counters, stopped) = (router.clone(), door.counters.clone(), stopped.clone());
        tokio::spawn(async move {
            let _connected = counters.connected();
            serve(stream, router, stopped).await;
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let socket = SockRef::from(&stream);
    // What a socket does not take, it does not need.
    drop(socket.set_tcp_nodelay(true));
    drop(socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(2 * MAX_HEAD)
        .max_header_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        // However it ends, it is over.
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}
