//! A page that a worker shares with the thread that reads its output: which task it is at, and whether text is being
//! read.
//!
//! ```text
//!   worker:  begin: task, seq + 1 ─ before = looks ─ the task ─ flush ─ are the pipes empty? ─ looks as before, and
//!                                                               even? ─ yes: the task wrote nothing
//!                                                                      no: a mark, behind what it wrote
//!   reader:  looks + 1: odd ─ fence ─ read ─ looks + 1 if that was text, else - 1: even
//! ```
//!
//! | the task wrote, and that               | so the worker                                                   |
//! |----------------------------------------|------------------------------------------------------------------|
//! | is in a pipe still                     | finds that one not empty                                         |
//! | was read, by a look that began before it | finds `looks` odd, or larger than it was                       |
//! | was read, by a later one               | the same                                                         |
//!
//! So nothing that was written is taken for nothing. The other way a mark too many does no harm.
//!
//! A reader that has read to where a pipe was empty, or more than it holds, and found `seq` the same before and after,
//! has the text of the task that was begun last: an earlier one has its mark behind its text, which was written before
//! the next one began.
//!
//! # Orderings
//! Release on `seq`, Acquire where it is read: the task's number is there. The words of two tasks by turns, so that one
//! whose worker is killed while it writes them is not half of each. A fence stands between `looks` and a read.
//! # When a process dies
//! The worker: the page stays with the reader, and says which task it was at. The reader: its workers die with it.
//! # Tested by
//! below; `mp-pool/tests/output.rs`

use super::TaskNumber;
use mp_core::MemError;
use mp_core::mem::{Kind, Mapping, SharedSlice};
use mp_core::sys::futex::FutexWord;
use mp_core::transfer::attach;
use mp_core::word::{Ordering, Pace, Waiting, Word};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The number of the last task that was begun, of those of this worker; 0: none was.
const SEQ: usize = 0;
/// The words of two tasks, by turns: the lower half of each number first.
const TASKS: usize = 1;
const TASK: usize = 4;
/// Twice the looks that have read text, and 1 while one goes on. Two cache lines behind what the worker writes.
const LOOKS: usize = 32;
pub(super) const WORDS: usize = 64;

/// Nanoseconds for which a worker waits for a look to end: as long as it takes without text.
const SHORT: u32 = 5_000;

/// The words, wherever they lie.
pub(super) struct Page<V>(V);

/// A worker's place in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Begun {
    seq: u32,
    looks: u32,
}

impl<W: Word, V: Deref<Target = [W]>> Page<V> {
    pub(super) fn new(words: V) -> Page<V> {
        Page(words)
    }

    fn word(&self, at: usize) -> &W {
        &self.0[at]
    }

    /// Where the words of a task are.
    fn task(seq: u32) -> usize {
        TASKS + (seq & 1) as usize * TASK
    }

    /// Worker: a task begins.
    #[inline]
    pub(super) fn begin(&self, begun: &mut Begun, task: TaskNumber) {
        // Never 0 again, and the other words than those of the last one.
        begun.seq = begun.seq.checked_add(1).unwrap_or(2);
        let at = Self::task(begun.seq);
        let halves = [task.call, task.call >> 32, task.item, task.item >> 32];
        for (word, half) in (at..).zip(halves) {
            // ORDERING: Relaxed: published by `seq`.
            self.word(word).store(half as u32, Ordering::Relaxed);
        }
        // ORDERING: Release, pairs with the Acquire in `at_work`.
        self.word(SEQ).store(begun.seq, Ordering::Release);
        // ORDERING: Acquire: before all that the task writes.
        begun.looks = self.word(LOOKS).load(Ordering::Acquire);
    }

    /// Worker: whether the task has written nothing, where its pipes were found empty.
    #[inline]
    pub(super) fn was_silent(&self, begun: &Begun) -> bool {
        W::fence();
        // ORDERING: Relaxed: the fence orders it after the look at the pipes.
        let mut looks = self.word(LOOKS).load(Ordering::Relaxed);
        if looks & 1 == 1 {
            looks = self.when_it_has_ended();
        }
        // One that went on when the task began, and has read no text since, has taken that one off again.
        looks == begun.looks & !1
    }

    #[cold]
    fn when_it_has_ended(&self) -> u32 {
        let place = self.word(LOOKS);
        let mut waiting = Waiting::spinning(place, Pace::Dense, SHORT);
        loop {
            // ORDERING: Relaxed: as above.
            let looks = place.load(Ordering::Relaxed);
            if looks & 1 == 0 || !waiting.pause() {
                return looks;
            }
        }
    }

    /// Reader: which task was begun last, and its number among the worker's; `None`: none was.
    pub(super) fn at_work(&self) -> (u32, Option<TaskNumber>) {
        loop {
            // ORDERING: Acquire, pairs with the Release in `begin`.
            let seq = self.word(SEQ).load(Ordering::Acquire);
            if seq == 0 {
                return (0, None);
            }
            let at = Self::task(seq);
            // ORDERING: Relaxed: after `seq`.
            let word = |word: usize| u64::from(self.word(at + word).load(Ordering::Relaxed));
            let task = TaskNumber { call: word(0) | word(1) << 32, item: word(2) | word(3) << 32 };
            W::fence();
            // ORDERING: Relaxed: the fence orders it behind the words, which are another task's two tasks later.
            if self.word(SEQ).load(Ordering::Relaxed) == seq {
                return (seq, Some(task));
            }
        }
    }

