//! Pages, usage, and the clean-up listings.

use std::collections::BTreeSet;

use super::*;
use crate::backend::Cursor;

through_all! {
    pages_have_every_row_once_in_order,
    a_page_says_what_a_lookup_says,
    pages_of_large_departments_fit_into_a_reply,
    usage_counts_by_organization_and_in_all,
    accounts_are_listed_for_their_owner,
}

async fn all(world: &World) -> (Vec<String>, Vec<String>, usize) {
    let (mut rows, mut tickets, mut pages, mut next) = (Vec::new(), Vec::new(), 0, None);
    loop {
        let page = world.backend().page(&key("acme"), next).await.unwrap();
        rows.extend(page.rows.into_iter().map(|row| row.tag.map(|tag| tag.name).unwrap_or_default()));
        tickets.extend(page.tickets.into_iter().map(|(tag, _)| tag.name));
        pages += 1;
        next = page.next;
        if next.is_none() {
            return (rows, tickets, pages);
        }
    }
}

async fn pages_have_every_row_once_in_order(on: On) {
    let world = World::with_account(on, seats(803)).await;
    for name in ["one", "two", "three"] {
        world.organization(name).await.unwrap();
    }
    for number in 0..800 {
        world.operator(["one", "two", "three"][number % 3], &format!("o{number}")).await.unwrap();
    }
    for number in 0..3 {
        missing(world.operator("one", &format!("w{number}")).await);
    }
    world.department("two", "sales", &["o1"]).await.unwrap();
    world.department("one", "service", &["o0", "o3"]).await.unwrap();
    world.widget("three", "web").await.unwrap();
    world
        .others(
            "INSERT INTO widgets (external_id, organization, account, public_key, allowed_origins)
             SELECT 'wdgt_other', id, account, 'wk_other', '[]' FROM organizations WHERE key = 'uid-one'",
        )
        .await;
    let (rows, tickets, pages) = all(&world).await;
    assert_eq!(rows.len(), 1 + 3 + 803 + 2 + 1);
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len());
    assert_eq!(rows[..4], ["acme", "one", "two", "three"]);
    assert_eq!(rows[rows.len() - 3..], ["service", "sales", "web"]);
    assert_eq!(tickets, ["w0", "w1", "w2"]);
    assert_eq!(pages, 2);
}

async fn a_page_says_what_a_lookup_says(on: On) {
    let world = World::with_account(on, seats(9)).await;
    world.organization("org").await.unwrap();
    world.department("org", "sales", &["org-first"]).await.unwrap();
    world.widget("org", "web").await.unwrap();
    let page = world.backend().page(&key("acme"), None).await.unwrap();
    for row in page.rows {
        let name = row.tag.clone().unwrap().name;
        assert_eq!(world.present(&name).await, row);
    }
    assert_eq!(world.backend().page(&key("other"), None).await.unwrap().rows.len(), 0);
    let bad = Cursor("nonsense".to_owned());
    assert!(matches!(world.backend().page(&key("acme"), Some(bad)).await, Err(BackendError::Invalid { .. })));
}

/// What the provider takes of a reply.
const LONGEST_REPLY: usize = 16 << 20;

/// One with more members than are read at once, and others that together are too long for a reply.
async fn pages_of_large_departments_fit_into_a_reply(on: On) {
    let world = World::with_account(on, UNLIMITED).await;
    world.organization("org").await.unwrap();
    let names: Vec<String> = (0..18).map(|number| format!("d{number}")).collect();
    for name in &names {
        world.department("org", name, &[]).await.unwrap();
    }
    let long = "x".repeat(240);
    world
        .others(&format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5200)
             INSERT INTO operators (external_id, key, owner, owner_namespace, owner_name, organization, account, email, email_folded, role)
             SELECT 'oper_' || n, '{long}' || n, 'owner', 'chat', 'p' || n, g.id, g.account, n || '@x.example', n || '@x.example', 'Agent'
             FROM numbers, organizations g;
             INSERT INTO department_members (department, operator, organization) SELECT d.id, p.id, d.organization
             FROM departments d JOIN operators p ON p.organization = d.organization AND p.owner_name <> 'org-first'
             WHERE d.owner_name = 'd3' OR CAST(substr(p.owner_name, 2) AS INTEGER) <= 4000"
        ))
        .await;
    let mut members = Vec::new();
    let mut next = None;
    loop {
        let page = world.backend().page(&key("acme"), next).await.unwrap();
        assert!(serde_json::to_vec(&page.rows).unwrap().len() < LONGEST_REPLY / 2 + (1 << 20));
        members.extend(page.rows.into_iter().filter_map(|row| match row.fields {
            Fields::Department(fields) => Some((fields.values.display_name, fields.values.members.unwrap_or_default().len())),
            _ => None,
        }));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let expected: Vec<_> = names.into_iter().map(|name| if name == "d3" { (name, 5_200) } else { (name, 4000) }).collect();
    assert_eq!(members, expected);
}

async fn usage_counts_by_organization_and_in_all(on: On) {
    let world = World::with_account(on, seats(4)).await;
    world.organization("one").await.unwrap();
    world.organization("two").await.unwrap();
    world.put("one", "tom", &suspended("tom")).await.unwrap();
    world.operator("one", "eva").await.unwrap();
    world.operator("two", "max").await.unwrap();
    missing(world.operator("two", "w1").await);
    missing(world.organization("three").await);
    world.department("one", "sales", &[]).await.unwrap();
    world.widget("two", "web").await.unwrap();
    let usage = world.backend().usage(&key("acme")).await.unwrap();
    assert_eq!(usage.limits.seats, 4);
    let total = usage.total;
    assert_eq!((total.organizations, total.operators, total.departments, total.widgets), (2, 5, 1, 1));
    assert_eq!((total.seats_held, total.seats_waiting, total.unmanaged), (4, 2, 0));
    let one = usage.organizations.iter().find(|(found, _)| *found == key("one")).unwrap().1;
    assert_eq!((one.organizations, one.operators, one.seats_held, one.seats_waiting), (1, 3, 2, 0));
    let two = usage.organizations.iter().find(|(found, _)| *found == key("two")).unwrap().1;
    assert_eq!((two.operators, two.seats_held, two.seats_waiting, two.widgets), (2, 2, 1, 1));
    assert!(matches!(world.backend().usage(&key("other")).await, Err(BackendError::ParentNotFound(RowKind::Account))));
}

async fn accounts_are_listed_for_their_owner(on: On) {
    let world = World::with_account(on, seats(1)).await;
    world.account("beta", seats(1)).await.unwrap();
    let (rows, next) = world.backend().accounts(None).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.tag.clone().unwrap().name).collect::<Vec<_>>(), ["acme", "beta"]);
    assert!(next.is_none());
}
