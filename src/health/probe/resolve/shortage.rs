//! I/O shell: the sockets of the resolver, and what this machine lacked to open one.
//!
//! The resolver tries its servers one after another and then says that there was no connection, which is also what it says
//! when nobody listens there. That this machine is out of descriptors must not be taken for a name that cannot be found.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::net::runtime::{RuntimeProvider, TokioRuntimeProvider};

use super::super::failure::is_exhausted;
use super::super::words;

/// Opens sockets, and remembers how often the machine was out of something to open one with.
#[derive(Clone, Default)]
pub(super) struct Shortage {
    sockets: TokioRuntimeProvider,
    /// How often, and of what the last time. Held to look and to count, never while opening.
    seen: Arc<Mutex<(u64, String)>>,
}

impl fmt::Debug for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shortage").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Shortage {
    /// Sockets of their own, for another resolver that the same is remembered of.
    pub(super) fn anew(&self) -> Self {
        Self { sockets: TokioRuntimeProvider::default(), seen: self.seen.clone() }
    }

    /// How often it was so.
    pub(super) fn count(&self) -> u64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Of what, if it was so after the count was `before`.
    pub(super) fn since(&self, before: u64) -> Option<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.0 > before).then(|| seen.1.clone())
    }

    fn note<T>(&self, opened: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &opened
            && is_exhausted(error)
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = (seen.0 + 1, words(error));
        }
        opened
    }
}

impl RuntimeProvider for Shortage {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = <TokioRuntimeProvider as RuntimeProvider>::Timer;
    type Udp = <TokioRuntimeProvider as RuntimeProvider>::Udp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.sockets.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        from: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        let (connecting, this) = (self.sockets.connect_tcp(server, from, timeout), self.clone());
        Box::pin(async move { this.note(connecting.await) })
    }

    fn bind_udp(
        &self,
        from: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Udp>>>> {
        let (binding, this) = (self.sockets.bind_udp(from, server), self.clone());
        Box::pin(async move { this.note(binding.await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_of_who_asked_before_it() {
        let shortage = Shortage::default();
        let before = shortage.count();
        let failed = |code: i32| drop(shortage.note::<()>(Err(io::Error::from_raw_os_error(code))));
        failed(libc::ECONNREFUSED);
        assert_eq!(shortage.since(before), None, "somebody else refuses");
        failed(libc::EMFILE);
        assert_eq!(shortage.since(before).as_deref(), Some("too many open files"));
        assert_eq!(shortage.since(shortage.count()), None, "who asks afterwards has what it needs");
    }
}
