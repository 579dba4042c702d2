//! Two threads copy into and out of the same memory without a lock. Run under ThreadSanitizer by `just tsan`.

use mp_sync::{RawArray, RawValue};
use std::hint::black_box;

const ROUNDS: u64 = 2000;

fn main() {
    let bytes = RawArray::<u8>::zeroed(5000).expect("shared memory");
    let numbers = RawArray::<u64>::zeroed(700).expect("shared memory");
    let value = RawValue::new([0_u32; 3]).expect("shared memory");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                bytes.write(0, &[round as u8; 5000]).expect("in range");
                bytes.write(7, &[1; 9]).expect("in range");
                numbers.write(3, &[round; 5]).expect("in range");
                numbers.set(3, round).expect("in range");
                value.set([round as u32; 3]);
            }
        });
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                let part = bytes.read(3..9).expect("in range");
                black_box((bytes.to_vec(), part, bytes.get(3), value.get()));
                let part = numbers.read(2..8).expect("in range");
                black_box((part, numbers.fold(0, u64::wrapping_add)));
            }
        });
    });
}
