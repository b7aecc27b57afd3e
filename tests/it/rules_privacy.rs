//! Privacy on the real control plane: settings reach the store and stay what the spec says; transcripts are counted; what is too old goes
//! whoever is paused (rule 20); many of them are erased with progress, over a crash (rule 12); a promotion is carried out (rule 5).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::controller::{BACKEND, Controller, Place, Tenant, TenantOn, backend, condition, create, place, ready, url};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};
use crate::database::Database;
use crate::rows::{Rows, on_store, program, uid};

const PRIVACY: &str = "COALESCE(CAST(CAST(store_transcripts AS INTEGER) AS TEXT), '-')
    || ' ' || COALESCE(CAST(transcript_retention_days AS TEXT), '-')
    || ' ' || COALESCE(CAST(CAST(anonymize_visitors AS INTEGER) AS TEXT), '-')";

const SWITCHES: &str = "CAST(switch_organizations AS INTEGER)";

/// So many transcripts of an organization, begun at a time in milliseconds; the text names both.
const CHATS: &str = r#"INSERT INTO transcripts (external_id, organization, started_at, content)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < CAST(substr($2, 1, 6) AS INTEGER))
    SELECT 'tscr_' || $1 || i, g.id, CAST(substr($2, 8) AS BIGINT), '{"startedAt": "2026-01-01T00:00:00Z", "messages": []}'
    FROM organizations g, n WHERE g.key = $1"#;

/// Stores `count` chats that are `days` old, as a chat product does.
async fn chats(rows: &Rows, organization: &str, count: u32, days: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let begun = now.saturating_sub(Duration::from_secs(86_400 * days));
    rows.execute(CHATS, organization, &format!("{count:06} {}", begun.as_millis())).await;
}

async fn stored(rows: &Rows, organization: &str) -> i64 {
    let sql = "SELECT COUNT(*) FROM transcripts t JOIN organizations g ON g.id = t.organization WHERE g.key = $1";
    rows.number(sql, organization).await
}

