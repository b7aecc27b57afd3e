//! Whoever types what docs/server.md says gets what it says.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::controlplane::{DEADLINE, eventually};
use crate::readme_blocks::{Block, NOT_RUN, Running, STAYS, blocks};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/server.md");

/// A shell with the program on PATH. The server takes a free port.
fn shell(folder: &Path) -> Command {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.current_dir(folder).env("PATH", path).env("DESKPLANE_SERVER_LISTEN", "127.0.0.1:0").env_remove("DESKPLANE_DATABASE");
    shell
}

#[tokio::test]
async fn the_shell_blocks_of_the_servers_documentation_do_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_deskplane"), folder.path().join("bin/deskplane")).unwrap();
    let docs = std::fs::read_to_string(DOCS).unwrap();
    let log = folder.path().join("running.log");
    let (stays, typed): (Vec<_>, Vec<_>) =
        blocks(&docs).into_iter().filter(|block| !block.mark.starts_with(NOT_RUN)).partition(|block| block.mark == STAYS);
    let [Block { commands, .. }] = stays.as_slice() else { panic!("one block runs until it is stopped") };
    let _server = Running::start(shell(folder.path()), commands, &log);
    let address = eventually("the server listens", DEADLINE, async || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        log.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next()).map(str::to_owned).ok_or(log)
    })
    .await;
    // One after the other in one shell, as they are read.
    let script: String = typed.iter().map(|block| block.commands).collect();
    let script = script.replace("127.0.0.1:8443", &address);
    let output = shell(folder.path()).args(["-euo", "pipefail", "-c", &script]).stdin(Stdio::null()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let served = std::fs::read_to_string(&log).unwrap();
    assert!(output.status.success(), "{text}\n{served}");
    for expected in ["my first one", r#""seatsHeld":1"#, r#""displayName":"Acme Germany""#, r#""changes":[{"#, "must be one e-mail address"]
    {
        assert!(text.contains(expected), "'{expected}' is not in: {text}");
    }
    assert!(!served.contains("panicked"), "{served}");
}

#[test]
fn the_documentation_names_every_class_of_error() {
    let docs = std::fs::read_to_string(DOCS).unwrap();
    for class in [
        "Invalid",
        "CredentialsInvalid",
        "Forbidden",
        "ParentNotFound",
        "EmailTaken",
        "NameTaken",
        "LimitExceeded",
        "LastOperator",
        "InUse",
        "Erased",
        "Released",
        "Throttled",
        "Transient",
        "OutcomeUnknown",
        "Fenced",
        "WrongStore",
        "PreconditionFailed",
        "Unsupported",
        "NotFound",
    ] {
        assert!(docs.contains(&format!("`{class}`")), "{class}");
    }
}
