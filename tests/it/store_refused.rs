//! Bad input on the real control plane: a store that cannot be written, or that a newer version wrote. The controller ends at once.

use std::path::Path;

use crate::controller::{Controller, Options};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};
use crate::database::Database;
use crate::rows::files;
use deskplane::store::Store;

/// Starts a controller on this store. It must end by itself with exit code 1, having said all these words.
async fn refused(database: &Path, words: &[&str]) {
    // Its log cannot stand beside a store that is no file.
    let url = format!("sqlite://{}", database.display());
    let mut controller = Controller::launch(ControlPlane::shared().await, Options { url: Some(&url), ..Options::default() }).await;
    assert_eq!(controller.exit_code().await, Some(1), "{}", controller.log());
    let log = controller.log();
    for word in words.iter().copied().chain([database.to_str().expect("UTF-8")]) {
        assert!(log.contains(word), "'{word}' is not in: {log}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_or_is_newer_is_named_and_left_as_it_is() {
    // Made here, others may start one at the same time: it writes the kubeconfig that all controllers use.
    Controller::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);

    let newer = path("newer.db");
    Store::open(&newer).await.unwrap().close().await;
    let others = Database::at(&newer).await;
    others.change("UPDATE _sqlx_migrations SET version = 999 WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)", &[]).await;
    // The last one who closes the store moves its write-ahead log into the file. A reader leaves an empty log.
    let content = || files(&newer).map(|file| std::fs::read(file).unwrap_or_default());
    let before = eventually("all others have closed it", DEADLINE, async || match content() {
        [file, log, _] if log.is_empty() => Ok(file),
        [_, log, _] => Err(format!("{} bytes of log", log.len())),
    })
    .await;
    assert!(before.len() > 10_000, "a whole store");
    refused(&newer, &["was written by a newer version of deskplane (schema 999", "run that version, or restore a backup"]).await;
    let [after, log, _] = content();
    assert!(after == before && log.is_empty(), "nothing was written");

    // No user, root neither, can write to these.
    std::fs::create_dir(path("folder.db")).unwrap();
    refused(&path("folder.db"), &["is a folder; name a file in it"]).await;
    assert_eq!(path("folder.db").read_dir().unwrap().count(), 0);
    std::fs::write(path("file"), "ours").unwrap();
    refused(&path("file/below.db"), &["is a file, and has no files in it; name a file in a folder"]).await;
    assert_eq!(std::fs::read(path("file")).unwrap(), b"ours");
    std::os::unix::fs::symlink(path("loop.db"), path("loop.db")).unwrap();
    refused(&path("loop.db"), &["cannot be opened for writing", "check its permissions and its volume"]).await;
}
