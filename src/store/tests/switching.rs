//! Who may enter which organization of an account (rule 5).

use super::*;
use crate::domain::switching::Entrance::{self, Operator, Owner, Promoted};

on_both! {
    the_owner_and_the_promoted_switch_and_others_do_not,
    what_is_on_its_way_out_is_entered_by_nobody,
    a_promotion_is_stored_and_stays_where_nothing_is_said_of_it,
}

fn promoted(name: &str) -> DesiredOperator {
    DesiredOperator { switch_organizations: Some(true), ..person(name) }
}

impl World {
    /// Which organizations a person may enter, and why.
    async fn enters(&self, email: &str) -> Vec<(String, Entrance)> {
        let account = self.present("acme").await.external_id;
        let found = self.store.switchable_organizations(&account, email).await.expect("an answer");
        assert_eq!(self.store.switchable_organizations(&key("acme").0, email).await.as_ref(), Ok(&found), "by its key too");
        let mut named = Vec::new();
        for name in ["one", "two", "three"] {
            if let Answer::Present(row) = self.lookup(name).await
                && let Some(found) = found.iter().find(|found| found.external_id == row.external_id)
            {
                named.push((name.to_owned(), found.entrance));
            }
        }
        assert_eq!(named.len(), found.len());
        named
    }

    async fn three(on: On) -> Self {
        let world = Self::with_account(on, UNLIMITED).await;
        world.account("beta", UNLIMITED).await.expect("another account");
        for name in ["one", "two", "three"] {
            world.organization(name).await.expect("an organization");
        }
        world.organization_in("beta", "elsewhere", "elsewhere-first").await.expect("another account's");
        world
    }
}

fn all(entrance: Entrance) -> Vec<(String, Entrance)> {
    ["one", "two", "three"].map(|name| (name.to_owned(), entrance)).to_vec()
}

async fn the_owner_and_the_promoted_switch_and_others_do_not(on: On) {
    let world = World::three(on).await;
    world.operator("one", "tom").await.unwrap();
    world.put("one", "bea", &promoted("bea")).await.unwrap();
    world.put("two", "bea-two", &DesiredOperator { email: "bea@acme.example".to_owned(), ..suspended("bea-two") }).await.unwrap();
    assert_eq!(world.enters(" Ada@ACME.example").await, all(Owner), "without an operator in any; whatever the case");
    assert_eq!(world.enters("bea@acme.example").await, all(Promoted));
    assert_eq!(world.enters("tom@acme.example").await, [("one".to_owned(), Operator)]);
    for nobody in ["eve@acme.example", "", " ", "elsewhere-first@acme.example"] {
        assert!(world.enters(nobody).await.is_empty(), "{nobody}");
    }
    world.operator("two", "tom-two").await.unwrap();
    world.put("two", "tom-two", &DesiredOperator { email: "TOM@acme.example".to_owned(), ..person("tom-two") }).await.unwrap();
    assert_eq!(world.enters("tom@acme.example").await, [("one".to_owned(), Operator), ("two".to_owned(), Operator)]);
    world.put("one", "bea", &DesiredOperator { suspended: true, ..promoted("bea") }).await.unwrap();
    assert!(world.enters("bea@acme.example").await.is_empty(), "suspended everywhere");
    let none = world.store.switchable_organizations("none", "ada@acme.example").await;
    assert_eq!(none, Err(BackendError::ParentNotFound(RowKind::Account)));
    world.others("UPDATE organizations SET display_name = 'Three' WHERE key = 'uid-three'").await;
    let named = world.store.switchable_organizations(&key("acme").0, "ada@acme.example").await.unwrap();
    assert_eq!(named.into_iter().map(|found| found.display_name).collect::<Vec<_>>(), [None, None, Some("Three".to_owned())]);
}

async fn what_is_on_its_way_out_is_entered_by_nobody(on: On) {
    let world = World::three(on).await;
    world.put("one", "bea", &promoted("bea")).await.unwrap();
    world.operator("two", "tom").await.unwrap();
    world.store.erase(&world.session, &key("one")).await.unwrap();
    assert!(world.enters("bea@acme.example").await.is_empty(), "her organization is being erased");
    assert_eq!(world.enters("ada@acme.example").await, [("two".to_owned(), Owner), ("three".to_owned(), Owner)]);
    world.store.quarantine(&world.session, &key("tom")).await.unwrap();
    assert!(world.enters("tom@acme.example").await.is_empty(), "his object vanished");
    world.store.quarantine(&world.session, &key("three")).await.unwrap();
    assert_eq!(world.enters("ada@acme.example").await, [("two".to_owned(), Owner)]);
}

async fn a_promotion_is_stored_and_stays_where_nothing_is_said_of_it(on: On) {
    let world = World::three(on).await;
    let said = |row: &Row| operator_fields(row).values.switch_organizations;
    let tom = |switch_organizations| DesiredOperator { switch_organizations, ..person("tom") };
    assert_eq!(said(&world.put("one", "tom", &tom(None)).await.unwrap()), Some(false));
    assert_eq!(said(&world.put("one", "tom", &tom(Some(true))).await.unwrap()), Some(true));
    assert_eq!(said(&world.put("one", "tom", &tom(None)).await.unwrap()), Some(true));
    assert_eq!(said(&world.present("tom").await), Some(true));
    assert_eq!(said(&world.put("one", "tom", &tom(Some(false))).await.unwrap()), Some(false));
    let new = world.put("two", "eva", &promoted("eva")).await.unwrap();
    assert_eq!((said(&new), said(&world.present("eva").await)), (Some(true), Some(true)));
}
