//! Backup and restore on the real control plane, as docs/backup.md says: what was made or deleted after the backup is neither lost nor made
//! twice.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::controller::{BACKEND, Controller, Options, TenantOn, backend, create, ready, reason_is};
use crate::controlplane::ControlPlane;
use crate::postgres::Cluster;
use crate::rows::{FURNITURE, Rows, message, program, uid};

/// Where a store is, and where its backup goes.
enum Kept {
    File { url: String, copy: PathBuf },
    Postgres { cluster: Cluster, dump: PathBuf },
}

impl Kept {
    fn url(&self) -> String {
        match self {
            Self::File { url, .. } => url.clone(),
            Self::Postgres { cluster, .. } => cluster.base(),
        }
    }

    fn store(&self, plane: &ControlPlane, args: &[&str]) -> (bool, String) {
        program(&plane.kubeconfig(), &[&["store"], args, &["--database", &self.url()]].concat())
    }

    async fn controller(&self, plane: &ControlPlane) -> Controller {
        Controller::start(plane, Options { url: Some(&self.url()), args: &["--no-lease"], ..Options::default() }).await
    }

    /// Beside the controller.
    fn backup(&self, plane: &ControlPlane) {
        match self {
            Self::File { copy, .. } => {
                let (done, said) = self.store(plane, &["backup", "--to", &text(copy)]);
                assert!(done, "{said}");
            }
            Self::Postgres { dump, .. } => {
                Cluster::program("pg_dump", &["--format=custom", &format!("--file={}", text(dump)), &format!("--dbname={}", self.url())]);
            }
        }
    }

    /// Brings the backup back: not under a controller that goes on. What is said then.
    async fn restore(&self, plane: &ControlPlane, controller: &mut Controller) -> String {
        match self {
            Self::File { copy, .. } => {
                let restore = ["restore", "--from", &text(copy), "--yes"];
                let (done, said) = self.store(plane, &restore);
                assert!(!done && said.contains("is in use by"), "{said}");
                assert!(controller.stop().await);
                let (done, said) = self.store(plane, &restore);
                assert!(done && said.contains("What was there is now"), "{said}");
                said
            }
            Self::Postgres { dump, .. } => {
                // Here nothing keeps a person from renaming it under a controller, which ends.
                assert!(self.store(plane, &["restore", "--yes"]).0);
                assert!(!controller.ended().await);
                let log = controller.logged("the database holds another store by now").await;
                assert!(!log.contains("panicked"), "{log}");
                Cluster::program("pg_restore", &["--clean", "--if-exists", &format!("--dbname={}", self.url()), &text(dump)]);
                let (done, said) = self.store(plane, &["restore", "--yes"]);
                assert!(done, "{said}");
                said
            }
        }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn a_restored_file_erases_nothing_and_makes_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let [database, copy] = ["accounts.db", "backup.db"].map(|name| folder.path().join(name));
    nothing_is_erased_and_nothing_made_twice(&Kept::File { url: format!("sqlite://{}", text(&database)), copy }).await;
}

#[tokio::test]
async fn a_restored_postgres_erases_nothing_and_makes_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("deskplane.dump");
    nothing_is_erased_and_nothing_made_twice(&Kept::Postgres { cluster: Cluster::start(), dump }).await;
}

async fn nothing_is_erased_and_nothing_made_twice(kept: &Kept) {
    let plane = ControlPlane::dedicated().await;
    let mut controller = kept.controller(&plane).await;
    create(&plane, backend(BACKEND)).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let tenant = TenantOn::on(&plane, "restored", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.operator("goes", "one").await;
    let goes = tenant.ready("Operator", "goes").await;
    kept.backup(&plane);

    // After the backup: one comes, one goes.
    tenant.operator("comes", "one").await;
    tenant.ready("Operator", "comes").await;
    tenant.delete("Operator", "goes").await;
    tenant.gone("Operator", "goes").await;
    let said = kept.restore(&plane, &mut controller).await;

    let controller = kept.controller(&plane).await;
    let refused = reason_is(&plane, "AccountBackend", "", BACKEND, "BackendReplaced").await;
    assert!(message(&refused).contains("another store answers"), "{}", message(&refused));
    let held = tenant.reason("Operator", "comes", "BackendReplaced").await;
    assert_eq!(held["metadata"]["finalizers"], json!(["deskplane.dev/erase"]));
    let rows = Rows::of(&controller).await;
    assert_eq!(rows.with_key(&uid(&held)).await, 0);
    let accept = said.lines().find_map(|line| line.trim().strip_prefix("kubectl ")).expect("what to type").replace("NAME", BACKEND);
    tenant.type_in(&accept.split(' ').map(str::to_owned).collect::<Vec<_>>());

    for (kind, name) in FURNITURE.into_iter().chain([("Operator", "comes")]) {
        let object = tenant.ready(kind, name).await;
        assert_eq!(rows.with_key(&uid(&object)).await, 1, "{kind} {name}");
    }
    let (_, orphans) = kept.store(&plane, &["orphans", "-o", "json"]);
    let orphans: Value = serde_json::from_str(&orphans).expect("JSON");
    let left: Vec<_> = orphans.as_array().expect("a list").iter().map(|orphan| orphan["id"].clone()).collect();
    assert_eq!(left, [goes["status"]["externalId"].clone()], "who went after the backup is reported, and stays until a person decides");
}
