//! The limits of a run: what a reader must not conclude from its numbers.

use crate::block::Block;
use crate::claims::Claim;
use crate::policies::is_loose;
use crate::{Run, unique};
use bitkv_record::{GridRow, IsaClass, PolicyRole, ScoredTask};

/// With fewer texts than this, intervals contain the true mean clearly less often than in 95 % of runs
/// (docs/METRICS.md, "Intervals").
const FEW: usize = 10;

const ATTENTION: &str = "The attention cosine compares single attention rows of an unperturbed model. A head with one \
dominant key scores close to 100 % regardless of what else it loses, so judge quality by KL, NLL and recall.";
const TEACHER_FORCED: &str = "KL, agreement and NLL are teacher-forced: each target follows the true text, which \
hides the drift of free generation.";
const ORACLE: &str = "Policies marked † use attention that a deployed cache does not have when it is compressed. \
They are references, not methods. An allocator that is better only with such a scorer has not been shown to help.";
const PUBLISHED: &str = "Here, published rules choose budgets and entries once, after the context. Their authors chose \
them again for every query, by masks or offline, and measured no compressed cache.";
const LOOSE: &str =
    "Policies marked ‡ do not always keep the requested number of entries: compare them by what they kept.";
const INTERVALS: &str = "Intervals allow for the skewness of the values over texts. They hold for texts like these and \
are not corrected for the number of comparisons. If a policy has several seeds, each text \
counts with its mean over seeds.";
const TAIL: &str = "Tokens scored after the eviction stay in the cache, in addition to the kept entries, so late \
tokens attend to more entries than the budget allows.";
const SCALAR: &str = "The run used plain loops (`BITKV_ISA=scalar`), which add in another order than vector \
instructions. KL differs by up to 6e-5 nats between the two.";
const DIRTY: &str =
    "The program was built from sources with uncommitted changes, so the revision does not identify it.";

/// Returns the limits that follow from what this run measured and did not measure.
pub(super) fn blocks(run: &Run<'_>, claims: &[Claim]) -> Vec<Block> {
    let any = |condition: fn(&GridRow) -> bool| run.rows.iter().any(condition);
    let models =
        run.rows.iter().map(|row| row.model.as_str()).chain(run.heads.iter().map(|row| row.model.as_str()));
    let models = unique(models).join(", ");
    let mut list =
        vec![format!("The numbers are for {models}. They say nothing about models that were not measured.")];
    let texts = run.rows.iter().filter(|row| row.task == ScoredTask::TEXT).map(|row| row.text.as_str());
    let texts = unique(texts).len();
    list.push(INTERVALS.to_owned());
    if (1..FEW).contains(&texts) {
        list.push(format!("With {texts} texts, the intervals are too narrow."));
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
    let open = claims.iter().flat_map(|claim| &claim.statements).filter(|s| s.holds.is_none()).count();
    if open > 0 {
        list.push(format!("This run does not decide {open} of the statements of the claims."));
    }
    vec![Block::Heading(2, "Limits".to_owned()), Block::List(list)]
}
