use std::path::Path;

use tempfile::TempDir;

use super::*;

/// So much time that only what never comes is late.
const PATIENCE: Duration = Duration::from_secs(30);

fn shell(script: &str) -> Exec {
    Exec { command: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()] }
}

async fn run_for(exec: &Exec, given: Given, timeout: Duration) -> (bool, String) {
    run(exec, given, Instant::now() + timeout, timeout).await
}

async fn check(script: &str, open: bool, sentence: &str) {
    assert_eq!(run_for(&shell(script), Given::default(), PATIENCE).await, (open, sentence.to_owned()), "{script}");
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a process with the number in this file runs: one that is gone, or killed and not yet reaped, does not.
fn runs(file: &Path) -> bool {
    let number = std::fs::read_to_string(file).unwrap();
    match std::fs::read_to_string(format!("/proc/{}/stat", number.trim())) {
        Ok(stat) => !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'),
        Err(_) => false,
    }
}

#[tokio::test]
async fn the_exit_code_decides_and_the_first_line_is_the_evidence() {
    check("echo 412 identities are known; echo more", true, "412 identities are known").await;
    check("exit 0", true, "exit 0").await;
    check("echo 412 identities are missing; exit 3", false, "exit 3: 412 identities are missing").await;
    check("exit 3", false, "exit 3").await;
    check("echo no such registry >&2; exit 1", false, "exit 1: no such registry").await;
    check("echo noise >&2; echo lag 3 s", true, "lag 3 s").await;
    check("kill -9 $$", false, "ended by signal 9").await;
}

#[tokio::test]
async fn what_it_prints_is_escaped() {
    check(r"printf 'red \033[31m\n'", true, r"red \u{1b}[31m").await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_shut_and_named() {
    let missing = Exec { command: vec!["/nonexistent/check".to_owned()] };
    let expected = "run /nonexistent/check: no such file or directory";
    assert_eq!(run_for(&missing, Given::default(), PATIENCE).await, (false, expected.to_owned()));
    let none = Exec { command: Vec::new() };
    assert!(!run_for(&none, Given::default(), PATIENCE).await.0);
}

#[tokio::test]
async fn its_environment_and_input_are_what_it_is_given() {
    let given = |input: Option<&str>| Given {
        variables: vec![("CONCIERGE_GATE", "registry".to_owned())],
        input: input.map(|input| input.as_bytes().to_vec()),
    };
    let variables = shell("env | cut -d= -f1 | grep -vE '^(PWD|SHLVL|_|OLDPWD)$' | sort | tr '\\n' ' '");
    let (_, sentence) = run_for(&variables, given(None), PATIENCE).await;
    let expected: Vec<&str> = ["CONCIERGE_GATE", "HOME", "PATH"]
        .into_iter()
        .filter(|name| name.starts_with('C') || std::env::var_os(name).is_some())
        .collect();
    assert_eq!(sentence, expected.join(" "));
    assert_eq!(run_for(&shell("echo $CONCIERGE_GATE"), given(None), PATIENCE).await.1, "registry");
    assert_eq!(run_for(&shell("cat"), given(Some("{\"a\":1}\n")), PATIENCE).await.1, "{\"a\":1}");
    assert_eq!(run_for(&shell("cat; echo empty"), given(None), PATIENCE).await.1, "empty", "it reads /dev/null");
}

#[tokio::test]
async fn input_that_is_not_read_does_not_matter() {
    let given = Given { input: Some(vec![b'x'; 1 << 20]), ..Given::default() };
    assert_eq!(run_for(&shell("echo done"), given, PATIENCE).await, (true, "done".to_owned()));
}

#[tokio::test]
async fn one_that_hangs_is_killed_with_its_children() {
    let folder = TempDir::new().unwrap();
    let (own, childs) = (folder.path().join("own"), folder.path().join("child"));
    let (own_path, child_path) = (own.display(), childs.display());
    let script = format!("sleep 600 & echo $! > {child_path}; echo $$ > {own_path}; echo waiting; wait");
    // So much that it has started, and its child.
    let exec = shell(&script);
    let deadline = Instant::now() + Duration::from_secs(5);
    let verdict = run(&exec, Given::default(), deadline, Duration::from_secs(5)).await;
    assert_eq!(verdict, (false, "killed after 5 s".to_owned()));
    until("its child runs on", || !runs(&childs)).await;
    until("it runs on", || !runs(&own)).await;
}

#[tokio::test]
async fn one_whose_verdict_nobody_wants_is_killed_with_its_children() {
    let folder = TempDir::new().unwrap();
    let (ready, child) = (folder.path().join("ready"), folder.path().join("child"));
    let script = format!("sleep 600 & echo $! > {}; touch {}; wait", child.display(), ready.display());
    let task = tokio::spawn(async move { run_for(&shell(&script), Given::default(), PATIENCE).await });
    until("it does not start", || ready.exists()).await;
    assert!(runs(&child));
    task.abort();
    until("its child runs on", || !runs(&child)).await;
}

#[tokio::test]
async fn children_that_keep_the_output_open_are_not_waited_for() {
    let folder = TempDir::new().unwrap();
    let child = folder.path().join("child");
    let script = format!("sleep 600 & echo $! > {}; echo left one behind", child.display());
    check(&script, true, "left one behind").await;
    until("what it left behind runs on", || !runs(&child)).await;

    // One that leaves the group runs on and is not waited for.
    let script = format!(
        "setsid sh -c 'echo $$ > {}; exec sleep 600' & while ! [ -s {} ]; do :; done; echo left",
        child.display(),
        child.display()
    );
    std::fs::remove_file(&child).unwrap();
    check(&script, true, "left").await;
    assert!(runs(&child));
    let number: i32 = std::fs::read_to_string(&child).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(Pid::from_raw(number).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn one_that_closes_its_outputs_is_waited_for() {
    check("exec >&- 2>&-; sleep 0.2; exit 4", false, "exit 4").await;
}

#[tokio::test]
async fn huge_output_neither_blocks_nor_is_kept() {
    let script = "head -c 20000000 /dev/zero | tr '\\0' x; head -c 20000000 /dev/zero >&2; exit 7";
    let (open, sentence) = run_for(&shell(script), Given::default(), PATIENCE).await;
    assert!(!open);
    assert_eq!(sentence, format!("exit 7: {}…", "x".repeat(247)));
}

#[tokio::test]
async fn endless_output_ends_at_the_deadline() {
    let verdict = run_for(&shell("yes"), Given::default(), Duration::from_millis(300)).await;
    assert_eq!(verdict, (false, "killed after 300 ms".to_owned()));
}
