//! Start and join of a child that does nothing, under criterion: `cargo bench -p mp-core`. As a test it shows that
//! a bench can start processes; figures beside peers are in `mp-bench`.

#![allow(missing_docs, reason = "the macros make functions without any")]

use criterion::{Criterion, criterion_group, criterion_main};
use mp_core::{Process, StartMethod};
use std::hint::black_box;

fn start_and_join(bench: &mut Criterion) {
    for method in [StartMethod::ForkServer, StartMethod::Spawn] {
        bench.bench_function(method.name(), |bench| {
            bench.iter(|| {
                let child = Process::new(|x: u64| 2 * x, (black_box(4),)).method(method).start();
                assert_eq!(child.expect("a process to be had").join().expect("a result"), 8);
            });
        });
    }
}

criterion_group!(benches, start_and_join);
criterion_main!(benches);