#[tokio::test]
async fn privacy_and_promotion_are_stored_drift_is_corrected_and_what_the_spec_leaves_out_is_not_touched() {
    let tenant = Tenant::new("privacy-drift", json!({"seats": 9})).await;
    let default = json!({"privacy": {"transcriptRetentionDays": 30}});
    tenant.account_with("acme", json!({"defaultOrganization": default})).await;
    tenant.organization("one", "acme").await;
    let privacy = json!({"storeTranscripts": false, "transcriptRetentionDays": 90});
    tenant.patch("Organization", "one", json!({"spec": {"privacy": privacy}})).await;
    tenant.operator("tom", "one").await;
    for (kind, name) in [("Organization", "one"), ("Organization", "acme-default"), ("Operator", "tom")] {
        tenant.ready(kind, name).await;
    }
    let store = Database::of(Controller::shared().await);
    let until = async |table: &str, name: &str, expression: &str, expected: &str| {
        let sql = format!("SELECT CAST({expression} AS TEXT) FROM {table} WHERE owner_namespace = $1 AND owner_name = $2");
        eventually(&format!("{table} {name}: {expected}"), DEADLINE, async || {
            let found = store.texts(&sql, &[&tenant.namespace, name]).await.pop();
            if found.as_deref() == Some(expected) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    };
    let change = async |table: &str, name: &str, assignments: &str| {
        let sql = format!("UPDATE {table} SET {assignments} WHERE owner_namespace = $1 AND owner_name = $2");
        store.change(&sql, &[&tenant.namespace, name]).await;
    };
    until("organizations", "one", PRIVACY, "0 90 -").await;
    until("organizations", "acme-default", PRIVACY, "- 30 -").await;
    until("operators", "tom", SWITCHES, "0").await;

    change("organizations", "one", "store_transcripts = TRUE, transcript_retention_days = 1, anonymize_visitors = TRUE").await;
    change("organizations", "acme-default", "store_transcripts = FALSE").await;
    change("operators", "tom", "switch_organizations = TRUE").await;
    until("organizations", "one", PRIVACY, "0 90 1").await;
    until("operators", "tom", SWITCHES, "0").await;
    until("organizations", "acme-default", PRIVACY, "0 30 -").await;

    let spec = json!({"spec": {"privacy": {"storeTranscripts": true, "transcriptRetentionDays": 7, "anonymizeVisitors": false}}});
    tenant.patch("Organization", "one", spec).await;
    tenant.patch("Operator", "tom", json!({"spec": {"switchOrganizations": true}})).await;
    until("organizations", "one", PRIVACY, "1 7 0").await;
    until("operators", "tom", SWITCHES, "1").await;
    tenant.patch("Operator", "tom", json!({"spec": {"switchOrganizations": null}})).await;
    until("operators", "tom", SWITCHES, "0").await;
    tenant.patch("Organization", "one", json!({"spec": {"privacy": null}})).await;
    tenant.ready("Organization", "one").await;
    until("organizations", "one", PRIVACY, "1 7 0").await;
}

#[tokio::test]
async fn transcripts_are_counted_in_both_statuses_and_by_usage() {
    let tenant = Tenant::new("privacy-usage", json!({"seats": 9})).await;
    tenant.account("acme").await;
    for name in ["one", "two"] {
        tenant.organization(name, "acme").await;
    }
    let rows = Rows::of(Controller::shared().await).await;
    for (name, count) in [("one", 1200), ("two", 30)] {
        chats(&rows, &uid(&tenant.ready("Organization", name).await), count, 0).await;
    }
    let counts = |count: i64| move |object: &Value| object["status"]["usage"]["transcripts"] == count;
    tenant.until("Organization", "one", "1200 transcripts", counts(1200)).await;
    tenant.until("Organization", "two", "30 transcripts", counts(30)).await;
    tenant.until("Account", "acme", "1230 transcripts", counts(1230)).await;
    let (ok, printed) = program(&tenant.plane.kubeconfig(), &["usage", "acme", "-n", &tenant.namespace]);
    assert!(ok && printed.contains("Transcripts:    1230\n"), "{printed}");
}

#[tokio::test]
async fn a_pause_stops_no_retention_and_a_crash_no_erasure() {
    let plane = &ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("deskplane.db");
    let mut controller = on_store(plane, &database).await;
    create(plane, backend(BACKEND)).await;
    ready(plane, "AccountBackend", "", BACKEND).await;
    let tenant = TenantOn::on(plane, "privacy-pause", json!({"seats": 9})).await;
    tenant.account("acme").await;
    for name in ["kept", "ever", "going"] {
        tenant.organization(name, "acme").await;
        tenant.ready("Organization", name).await;
    }
    tenant.patch("Organization", "kept", json!({"spec": {"privacy": {"transcriptRetentionDays": 30}}})).await;
    let kept = uid(&tenant.ready("Organization", "kept").await);
    let (ever, going) = (uid(&tenant.ready("Organization", "ever").await), uid(&tenant.ready("Organization", "going").await));

    tenant.annotate("Organization", "kept", "deskplane.dev/paused", json!("true")).await;
    tenant.until("Organization", "kept", "is paused", |object| condition(object, "Paused")["status"] == "True").await;
    let rows = Rows::at(&database).await;
    for organization in [&kept, &ever] {
        chats(&rows, organization, 1100, 31).await;
        chats(&rows, organization, 7, 29).await;
    }
    // Every few minutes, and at each start.
    assert!(controller.stop().await);
    let mut controller = on_store(plane, &database).await;
    eventually("what is too old is gone", DEADLINE, async || match stored(&rows, &kept).await {
        7 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    assert_eq!(stored(&rows, &ever).await, 1107, "kept for ever");
    if place() == Place::Embedded {
        controller.logged("deleted=1100").await;
    }

    for _ in 0..6 {
        chats(&rows, &going, 25_000, 1).await;
    }
    tenant.erase("Organization", "going").await;
    let remaining = |object: &Value| object["status"]["erasure"]["remaining"].as_i64();
    let some = tenant.until("Organization", "going", "progress", |object| remaining(object).is_some_and(|left| left < 150_000)).await;
    controller.kill().await;
    let left = stored(&rows, &going).await;
    assert!(left > 0 && left < 150_000, "killed in the middle: {left} are left, {:?} were said to be", remaining(&some));
    // Others are served before it is done.
    let _controller = on_store(plane, &database).await;
    tenant.operator("tom", "ever").await;
    tenant.ready("Operator", "tom").await;
    tenant.gone("Organization", "going").await;
    assert_eq!((rows.receipt(&going).await.as_deref(), stored(&rows, &ever).await), (Some("erased"), 1107));
    let (ok, printed) = program(&plane.kubeconfig(), &["store", "check", "--database", &url(&database).await]);
    assert!(ok, "{printed}");
}
