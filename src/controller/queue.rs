//! The work queue: each object at most once, never twice at a time, namespaces in turn.
//!
//! An object pushed while it is being worked on is worked on again afterwards. A child can be deferred to its parent: it comes back
//! when the parent's pass ends, so that nothing is written about a state that lasts for milliseconds. It comes back to the front, in
//! the order in which the children were deferred, so that nobody behind it overtakes.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::object::ObjectName;

/// The work queue of all kinds.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Waiting objects of each namespace, oldest first; cluster-scoped objects form a lane of their own.
    lanes: HashMap<String, VecDeque<ObjectName>>,
    /// Namespaces with waiting objects, next first.
    turns: VecDeque<String>,
    waiting: HashSet<ObjectName>,
    running: HashSet<ObjectName>,
    again: HashSet<ObjectName>,
    delayed: BTreeMap<(Instant, u64), ObjectName>,
    due: HashMap<ObjectName, (Instant, u64)>,
    /// Children that wait for a parent's pass, in the order in which they came.
    deferred: HashMap<ObjectName, Vec<ObjectName>>,
    /// All children in `deferred`.
    asleep: HashSet<ObjectName>,
    sequence: u64,
}

impl Queue {
    /// Asks for a pass over the object now.
    pub fn push(&self, name: ObjectName) {
        self.lock().push(name);
        self.changed.notify_one();
    }

