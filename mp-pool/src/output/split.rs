//! From a pipe's bytes and marks to pieces of one task each.
//!
//! ```text
//!   text of no task | mark: task 7 | text of 7 | mark: task 9 | text of 9 …
//!   mark:  16 random bytes, the pipe's own | call, 8 bytes | item, 8 bytes
//!   first: a mark with a call that no task has, whose item is the worker's process id
//! ```
//!
//! A read may end within a mark, so what may be the beginning of one is kept until more has come. A mark is written in
//! one piece: once the pipe is empty, what is kept is text.

use super::TaskNumber;

/// Bytes that begin each mark of one worker.
pub(super) type Nonce = [u8; 16];

/// Bytes of a mark.
pub(super) const MARK: usize = 32;

/// The call of the first mark.
const FIRST: u64 = u64::MAX;

/// The first mark of a worker with this process id.
pub(super) fn first_mark(nonce: &Nonce, pid: u32) -> [u8; MARK] {
    mark(nonce, TaskNumber { call: FIRST, item: pid.into() })
}

/// The mark in front of what a task writes.
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
    task: Option<TaskNumber>,
    /// What may be the beginning of a mark.
    kept: Vec<u8>,
}

impl Split {
    pub(super) fn new(nonce: Nonce) -> Split {
        Split { nonce, pid: 0, task: None, kept: Vec::new() }
    }

    /// More has come. Gives `each` the pieces, which are not empty, with the worker's process id and its task.
    pub(super) fn read(&mut self, bytes: &[u8], mut each: impl FnMut(u32, Option<TaskNumber>, &[u8])) {
        let mut all = std::mem::take(&mut self.kept);
        all.extend_from_slice(bytes);
        let mut rest = all.as_slice();
        loop {
            let at = self.begin_of_mark(rest);
            if at > 0 {
                each(self.pid, self.task, &rest[..at]);
            }
            rest = &rest[at..];
            let Some((mark, after)) = rest.split_first_chunk() else { break };
            match task_of(mark) {
                TaskNumber { call: FIRST, item } => self.pid = item as u32,
                task => self.task = Some(task),
            }
            rest = after;
        }
        self.kept = rest.to_vec();
    }

    /// The pipe is empty: what was kept is text.
    pub(super) fn empty(&mut self, each: impl FnOnce(u32, Option<TaskNumber>, &[u8])) {
        if !self.kept.is_empty() {
            each(self.pid, self.task, &std::mem::take(&mut self.kept));
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

    /// The text of each task, whatever pieces it came in.
    fn split(pieces: &[&[u8]]) -> Vec<(Option<TaskNumber>, Vec<u8>)> {
        let (mut split, mut all) = (Split::new(NONCE), Vec::<(Option<TaskNumber>, Vec<u8>)>::new());
        let mut each = |pid: u32, task: Option<TaskNumber>, text: &[u8]| {
            assert!(!text.is_empty() && pid == 77);
            match all.last_mut().filter(|(last, _)| *last == task) {
                Some((_, last)) => last.extend_from_slice(text),
                None => all.push((task, text.to_vec())),
            }
        };
        split.read(&first_mark(&NONCE, 77), &mut each);
        pieces.iter().for_each(|piece| split.read(piece, &mut each));
        split.empty(each);
        all
    }

    #[test]
    fn each_task_has_its_text_wherever_a_read_ends() {
        let marks = [task(0, 7), task(u64::MAX - 1, 1), task(0, 9)].map(|task| mark(&NONCE, task));
        let [seven, silent, nine] = &marks;
        // Beginnings of marks that are none are text.
        let all = [&b"start\0"[..], seven, b"\0\0\x01\0se", silent, nine, &NONCE[..15], b"x\0\x01"].concat();
        let wanted = [
            (None, b"start\0".to_vec()),
            (Some(task(0, 7)), b"\0\0\x01\0se".to_vec()),
            (Some(task(0, 9)), [&NONCE[..15], b"x\0\x01"].concat()),
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
        assert_eq!(split(&[&other]), [(None, other.to_vec())]);
    }

    #[test]
    fn text_is_not_held_back_without_reason() {
        let (mut split, mut text) = (Split::new(NONCE), Vec::new());
        split.read(b"all of it\n", |_, _, piece| text.extend_from_slice(piece));
        assert_eq!(text, b"all of it\n");
    }
}
