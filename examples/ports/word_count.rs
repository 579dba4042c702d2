//! The most frequent words of several texts: counted per text by a pool, then added up. Beside `word_count.py`.

use mp::Pool;
use std::collections::BTreeMap;

const TEXTS: [&str; 4] = [
    "A process has its own memory. A thread shares the memory of its process.",
    "A lock keeps one process out while another one is in. A queue carries messages from process to process.",
    "The kernel starts a process, stops a process, and tells the parent when the process has ended.",
    "Memory that two processes map is shared memory: what one writes, the other reads.",
];
/// Words that say nothing of a text.
const STOP_WORDS: [&str; 12] =
    ["a", "and", "from", "has", "in", "is", "of", "one", "that", "the", "to", "when"];

fn count(text: String) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for word in text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
        let word = word.to_ascii_lowercase();
        if !STOP_WORDS.contains(&word.as_str()) {
            *counts.entry(word).or_default() += 1;
        }
    }
    counts
}

pub(crate) fn main() -> mp::Result<()> {
    let mapped = Pool::new(2)?.map(count, TEXTS.map(str::to_owned))?;
    let mut all: BTreeMap<String, u32> = BTreeMap::new();
    for (word, count) in mapped.into_iter().flatten() {
        *all.entry(word).or_default() += count;
    }
    let total: u32 = all.values().sum();
    println!("{total} words, {} different ones", all.len());
    let mut ranked: Vec<(String, u32)> = all.into_iter().collect();
    // The map is in the order of the words, and so are those that are equally frequent.
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (word, count) in ranked.iter().take(5) {
        println!("{word}: {count}");
    }
    Ok(())
}
