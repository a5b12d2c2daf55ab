//! What a reader must not conclude from a grid.

use super::GridInput;
use super::slice::is_loose;
use crate::document::Block;
use crate::sections::{ATTENTION, DIRTY, TEACHER_FORCED};
use crate::unique;
use bitkv_record::{GridRow, ScoredTask};

/// Texts below which a bootstrap over texts says too little about other texts.
const FEW: usize = 10;

const ORACLE: &str = "Policies marked † use attention that no deployed cache has when it is cut: a reference, not a \
method. A policy that beats an allocator only with such a scorer has not been shown to help.";
const LOOSE: &str =
    "Policies marked ‡ do not keep the number of entries asked for: compare them by what they kept.";
const INTERVALS: &str = "Intervals are over texts, resampled with replacement; they hold for texts like these and are not \
corrected for the number of comparisons. Where there are several seeds, texts have their mean over seeds.";
const TAIL: &str = "Tokens scored after the cut stay in the cache beside what was kept, so late ones attend to a larger \
part than the budget says.";

/// Limits that follow from what was, and was not, measured.
pub(super) fn blocks(input: &GridInput<'_>) -> Vec<Block> {
    let any = |is: fn(&GridRow) -> bool| input.rows.iter().any(is);
    let models = unique(input.rows.iter().map(|row| row.model.as_str())).join(", ");
    let mut list = vec![format!(
        "The numbers are those of {models}; they say nothing about models that were not measured."
    )];
    let texts =
        unique(input.rows.iter().filter(|row| row.task == ScoredTask::TEXT).map(|row| row.text.as_str()))
            .len();
    list.push(INTERVALS.to_owned());
    if (1..FEW).contains(&texts) {
        list.push(format!("With {texts} texts, intervals from a bootstrap are too narrow."));
    }
    let conditional: [(bool, &str); 6] = [
        (any(|row| row.kl_nats.is_some()), TEACHER_FORCED),
        (any(|row| row.attention_cosine.is_some()), ATTENTION),
        (any(|row| row.oracle), ORACLE),
        (any(is_loose), LOOSE),
        (any(|row| row.kept_entries < row.full_entries), TAIL),
        (input.manifest.dirty, DIRTY),
    ];
    list.extend(conditional.into_iter().filter(|(holds, _)| *holds).map(|(_, text)| text.to_owned()));
    vec![Block::Heading(2, "Limits".to_owned()), Block::List(list)]
}
