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
    context.returned(widget("stays", 1));
    context.returned(widget("goes", 2));
    let listing = stream::iter([Event::Init, Event::InitApply(Guard(Ok(widget("stays", 1))))]);
    let made_meanwhile = stream::once(async {
        context.returned(widget("new", 3));
        Event::InitDone
    });
    let listed = Sender::new(false);
    watch::follow::<Widget>(context, listing.chain(made_meanwhile).map(Ok), None, &listed).await;
    assert!(*listed.borrow());
    let mut left: Vec<_> = context.cache().all::<Widget>(None).into_keys().map(|name| name.name).collect();
    left.sort();
    assert_eq!(left, ["new", "stays"]);
}
