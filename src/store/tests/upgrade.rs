//! A store of an older version is brought to this one with all it holds.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use super::transcripts::at;
use super::*;
use crate::domain::rows::Privacy;
use crate::domain::transcript::Author;
use crate::store::Tokens;

on_both! {
    what_the_second_version_held_is_there_in_this_one,
}

/// Rows as the second version wrote them, and transcripts as others may have: it wrote none itself.
const ROWS: &str = "INSERT INTO meta VALUES (1, 'store_old');
    INSERT INTO accounts (external_id, key, owner, owner_namespace, owner_name, owner_email, seats_limit)
    VALUES ('acct_old', 'uid-acme', 'owner', 'chat', 'acme', 'ada@acme.example', 9);
    INSERT INTO organizations (external_id, key, owner, owner_namespace, owner_name, account, language)
    SELECT 'org_old', 'uid-org', 'owner', 'chat', 'org', id, 'de' FROM accounts;
    INSERT INTO operators (external_id, key, owner, owner_namespace, owner_name, organization, account, email, email_folded, role)
    SELECT 'oper_old', 'uid-tom', 'owner', 'chat', 'tom', id, account, 'Tom@acme.example', 'tom@acme.example', 'Agent' FROM organizations;
    INSERT INTO transcripts (organization, started_at, content) SELECT id, '2026-01-31T12:00:00Z', 'said \"then\"' FROM organizations;
    INSERT INTO transcripts (organization, started_at, content) SELECT id, 'some day', 'said\nonce' FROM organizations;";

/// The migrations of one database up to a version.
async fn migrations(of: &str, to: usize) -> Migrator {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(of);
    let former = TempDir::new().expect("a folder");
    for file in std::fs::read_dir(all).expect("migrations").map(|file| file.expect("a file").path()) {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        if name[..4].parse::<usize>().expect("a number") <= to {
            std::fs::copy(&file, former.path().join(name)).expect("a copy");
        }
    }
    Migrator::new(former.path()).await.expect("migrations")
}

async fn fill<'c, C>(conn: C)
where
    C: Executor<'c>,
{
    conn.execute(sqlx::raw_sql(AssertSqlSafe(ROWS.replace("\\n", "\n")))).await.expect("rows");
}

async fn second_version(on: On, location: &Location) {
    match location {
        Location::File(path) => {
            let mut conn = SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.expect("a file");
            migrations("sqlite", 2).await.run(&mut conn).await.expect("the second version");
            fill(&mut conn).await;
            conn.close().await.expect("closed");
        }
        Location::Server(options) => {
            let mut conn = options.connect().await.expect("a connection");
            migrations("postgres", 2).await.run(&mut conn).await.expect("the second version");
            fill(&mut conn).await;
            conn.close().await.expect("closed");
        }
    }
    assert_eq!(on == On::Sqlite, matches!(location, Location::File(_)));
}

async fn what_the_second_version_held_is_there_in_this_one(on: On) {
    let folder = TempDir::new().expect("a folder");
    let location = on.location(&folder).await;
    second_version(on, &location).await;
    let refused = Store::open_readonly(&location).await.expect_err("an error").to_string();
    assert!(refused.contains("older version") && refused.contains("start the controller once"), "{refused}");

    if on == On::Postgres {
        // A person's act does not shut out processes of the older version.
        let refused = Tokens::open(&location).await.expect_err("an error").to_string();
        assert!(refused.contains("older version"), "{refused}");
    }

    let store = Store::open(&location).await.expect("brought to this version");
    assert!(store.reader().check().await.unwrap().is_empty());
    assert_eq!(store.id(), "store_old");
    let Ok(Answer::Present(org)) = store.lookup(&key("org")).await else { panic!("no organization") };
    let Fields::Organization(fields) = &org.fields else { panic!("not an organization") };
    assert_eq!((fields.values.language.as_deref(), fields.values.privacy), (Some("de"), Privacy::default()));
    let Ok(Answer::Present(tom)) = store.lookup(&key("tom")).await else { panic!("no operator") };
    assert_eq!(operator_fields(&tom).values.switch_organizations, Some(false));
    assert_eq!(store.usage(&key("acme")).await.unwrap().total.transcripts, 2);
    let page = store.list_transcripts("org_old", None).await.unwrap();
    let [dated, undated] = &page.transcripts[..] else { panic!("{page:?}") };
    assert_eq!(dated.transcript.started_at, at("2026-01-31T12:00:00Z"));
    assert_eq!((dated.transcript.messages[0].author, dated.transcript.messages[0].text.as_str()), (Author::System, "said \"then\""));
    assert_eq!(undated.transcript.messages[0].text, "said\nonce");
    assert!(undated.transcript.started_at > at("2026-01-31T12:00:00Z"), "counted from the day of the change");
    assert!(dated.external_id.starts_with("tscr_") && dated.external_id != undated.external_id);
}
