//! `cargo bench -p mp-bench -- [work…] [--peer name]… [--rounds n] [--tsv]`

fn main() -> std::process::ExitCode {
    mp_bench::works()
}
