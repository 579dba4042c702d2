//~ a `Result<(), DictError>` cannot cross to another process
//~ most error types of libraries have neither
//~ return `mp::Result`
use mp::{DictError, Process, SharedDict};

fn count(hits: SharedDict<String, u64>) -> Result<(), DictError> {
    hits.fetch_add("home", 1)?;
    Ok(())
}

fn main() -> mp::Result<()> {
    let hits = SharedDict::new(10, 4096)?;
    let child = Process::new(
        count, // HERE
        (hits,),
    )
    .start()?;
    child.join()??;
    Ok(())
}
