//! No hot query scans a table: each is found by an index, whatever the number of rows.

use sqlx::{AssertSqlSafe, Row};

use super::*;
use crate::store::db::Conn;
use crate::store::db::postgres::locks;
use crate::store::{
    accounts, admission, changes, departments, erasure, find, handover, keys, listing, lists, operators, organizations, queue, replies,
    retention, settle, switching, tokens, transcripts, tx, usage, widgets,
};

const HOT: &[(&str, &str)] = &[
    ("fence of one key", tx::FENCES[0]),
    ("fence of two", tx::FENCES[1]),
    ("fence of three", tx::FENCES[2]),
    ("account", accounts::BY_KEY),
    ("organization", organizations::BY_KEY),
    ("parent", organizations::PARENT),
    ("operator", operators::BY_KEY),
    ("e-mail", admission::BY_EMAIL),
    ("leaving", handover::LEAVING),
    ("other holders", handover::OTHERS_HOLD),
    ("successor", handover::SUCCESSOR),
    ("department", departments::BY_KEY),
    ("members", departments::MEMBERS),
    ("widget", widgets::BY_KEY),
    ("any key", keys::FIND),
    ("any external id", keys::FIND_EXTERNAL),
    ("receipt", keys::OUTCOME),
    ("ticket", queue::BY_KEY),
    ("facts", queue::FACTS),
    ("ahead", queue::AHEAD),
    ("drop", queue::DROP),
    ("line", settle::LINE),
    ("first in line", settle::FIRST_IN_LINE),
    ("no longer told", settle::NO_LONGER_TOLD),
    ("rename missing", settle::RENAME_MISSING),
    ("revoke", settle::REVOKE),
    ("page of organizations", listing::ORGANIZATIONS),
    ("page of operators", listing::OPERATORS),
    ("page of departments", listing::DEPARTMENTS),
    ("page of members", listing::MEMBERS),
    ("page of widgets", listing::WIDGETS),
    ("page of tickets", listing::TICKETS),
    ("accounts of an owner", listing::ACCOUNTS),
    ("list of accounts", lists::ACCOUNTS),
    ("list of organizations", lists::ORGANIZATIONS),
    ("list of operators", lists::OPERATORS),
    ("list of departments", lists::DEPARTMENTS),
    ("list of widgets", lists::WIDGETS),
    ("place by external id", find::BY_EXTERNAL_ID),
    ("place by key", find::BY_KEY),
    ("place of a ticket", find::TICKET),
    ("changes", changes::AFTER),
    ("end of the changes", changes::END),
    ("audit log", changes::OF_ACCOUNT),
    ("token", tokens::BY_ID),
    ("reply", replies::FIND),
    ("usage of organizations", usage::ORGANIZATIONS),
    ("usage of operators", usage::OPERATORS),
    ("usage of departments", usage::DEPARTMENTS),
    ("usage of widgets", usage::WIDGETS),
    ("organization by external id", transcripts::BY_EXTERNAL_ID),
    ("external id of a key", transcripts::BY_KEY),
    ("home of transcripts", transcripts::HOME),
    ("page of transcripts", transcripts::LIST),
    ("next days of retention", retention::NEXT_DAYS),
    ("next organization of retention", retention::NEXT),
    ("batch of retention", retention::DELETE),
    ("memberships to erase", erasure::MEMBERS),
    ("account by external id", switching::ACCOUNT),
    ("standings", switching::STANDINGS),
];

/// What may sort what it found by an index.
const SORTING: &[(&str, &str)] = &[("usage of tickets", usage::WAITING)];

async fn plan(world: &World, sql: &str) -> Vec<String> {
    let mut snapshot = world.store.reader().snapshot().await.expect("a snapshot");
    let Conn::SqliteReader(snapshot) = &mut snapshot else { panic!("not SQLite") };
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&mut **snapshot).await.expect("a plan");
    rows.into_iter().map(|row| row.get::<String, _>("detail")).collect()
}

#[tokio::test]
async fn no_hot_query_scans_or_sorts() {
    let world = World::new(On::Sqlite).await;
    for (name, sql) in HOT {
        for step in plan(&world, sql).await {
            let harmless = step.starts_with("SCAN CONSTANT ROW") || step == "SCAN ahead" || step.starts_with("SCAN (subquery");
            assert!(harmless || !(step.starts_with("SCAN") || step.contains("TEMP B-TREE")), "{name}: {step}");
        }
    }
}

#[tokio::test]
async fn what_sorts_does_not_scan() {
    let world = World::new(On::Sqlite).await;
    for (name, sql) in SORTING {
        for step in plan(&world, sql).await {
            assert!(!step.starts_with("SCAN"), "{name}: {step}");
        }
    }
}

/// On the other database: with scans as dear as can be, there is none left.
#[tokio::test]
async fn every_hot_query_has_an_index_on_postgres() {
    let world = World::new(On::Postgres).await;
    let Database::Postgres(database) = world.store.database() else { panic!("not PostgreSQL") };
    let mut conn = database.connections().acquire().await.expect("a connection");
    let dear = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";
    sqlx::raw_sql(dear).execute(&mut *conn).await.expect("settings");
    for (name, sql) in HOT.iter().chain(SORTING).chain(&[("locks", locks::OF_KEYS), ("locks of an external id", locks::OF_EXTERNAL_ID)]) {
        let places = (1..=9).filter(|place| sql.contains(&format!("${place}"))).count();
        let nulls = vec!["NULL"; places].join(", ");
        let explain = AssertSqlSafe(format!("PREPARE hot AS {sql}; EXPLAIN EXECUTE hot({nulls}); DEALLOCATE hot"));
        for step in sqlx::raw_sql(explain).fetch_all(&mut *conn).await.expect("a plan") {
            let step: String = step.get(0);
            assert!(!step.contains("Seq Scan"), "{name}: {step}");
        }
    }
}

/// The references of the schema are looked up when their target is erased: those need an index too.
#[tokio::test]
async fn every_reference_is_indexed() {
    let world = World::new(On::Sqlite).await;
    for (table, columns) in [
        ("organizations", "account = 1"),
        ("operators", "account = 1 AND organization = 1"),
        ("departments", "account = 1 AND organization = 1"),
        ("widgets", "account = 1 AND organization = 1"),
        ("transcripts", "organization = 1"),
        ("tickets", "account = 1"),
        ("tickets", "organization = 1"),
        ("credentials", "operator = 1"),
        ("department_members", "organization = 1 AND department = 1"),
        ("department_members", "organization = 1 AND operator = 1"),
    ] {
        let plan = plan(&world, &format!("SELECT 1 FROM {table} WHERE {columns}")).await;
        assert!(plan.iter().all(|step| step.starts_with("SEARCH")), "{table}: {plan:?}");
        let halves = columns.contains("account = 1 AND") && !plan.iter().any(|step| step.contains("account=? AND organization=?"));
        assert!(!halves, "{table}: {plan:?}");
    }
}