    /// Asks for passes over many objects now, in this order.
    pub fn push_all(&self, names: impl IntoIterator<Item = ObjectName>) {
        let mut state = self.lock();
        for name in names {
            state.push(name);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Asks for passes over many objects in this order, before whatever waits already.
    pub fn push_first(&self, names: Vec<ObjectName>) {
        let mut state = self.lock();
        let before = state.drain();
        for name in names.into_iter().chain(before) {
            state.push(name);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Asks for a pass over the object before whatever else waits in its namespace.
    pub fn push_ahead(&self, name: ObjectName) {
        self.lock().push_ahead(name);
        self.changed.notify_one();
    }

    /// Asks for a pass after a delay; an earlier request stands.
    pub fn push_after(&self, name: ObjectName, delay: Duration) {
        self.lock().push_at(name, Instant::now() + delay);
        self.changed.notify_one();
    }

    /// Asks for a pass over `child` as soon as the pass over `parent` that waits or runs now has ended; at once if there is none.
    pub fn defer(&self, child: ObjectName, parent: &ObjectName) {
        let mut state = self.lock();
        if state.active(parent) {
            if state.asleep.insert(child.clone()) {
                state.deferred.entry(parent.clone()).or_default().push(child);
            }
        } else {
            state.push(child);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Brings back the children deferred to `parent` before its pass ends: what they waited for is there.
    pub fn resume(&self, parent: &ObjectName) {
        self.lock().resume(parent);
        self.changed.notify_one();
    }

    /// Whether the object waits for a pass, or one is running.
    pub fn active(&self, name: &ObjectName) -> bool {
        self.lock().active(name)
    }

    /// How many objects wait for a pass now.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether nothing waits.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next object, when there is one. Must be given back with [`Queue::done`].
    pub async fn next(&self) -> ObjectName {
        loop {
            let wait_until = {
                let mut state = self.lock();
                state.release_due(Instant::now());
                if let Some(name) = state.take() {
                    if !state.turns.is_empty() {
                        self.changed.notify_one();
                    }
                    return name;
                }
                state.delayed.keys().next().map(|(due, _)| *due)
            };
            match wait_until {
                Some(due) => tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    /// The next object, if one waits; failing that, the next delayed one, whenever it is due.
    #[cfg(test)]
    pub fn try_next(&self) -> Option<ObjectName> {
        let mut state = self.lock();
        if state.turns.is_empty()
            && let Some(entry) = state.delayed.first_entry()
        {
            let name = entry.remove();
            state.due.remove(&name);
            state.push(name);
        }
        state.take()
    }

    /// Ends the pass over an object.
    pub fn done(&self, name: &ObjectName) {
        let mut state = self.lock();
        state.running.remove(name);
        if state.again.remove(name) {
            state.push(name.clone());
        }
        // A parent that was deferred itself has not had its pass yet.
        if !state.asleep.contains(name) {
            state.resume(name);
        }
        drop(state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn active(&self, name: &ObjectName) -> bool {
        self.waiting.contains(name) || self.running.contains(name) || self.asleep.contains(name)
    }

    fn resume(&mut self, parent: &ObjectName) {
        for child in self.deferred.remove(parent).unwrap_or_default().into_iter().rev() {
            self.asleep.remove(&child);
            self.push_to(child, VecDeque::push_front);
        }
    }

    /// Takes out all that wait, in their order.
    fn drain(&mut self) -> Vec<ObjectName> {
        self.waiting.clear();
        let mut lanes = std::mem::take(&mut self.lanes);
        let turns = std::mem::take(&mut self.turns);
        turns.into_iter().filter_map(|turn| lanes.remove(&turn)).flatten().collect()
    }

    fn push(&mut self, name: ObjectName) {
        self.push_to(name, VecDeque::push_back);
    }

    fn push_ahead(&mut self, name: ObjectName) {
        if self.waiting.contains(&name)
            && let Some(lane) = self.lanes.get_mut(&name.namespace)
        {
            lane.retain(|one| *one != name);
            lane.push_front(name);
        } else {
            self.push_to(name, VecDeque::push_front);
        }
    }

    fn push_to(&mut self, name: ObjectName, end: fn(&mut VecDeque<ObjectName>, ObjectName)) {
        if let Some(due) = self.due.remove(&name) {
            self.delayed.remove(&due);
        }
        // Whoever is asleep is brought back by its parent.
        if self.asleep.contains(&name) {
            return;
        }
        if self.running.contains(&name) {
            self.again.insert(name);
        } else if self.waiting.insert(name.clone()) {
            let lane = self.lanes.entry(name.namespace.clone()).or_default();
            if lane.is_empty() {
                self.turns.push_back(name.namespace.clone());
            }
            end(lane, name);
        }
    }

    fn push_at(&mut self, name: ObjectName, due: Instant) {
        if self.waiting.contains(&name) || self.due.get(&name).is_some_and(|(earlier, _)| *earlier <= due) {
            return;
        }
        if let Some(later) = self.due.remove(&name) {
            self.delayed.remove(&later);
        }
        self.sequence += 1;
        self.delayed.insert((due, self.sequence), name.clone());
        self.due.insert(name, (due, self.sequence));
    }

    fn release_due(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let name = entry.remove();
            self.due.remove(&name);
            self.push(name);
        }
    }

    fn take(&mut self) -> Option<ObjectName> {
        let namespace = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&namespace)?;
        let name = lane.pop_front()?;
        if lane.is_empty() {
            self.lanes.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        self.waiting.remove(&name);
        self.running.insert(name.clone());
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::Kind;
    use super::*;

    fn name(namespace: &str, name: &str) -> ObjectName {
        ObjectName::new(Kind::Operator, namespace, name)
    }

    #[tokio::test]
    async fn namespaces_take_turns() {
        let queue = Queue::default();
        queue.push_all(["a1", "a2", "a3"].map(|one| name("a", one)));
        queue.push(name("b", "b1"));
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(queue.next().await.name);
        }
        assert_eq!(order, ["a1", "b1", "a2", "a3"]);
    }

    #[tokio::test]
    async fn an_object_is_queued_once_and_never_runs_twice_at_a_time() {
        let queue = Queue::default();
        let one = name("a", "one");
        queue.push_all([one.clone(), one.clone()]);
        assert_eq!(queue.next().await, one);
        queue.push(one.clone());
        assert!(queue.is_empty(), "not while it is running");
        queue.done(&one);
        assert_eq!(queue.next().await, one, "again afterwards");
        queue.done(&one);
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_delay_stands_and_a_push_overrides_it() {
        let queue = Queue::default();
        let (slow, quick) = (name("a", "slow"), name("a", "quick"));
        queue.push_after(slow.clone(), Duration::from_mins(1));
        queue.push_after(slow.clone(), Duration::from_secs(90));
        queue.push_after(quick.clone(), Duration::from_secs(90));
        queue.push(quick.clone());
        let start = Instant::now();
        assert_eq!(queue.next().await, quick);
        assert_eq!(queue.next().await, slow);
        assert_eq!(start.elapsed().as_secs(), 60);
    }

    #[tokio::test]
    async fn deferred_children_come_back_in_their_order_before_those_behind_them() {
        let queue = Queue::default();
        let parent = ObjectName::new(Kind::Organization, "a", "parent");
        queue.push_all([parent.clone(), name("a", "z"), name("a", "y"), name("a", "x"), name("a", "w")]);
        queue.next().await;
        for expected in ["z", "y"] {
            let child = queue.next().await;
            assert_eq!(child.name, expected);
            queue.defer(child.clone(), &parent);
            queue.done(&child);
        }
        queue.push_all(["w", "y", "z"].map(|one| name("a", one)));
        queue.resume(&parent);
        queue.done(&parent);
        for expected in ["z", "y", "x", "w"] {
            assert_eq!(queue.next().await.name, expected);
        }
        assert!(queue.is_empty());
    }

    #[tokio::test]
    async fn a_child_of_a_deferred_parent_waits_for_the_parents_own_pass() {
        let queue = Queue::default();
        let (account, organization) = (ObjectName::new(Kind::Account, "a", "one"), ObjectName::new(Kind::Organization, "a", "one"));
        queue.push_all([account.clone(), organization.clone(), name("a", "child")]);
        for _ in 0..3 {
            queue.next().await;
        }
        queue.defer(name("a", "child"), &organization);
        queue.done(&name("a", "child"));
        queue.defer(organization.clone(), &account);
        queue.done(&organization);
        assert!(queue.is_empty() && queue.active(&organization));
        queue.done(&account);
        assert_eq!(queue.next().await, organization);
        assert!(queue.is_empty());
        queue.done(&organization);
        assert_eq!(queue.next().await, name("a", "child"));
    }

    #[tokio::test]
    async fn what_is_pushed_first_goes_before_what_waits() {
        let queue = Queue::default();
        queue.push_all(["a", "gone", "b"].map(|one| name("n", one)));
        queue.push_first(["b", "a"].map(|one| name("n", one)).to_vec());
        for expected in ["b", "a", "gone"] {
            assert_eq!(queue.next().await.name, expected);
        }
    }

    #[tokio::test]
    async fn what_is_pushed_ahead_is_the_next_of_its_namespace() {
        let queue = Queue::default();
        queue.push_all(["a", "b", "c"].map(|one| name("n", one)));
        queue.push_ahead(name("n", "c"));
        queue.push_ahead(name("n", "d"));
        for expected in ["d", "c", "a", "b"] {
            assert_eq!(queue.next().await.name, expected);
        }
        assert!(queue.is_empty());
    }

    #[tokio::test]
    async fn a_deferred_child_comes_back_when_its_parent_is_done() {
        let queue = Queue::default();
        let (parent, child) = (name("a", "parent"), name("a", "child"));
        queue.push(parent.clone());
        queue.next().await;
        queue.defer(child.clone(), &parent);
        assert!(queue.is_empty());
        queue.done(&parent);
        assert_eq!(queue.next().await, child);
    }
}
