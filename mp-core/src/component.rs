//! Component: a part of the library with state that belongs to one process. The registry of all components: what
//! they do at a fork and at the process's end.
//!
//! ```text
//!  exit:   the user's handlers, the last one first ─► each component's step, by rank
//!  fork:   each component's locks taken, by rank ─► fork ─► released on both sides
//!            └─ in the copy: each component forgets what is the original's
//! ```
//!
//! A component registers itself before its state is first used, so no thread can be inside one that the registry
//! does not know. The ranks say which locks nest in which: a thread that holds the lock of one component takes only
//! locks of later ranks.
//!
//! The registry's own lock is the last one that a fork takes: a thread that holds the lock of a component may register
//! another one. If a component was registered meanwhile, all locks are taken again.
//!
//! # When a process dies
//! Nothing here is shared between processes.
//!
//! # Tested by
//! its own tests, tests/raw_fork.rs, tests/fork.rs, tests/parents_end.rs

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The place of a component among all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Locks of other crates ([`HeldOverFork`](crate::finalize::HeldOverFork)): code under them takes the locks of
    /// this crate.
    Registered,
    /// The table of children: at exit, daemons are killed and the others joined.
    Children,
    /// The exit handlers.
    ExitHandlers,
    /// The identity of this process.
    Identity,
    /// Its key.
    AuthKey,
    /// Its outcome socket.
    Outcome,
    /// The template: at exit it is released, after the children.
    Template,
    /// The lifelines.
    Lifeline,
    /// The adopted orphans.
    Orphans,
    /// The family. The launch of a template takes its lock while it holds the template.
    Family,
    /// The notes of panics, which any code above may add to. The last rank.
    Panics,
}

/// Takes the locks of a component; they are released when the result is dropped.
pub(crate) type Hold = fn() -> Box<dyn Any>;

/// A part of the library: what it does at a fork and at the process's end.
pub(crate) struct Component {
    rank: Rank,
    steps: Steps,
    is_registered: AtomicBool,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Steps {
    /// Before a fork beside other threads.
    pub(crate) hold: Option<Hold>,
    /// In each copy of this process: forgets what is the original's. It may be called when nothing was used.
    pub(crate) forget: Option<fn()>,
    /// At the process's end.
    pub(crate) exit: Option<fn()>,
}

impl Steps {
    pub(crate) const NONE: Steps = Steps { hold: None, forget: None, exit: None };
}

/// All components that are registered, by rank.
struct Registry(Mutex<Vec<(Rank, Steps)>>);

static REGISTRY: Registry = Registry(Mutex::new(Vec::new()));

impl Registry {
    fn entries(&self) -> MutexGuard<'_, Vec<(Rank, Steps)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the steps of one kind, by rank. The registry is not locked meanwhile. Nothing is allocated: each page that
    /// a new child writes to is copied for it.
    fn call_each(&self, which: impl Fn(&Steps) -> Option<fn()>) {
        for at in 0.. {
            let Some((_, steps)) = self.entries().get(at).copied() else { break };
            if let Some(step) = which(&steps) {
                step();
            }
        }
    }

    fn hold_up_to(&self, last: Rank) -> Held<'_> {
        loop {
            let known = self.entries().clone();
            let holds = known.iter().filter(|(rank, _)| *rank <= last).filter_map(|(_, steps)| steps.hold);
            let mut held = Held { registry: None, guards: holds.map(|hold| hold()).collect() };
            let entries = self.entries();
            if entries.len() == known.len() {
                held.registry = Some(entries);
                return held;
            }
        }
    }
}

fn insert(entries: &mut Vec<(Rank, Steps)>, rank: Rank, steps: Steps) {
    let at = entries.partition_point(|(other, _)| *other <= rank);
    entries.insert(at, (rank, steps));
}

impl Component {
    pub(crate) const fn new(rank: Rank, steps: Steps) -> Component {
        Component { rank, steps, is_registered: AtomicBool::new(false) }
    }

    /// Registers the component, unless that was done before. Called before each first use of its state. `true`: this
    /// call has registered it.
    #[inline]
    pub(crate) fn register(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `register_first`. A thread that does not see the flag looks
        // again under the lock.
        !self.is_registered.load(Ordering::Acquire) && self.register_first(&REGISTRY)
    }

