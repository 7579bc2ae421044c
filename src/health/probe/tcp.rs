//! I/O shell: the `tcp` probe. A connection that is made is good; it is closed at once.

use std::net::{IpAddr, SocketAddr};

use super::{Deadline, connect};
use crate::policy::TcpProbe;

pub(super) async fn attempt(probe: &TcpProbe, address: IpAddr, deadline: Deadline) -> Result<(), String> {
    connect(SocketAddr::new(address, probe.port), deadline).await.map(drop)
}
