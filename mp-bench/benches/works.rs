//! `cargo bench -p mp-bench -- [work…] [--rounds n] [--tsv]`

fn main() -> std::process::ExitCode {
    mp_bench::main()
}
