//! server token create, list, revoke: beside a process that has the store, on a file and in `PostgreSQL`, without a cluster.

use std::path::Path;

use deskplane::store::{Location, Store};
use secrecy::SecretString;
use tempfile::TempDir;

use super::{Ran, deskplane};
use crate::postgres::Cluster;

fn run(database: &str, args: &[&str]) -> Ran {
    deskplane(Path::new("/does-not-exist"), &[&["server", "token"], args, &["--database", database]].concat())
}

#[tokio::test]
async fn tokens_of_a_file_are_made_and_revoked_while_a_process_has_it() {
    let folder = TempDir::new().unwrap();
    life(&format!("sqlite://{}/accounts.db", folder.path().display())).await;
}

#[tokio::test]
async fn tokens_in_postgres_are_made_and_revoked_while_a_process_has_it() {
    life(&Cluster::shared().url().await).await;
}

async fn life(database: &str) {
    let location = Location::parse(database).unwrap();
    // Before there is a store: it is made, and free again.
    let early = run(database, &["create", "--scope", "admin"]).ok().trim().to_owned();
    let store = Store::open(&location).await.unwrap();
    let good = async |token: &str| store.authenticate(&SecretString::from(token)).await.unwrap();
    assert!(good(&early).await.is_some());

    let made = run(database, &["create", "--scope", "admin", "--description", "for a test"]);
    let token = made.ok().trim_end().to_owned();
    let info = good(&token).await.expect("good at once");
    assert_eq!((info.scope.to_string().as_str(), info.description.as_str()), ("admin", "for a test"));
    assert!(made.stderr.contains(&format!("server token revoke {}", info.id)) && !made.stderr.contains(&token));

    let listed = run(database, &["list"]);
    assert_eq!(listed.line("for a test")[..3], [info.id.as_str(), "admin", "Active"]);
    assert!(!listed.ok().contains(&token));
    assert!(run(database, &["revoke", &info.id]).ok().starts_with(&format!("{} is revoked, since ", info.id)));
    assert!(good(&token).await.is_none() && good(&early).await.is_some(), "refused at once");
    let json = run(database, &["list", "-o", "json"]).json();
    let revoked = json.as_array().unwrap().iter().filter(|token| token["revokedAt"].is_string()).count();
    assert_eq!((json.as_array().unwrap().len(), revoked), (2, 1));

    // A whole token is no ID, and is not repeated.
    let typed = run(database, &["revoke", &early]);
    typed.failed(3, &["a token of that ID does not exist", "server token list"]);
    assert!(!typed.stderr.contains(&early));
    run(database, &["create", "--scope", "root"]).failed(2, &["admin, account:<acct_…> or transcripts:<org_…>"]);
    run(database, &["create", "--scope", "account:acct_none"]).failed(1, &["scope: there is no account acct_none"]);
    store.close().await;
}
