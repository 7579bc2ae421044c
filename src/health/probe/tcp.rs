//! I/O shell: the `tcp` probe. A connection that is made is good; it is closed at once.

use super::{Attempt, Failure, Remarks};
use crate::policy::TcpProbe;

pub(super) async fn attempt(probe: &TcpProbe, attempt: &Attempt) -> Result<Remarks, Failure> {
    attempt.connect(probe.port).await?;
    Ok(Remarks::default())
}
