//! The same for the lessons on pipelines.

use super::counts::{Said, numbers};
use std::collections::BTreeSet;

pub(crate) fn ex13_sobel(said: &Said) {
    if said.as_in_course {
        assert_eq!(numbers(said.after("2 bands: ")), [101, 100]);
        assert!(numbers(said.after("rows at the seam that were not computed: "))[0] > 0);
        return;
    }
    let kept = said.lines.iter().filter(|line| line.ends_with(": 100 rows, as in one piece")).count();
    assert_eq!((kept, said.lines.len()), (3, 4));
    let [_, whole, bands, _] = numbers(said.after("bytes to "))[..] else { panic!("{:?}", said.lines) };
    // 100 rows of 80 pixels to each of 7; and once, with two rows more at each of the 6 seams.
    assert!(whole > 7 * 8000 && (8000 + 12 * 80..8000 + 12 * 80 + 100).contains(&bands));
}

pub(crate) fn ex40_threads_vs_processes(said: &Said) {
    if said.as_in_course {
        assert_eq!(numbers(said.lines[0].split(':').next().unwrap()), [0, 4]);
        assert_eq!(said.complained, "");
        return;
    }
    let rows = [("serial ", 1, 1), ("threads ", 4, 4), ("threads+giant lock ", 4, 1), ("processes ", 4, 4)];
    let mut checksums = BTreeSet::new();
    for (mode, workers, most) in rows {
        let row = said.after(mode);
        let (counts, checksum) = row.split_once(", checksum ").unwrap();
        assert_eq!(numbers(counts), [workers, 4, 4, 4, most], "{mode}");
        checksums.insert(checksum.to_owned());
    }
    assert_eq!((checksums.len(), said.lines.len()), (1, 5));
    // Times are told there, and nothing is expected of them.
    assert!(said.complained.starts_with("usable CPUs ") && said.complained.contains("speed-up"));
}

pub(crate) fn ex41_pipeline_steps(said: &Said) {
    assert_eq!(said.after("keys: "), "camera, frame, edges, label");
    assert_eq!(numbers(&said.lines[2]), [3, 3]);
    assert!(said.after("a typing error: ").contains("no key \"egdes\""));
}

pub(crate) fn ex42_fusion(said: &Said) {
    let fused = "AI Fusion: Front=Clear | Rear=Car at 20m";
    assert_eq!(said.after("front ends first, then rear: "), fused);
    assert_eq!(said.after("rear ends first, then front: "), fused);
    let refused = said.after("one key for both: ");
    assert!(["front", "rear", "view"].iter().all(|name| refused.contains(&format!("{name:?}"))));
}

pub(crate) fn ex43_process_steps(said: &Said) {
    assert_eq!(numbers(&said.lines[0]), [3, 3, 3]);
    assert_eq!(numbers(&said.lines[1]), [3]);
    let sums = [100, 1000, 10_000].map(|n: u64| (0..n).map(|x| x * x).sum::<u64>());
    assert_eq!(numbers(said.after("sums: ")), sums);
}

pub(crate) fn ex44_boundary(said: &Said) {
    assert!(said.after("front is not serializable: ").contains("`lock`"));
    assert_eq!(numbers(said.after("started ")), [0, 2]);
    assert!(said.after("a queue: refused").ends_with(": true"));
}

pub(crate) fn ex45_progress(said: &Said) {
    let finished = |line: &str| line.split(", ").map(|event| numbers(event)[0]).collect::<Vec<_>>();
    assert_eq!(finished(&said.lines[0]), [0, 1, 1, 2, 2, 3, 3, 4]);
    assert_eq!(finished(&said.lines[1]), [0, 1, 1, 2, 2, 2, 2]);
    assert!(said.lines[1].contains("failed at 2/4: c"));
    assert_eq!(numbers(said.after("two pipelines at the same time: ")), [8, 8]);
    assert_eq!(numbers(said.after("a pool: ")), [20, 20, 1, 1, 1]);
    // No terminal: lines, the last of which says what became of it.
    let lines: Vec<&str> = said.complained.lines().collect();
    assert!(lines.iter().all(|line| line.starts_with("frames: ")) && lines.len() <= 11, "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.starts_with("frames: 20/20, 1 failed, ")), "{lines:?}");
}

pub(crate) fn ex46_pipeline_failures(said: &Said) {
    let [submitted, done, failed] = numbers(&said.lines[6])[..] else { panic!("{:?}", said.lines) };
    assert_eq!((submitted, done + failed), (6, 6));
    let ended = |end: &str| said.lines[..6].iter().filter(|line| line.contains(end)).count();
    for end in ["is done", "failed:", "panicked", "killed by signal 9", "timed out", "was not started"] {
        assert_eq!(ended(end), 1, "{end}");
    }
    assert_eq!(numbers(said.after("children left: ")), [0]);
    assert!(said.complained.contains("a deliberate panic"));
}
