//! I/O shell: what a probe shows to a broker, read from where the policy says or made of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::secret::Revealed;
use super::{Attempt, Failure, token};
use crate::policy::Password;

/// How long a token is good for. It is used at once; clocks may differ by as much.
const LIFETIME: Duration = Duration::from_hours(1);

impl Attempt {
    /// The password itself.
    pub(super) async fn password(&self, password: &Password) -> Result<Revealed, Failure> {
        let shared = match password {
            Password::Secret(secret) => return self.reveal(secret).await,
            Password::SharedAccess(shared) => shared,
        };
        let key = self.reveal(&shared.key).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let expires = (now + LIFETIME).as_secs();
        let resource = self.filled(&shared.resource);
        token::shared_access(key.expose().as_bytes(), &resource, shared.policy.as_deref(), expires)
            .map(Revealed::new)
            .map_err(Failure::Unable)
    }

    /// A text of the policy, with the name of what is probed where it says `{host}`: brokers want their own name back.
    pub(super) fn filled(&self, text: &str) -> String {
        text.replace("{host}", &self.host)
    }
}
