//! Waiters for a descriptor: mp-pipe's `wait` over a queue, with a word for the kernel's eventfd.

use super::waits::look_after_a_death;
use super::world::{Shared, Sound, World, put, ring, take_once};
use mp_core::word::{Ordering, Word};
use mp_model::thorough::{Fuse, ModelWord, spawn};
use std::sync::Arc;

/// The kernel looks and changes under a lock of its own. 1: it can be read.
#[derive(Clone, Default)]
struct Descriptor(ModelWord);

impl Descriptor {
    fn set(&self) {
        // ORDERING: AcqRel, here and below: the kernel's lock.
        self.0.swap(1, Ordering::AcqRel);
        self.0.wake(u32::MAX);
    }
    fn clear(&self) {
        self.0.swap(0, Ordering::AcqRel);
    }
    /// `poll(2)`: sleeps until it can be read, or it is time for a look; says which.
    fn poll(&self, sleep: bool) -> bool {
        if sleep && self.0.load(Ordering::Acquire) == 0 {
            self.0.wait(0, None);
        }
        self.0.load(Ordering::Acquire) == 1
    }
}

fn put_and_tell<W: World>(ring: &Shared<W>, descriptor: &Descriptor, value: u64) {
    put(ring, value).unwrap();
    ring.polls().tell(|| descriptor.set());
}

fn settle<W: World>(ring: &Shared<W>, descriptor: &Descriptor) {
    let set = || descriptor.set();
    if W::CLEARS_LATE {
        let is_ready = || {
            descriptor.clear();
            !ring.is_empty()
        };
        ring.polls().reset(|| {}, is_ready, set);
    } else {
        ring.polls().reset(|| descriptor.clear(), || !ring.is_empty(), set);
    }
}

/// Waits until there is an item, as `wait` does, and takes it; again, if another was faster.
fn poll_and_take<W: World>(ring: &Shared<W>, descriptor: &Descriptor) -> u64 {
    let is_ready = || {
        ring.polls().begin();
        !ring.is_empty()
    };
    loop {
        let slept = !is_ready();
        let readable = descriptor.poll(slept);
        match (is_ready(), readable) {
            (true, readable) => {
                if slept && !readable {
                    settle(ring, descriptor);
                }
                if let Ok(value) = take_once(ring) {
                    return value;
                }
            }
            (false, true) => settle(ring, descriptor),
            (false, false) => {}
        }
    }
}

/// The second one is put while the descriptor is still up from the first, or just cleared; whether it is up
/// then, the third one shows.
pub(super) fn a_poller_gets_one_after_the_other<W: World>() {
    let (ring, descriptor) = (ring::<W>(0), Descriptor::default());
    let (other, same) = (Arc::clone(&ring), descriptor.clone());
    let putter = spawn(&Fuse::never(), move || (1..=3).for_each(|value| put_and_tell(&other, &same, value)));
    let got = [(); 3].map(|()| poll_and_take(&ring, &descriptor));
    assert_eq!(got, [1, 2, 3]);
    putter.join().unwrap();
}

pub(super) fn each_of_two_pollers_gets_its_item<W: World>() {
    let (ring, descriptor) = (ring::<W>(0), Descriptor::default());
    let poller = || {
        let (ring, descriptor) = (Arc::clone(&ring), descriptor.clone());
        spawn(&Fuse::never(), move || poll_and_take(&ring, &descriptor))
    };
    let pollers = [poller(), poller()];
    (1..=2).for_each(|value| put_and_tell(&ring, &descriptor, value));
    let got = pollers.map(|poller| poller.join().unwrap());
    assert!(got == [1, 2] || got == [2, 1], "{got:?}");
}

/// A producer killed between its record and the descriptor: the poller looks by itself.
pub(super) fn a_killed_putter_strands_no_poller<W: World>(fuse: &Fuse) {
    look_after_a_death::<W>();
    let (ring, descriptor) = (ring::<W>(0), Descriptor::default());
    let (other, same) = (Arc::clone(&ring), descriptor.clone());
    let victim = spawn(fuse, move || put_and_tell(&other, &same, 1));
    let (other, same) = (Arc::clone(&ring), descriptor.clone());
    let poller = spawn(&Fuse::never(), move || poll_and_take(&other, &same));
    let finished = victim.join().is_some();
    put_and_tell(&ring, &descriptor, 2);
    let got = poller.join().unwrap();
    assert!(got == 1 || !finished, "{got}");
}

super::models! {
    explore a_poller_gets_one_after_the_other to bound();
    explore each_of_two_pollers_gets_its_item to bound() - 2, in_full bound() - 1;
    sweep a_killed_putter_strands_no_poller to bound() - 2, in_full bound() - 1;
}
