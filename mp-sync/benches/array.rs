//! A sum over a RawArray, and copies of one, beside the same over a vector: `cargo bench -p mp-sync`.
//!
//! Both sides are timed in turn, and the best time of each counts; 1.00x is the vector's speed, more is
//! faster.
#![allow(missing_docs)]

use mp_core::mem::Shareable;
use mp_sync::{Array, RawArray};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 15;
/// Elements gone through in one timing, over however many passes.
const ELEMENTS: usize = 20_000_000;

fn nanoseconds(len: usize, mut pass: impl FnMut()) -> f64 {
    let passes = (ELEMENTS / len).max(2);
    let began = Instant::now();
    (0..passes).for_each(|_| pass());
    began.elapsed().as_nanos() as f64 / (passes * len) as f64
}

fn compare<A, B>(what: &str, len: usize, mut vector: impl FnMut() -> A, mut shared: impl FnMut() -> B) {
    let mut vector = || _ = black_box(vector());
    let mut shared = || _ = black_box(shared());
    let mut best = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        best[0] = best[0].min(nanoseconds(len, &mut vector));
        best[1] = best[1].min(nanoseconds(len, &mut shared));
    }
    println!(
        "{what:24} {len:>9} elements: vector {:.3} ns, shared {:.3} ns each: {:.2}x",
        best[0],
        best[1],
        best[0] / best[1]
    );
}

fn all<T: Shareable>(of: &str, make: impl Fn(usize) -> T, add: impl Fn(T, T) -> T + Copy) {
    for len in [1_000, 100_000, 4_000_000] {
        let vector: Vec<T> = (0..len).map(&make).collect();
        let raw = RawArray::from_slice(&vector).expect("memory for a bench");
        let array = Array::from_slice(&vector).expect("memory for a bench");
        let zero = make(0);
        let sum_up = |slice: &[T]| slice.iter().fold(zero, |sum, &element| add(sum, element));
        let mut copy = vector.clone();
        let mut other = vector.clone();
        compare(
            &format!("sum of {of}, RawArray"),
            len,
            || sum_up(black_box(&vector)),
            || black_box(&raw).fold(zero, add),
        );
        compare(
            &format!("sum of {of}, Array"),
            len,
            || sum_up(black_box(&vector)),
            || black_box(&array).update(|elements| sum_up(elements)),
        );
        compare(
            &format!("copy of {of}, RawArray"),
            len,
            || black_box(&mut copy).copy_from_slice(black_box(&vector)),
            || black_box(&raw).copy_to(0, black_box(&mut other)).expect("as long as the array"),
        );
    }
}

fn main() {
    all("u64", |at| at as u64, u64::wrapping_add);
    all("i32", |at| at as i32, i32::wrapping_add);
    all("f64", |at| at as f64, |sum, element| sum + element);
    all("u8", |at| at as u8, u8::wrapping_add);
}
