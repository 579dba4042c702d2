//! Tasks, and processes that die with them.

use super::super::{NotTaken, TakeContext, Worker};
use super::world::{Shared, Sound, World, put, ring, value_of};
use loom::cell::Cell;
use mp_model::soon;
use mp_model::thorough::{Fuse, TimedLooks, set_looks, spawn};
use std::rc::Rc;
use std::sync::Arc;

/// A worker of which it is known whether it lives.
struct Hand {
    me: u64,
    dead: Option<u64>,
}

impl Worker for Hand {
    fn me(&self) -> u64 {
        self.me
    }
    fn hint(&self) -> usize {
        0
    }
    fn keep(&self, _: usize) {}
    fn is_dead(&self, process: u64) -> bool {
        self.dead == Some(process)
    }
    fn may_scan(&self) -> bool {
        true
    }
}

impl TakeContext for Hand {
    fn receive(&mut self, _: u64) -> Result<bool, NotTaken> {
        unreachable!("no packets here")
    }
    fn worker(&self) -> Option<&impl Worker> {
        Some(self)
    }
}

fn take_task<W: World>(ring: &Shared<W>, hand: &mut Hand) -> Result<u64, NotTaken> {
    let mut bytes = Vec::new();
    ring.take(&mut bytes, hand, None)?;
    Ok(value_of(&bytes))
}

/// A task that puts another one is done after that.
pub(super) fn tasks_and_what_they_put_are_done_when_joined<W: World>() {
    let ring = ring::<W>(0);
    put(&ring, 1).unwrap();
    let (other, work) = (Arc::clone(&ring), Rc::new(Cell::new(0)));
    let output = Rc::clone(&work);
    let worker = spawn(&Fuse::never(), move || {
        let mut hand = Hand { me: 7, dead: None };
        assert_eq!(take_task(&other, &mut hand), Ok(1));
        put(&other, 2).unwrap();
        assert!(other.tasks().task_done(&hand));
        assert_eq!(take_task(&other, &mut hand), Ok(2));
        output.set(2);
        assert!(other.tasks().task_done(&hand));
    });
    assert!(ring.tasks().join(&Hand { me: 8, dead: None }, None));
    assert_eq!(work.get(), 2);
    worker.join().unwrap();
    assert_eq!((ring.items(), ring.tasks().lost()), (0, 0));
}

/// Its record is in the ring, or its task is done, or it is told that one is lost: one of the three.
pub(super) fn tasks_of_a_killed_worker_are_told_of<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(0);
    put(&ring, 1).unwrap();
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || {
        let mut hand = Hand { me: 7, dead: None };
        take_task(&other, &mut hand).unwrap();
        assert!(other.tasks().task_done(&hand));
    });
    let finished = victim.join().is_some();
    let mut hand = Hand { me: 8, dead: Some(7) };
    let left = take_task(&ring, &mut hand) == Ok(1);
    assert!(!left || ring.tasks().task_done(&hand));
    assert!(ring.tasks().join(&hand, None));
    assert!(!ring.tasks().task_done(&hand) && ring.items() == 0);
    assert!(ring.tasks().lost() <= u32::from(!left && !finished));
}

/// As above, with two that are taken together.
pub(super) fn tasks_taken_together_are_told_of_together<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(0);
    put(&ring, 1).unwrap();
    put(&ring, 2).unwrap();
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || {
        let hand = Hand { me: 7, dead: None };
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        other.take_many(2, &mut bytes, &mut ends, &hand, None).unwrap();
        assert!(other.tasks().task_done(&hand) && other.tasks().task_done(&hand));
    });
    let finished = victim.join().is_some();
    let mut hand = Hand { me: 8, dead: Some(7) };
    let left = ring.items();
    assert!(left == 0 || (left == 2 && !finished), "{left} left");
    for value in 1..=left as u64 {
        assert_eq!(take_task(&ring, &mut hand), Ok(value));
        assert!(ring.tasks().task_done(&hand));
    }
    assert!(ring.tasks().join(&hand, None));
    assert!(!ring.tasks().task_done(&hand) && ring.items() == 0);
    assert!(
        ring.tasks().lost() <= if left == 0 && !finished { 2 } else { 0 },
        "{} lost",
        ring.tasks().lost()
    );
}

/// Two join and count what a dead worker had, and one of them dies of it.
pub(super) fn tasks_of_the_dead_are_counted_once<W: World>(fuse: &Fuse) {
    let ring = ring::<W>(0);
    put(&ring, 1).unwrap();
    put(&ring, 2).unwrap();
    let mut dead = Hand { me: 7, dead: None };
    assert_eq!([take_task(&ring, &mut dead), take_task(&ring, &mut dead)], [Ok(1), Ok(2)]);
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || other.tasks().join(&Hand { me: 8, dead: Some(7) }, soon()));
    let hand = Hand { me: 9, dead: Some(7) };
    let early = ring.tasks().join(&hand, soon());
    assert!(!early || ring.tasks().lost() == 2, "{} lost", ring.tasks().lost());
    victim.join();
    assert!(ring.tasks().join(&hand, None));
    assert_eq!((ring.tasks().lost(), ring.items()), (2, 0));
}

super::models! {
    explore tasks_and_what_they_put_are_done_when_joined to bound() - 1, in_full bound();
    sweep tasks_of_a_killed_worker_are_told_of to bound();
    sweep tasks_taken_together_are_told_of_together to bound();
    sweep tasks_of_the_dead_are_counted_once to bound() - 1, in_full bound();
}
