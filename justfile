# Daily commands. `just check` is what a change must pass; the rest are larger sizes of what it contains.

# Format, lints, docs, tests, the course.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
    cargo test --workspace
    cargo run --release --example course

# Every test.
test:
    cargo test --workspace

# The list of the public surface (docs/surface), written anew.
surface:
    MP_SURFACE=write cargo test --test surface

# The process tests over and over: one failure in 200 is a defect.
many times="50":
    for i in $(seq {{times}}); do cargo test --quiet --workspace || exit 1; done

# Kills at random moments of parents, templates and children, of owners of named memory and their keepers; and many
# children at once and in turn.
kills times="2000":
    MP_KILLS={{times}} cargo test -p mp-core --test kills -- --nocapture
    MP_KILLS={{times}} cargo test -p mp-sync --test dict_kills -- --nocapture
    for i in $(seq 4); do MP_KILLS=$(({{times}} / 4)) cargo test -p mp-shm --test kills -- --nocapture || exit 1; done
    for i in $(seq 4); do MP_KILLS=$(({{times}} / 4)) cargo test -p mp-pool --test kills --test mixed_kills -- --nocapture || exit 1; done
    MP_CHILDREN=1000 MP_IN_TURN=10000 cargo test -p mp-core --test descriptors -- --nocapture

# Kills, at random moments, processes that use a queue, a thousand each time; and ones that use CPython's, which hangs.
queue-kills times="10":
    for i in $(seq {{times}}); do MP_KILLS=1000 cargo test --release -p mp-queue --test kills -- --nocapture || exit 1; done
    python3 tools/bench/python/queue_kills.py

# Every process test, with every process interrupted by a timer all the time.
interrupted micros="1000":
    MP_INTERRUPTS={{micros}} cargo test --workspace

# A death after each single instruction of each operation; then a stop instead of a death; then with a third party; then a
# third party beside a victim that goes on. An operation that is named and has no such mode is refused there.
sweep *operations:
    cargo run --release -p mp-sweep -- {{operations}}
    cargo run --release -p mp-sweep -- --stop {{operations}}
    cargo run --release -p mp-sweep -- --barge {{operations}}
    cargo run --release -p mp-sweep -- --pass {{operations}}

# A second death, in the recovery from the first, after each n-th instruction of both.
sweep-twice every="13" *operations:
    cargo run --release -p mp-sweep -- --twice --every {{every}} {{operations}}

# Copies out of memory that others write, under ThreadSanitizer (needs a nightly compiler). The standard library is not
# instrumented, so only races in this repository's own functions count.
tsan:
    RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" TSAN_OPTIONS="exitcode=0" \
        CARGO_TARGET_DIR=target/tsan setarch -R cargo +nightly run -p mp-sync --example races \
        --target x86_64-unknown-linux-gnu 2>&1 | (! grep "SUMMARY.*copy_nonoverlapping\|SUMMARY.*mp_")

# Whatever bytes arrive, as a frame, a handshake or a pickle, or as a request of a manager (`just fuzz dispatcher 600
# mp-manager`). Needs cargo-fuzz and a nightly compiler. What is found is kept in fuzz/corpus; what every test run tries is in
# fuzz/seeds.
fuzz target="pickle" seconds="600" crate="mp-pipe":
    mkdir -p {{crate}}/fuzz/corpus/{{target}}
    cd {{crate}} && cargo +nightly fuzz run {{target}} fuzz/corpus/{{target}} fuzz/seeds/{{target}} \
        -- -max_total_time={{seconds}}

# Pickles made by chance, a million of them.
pickles:
    MP_PICKLES=1000000 cargo test --release -p mp-pipe --test pickle_hostile

# The models, and the mutants that they catch; add `-- --ignored` by hand for those that take minutes.
loom bound="3":
    MP_LOOM_BOUND={{bound}} cargo test --release -p mp-sync --test loom -- --nocapture
    MP_LOOM_BOUND={{bound}} cargo test --release -p mp-sync --lib -- --nocapture dict::table::model
    MP_LOOM_BOUND={{bound}} cargo test --release -p mp-queue --lib -- --nocapture ring::model
    MP_LOOM_BOUND={{bound}} cargo test --release -p mp-pool --lib -- --nocapture board::model
    MP_LOOM_BOUND={{bound}} cargo test --release -p mp-manager --lib -- --nocapture slots::model

# The crowds, with more schedules, drawn from a seed of their own.
shuttle iterations="20000" seed=`date +%s`:
    @echo "MP_SHUTTLE_SEED={{seed}}"
    MP_SHUTTLE_ITERATIONS={{iterations}} MP_SHUTTLE_SEED={{seed}} \
        cargo test --release -p mp-sync --test shuttle -- --nocapture
    MP_SHUTTLE_ITERATIONS={{iterations}} MP_SHUTTLE_SEED={{seed}} \
        cargo test --release -p mp-queue --lib -- --nocapture crowd

# Undefined behaviour, data races and orderings that are too weak, in all that needs no system call but the futex.
miri seed="0":
    @cargo +nightly miri --version || { echo "no Miri: rustup component add --toolchain nightly miri rust-src" >&2; exit 1; }
    cargo +nightly miri test -p mp-core --lib -- word:: sys::futex transfer::message transfer::scratch transfer::block popen::job
    cargo +nightly miri test -p mp-shm --lib -- packing name
    cargo +nightly miri test -p mp-pipe --lib -- frame
    cargo +nightly miri test -p mp-sync --lib -- row
    cargo +nightly miri test -p mp-queue --lib -- ring::cursor ring::segment
    cargo +nightly miri test -p mp-pool --lib -- task
    cargo +nightly miri test -p mp-manager --lib -- protocol dict
    MIRIFLAGS=-Zmiri-seed={{seed}} cargo +nightly miri test -p mp-sync --test threads -- --skip seeded
    MIRIFLAGS=-Zmiri-ignore-leaks cargo +nightly miri test -p mp-sync --test threads -- seeded

# Each example many times over: the same output every time.
examples-many times="50":
    cargo build --examples
    MP_EXAMPLES_REPEATS={{times}} cargo test --test examples

# CPython's own tests of managers against our server, all of them with every CPython (minutes); and requests made up at
# random, many more than a test run takes.
python-managers rounds="60000":
    MP_TESTING_DEADLINE=900000 MP_CPYTHON_TESTS=all cargo test -p mp-manager --test cpython_suite -- --nocapture
    MP_FUZZ={{rounds}} cargo test -p mp-manager --test python_hostile -- whatever --nocapture

# Made-up and damaged bytes against the handshakes, many more than a test run takes.
handshakes rounds="3000000":
    MP_FUZZ={{rounds}} cargo test --release -p mp-pipe --lib whatever_bytes

# The figures, beside the peers that are installed.
bench *args:
    cargo bench -p mp-bench -- {{args}}

# The published crates as packages, each with all that it needs, built from what is in them.
package:
    cargo package --workspace --exclude mp-testing --exclude mp-mock --exclude mp-model --exclude mp-sweep \
        --exclude mp-bench --exclude mp-user

# Licences and advisories of the dependencies (needs cargo-deny).
deny:
    cargo deny check
