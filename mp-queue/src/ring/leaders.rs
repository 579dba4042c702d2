//! Leaders and followers: of all who wait long for a record, two look for it each half second, the others rarely.
//!
//! ```text
//!            nothing there after the first sleep                    none free
//!   waiter ─────────────────────────────────────► takes a place ─────────────► FOLLOWER: looks each three seconds
//!                                                   │        ▲                       │
//!                                                   ▼        └────── promoted ───────┘
//!                                                 LEADER: looks each half second, and promotes one if a place is free
//!                                                   │
//!                                                   └── leaves: gives his place back ─ fence ─ promotes one
//! ```
//!
//! | word                 | means                                                                          |
//! |----------------------|--------------------------------------------------------------------------------|
//! | `places`             | a lock each, held by a leader while he waits: the kernel frees a dead one's    |
//! | `followers`          | raised by one who is to follow; 0: nobody follows, as a promotion has found    |
//! | the event_count's `changes` | a promotion changes its upper half: who sees that takes a place before all else |
//!
//! A look costs more than ten microseconds of a CPU, nearly all of it for changing to that process and back. Whoever
//! finds a record wakes the next one if there are more, so one who looks is enough for all; there are two so that one
//! may die of what he finds. `W3.idle_cpu` shows it: a hundred who wait take a fifth of what they take if all of them
//! look each half second.
//!
//! Only who has slept once in a call and found nothing comes here: a queue that is in use knows no leaders.
//!
//! # Why somebody leads
//! A follower raises the count, then tries the places; a leader frees his place, then looks at the count: a fence stands
//! between the two of each, so the one takes the place or the other promotes him. Who is promoted takes the place before
//! he looks for a record, and so hands it on even if he leaves at once.
//! # When a process dies
//! A leader: the other one finds the place free when he wakes next, and promotes one. A leader between giving his place
//! back and promoting, or whom one promoted before he has the place: the other leads. Both at once: the followers look by
//! themselves within three seconds. Where the kernel does not free what the dead held, all look each half second.
//! # Tested by
//! ring/model/leaders.rs, ring/crowd/leaders.rs (with deaths), tests/leaders.rs

use super::layout::{EventCount, Leaders};
use mp_core::word::{Deadline, Ordering, Owned, Wake, Word};

/// What a promotion adds to the event_count's `changes`. (Other changes reach that far only now and then: a place is taken then, or
/// is not.)
const PROMOTION: u32 = 1 << 16;

/// One who waits at a event_count. When it is dropped it leaves.
pub(super) struct Sleeper<'a, O: Owned> {
    event_count: &'a EventCount<O::Word>,
    /// `None`: everybody looks for himself.
    leaders: Option<&'a Leaders<O>>,
    /// The place that it has.
    place: Option<usize>,
    /// Whether its next sleep is the first one.
    fresh: bool,
}

impl<'a, O: Owned> Sleeper<'a, O> {
    pub(super) fn new(
        event_count: &'a EventCount<O::Word>,
        leaders: Option<&'a Leaders<O>>,
        fresh: bool,
    ) -> Self {
        Sleeper { event_count, leaders: leaders.filter(|_| O::kernel_tells()), place: None, fresh }
    }

    pub(super) fn event_count(&self) -> &'a EventCount<O::Word> {
        self.event_count
    }

    /// Sleeps while nothing has changed since `seen`, which was read before the last look.
    pub(super) fn wait(&mut self, seen: u32, until: Option<Deadline>) -> Wake {
        let changes = &self.event_count.changes;
        let Some(leaders) = self.leaders else { return changes.wait(seen, until) };
        let follows = !std::mem::take(&mut self.fresh) && !self.leads(leaders) && {
            leaders.follow();
            !self.leads(leaders)
        };
        let wake = if follows { changes.wait_long(seen, until) } else { changes.wait(seen, until) };
        // ORDERING: Acquire, pairs with the Release in `promote`: the place is seen free.
        let promoted = (changes.load(Ordering::Acquire) ^ seen) >= PROMOTION;
        if promoted {
            self.leads(leaders);
        }
        if self.place.is_some() && leaders.has_room() {
            self.promote(leaders);
        }
        wake
    }

    /// Whether it has a place; takes one if one is free.
    fn leads(&mut self, leaders: &Leaders<O>) -> bool {
        if self.place.is_none() {
            self.place = leaders.take_place();
        }
        self.place.is_some()
    }

    /// Has one who follows take the place that is free. Whoever dies here leaves all as it was, or has done it: others who
    /// leave promote one for themselves.
    fn promote(&self, leaders: &Leaders<O>) {
        let followers = &leaders.followers;
        // ORDERING: Relaxed: the fence orders it after the place became free; or else it is a hint.
        let raised = followers.load(Ordering::Relaxed);
        if raised == 0 {
            return;
        }
        // ORDERING: Release, pairs with the Acquire in `wait`, and with that before each sleep.
        self.event_count.changes.fetch_add(PROMOTION, Ordering::Release);
        // Never the other leader, who has a place: if he died of it, nobody would lead.
        if self.event_count.changes.wake_long(1) == 0 {
            // ORDERING: Relaxed: whoever has raised it since is not in what is taken down, and who did before and does not
            // sleep yet sees the change.
            let _ = followers.compare_exchange(raised, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl<O: Owned> Leaders<O> {
    /// Says that somebody may follow.
    fn follow(&self) {
        // ORDERING: Relaxed: the fence orders it before the places are tried.
        if self.followers.fetch_add(1, Ordering::Relaxed) == u32::MAX {
            self.followers.fetch_add(1, Ordering::Relaxed);
        }
        O::Word::fence();
    }

    fn take_place(&self) -> Option<usize> {
        let place = self.places.iter().position(|place| place.try_acquire().is_some())?;
        self.places[place].clear_died();
        Some(place)
    }

    fn has_room(&self) -> bool {
        self.places.iter().any(|place| !place.is_locked())
    }
}

/// Not by a thread that unwinds, as with every lock here: the kernel frees its place.
impl<O: Owned> Drop for Sleeper<'_, O> {
    fn drop(&mut self) {
        if let (Some(leaders), Some(place)) = (self.leaders, self.place)
            && !std::thread::panicking()
        {
            leaders.places[place].release();
            O::Word::fence();
            self.promote(leaders);
        }
    }
}
