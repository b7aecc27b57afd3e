//! Whoever types what the README says, from the installation to the end, gets what it says.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::controlplane::ControlPlane;

/// Before a block in the README: why it is not run here.
pub const NOT_RUN: &str = "<!-- not run by the tests: ";
/// Before a block that goes on until it is stopped.
pub const STAYS: &str = "<!-- runs until it is stopped -->";

/// A shell block, and the comment before it.
pub struct Block<'a> {
    pub mark: &'a str,
    pub commands: &'a str,
}

/// The shell blocks of a text.
pub fn blocks(readme: &str) -> Vec<Block<'_>> {
    let parts: Vec<_> = readme.split("```").collect();
    let pairs = parts.chunks_exact(2).map(|pair| (pair[0].trim_end().lines().last().unwrap_or_default(), pair[1]));
    pairs.filter_map(|(mark, code)| code.strip_prefix("sh\n").map(|commands| Block { mark, commands })).collect()
}

/// A clone of the repository as far as the README's blocks look into it.
fn clone_to(folder: &Path) {
    for part in ["hack", "examples", "charts", "crds"] {
        std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(part), folder.join(part)).unwrap();
    }
}

/// A shell as the person has it: in the clone, with the programs on PATH, and with the cluster in KUBECONFIG.
fn shell(plane: &ControlPlane, clone: &Path) -> Command {
    let programs = clone.join("bin");
    if !programs.exists() {
        std::fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_deskplane"), programs.join("deskplane")).unwrap();
        std::os::unix::fs::symlink(plane.kubectl_path(), programs.join("kubectl")).unwrap();
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.current_dir(clone).env("PATH", path).env("KUBECONFIG", plane.kubeconfig()).env("KUBECACHEDIR", clone.join("cache"));
    shell.env("DESKPLANE_LISTEN", "127.0.0.1:0").env_remove("DESKPLANE_DATABASE");
    shell
}

/// A block that goes on. It ends with its whole process group when our end of the pipe closes, however this process ends.
pub struct Running(Child);

impl Running {
    /// Starts it in a shell.
    pub fn start(mut shell: Command, commands: &str, log: &Path) -> Self {
        let leash = r#"exec 3<&0 </dev/null; (cat <&3 >/dev/null; kill -TERM 0) & exec 3<&-; bash -euo pipefail -c "$1""#;
        shell.args(["-c", leash, "bash", commands]).stdin(Stdio::piped()).stderr(File::create(log).unwrap());
        Self(shell.process_group(0).spawn().unwrap())
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_shell_blocks_of_the_readme_do_what_it_says() {
    let plane = ControlPlane::dedicated_with(|_| false).await;
    let clone = tempfile::tempdir().unwrap();
    clone_to(clone.path());
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let log = clone.path().join("running.log");
    let mut running = Vec::new();
    let mut printed = Vec::new();
    for Block { mark, commands } in blocks(&readme) {
        if mark.starts_with(NOT_RUN) {
            continue;
        }
        let mut shell = shell(&plane, clone.path());
        if mark == STAYS {
            running.push(Running::start(shell, commands, &log));
            continue;
        }
        let output = shell.args(["-euo", "pipefail", "-c", commands]).stdin(Stdio::null()).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{commands}\n{text}\n{}", std::fs::read_to_string(&log).unwrap_or_default());
        printed.push(text);
    }
    assert!(running.len() == 1 && running.iter_mut().all(Running::runs), "the controller still runs");
    let has = |text: &str| assert!(printed.iter().any(|one| one.contains(text)), "'{text}' is not in: {printed:?}");
    has("organization.deskplane.dev/acme-germany");
    has("Account quickstart/acme");
    let kinds = plane.kubectl_ok(&["get", "crd", "-o", "name"]);
    assert!(!kinds.contains("deskplane.dev"), "{kinds}");
    drop(running);
    let kept = shell(&plane, clone.path()).args(["-c", "deskplane store orphans"]).output().unwrap();
    let kept = String::from_utf8_lossy(&kept.stdout).into_owned();
    assert!(kept.contains(" 3 organizations, 5 operators, 4 departments, 3 widgets "), "the data stays: {kept}");
}

#[test]
fn every_block_that_is_not_run_says_why() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let blocks = blocks(&readme);
    let skipped = blocks.iter().filter(|block| block.mark.starts_with(NOT_RUN));
    for Block { mark, commands } in skipped {
        assert!(mark.len() > NOT_RUN.len() + 20 && mark.ends_with(" -->"), "{mark}\n{commands}");
    }
    assert!(blocks.len() > 5);
    let marks: Vec<_> = readme.lines().filter(|line| line.starts_with("<!--")).collect();
    let used = blocks.iter().filter(|block| block.mark.starts_with("<!--")).count();
    assert_eq!(marks.len(), used, "a mark stands right before its block: {marks:?}");
}

#[test]
fn there_is_one_recipe_to_uninstall() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, section) = readme.split_once("## Uninstall").unwrap();
    let block = blocks(section).into_iter().next().unwrap();
    let indented = block.commands.trim_end().replace('\n', "\n  ");
    assert!(deskplane::cli::release::EXAMPLES.contains(&indented), "{indented}");
}