    /// Reader: it is about to read.
    pub(super) fn begin_look(&self) {
        // ORDERING: Relaxed: the fence orders it before the read.
        self.word(LOOKS).fetch_add(1, Ordering::Relaxed);
        W::fence();
    }

    /// Reader: it has read. `text`: something else than marks.
    pub(super) fn end_look(&self, text: bool) {
        let looks = self.word(LOOKS);
        // ORDERING: Release, both: after the read.
        if text {
            looks.fetch_add(1, Ordering::Release);
        } else {
            looks.fetch_sub(1, Ordering::Release);
        }
    }
}

struct Contents;

/// In shared memory.
pub(super) struct SharedPage {
    mapping: Arc<Mapping>,
    page: Page<SharedSlice<FutexWord>>,
}

impl SharedPage {
    pub(super) fn create() -> Result<SharedPage, MemError> {
        let bytes = WORDS * size_of::<FutexWord>();
        SharedPage::over(Mapping::create("mp-pool-output", Kind::of::<Contents>(), bytes)?)
    }

    fn over(mapping: Arc<Mapping>) -> Result<SharedPage, MemError> {
        let words = SharedSlice::at(Arc::clone(&mapping), 0, WORDS)?;
        Ok(SharedPage { mapping, page: Page::new(words) })
    }

    /// The same memory once more.
    pub(super) fn again(&self) -> Result<SharedPage, MemError> {
        SharedPage::over(Arc::clone(&self.mapping))
    }
}

impl Deref for SharedPage {
    type Target = Page<SharedSlice<FutexWord>>;
    fn deref(&self) -> &Self::Target {
        &self.page
    }
}

impl fmt::Debug for SharedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPage").finish_non_exhaustive()
    }
}

impl Serialize for SharedPage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.mapping.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedPage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mapping = attach(deserializer, Kind::of::<Contents>(), "the page of a worker's output")?;
        SharedPage::over(mapping).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp_model::AnyWord;
    use mp_model::thorough::{Fuse, ModelWord, bound, explore, spawn};

    /// A page, and a pipe: whether there is text in it. The kernel's lock orders what is written and read.
    struct World<W: Word> {
        page: Page<Vec<W>>,
        pipe: W,
    }

    /// The reader. `says`: on the page, that it reads.
    fn look<W: Word>(world: &World<W>, says: bool) {
        if says {
            world.page.begin_look();
        }
        // ORDERING: AcqRel, here and below: as the kernel's lock.
        let text = world.pipe.swap(0, Ordering::AcqRel) == 1;
        if says {
            world.page.end_look(text);
        }
    }

    fn looks_and_tasks<W: AnyWord>(says: bool) {
        let page = Page::new((0..WORDS).map(|_| W::default()).collect());
        let world = Arc::new(World { page, pipe: W::default() });
        let other = Arc::clone(&world);
        let reader = spawn(&Fuse::never(), move || (0..2).for_each(|_| look(&other, says)));
        let mut begun = Begun::default();
        for (item, writes) in [(0, false), (1, true)] {
            world.page.begin(&mut begun, TaskNumber { call: 7, item });
            if writes {
                // ORDERING: as above.
                world.pipe.swap(1, Ordering::AcqRel);
            }
            // ORDERING: as above.
            let is_empty = world.pipe.load(Ordering::Acquire) == 0;
            assert!(!(writes && is_empty && world.page.was_silent(&begun)), "text without a mark");
        }
        assert_eq!(world.page.at_work(), (2, Some(TaskNumber { call: 7, item: 1 })));
        reader.join();
    }

    fn a_task_that_wrote_is_not_taken_for_silent<W: AnyWord>() {
        looks_and_tasks::<W>(true);
    }

    fn beside_a_reader_that_says_nothing<W: AnyWord>() {
        looks_and_tasks::<W>(false);
    }

    #[test]
    fn text_that_is_read_before_its_task_ends_is_no_silence() {
        explore(bound(), a_task_that_wrote_is_not_taken_for_silent::<ModelWord>);
    }

    #[test]
    fn a_reader_that_says_nothing_is_found_out() {
        let found =
            std::panic::catch_unwind(|| explore(bound(), beside_a_reader_that_says_nothing::<ModelWord>));
        assert!(found.is_err());
    }

    #[test]
    fn a_look_at_marks_alone_leaves_no_trace() {
        let page = Page::new((0..WORDS).map(|_| FutexWord::default()).collect::<Vec<_>>());
        assert_eq!(page.at_work(), (0, None));
        let mut begun = Begun::default();
        page.begin_look();
        page.begin(&mut begun, TaskNumber { call: u64::MAX - 1, item: 1 << 40 });
        assert_eq!(page.at_work(), (1, Some(TaskNumber { call: u64::MAX - 1, item: 1 << 40 })));
        assert!(!page.was_silent(&begun), "it is not known yet");
        page.end_look(false);
        assert!(page.was_silent(&begun));
        page.begin_look();
        page.end_look(true);
        assert!(!page.was_silent(&begun));
        begun.seq = u32::MAX;
        page.begin(&mut begun, TaskNumber { call: 1, item: 2 });
        assert_eq!(page.at_work(), (2, Some(TaskNumber { call: 1, item: 2 })));
    }
}
