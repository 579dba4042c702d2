//! From a pipe's bytes and marks to pieces of one task each.
//!
//! ```text
//!   mark: none | text of no task | mark: none | text of 7 | mark: task 7 | text of 9 | mark: task 9 | text of 10 …
//!   mark:  16 random bytes, the pipe's own | call, 8 bytes | item, 8 bytes
//!   none:  a mark with a call that no task has, whose item is the worker's process id
//! ```
//!
//! Text is that of the mark behind it, or, while there is none, of a task that the page names (`page.rs`). A task that
//! wrote nothing has no mark. A read may end within a mark, so what may be the beginning of one is kept until more has
//! come. A mark is written in one piece: once the pipe is empty, what is kept is text.

use super::TaskNumber;

/// Bytes that begin each mark of one worker.
pub(super) type Nonce = [u8; 16];

/// Bytes of a mark.
pub(super) const MARK: usize = 32;

/// No task.
pub(super) const NONE: TaskNumber = TaskNumber { call: u64::MAX, item: 0 };

/// The mark behind what no task has written, of a worker with this process id.
pub(super) fn none_mark(nonce: &Nonce, pid: u32) -> [u8; MARK] {
    mark(nonce, TaskNumber { item: pid.into(), ..NONE })
}

/// The mark behind what a task has written.
pub(super) fn mark(nonce: &Nonce, task: TaskNumber) -> [u8; MARK] {
    let mut mark = [0; MARK];
    mark[..16].copy_from_slice(nonce);
    mark[16..24].copy_from_slice(&task.call.to_le_bytes());
    mark[24..].copy_from_slice(&task.item.to_le_bytes());
    mark
}

/// What a mark says.
fn task_of(mark: &[u8; MARK]) -> TaskNumber {
    let [call, item] = [16, 24].map(|at| {
        let mut number = [0; 8];
        number.copy_from_slice(&mark[at..at + 8]);
        u64::from_le_bytes(number)
    });
    TaskNumber { call, item }
}

/// One pipe's.
#[derive(Debug)]
pub(super) struct Split {
    nonce: Nonce,
    /// The worker's process id; 0: it has not begun.
    pid: u32,
    /// Text without a mark, and what may be the beginning of one.
    kept: Vec<u8>,
    /// So much of it is text.
    text: usize,
}

impl Split {
    pub(super) fn new(nonce: Nonce) -> Split {
        Split { nonce, pid: 0, kept: Vec::new(), text: 0 }
    }

    /// More has come. Gives `each` the pieces that have their mark, and are not empty, with the worker's process id and
    /// their task.
    pub(super) fn read(&mut self, bytes: &[u8], mut each: impl FnMut(u32, Option<TaskNumber>, &[u8])) {
        let (mut all, mut text) = (std::mem::take(&mut self.kept), self.text);
        all.extend_from_slice(bytes);
        let mut rest = all.as_slice();
        loop {
            text += self.begin_of_mark(&rest[text..]);
            let Some((mark, after)) = rest[text..].split_first_chunk() else { break };
            let task = match task_of(mark) {
                TaskNumber { call, item } if call == NONE.call => {
                    self.pid = item as u32;
                    None
                }
                task => Some(task),
            };
            if text > 0 {
                each(self.pid, task, &rest[..text]);
            }
            (rest, text) = (after, 0);
        }
        (self.kept, self.text) = (rest.to_vec(), text);
    }

    /// Whether there is text without a mark. `whole`: the pipe is empty, so what is kept is text.
    pub(super) fn has_text(&self, whole: bool) -> bool {
        self.text > 0 || whole && !self.kept.is_empty()
    }

    /// Text without a mark is this task's.
    pub(super) fn give(
        &mut self,
        task: Option<TaskNumber>,
        whole: bool,
        each: impl FnOnce(u32, Option<TaskNumber>, &[u8]),
    ) {
        let length = if whole { self.kept.len() } else { self.text };
        if length > 0 {
            each(self.pid, task, &self.kept[..length]);
            self.kept.drain(..length);
            self.text = 0;
        }
    }

    /// Where a mark begins, or may begin.
    fn begin_of_mark(&self, bytes: &[u8]) -> usize {
        let begins = |at: &usize| {
            let here = &bytes[*at..];
            let known = here.len().min(self.nonce.len());
            here[..known] == self.nonce[..known]
        };
        let may_begin = |byte: &u8| *byte == self.nonce[0];
        let mut from = 0;
        while let Some(at) = bytes[from..].iter().position(may_begin).map(|at| from + at) {
            if begins(&at) {
                return at;
            }
            from = at + 1;
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = [0, 1, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    fn task(call: u64, item: u64) -> TaskNumber {
        TaskNumber { call, item }
    }

    /// The text of each task, whatever pieces it came in. What has no mark is task 10's.
    fn split(pieces: &[&[u8]]) -> Vec<(Option<TaskNumber>, Vec<u8>)> {
        let (mut split, mut all) = (Split::new(NONCE), Vec::<(Option<TaskNumber>, Vec<u8>)>::new());
        let mut each = |pid: u32, task: Option<TaskNumber>, text: &[u8]| {
            assert!(!text.is_empty() && pid == 77);
            match all.last_mut().filter(|(last, _)| *last == task) {
                Some((_, last)) => last.extend_from_slice(text),
                None => all.push((task, text.to_vec())),
            }
        };
        split.read(&none_mark(&NONCE, 77), &mut each);
        pieces.iter().for_each(|piece| split.read(piece, &mut each));
        split.give(Some(task(0, 10)), true, each);
        assert!(!split.has_text(true));
        all
    }

    #[test]
    fn each_task_has_its_text_wherever_a_read_ends() {
        let [seven, silent, nine] =
            [task(0, 7), task(u64::MAX - 1, 1), task(0, 9)].map(|task| mark(&NONCE, task));
        let none = none_mark(&NONCE, 77);
        // Beginnings of marks that are none are text.
        let all = [
            &b"start\0"[..],
            &none,
            b"\0\0\x01\0se",
            &seven,
            &silent,
            &NONCE[..15],
            b"x\0\x01",
            &nine,
            b"left \0\x01",
        ]
        .concat();
        let wanted = [
            (None, b"start\0".to_vec()),
            (Some(task(0, 7)), b"\0\0\x01\0se".to_vec()),
            (Some(task(0, 9)), [&NONCE[..15], b"x\0\x01"].concat()),
            (Some(task(0, 10)), b"left \0\x01".to_vec()),
        ];
        assert_eq!(split(&[&all]), wanted);
        for at in 0..all.len() {
            assert_eq!(split(&[&all[..at], &all[at..]]), wanted, "{at}");
        }
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(split(&bytes), wanted);
    }

    #[test]
    fn a_mark_of_another_worker_is_text() {
        let other = mark(&[7; 16], task(1, 2));
        assert_eq!(split(&[&other]), [(Some(task(0, 10)), other.to_vec())]);
    }

    #[test]
    fn the_beginning_of_a_mark_is_kept_until_the_pipe_is_empty() {
        let mut split = Split::new(NONCE);
        let none = |_: u32, _: Option<TaskNumber>, text: &[u8]| panic!("{text:?}");
        split.read(&NONCE[..7], none);
        assert!(!split.has_text(false) && split.has_text(true));
        split.give(None, false, none);
        let mut text = Vec::new();
        split.read(b"all of it", none);
        assert!(split.has_text(false));
        split.give(None, false, |_, _, piece| text.extend_from_slice(piece));
        assert_eq!(text, [&NONCE[..7], b"all of it"].concat());
    }
}
