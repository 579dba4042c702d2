//! Two processes begin when a third has prepared their stage; an event lets a fourth go. Beside `stages.py`.

use mp::{Condition, Event, Process, Queue, RawValue};
use std::time::Duration;

/// The lock of the condition keeps this flag: a notification alone would be missed by a process that is late.
fn prepare(stage: Condition, prepared: RawValue<u8>, lines: Queue<String>) {
    let condition = stage.acquire().expect("no holder dies");
    lines.put("stage 1 is prepared".to_owned()).expect("an open queue");
    prepared.set(1);
    condition.notify_all();
}

fn perform(number: u32, stage: Condition, prepared: RawValue<u8>, lines: Queue<String>) {
    let mut condition = stage.acquire().expect("no holder dies");
    condition.wait_for(|| prepared.get() == 1).expect("no holder dies");
    lines.put(format!("stage 2 runs in process {number}")).expect("an open queue");
}

fn wait_for(go: Event, waited_in_vain: Event) -> bool {
    let in_time = go.wait_timeout(Duration::from_millis(50));
    waited_in_vain.set();
    go.wait();
    in_time
}

pub(crate) fn main() -> mp::Result<()> {
    let (stage, prepared, lines) = (Condition::new()?, RawValue::new(0)?, Queue::new()?);
    let start = |number| Process::new(perform, (number, stage.clone(), prepared.clone(), lines.clone())).start();
    let mut performers = (1..=2).map(start).collect::<Result<Vec<_>, _>>()?;
    performers.push(Process::new(prepare, (stage.clone(), prepared.clone(), lines.clone())).start()?);
    for performer in &performers {
        performer.join()?;
    }
    let said = (0..3).map(|_| lines.get()).collect::<Result<Vec<_>, _>>()?;
    println!("first: {}", said[0]);
    let mut then = said[1..].to_vec();
    then.sort();
    println!("then: {}", then.join(", "));

    let (go, waited_in_vain) = (Event::new()?, Event::new()?);
    let waiting = Process::new(wait_for, (go.clone(), waited_in_vain.clone())).start()?;
    waited_in_vain.wait();
    println!("main sets the event");
    go.set();
    println!("set within its timeout: {}, and in the end", waiting.join()?);
    Ok(())
}
