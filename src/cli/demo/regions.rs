//! I/O shell: regions on this machine. Each one really listens where the policy's probes dial, and when it fails it
//! really stops: connections are refused and those that stood are closed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::policy::RegionName;

/// What a region's listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Speaks {
    /// It takes connections and keeps them.
    Tcp,
    /// It answers every HTTP request with 200.
    Http,
}

/// All regions; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Regions {
    /// Taken for moments: to list, to fail, to restore.
    shared: Arc<Mutex<BTreeMap<RegionName, Region>>>,
}

#[derive(Debug, Default)]
struct Region {
    places: BTreeSet<(SocketAddr, Speaks)>,
    /// The listeners; dropping them closes everything.
    tasks: Option<JoinSet<()>>,
}

impl Regions {
    /// Adds a place where a region listens.
    pub(super) fn add(&self, region: &RegionName, address: SocketAddr, speaks: Speaks) {
        let mut regions = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        regions.entry(region.clone()).or_default().places.insert((address, speaks));
    }

    /// The regions, where they listen, and whether they do.
    pub(super) fn list(&self) -> Vec<(RegionName, Vec<SocketAddr>, bool)> {
        let regions = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        regions
            .iter()
            .map(|(name, region)| {
                let addresses = region.places.iter().map(|(address, _)| *address).collect();
                (name.clone(), addresses, region.tasks.is_some())
            })
            .collect()
    }

    /// Closes everything that a region listens on.
    pub(super) fn fail(&self, name: &RegionName) -> Result<(), String> {
        let mut regions = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let region = regions.get_mut(name).ok_or_else(|| format!("no region `{name}`"))?;
        // Dropping the tasks closes their sockets.
        region.tasks = None;
        Ok(())
    }

    /// Listens again; a region that listens already is left as it is.
    pub(super) fn restore(&self, name: &RegionName) -> Result<(), String> {
        let mut regions = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let region = regions.get_mut(name).ok_or_else(|| format!("no region `{name}`"))?;
        if region.tasks.is_some() {
            return Ok(());
        }
        let mut tasks = JoinSet::new();
        for (address, speaks) in &region.places {
            let listener = listen(*address).map_err(|error| format!("{name} cannot listen on {address}: {error}"))?;
            match speaks {
                Speaks::Tcp => tasks.spawn(take_connections(listener)),
                Speaks::Http => tasks.spawn(answer_requests(listener, name.clone())),
            };
        }
        region.tasks = Some(tasks);
        Ok(())
    }

    /// Listens everywhere.
    pub(super) fn restore_all(&self) -> Result<(), String> {
        self.list().into_iter().try_for_each(|(name, ..)| self.restore(&name))
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(128)
}

/// Takes connections and keeps each one until its client closes it.
async fn take_connections(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        // An error is of one connection, or passes; the region goes on.
        if let Ok((mut connection, _)) = listener.accept().await {
            connections.spawn(async move {
                drop(tokio::io::copy(&mut connection, &mut tokio::io::sink()).await);
            });
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn answer_requests(listener: TcpListener, region: RegionName) {
    let app = Router::new().fallback(async move || format!("{region} is well\n"));
    drop(axum::serve(listener, app).await);
}
