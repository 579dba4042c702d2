//! What the parent does: the start of a child, and the join.

use super::{FAMILY, SEVEN, VALUE, forever, known};
use crate::operations::tally::Tally;
use crate::sweep::process::lead_a_family;
use crate::sweep::scene::{Fate, Scene, Verdict, lost_unless};
use mp_core::{Child, JoinError, Process, StartMethod};
use mp_sync::Event;
use std::cell::RefCell;
use std::time::Duration;

/// The parent starts a child that would run forever. It is the family's first.
pub(super) struct Start {
    method: StartMethod,
    daemon: bool,
    tally: Tally,
    child: RefCell<Option<Child<()>>>,
}

impl Start {
    pub(super) fn scene(method: StartMethod, daemon: bool) -> Box<dyn Scene> {
        Box::new(Start { method, daemon, tally: Tally::new(), child: RefCell::new(None) })
    }
}

impl Scene for Start {
    fn family(&self) -> Option<u32> {
        known(&self.tally, FAMILY)
    }

    fn prepare(&self) {
        self.tally.set(FAMILY, lead_a_family());
    }

    fn operate(&self) {
        let child = Process::new(forever, ()).method(self.method);
        let started = if self.daemon { child.daemon() } else { child.not_daemon() }.start();
        self.tally.set(VALUE, u32::from(started.is_ok()));
        *self.child.borrow_mut() = started.ok();
    }

    fn finish(&self) {
        let child = self.child.take().expect("it was started");
        child.kill().expect("it is ours");
        assert!(matches!(child.join(), Err(JoinError::Killed(9))));
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        Ok(())
    }

    fn check(&self, fate: Fate) -> Verdict {
        let started = self.tally.get(VALUE) == 1;
        lost_unless(started || !fate.lived() && !fate.finished, || "no process was started".to_owned())
    }
}

/// The parent joins a child that ends when its parent sleeps.
pub(super) struct Join {
    method: StartMethod,
    tally: Tally,
    gate: Event,
    child: RefCell<Option<Child<u32>>>,
}

impl Join {
    pub(super) fn scene(method: StartMethod) -> Box<dyn Scene> {
        let gate = Event::new().expect("a sweep needs shared memory");
        Box::new(Join { method, tally: Tally::new(), gate, child: RefCell::new(None) })
    }
}

fn wait_at(gate: Event) -> u32 {
    // Not for ever, lest it stay when the sweep itself is ended meanwhile.
    gate.wait_timeout(Duration::from_secs(60));
    SEVEN
}

impl Scene for Join {
    fn family(&self) -> Option<u32> {
        known(&self.tally, FAMILY)
    }

    fn prepare(&self) {
        self.tally.set(FAMILY, lead_a_family());
        let child = Process::new(wait_at, (self.gate.clone(),)).method(self.method).not_daemon().start();
        *self.child.borrow_mut() = Some(child.expect("a sweep needs processes"));
    }

    fn operate(&self) {
        let child = self.child.borrow();
        let joined = child.as_ref().map(Child::join);
        self.tally.set(VALUE, joined.and_then(Result::ok).unwrap_or_default());
    }

    fn let_go(&self) {
        self.gate.set();
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        Ok(())
    }

    fn check(&self, fate: Fate) -> Verdict {
        let value = self.tally.get(VALUE);
        lost_unless(value == SEVEN || !fate.lived() && !fate.finished, || format!("{value} was returned"))
    }
}
