//! Who goes along when an Account or Organization was let go (rule 15): what stands below it, without a word to the backend.

use crate::api::condition::{READY, Reason, find};
use crate::api::{Account, Organization};

use super::context::Context;
use super::failure::{Failure, Stop};
use super::object::{Kind, Managed, Meta, ObjectName, Status, name_of};

/// What an object says that goes along with a released Account or Organization. `None`: nothing above it was let go.
pub fn along<K: Managed>(context: &Context, object: &K) -> Result<Option<Failure>, Stop> {
    // Its parents may be gone meanwhile: it stays what it was told.
    if object.released()
        && let Some(message) = said(object)
    {
        return Ok(Some(Failure::new(Reason::Released, message)));
    }
    for Above { name, said } in released_above(context, object.parents()) {
        if said {
            let message = format!(
                "{name} was let go, and this with it: its row stays in the backend and is no longer managed. \
                 The object can be deleted; nothing is erased."
            );
            return Ok(Some(Failure::new(Reason::Released, message)));
        }
        if context.queue.active(&name) {
            return Err(Stop::Deferred(name));
        }
    }
    Ok(None)
}

/// What a released object said about it, once it has.
pub fn said<K: Managed>(object: &K) -> Option<String> {
    let ready = find(object.status()?.conditions(), READY)?;
    (ready.reason == Reason::Released.as_str()).then(|| ready.message.clone())
}

/// An annotated Account or Organization above an object, and whether its release is through.
struct Above {
    name: ObjectName,
    said: bool,
}

fn released_above(context: &Context, mut parents: Vec<ObjectName>) -> Vec<Above> {
    fn look<K: Managed>(object: &K, parents: &mut Vec<ObjectName>) -> Option<Above> {
        parents.extend(object.parents());
        object.released().then(|| Above { name: name_of(object), said: said(object).is_some() })
    }
    let cache = context.cache();
    let mut found = Vec::new();
    while let Some(name) = parents.pop() {
        let above = match name.kind {
            Kind::Organization => cache.get::<Organization>(&name.namespace, &name.name).and_then(|one| look(one.as_ref(), &mut parents)),
            Kind::Account => cache.get::<Account>(&name.namespace, &name.name).and_then(|one| look(one.as_ref(), &mut parents)),
            _ => None,
        };
        found.extend(above);
    }
    found
}
