//! `cargo bench -p mp-bench -- [work…] [--peer name]… [--rounds n] [--tsv]`

fn main() -> std::process::ExitCode {
    // A child of that peer ends in here.
    procspawn::init();
    mp_bench::works()
}
