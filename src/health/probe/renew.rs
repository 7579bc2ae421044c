//! Something read from files when first needed, and again after a reload.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::OnceCell;

/// A value that is loaded once, however many ask for it at the same time.
///
/// A load that fails is tried again by the next one who asks; after a reload the value from before stands in for it.
#[derive(Debug)]
pub(super) struct Renewable<T> {
    loaded: OnceCell<T>,
    before: Option<T>,
}

impl<T> Default for Renewable<T> {
    fn default() -> Self {
        Self { loaded: OnceCell::new(), before: None }
    }
}

impl<T: Clone> Renewable<T> {
    /// The value, loaded by `load` if it is not yet.
    pub(super) async fn get<F>(&self, load: impl FnOnce() -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, String>>,
    {
        let load = async {
            match (load().await, &self.before) {
                (Err(why), Some(before)) => {
                    tracing::warn!("{why}; what was read before the reload goes on being used");
                    Ok(before.clone())
                }
                (result, _) => result,
            }
        };
        self.loaded.get_or_try_init(|| load).await.cloned()
    }

    /// The same, to be loaded again.
    pub(super) fn renewed(&self) -> Arc<Self> {
        Arc::new(Self { loaded: OnceCell::new(), before: self.loaded.get().or(self.before.as_ref()).cloned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(from: &Renewable<u8>, file: Result<u8, &str>) -> Result<u8, String> {
        from.get(|| async { file.map_err(str::to_owned) }).await
    }

    #[tokio::test]
    async fn it_is_loaded_once_and_again_after_a_reload() {
        let first = Renewable::default();
        assert_eq!(read(&first, Err("no such file")).await, Err("no such file".to_owned()));
        assert_eq!(read(&first, Ok(1)).await, Ok(1));
        assert_eq!(read(&first, Ok(2)).await, Ok(1));
        assert_eq!(read(&first.renewed(), Ok(3)).await, Ok(3));
    }

    #[tokio::test]
    async fn a_bad_reload_leaves_what_was_there() {
        let first = Renewable::default();
        assert_eq!(read(&first, Ok(1)).await, Ok(1));
        let second = first.renewed();
        assert_eq!(read(&second, Err("no such file")).await, Ok(1));
        assert_eq!(read(&second, Ok(2)).await, Ok(1), "the file is read once a reload");
        let unread = second.renewed().renewed();
        assert_eq!(read(&unread, Err("no such file")).await, Ok(1));
    }
}
