//! store check, orphans, erase-row: on a file or in `PostgreSQL`, without a cluster.

use std::path::Path;
use std::sync::Arc;

use deskplane::api::operator::Role;
use deskplane::backend::embedded::Embedded;
use deskplane::backend::{Backend, OperatorPut};
use deskplane::domain::rows::{DesiredAccount, DesiredOperator, DesiredOrganization, Key, OwnerTag, RowKind};
use deskplane::domain::seats::Limits;
use deskplane::store::{Location, Store};
use tempfile::TempDir;

use super::{Ran, deskplane};
use crate::postgres::Cluster;

/// A store with an account, an organization and two operators, one of them quarantined. Nobody holds it.
async fn store(folder: &TempDir) -> String {
    let database = format!("sqlite://{}/accounts.db", folder.path().display());
    furnish(&database).await;
    database
}

async fn furnish(database: &str) {
    let backend = Embedded::new(Arc::new(Store::open(Location::parse(database).unwrap()).await.unwrap()), "owner");
    let session = backend.begin_epoch().await.unwrap();
    let tag = |kind, name: &str| OwnerTag { kind, namespace: "chat".to_owned(), name: name.to_owned(), key: Key::from(name) };
    let limits = Limits { seats: 5, organizations: None, widgets: None };
    let account = DesiredAccount { owner_email: "ada@acme.example".to_owned(), owner_display_name: None, limits };
    backend.put_account(&session, &tag(RowKind::Account, "acme"), &account).await.unwrap();
    let (mia, tom) = (tag(RowKind::Operator, "mia"), tag(RowKind::Operator, "tom"));
    let (first, second) = (person("mia"), person("tom"));
    let germany = tag(RowKind::Organization, "germany");
    let first = OperatorPut { tag: &mia, desired: &first, intent: None };
    backend.put_organization(&session, &germany, &"acme".into(), &DesiredOrganization::default(), Some(first)).await.unwrap();
    backend.put_operator(&session, &"germany".into(), OperatorPut { tag: &tom, desired: &second, intent: None }).await.unwrap();
    backend.quarantine(&session, &"tom".into()).await.unwrap();
}

fn person(name: &str) -> DesiredOperator {
    let email = format!("{name}@acme.example");
    DesiredOperator {
        email,
        display_name: None,
        nickname: None,
        role: Role::Agent,
        suspended: false,
        position: None,
        switch_organizations: None,
    }
}

fn run(database: &str, args: &[&str]) -> Ran {
    deskplane(Path::new("/does-not-exist"), &[&["store"], args, &["--database", database]].concat())
}

#[tokio::test]
async fn a_store_is_checked_beside_whoever_writes_it() {
    let folder = TempDir::new().unwrap();
    let database = store(&folder).await;
    let path = folder.path().join("accounts.db");
    let held = Store::open(&path).await.unwrap();
    assert!(run(&database, &["check"]).ok().ends_with("is whole and keeps its rules.\n"));
    drop(held);
    let wrong = sqlx::SqlitePool::connect(&database).await.unwrap();
    sqlx::query("UPDATE accounts SET seats_held = 4").execute(&wrong).await.unwrap();
    wrong.close().await;
    let broken = run(&database, &["check", "-o", "json"]);
    assert_eq!(broken.code, 5, "{}", broken.stderr);
    assert_eq!(broken.json()["errors"], 1);
    run(&format!("{database}.missing"), &["check"]).failed(1, &["accounts.db.missing: there is no store here"]);
    run("mysql://x", &["check"]).failed(1, &["--database must be sqlite://PATH"]);
    std::fs::write(folder.path().join("text.db"), "no database at all, but long enough to be read as one".repeat(100)).unwrap();
    run(&format!("{}/text.db", folder.path().display()), &["check"]).failed(1, &["text.db"]);
}

