//! The limits of a run: what a reader must not conclude from its numbers.

use crate::block::Block;
use crate::claims::Claim;
use crate::policies::is_loose;
use crate::{Run, unique};
use bitkv_record::{GridRow, IsaClass, PolicyRole, ScoredTask};

/// With fewer texts than this, the intervals of a bootstrap over texts are too narrow.
const FEW: usize = 10;

const ATTENTION: &str = "The attention cosine compares single attention rows of an unperturbed model. A head with one \
dominant key scores close to 100 % whatever else it loses, so quality is to be read from KL, NLL and recall.";
const TEACHER_FORCED: &str = "KL, agreement and NLL are teacher-forced: each target sees the true text before it, which hides \
the drift of free generation.";
const ORACLE: &str = "Policies marked † use attention that no deployed cache has when it is compressed: a reference, not a method. A \
policy that beats an allocator only with such a scorer has not been shown to help.";
const PUBLISHED: &str = "Published rules choose budgets and tokens once, after the prompt. Their authors chose them anew for every \
query, by masks or offline, and measured no compressed cache.";
const LOOSE: &str =
    "Policies marked ‡ do not keep the number of entries asked for: compare them by what they kept.";
const INTERVALS: &str = "Intervals are over texts, resampled with replacement; they hold for texts like these and are not \
corrected for the number of comparisons. Where there are several seeds, texts have their mean over seeds.";
const TAIL: &str = "Tokens scored after the eviction stay in the cache beside what was kept, so late ones attend to a larger \
part than the budget says.";
const SCALAR: &str = "The run used plain loops (`BITKV_ISA=scalar`), which add in another order than vector instructions: KL differs \
from theirs by up to 6e-5 nats.";
const DIRTY: &str =
    "The program was built from sources with uncommitted changes: the revision does not fix it.";

/// Returns the limits that follow from what this run measured and did not measure.
pub(super) fn blocks(run: &Run<'_>, claims: &[Claim]) -> Vec<Block> {
    let any = |is: fn(&GridRow) -> bool| run.rows.iter().any(is);
    let models =
        run.rows.iter().map(|row| row.model.as_str()).chain(run.heads.iter().map(|row| row.model.as_str()));
    let models = unique(models).join(", ");
    let mut list = vec![format!(
        "The numbers are those of {models}; they say nothing about models that were not measured."
    )];
    let texts = run.rows.iter().filter(|row| row.task == ScoredTask::TEXT).map(|row| row.text.as_str());
    let texts = unique(texts).len();
    list.push(INTERVALS.to_owned());
    if (1..FEW).contains(&texts) {
        list.push(format!("With {texts} texts, intervals from a bootstrap are too narrow."));
    }
    let conditional: [(bool, &str); 8] = [
        (any(|row| row.kl_nats.is_some()), TEACHER_FORCED),
        (any(|row| row.attention_cosine.is_some()), ATTENTION),
        (any(|row| row.oracle), ORACLE),
        (any(|row| row.role == PolicyRole::Published), PUBLISHED),
        (any(is_loose), LOOSE),
        (any(|row| row.kept_entries < row.full_entries), TAIL),
        (any(|row| row.isa == Some(IsaClass::Scalar)), SCALAR),
        (run.manifest.dirty, DIRTY),
    ];
    list.extend(conditional.into_iter().filter(|(holds, _)| *holds).map(|(_, text)| text.to_owned()));
    let untested = claims.iter().flat_map(|claim| &claim.statements).filter(|s| s.holds.is_none()).count();
    if untested > 0 {
        list.push(format!("Published statements that were not tested in this run: {untested}."));
    }
    vec![Block::Heading(2, "Limits".to_owned()), Block::List(list)]
}
