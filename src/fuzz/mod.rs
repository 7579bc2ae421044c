//! What fuzzers give any octets to, and what must hold whatever they are. A target panics where it does not.
//!
//! | target | what the octets are |
//! | --- | --- |
//! | [`message`] | a world, a client and rules in a few octets, then a query |
//! | [`master`] | a master file |
//! | [`policy`] | a policy file, beside the zones that its hubs need |
//! | [`config`] | a configuration file |
//! | [`admin`] | requests to the operators' API, one after the other |
//! | [`proxy`] | the start of a connection of a proxy |
//! | [`https`] | a request of DNS over HTTPS |
//!
//! The fuzzers are in `tests/fuzz`, which has this crate built with `cfg(fuzzing)`. What they have found worth keeping is in
//! `tests/fuzz/corpus`, a folder for each target, and the tests here give all of it to the targets again.

mod admin;
mod around;
mod files;
mod message;

pub use admin::admin;
pub use around::{https, proxy};
pub use files::{config, master, policy};
pub use message::message;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "reads the corpus")]
mod tests {
    use std::path::Path;

    /// Every file of a target's corpus, and the empty one.
    fn replay(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
        let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        target(b"");
        let mut count = 0;
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            target(&std::fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 10, "a corpus of {count} files in {}", folder.display());
    }

    #[test]
    fn the_corpus_of_messages_is_replayed() {
        replay("message", super::message);
    }

    #[test]
    fn the_corpus_of_master_files_is_replayed() {
        replay("master", super::master);
    }

    #[test]
    fn the_corpus_of_policies_is_replayed() {
        replay("policy", super::policy);
    }

    #[test]
    fn the_corpus_of_configurations_is_replayed() {
        replay("config", super::config);
    }

    #[test]
    fn the_corpus_of_requests_to_the_operators_api_is_replayed() {
        replay("admin", super::admin);
    }

    #[test]
    fn the_corpus_of_proxy_headers_is_replayed() {
        replay("proxy", super::proxy);
    }

    #[test]
    fn the_corpus_of_https_requests_is_replayed() {
        replay("https", super::https);
    }
}