#[tokio::test]
async fn an_orphan_is_erased_when_a_person_says_so_and_nobody_holds_the_store() {
    let folder = TempDir::new().unwrap();
    let database = store(&folder).await;
    let listed = run(&database, &["orphans"]);
    assert_eq!(listed.line("Quarantined").last(), Some(&"chat/tom"), "{}", listed.ok());
    let json = run(&database, &["orphans", "-o", "json"]).json();
    let id = json[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(listed.line("Quarantined")[0], id);

    let asked = run(&database, &["erase-row", &id]);
    asked.failed(6, &["not confirmed", "--yes"]);
    assert!(asked.stdout.contains(", once of chat/tom.\n"), "{}", asked.stdout);
    let held = Store::open(&folder.path().join("accounts.db")).await.unwrap();
    run(&database, &["erase-row", &id, "--yes"]).failed(1, &["is in use by", "stop that process first"]);
    drop(held);
    assert!(run(&database, &["erase-row", &id, "--yes"]).ok().ends_with(&format!("{id} is erased.\n")));
    assert_eq!(run(&database, &["orphans"]).ok(), "No row is without an object.\n");
    assert_eq!(run(&database, &["check"]).code, 0);
    run(&database, &["erase-row", &id, "--yes"]).failed(1, &["there is no row", "deskplane store orphans"]);
}

/// Nobody is asked to confirm what cannot be done.
#[tokio::test]
async fn a_restore_asks_only_when_there_is_something_to_restore() {
    let folder = TempDir::new().unwrap();
    let database = store(&folder).await;
    let copy = folder.path().join("backup.db").display().to_string();
    run(&database, &["restore", "--from", &copy]).failed(1, &["backup.db: there is no store here"]);
    run(&database, &["restore"]).failed(1, &["name the backup: --from FILE"]);
    run("postgres://x@localhost/y", &["restore", "--from", &copy]).failed(1, &["pg_restore"]);
    assert_eq!(run(&database, &["backup", "--to", &copy]).code, 0);
    run(&database, &["restore", "--from", &copy]).failed(6, &["not confirmed", "--yes"]);
    assert!(run(&database, &["restore", "--from", &copy, "--yes"]).ok().contains("The store is restored"));
}

#[tokio::test]
async fn a_store_in_postgres_is_looked_after_beside_whoever_writes_it() {
    let database = Cluster::shared().url().await;
    run(&database, &["check"]).failed(1, &["there is no store in it"]);
    furnish(&database).await;
    let _writer = Store::open(Location::parse(&database).unwrap()).await.unwrap();
    assert!(run(&database, &["check"]).ok().ends_with("is whole and keeps its rules.\n"));
    let json = run(&database, &["orphans", "-o", "json"]).json();
    let id = json[0]["id"].as_str().expect("an id").to_owned();
    assert!(run(&database, &["erase-row", &id, "--yes"]).ok().ends_with(&format!("{id} is erased.\n")));
    assert_eq!(run(&database, &["orphans"]).ok(), "No row is without an object.\n");
}

#[test]
fn a_password_is_never_shown() {
    let database = "postgres://deskplane:hush-hush@127.0.0.1:1/accounts?sslmode=disable";
    let refused = run(database, &["check"]);
    refused.failed(1, &["postgres://127.0.0.1:1/accounts", "cannot be reached"]);
    let bad = run("postgres://deskplane:hush-hush@127.0.0.1:port/accounts", &["check"]);
    bad.failed(1, &["no URL of PostgreSQL"]);
    for ran in [refused, bad] {
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("hush-hush"));
    }
    for verb in [&["controller", "--help"][..], &["store", "check", "--help"]] {
        let help =
            std::process::Command::new(env!("CARGO_BIN_EXE_deskplane")).args(verb).env("DESKPLANE_DATABASE", database).output().unwrap();
        assert!(help.status.success() && !String::from_utf8_lossy(&help.stdout).contains("hush-hush"));
    }
}
