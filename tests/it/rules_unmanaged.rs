//! Rule 1 on the real control plane: rows that others make in the backend, while the controller runs.

use serde_json::{Value, json};
use sqlx::AnyPool;

use crate::controller::{Controller, Tenant};
use crate::controlplane::{DEADLINE, eventually};
use crate::database::Database;
use crate::rows::program;
use crate::rules_world::{in_line, limit, message_of};

/// On the shared controller: its resync finds what others changed.
async fn tenant(hint: &str, limits: Value) -> (Tenant, AnyPool) {
    let store = Database::of(Controller::shared().await).pool().await;
    let tenant = Tenant::new(hint, limits).await;
    tenant.account("acme").await;
    tenant.organization("one", "acme").await;
    tenant.ready("Organization", "one").await;
    (tenant, store)
}

/// Makes an operator in the store of organization `one`, as another program would.
async fn insert(store: &AnyPool, tenant: &Tenant, email: &str) {
    let sql = "INSERT INTO operators (external_id, organization, account, email, email_folded, display_name, role)
        SELECT 'theirs-' || external_id || $2, id, account, $2, $2, 'Theirs', 'Agent' FROM organizations
        WHERE owner_namespace = $1 AND owner_name = 'one'";
    let done = sqlx::query(sql).bind(tenant.namespace.clone()).bind(email.to_owned()).execute(store).await;
    assert_eq!(done.expect("insert the row").rows_affected(), 1);
}

/// The unmanaged rows of organization `one`, with all their fields.
async fn theirs(store: &AnyPool, tenant: &Tenant) -> Vec<String> {
    let sql = "SELECT p.external_id || p.email || p.email_folded || p.display_name || p.role || p.suspended || p.quarantined
        FROM operators p JOIN organizations g ON g.id = p.organization
        WHERE p.key IS NULL AND g.owner_namespace = $1 AND g.owner_name = 'one' ORDER BY p.id";
    sqlx::query_scalar(sql).bind(tenant.namespace.clone()).fetch_all(store).await.expect("read their rows")
}

async fn execute(store: &AnyPool, tenant: &Tenant, sql: &'static str) {
    let done = sqlx::query(sql).bind(tenant.namespace.clone()).execute(store).await;
    assert_eq!(done.expect("change the row").rows_affected(), 1);
}

#[tokio::test]
async fn rows_of_others_take_seats_are_counted_and_never_changed() {
    let (tenant, store) = tenant("unmanaged", json!({"seats": 4})).await;
    insert(&store, &tenant, "theirs@x.example").await;
    let before = theirs(&store, &tenant).await;
    assert_eq!(before.len(), 1);
    tenant.operator("tom", "one").await;
    tenant.ready("Operator", "tom").await;
    tenant.operator("tina", "one").await;
    in_line(&tenant, "tina", Some(1)).await;
    for (kind, name, limit, held) in [("Account", "acme", 4, 4), ("Organization", "one", 4, 3)] {
        let counted = tenant.until(kind, name, "the unmanaged seat", |object| object["status"]["seats"]["unmanaged"] == 1).await;
        let seats = &counted["status"]["seats"];
        assert_eq!((&seats["limit"], &seats["held"]), (&json!(limit), &json!(held)), "{kind}");
    }

    // An e-mail of theirs is taken like any other, and stays theirs.
    tenant.create("Operator", "same", json!({"organizationRef": {"name": "one"}, "email": "THEIRS@x.example"})).await;
    let same = tenant.reason("Operator", "same", "EmailTaken").await;
    assert!(message_of(&same).contains("an operator made directly in the backend has this e-mail"), "{}", message_of(&same));

    // Others change a row of ours too: when that is put right, a resync has seen theirs as well.
    let sql = "UPDATE operators SET email = 'theirs-too@x.example', email_folded = 'theirs-too@x.example'
        WHERE owner_namespace = $1 AND owner_name = 'tom'";
    execute(&store, &tenant, sql).await;
    eventually("tom has his e-mail again", DEADLINE, async || {
        let sql = "SELECT email FROM operators WHERE owner_namespace = $1 AND owner_name = 'tom'";
        let email: String = sqlx::query_scalar(sql).bind(tenant.namespace.clone()).fetch_one(&store).await.expect("his row");
        if email == "tom@x.example" { Ok(()) } else { Err(email) }
    })
    .await;
    assert_eq!(theirs(&store, &tenant).await, before);

    // Listed as what it is, and erased with its organization.
    let one = tenant.ready("Organization", "one").await;
    let id = format!("theirs-{}theirs@x.example", one["status"]["externalId"].as_str().expect("its external id"));
    let (ok, printed) = program(&tenant.plane.kubeconfig(), &["store", "orphans", "--database", Controller::shared().await.store()]);
    assert!(ok && printed.lines().any(|line| line.contains(&id) && line.contains("Unmanaged")), "{id} is not in: {printed}");
    tenant.erase("Organization", "one").await;
    tenant.gone("Organization", "one").await;
    let left = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM operators WHERE external_id = $1").bind(id).fetch_one(&store).await;
    assert_eq!(left.expect("read the rows"), 0);
}

#[tokio::test]
async fn a_seat_that_others_free_goes_to_whoever_waits() {
    let (tenant, store) = tenant("unmanaged-freed", json!({"seats": 4})).await;
    insert(&store, &tenant, "a@x.example").await;
    insert(&store, &tenant, "b@x.example").await;
    for (name, place) in [("tom", 1), ("tina", 2)] {
        tenant.operator(name, "one").await;
        in_line(&tenant, name, Some(place)).await;
    }
    execute(
        &store,
        &tenant,
        "DELETE FROM operators WHERE key IS NULL AND email = 'a@x.example'
            AND organization = (SELECT id FROM organizations WHERE owner_namespace = $1 AND owner_name = 'one')",
    )
    .await;
    tenant.ready("Operator", "tom").await;
    in_line(&tenant, "tina", Some(1)).await;
    execute(
        &store,
        &tenant,
        "UPDATE operators SET suspended = TRUE WHERE key IS NULL AND email = 'b@x.example'
            AND organization = (SELECT id FROM organizations WHERE owner_namespace = $1 AND owner_name = 'one')",
    )
    .await;
    tenant.ready("Operator", "tina").await;
}

#[tokio::test]
async fn seats_that_others_take_beyond_the_plan_drop_nobody_and_admit_nobody() {
    let (tenant, store) = tenant("unmanaged-over", json!({"seats": 3})).await;
    tenant.operator("tom", "one").await;
    tenant.ready("Operator", "tom").await;
    insert(&store, &tenant, "a@x.example").await;
    insert(&store, &tenant, "b@x.example").await;
    let over = |account: &Value| crate::controller::condition(account, "WithinPlan")["status"] == "False";
    let account = tenant.until("Account", "acme", "over its plan", over).await;
    assert_eq!(account["status"]["seats"]["held"], 5);
    tenant.operator("tina", "one").await;
    in_line(&tenant, "tina", Some(1)).await;
    assert_eq!(tenant.ready("Operator", "tom").await["status"]["seat"], "Held");
    limit(&tenant, json!({"seats": 6})).await;
    tenant.ready("Operator", "tina").await;
    assert_eq!(theirs(&store, &tenant).await.len(), 2);
}
