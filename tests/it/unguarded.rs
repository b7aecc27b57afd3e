//! A cluster without the policies on deletions and finalizers: the controller alone keeps the rules (rules 11, 12, 14 and 18).

use serde_json::{Value, json};

use crate::controller::{BACKEND, Controller, TenantOn, backend, create, http_get, operator_spec, ready, url};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};
use crate::rows::{FURNITURE, Rows, bytes_have, command, message, on_store, program, uid};

const TRANSCRIPTS: &str =
    "INSERT INTO transcripts (external_id, organization, started_at, content) SELECT 'tscr_1', id, 0, $2 FROM organizations WHERE key = $1";

#[tokio::test]
async fn without_the_policies_nothing_unconfirmed_is_erased_and_what_vanishes_is_quarantined_until_a_person_erases_it() {
    let plane = ControlPlane::dedicated_with(|file| !["policy-deletion.yaml", "policy-finalizer-at-birth.yaml"].contains(&file)).await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("accounts.db");
    let mut controller = on_store(&plane, &database).await;
    create(&plane, backend(BACKEND)).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let tenant = TenantOn::on(&plane, "unguarded", json!({"seats": 10})).await;
    tenant.furnished().await;
    for (kind, name) in FURNITURE {
        let object = tenant.ready(kind, name).await;
        assert_eq!(object["metadata"]["finalizers"], json!(["deskplane.dev/erase"]), "the first pass adds it: {kind} {name}");
    }
    let mut spec = operator_spec("mia", "one");
    spec["email"] = json!("mia@canary-organization.example");
    tenant.create("Operator", "mia", spec).await;
    tenant.ready("Operator", "mia").await;
    let rows = Rows::at(&database).await;
    rows.execute(TRANSCRIPTS, &uid(&tenant.ready("Organization", "one").await), "said to canary-organization").await;

    held(&tenant, &rows).await;
    quarantined_rows(&controller, 0).await;

    // An operator vanishes while nobody watches.
    let tom = tenant.get("Operator", "tom").await.unwrap();
    rows.close().await;
    assert!(controller.stop().await);
    tenant.delete("Operator", "tom").await;
    tenant.strip("Operator", "tom").await;
    tenant.gone("Operator", "tom").await;
    let mut controller = on_store(&plane, &database).await;
    let rows = Rows::at(&database).await;
    let quarantined = "SELECT COUNT(*) FROM operators WHERE key = $1 AND quarantined";
    eventually("the row is quarantined", DEADLINE, async || match rows.number(quarantined, &uid(&tom)).await {
        1 => Ok(()),
        _ => Err("not yet"),
    })
    .await;
    rows.close().await;
    quarantined_rows(&controller, 1).await;
    let id = tom["status"]["externalId"].as_str().expect("a row");
    let store = url(&database).await;
    let erase = ["store", "erase-row", id, "--yes", "--database", &store];
    assert!(program(&plane.kubeconfig(), &["store", "orphans", "--database", &store]).1.contains(id));
    let (ok, printed) = program(&plane.kubeconfig(), &erase);
    assert!(!ok && printed.contains("is in use by process"), "{printed}");
    assert!(controller.stop().await);
    let (ok, printed) = program(&plane.kubeconfig(), &erase);
    assert!(ok, "{printed}");
    let (ok, printed) = program(&plane.kubeconfig(), &["store", "orphans", "--database", &store]);
    assert!(ok && !printed.contains(id), "{printed}");

    let controller = on_store(&plane, &database).await;
    let held = tenant.reason("Organization", "one", "ConfirmationRequired").await;
    assert!(bytes_have(controller.database(), "canary-organization"), "what is looked for below can be found");
    tenant.type_in(&command(&message(&held), "To erase all data: "));
    for (kind, name) in FURNITURE {
        tenant.gone(kind, name).await;
    }
    tenant.gone("Operator", "mia").await;
    eventually("no byte of it is left in the store's files", DEADLINE, async || {
        if bytes_have(controller.database(), "canary-organization") { Err("it is still there") } else { Ok(()) }
    })
    .await;
    assert!(bytes_have(controller.database(), &uid(&held)), "the audit keeps keys");
    assert_eq!(Rows::at(&database).await.with_key(&uid(&tom)).await, 0);
    assert!(program(&plane.kubeconfig(), &["store", "check", "--database", &store]).0);
    tenant.ready("Account", "acme").await;
    quarantined_rows(&controller, 0).await;
}

/// So many rows are quarantined, the controller's metrics say.
async fn quarantined_rows(controller: &Controller, rows: u32) {
    let address = controller.address().await;
    eventually("the metric counts them", DEADLINE, async || {
        let text = http_get(&address, "/metrics").1;
        if text.contains(&format!("\ndeskplane_quarantined_rows {rows}\n")) { Ok(()) } else { Err(text) }
    })
    .await;
}

/// Whatever way a deletion is asked for, unconfirmed: nothing happens to the data.
async fn held(tenant: &TenantOn<'_>, rows: &Rows) {
    let orphan = ["delete", "org", "one", "-n", &tenant.namespace, "--cascade=orphan", "--wait=false"];
    tenant.plane.kubectl_ok(&orphan);
    let held = tenant.reason("Organization", "one", "ConfirmationRequired").await;
    assert_eq!(command(&message(&held), "To erase all data: ")[6], "deskplane.dev/confirm-deletion=one");
    tenant.delete("Organization", "acme-default").await;
    tenant.reason("Organization", "acme-default", "ConfirmationRequired").await;
    for wrong in ["acme", "acme-default"] {
        tenant.annotate("Organization", "one", "deskplane.dev/confirm-deletion", json!(wrong)).await;
        tenant.annotate("Organization", "one", "deskplane.dev/release", json!(wrong)).await;
    }
    tenant.delete("Widget", "web").await;
    tenant.reason("Widget", "web", "WaitingForParent").await;
    tenant.reason("Organization", "one", "ConfirmationRequired").await;
    for annotation in ["deskplane.dev/confirm-deletion", "deskplane.dev/release"] {
        tenant.annotate("Organization", "one", annotation, Value::Null).await;
    }
    for (kind, name) in FURNITURE {
        let object = tenant.get(kind, name).await.unwrap_or_else(|| panic!("{kind} {name} is gone"));
        assert_eq!(rows.with_key(&uid(&object)).await, 1, "{kind} {name}");
    }
}
