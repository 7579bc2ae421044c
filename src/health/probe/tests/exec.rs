//! Real programs.

use super::*;
use crate::policy::{Exec, ProbeName};

async fn look(script: &str, target: Target) -> Outcome {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    look_with(probe(ProbeKind::Exec(Exec { command })), target).await
}

async fn look_with(probe: Probe, target: Target) -> Outcome {
    Arc::new(Prober::new(&[])).observe(&Arc::new(probe), &target).await.outcome
}

fn here() -> Target {
    Target::Addresses(vec![V4])
}

#[tokio::test]
async fn the_exit_code_is_the_verdict_and_the_first_line_its_words() {
    assert_eq!(look("echo all is well", here()).await, Outcome::Good);
    assert_failed(&look("exit 1", here()).await, "/bin/sh: exit 1");
    let refused = look("echo 'CONNECT refused: 135'; echo more; exit 1", here()).await;
    assert_failed(&refused, "/bin/sh: exit 1: CONNECT refused: 135");
    assert_failed(&look("exit 2", here()).await, "/bin/sh: exit 2");
    assert_failed(&look("kill -9 $$", here()).await, "/bin/sh: ended by signal 9");
}

#[tokio::test]
async fn a_program_that_could_not_look_has_seen_nothing() {
    let unable = |code: u8, said: &str| format!("/bin/sh could not look, exit {code}{said}");
    assert_unable(&look("echo no token; exit 75", here()).await, &unable(75, ": no token"));
    assert_unable(&look("exit 126", here()).await, &unable(126, ""));
    let missing = look("exec /nonexistent/look 2>/dev/null", here()).await;
    assert_unable(&missing, &unable(127, ""));
}

#[tokio::test]
async fn a_program_that_is_not_there_moves_nothing() {
    let exec = probe(ProbeKind::Exec(Exec { command: vec!["/nonexistent/look".to_owned()] }));
    assert_unable(&look_with(exec, here()).await, "run /nonexistent/look: no such file or directory");
}

#[tokio::test]
async fn it_is_told_what_to_look_at() {
    let is = |expected: &str| {
        format!(
            "test \"$CONCIERGE_PROBE $CONCIERGE_TARGET $CONCIERGE_TIMEOUT_MS\" = 'broker {expected} 20000' || exit 1"
        )
    };
    assert_eq!(tcp_probe(1).name, ProbeName::new("broker"));
    assert_eq!(look(&is("127.0.0.1 ::1"), Target::Addresses(vec![V4, address("::1")])).await, Outcome::Good);
    assert_eq!(look(&is("hub.example.net"), Target::Host(name("Hub.example.net."))).await, Outcome::Good);
}

#[tokio::test]
async fn a_late_program_is_killed_with_what_it_started() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("child");
    let script = format!("sleep 600 & echo $! > '{}'; wait", file.display());
    let exec = Exec { command: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec() };
    let outcome = look_with(within_ms(1_000, probe(ProbeKind::Exec(exec))), here()).await;
    assert_failed(&outcome, "/bin/sh: killed after 1 s");
    let child = std::fs::read_to_string(&file).unwrap();
    let runs = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while runs() {
        assert!(Instant::now() < deadline, "what the program started goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
