//! A run: block after block, each merged into the context.

use super::account::Account;
use super::block::BlockRun;
use super::context::Context;
use super::merge::merge;
use super::plan::Plan;
use super::report::{PipelineError, Report};
use crate::progress::{ProgressEvent, Work};
use mp_core::process::note_panics;
use std::time::Instant;

pub(super) fn run(
    plan: &Plan,
    context: Context,
    consume: &mut dyn FnMut(&ProgressEvent),
    work: Option<&Work>,
) -> Result<Report, PipelineError> {
    // A panic of a step in a thread is to tell its place.
    note_panics();
    let (began, mut account) = (Instant::now(), Account::new(plan, context, consume, work));
    let (mut tasks, mut not_merged) = (Vec::new(), None);
    for block in &plan.blocks {
        let (of_block, written) = std::thread::scope(|scope| BlockRun::new(&mut account, block).run(scope));
        tasks.extend(of_block);
        if let Err((key, reason)) = merge(block, written, &mut account.context) {
            account.not_merged(&key);
            not_merged.get_or_insert((key, reason));
        }
    }
    let (tally, started, pipeline) = (account.tally, account.started, plan.name.clone());
    let report = Report { pipeline, tasks, context: account.context, elapsed: began.elapsed() };
    if !report.agrees_with(&tally, started) {
        return Err(PipelineError::Unaccounted(Box::new(report)));
    }
    match not_merged {
        Some((key, reason)) => Err(PipelineError::Merge { key, reason, report: Box::new(report) }),
        None if tally.failed > 0 => Err(PipelineError::Tasks(Box::new(report))),
        None => Ok(report),
    }
}