    #[cold]
    fn register_first(&self, registry: &Registry) -> bool {
        let mut entries = registry.entries();
        // ORDERING: Relaxed: under the lock. Twice in the registry, it would take its own locks twice.
        if self.is_registered.load(Ordering::Relaxed) {
            return false;
        }
        insert(&mut entries, self.rank, self.steps);
        // ORDERING: Release, pairs with the Acquire in `register`.
        self.is_registered.store(true, Ordering::Release);
        true
    }
}

/// Locks of components, with the registry's own.
pub(crate) struct Held<'a> {
    registry: Option<MutexGuard<'a, Vec<(Rank, Steps)>>>,
    guards: Vec<Box<dyn Any>>,
}

/// In the opposite order, so that code outside of this crate, whose guards come last, finds all locks of this crate
/// released.
impl Drop for Held<'_> {
    fn drop(&mut self) {
        drop(self.registry.take());
        while let Some(guard) = self.guards.pop() {
            drop(guard);
        }
    }
}

/// Takes the locks of all components up to this rank, in the order of the ranks, and the registry's own.
pub(crate) fn hold_up_to(last: Rank) -> Held<'static> {
    REGISTRY.hold_up_to(last)
}

/// In a copy of this process, in which one thread runs: has each component forget what is the original's.
#[inline]
pub(crate) fn forget_all() {
    REGISTRY.call_each(|steps| steps.forget);
}

/// At the process's end: the steps of all components, by rank.
pub(crate) fn exit_all() {
    REGISTRY.call_each(|steps| steps.exit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    thread_local! {
        static SEEN: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    fn see(what: &'static str) {
        SEEN.with_borrow_mut(|seen| seen.push(what));
    }

    fn seen() -> Vec<&'static str> {
        SEEN.take()
    }

    /// Says when it is released.
    struct Released(&'static str);

    impl Drop for Released {
        fn drop(&mut self) {
            see(self.0);
        }
    }

    fn hold(taken: &'static str, released: &'static str) -> Box<dyn Any> {
        see(taken);
        Box::new(Released(released))
    }

    fn registry() -> Registry {
        Registry(Mutex::new(Vec::new()))
    }

    fn children() -> Component {
        let hold: Hold = || hold("children", "children released");
        Component::new(
            Rank::Children,
            Steps { hold: Some(hold), forget: Some(|| see("forget")), exit: Some(|| see("end")) },
        )
    }

    fn template() -> Component {
        let hold: Hold = || hold("template", "template released");
        Component::new(
            Rank::Template,
            Steps { hold: Some(hold), exit: Some(|| see("release")), ..Steps::NONE },
        )
    }

    #[test]
    fn steps_go_by_rank_whichever_component_comes_first() {
        let registry = registry();
        let (children, template) = (children(), template());
        // Each twice: it is there once.
        let first = [&template, &children, &template, &children].map(|one| one.register_first(&registry));
        assert_eq!(first, [true, true, false, false]);
        drop(registry.hold_up_to(Rank::Panics));
        assert_eq!(seen(), ["children", "template", "template released", "children released"]);
        drop(registry.hold_up_to(Rank::Children));
        assert_eq!(seen(), ["children", "children released"]);
        registry.call_each(|steps| steps.exit);
        registry.call_each(|steps| steps.forget);
        assert_eq!(seen(), ["end", "release", "forget"]);
    }

    /// What a thread inside one component registers while a fork takes its locks.
    #[test]
    fn what_is_registered_meanwhile_is_held_as_well() {
        static LATE: Registry = Registry(Mutex::new(Vec::new()));
        static ORPHANS: Component = Component::new(
            Rank::Orphans,
            Steps { hold: Some(|| hold("orphans", "orphans released")), forget: None, exit: None },
        );
        let hold: Hold = || {
            ORPHANS.register_first(&LATE);
            hold("family", "family released")
        };
        Component::new(Rank::Family, Steps { hold: Some(hold), ..Steps::NONE }).register_first(&LATE);
        let held = LATE.hold_up_to(Rank::Panics);
        assert_eq!(seen(), ["family", "family released", "orphans", "family"]);
        // Nothing is registered while they are held.
        assert!(LATE.0.try_lock().is_err());
        drop(held);
        assert_eq!(seen(), ["family released", "orphans released"]);
        assert!(LATE.0.try_lock().is_ok());
    }
}
