//! What a listing says of the objects it does not show.

use futures::stream::{self, StreamExt};
use kube::runtime::watcher::Event;
use serde_json::json;
use tokio::sync::watch::Sender;

use crate::api::Widget;

use super::super::guard::Guard;
use super::super::watch;
use super::World;
use super::script::Script;

fn widget(name: &str, version: u32) -> Widget {
    let metadata = json!({"name": name, "namespace": "ns", "uid": name, "resourceVersion": version.to_string()});
    let object = json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "Widget", "metadata": metadata, "spec": {"organizationRef": {"name": "acme"}}});
    serde_json::from_value(object).expect("a widget")
}

#[tokio::test]
async fn what_is_not_listed_again_is_gone_but_not_what_was_made_during_the_listing() {
    let life = World::new().live(Script::default()).await;
    let context = &life.context;
    context.made(widget("stays", 1));
    context.made(widget("goes", 2));
    let listing = stream::iter([Event::Init, Event::InitApply(Guard(Ok(widget("stays", 1))))]);
    let made_meanwhile = stream::once(async {
        context.made(widget("new", 3));
        Event::InitDone
    });
    let listed = Sender::new(false);
    watch::follow::<Widget>(context, listing.chain(made_meanwhile).map(Ok), None, &listed).await;
    assert!(*listed.borrow());
    let mut left: Vec<_> = context.cache().all::<Widget>(None).into_keys().map(|name| name.name).collect();
    left.sort();
    assert_eq!(left, ["new", "stays"]);
}

#[tokio::test]
async fn what_is_listed_counts_even_if_it_is_older_as_after_a_restore_but_not_before_what_came_meanwhile() {
    let life = World::new().live(Script::default()).await;
    let context = &life.context;
    context.made(widget("restored", 900));
    context.made(widget("written", 900));
    let listing = stream::once(async { Event::Init }).chain(stream::once(async {
        context.returned(widget("written", 901));
        Event::InitApply(Guard(Ok(widget("restored", 7))))
    }));
    let listing = listing.chain(stream::iter([Event::InitApply(Guard(Ok(widget("written", 900)))), Event::InitDone]));
    watch::follow::<Widget>(context, listing.map(Ok), None, &Sender::new(false)).await;
    let version = |name: &str| context.cache().get::<Widget>("ns", name).and_then(|widget| widget.metadata.resource_version.clone());
    assert_eq!(version("restored").as_deref(), Some("7"));
    assert_eq!(version("written").as_deref(), Some("901"));
}

#[tokio::test]
async fn a_reply_that_comes_after_the_end_of_its_object_brings_no_ghost() {
    let life = World::new().live(Script::default()).await;
    life.context.returned(widget("gone", 5));
    assert!(life.context.cache().get::<Widget>("ns", "gone").is_none());
}
