//! What the steps of a block have written goes into the context, in the order in which they were declared.

use super::context::{Context, Item, Values};
use super::parallel::{Block, OnConflict};

/// The key, and why its values could not be merged.
pub(super) type NotMerged = (String, String);

/// Merges the values of each step; nothing for one that is not done.
pub(super) fn merge(
    block: &Block,
    written: Vec<Option<Values>>,
    context: &mut Context,
) -> Result<(), NotMerged> {
    let mut reduced: Vec<(&str, Item)> = Vec::new();
    for (job, values) in block.jobs.iter().zip(written) {
        for (key, item) in job.settings.keys.iter().zip(values.into_iter().flat_map(|values| values.0)) {
            if let Some(reduce) = block.reduction(key) {
                match reduced.iter_mut().find(|(other, _)| other == key) {
                    Some((_, so_far)) => {
                        *so_far = reduce(so_far, &item).map_err(|reason| (key.clone(), reason))?;
                    }
                    None => reduced.push((key, item)),
                }
            } else if block.on_conflict == OnConflict::Namespaced && block.writers(key) > 1 {
                context.put(format!("{}.{key}", job.settings.name), item);
            } else {
                context.put(key.clone(), item);
            }
        }
    }
    reduced.into_iter().for_each(|(key, item)| context.put(key.to_owned(), item));
    Ok(())
}
