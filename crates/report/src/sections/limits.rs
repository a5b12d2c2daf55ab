//! The limits of a run: what a reader must not conclude from its numbers.

use crate::block::Block;
use crate::claims::{Claim, StatementRole};
use crate::interval::{FEWEST, FEWEST_FOR_STARS};
use crate::policies::is_loose;
use crate::{Run, unique};
use bitkv_record::{GridRow, IsaClass, PolicyRole, ScoredTask};

const ATTENTION: &str = "The attention cosine compares single attention rows of an unperturbed model. A head with one \
dominant key scores close to 100 % regardless of what else it loses, so judge quality by KL, NLL and recall.";
const TEACHER_FORCED: &str = "KL, agreement and NLL are teacher-forced: each target follows the true text, which \
hides the drift of free generation.";
const ORACLE: &str = "Policies marked † use attention that a deployed cache does not have when it is compressed. \
They are references, not methods. If an allocator is better only with such a scorer, that does not show that it helps.";
const PUBLISHED: &str = "Here, published rules choose budgets and entries once, after the context. Their authors chose \
them again for every query, by masks or offline, and measured no compressed cache.";
const LOOSE: &str =
    "Policies marked ‡ do not always keep the requested number of entries: compare them by what they kept.";
const INTERVALS: &str = "Intervals allow for the skewness of the values over texts. They hold for texts like these and \
are not corrected for the number of comparisons. If a policy was drawn several times, each text counts with its mean over \
draws.";
const TAIL: &str = "Tokens scored after the eviction stay in the cache, in addition to the kept entries, so late \
tokens attend to more entries than the budget allows.";
const SCALAR: &str = "The run used plain loops (`BITKV_ISA=scalar`), which add in another order than vector \
instructions. KL differs by up to 6e-5 nats between the two.";
const DIRTY: &str =
    "The program was built from sources with uncommitted changes, so the revision does not identify it.";

/// Returns the limits that follow from what this run measured and did not measure.
pub(crate) fn blocks(run: &Run<'_>, claims: &[Claim]) -> Vec<Block> {
    let any = |condition: fn(&GridRow) -> bool| run.rows.iter().any(condition);
    let models =
        run.rows.iter().map(|row| row.model.as_str()).chain(run.heads.iter().map(|row| row.model.as_str()));
    let models = unique(models).join(", ");
    let mut list =
        vec![format!("The numbers are for {models}. They say nothing about models that were not measured.")];
    let texts = run.rows.iter().filter(|row| row.task == ScoredTask::TEXT).map(|row| row.text.as_str());
    let texts = unique(texts).len();
    list.push(INTERVALS.to_owned());
    if (1..FEWEST_FOR_STARS).contains(&texts) {
        list.push(match texts < FEWEST {
            true => format!("{texts} texts are too few for intervals: at least {FEWEST} are needed."),
            false => format!(
                "{texts} texts are too few to mark differences: at least {FEWEST_FOR_STARS} are needed."
            ),
        });
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
    let open = |is_counted: bool| {
        let all = claims.iter().flat_map(|claim| &claim.statements).filter(|s| s.holds.is_none());
        all.filter(|s| (s.role == StatementRole::Claim) == is_counted).count()
    };
    let (statements, checks) = (open(true), open(false));
    if statements + checks > 0 {
        list.push(format!("This run does not decide {statements} of the statements of the claims, and {checks} of the checks."));
    }
    vec![Block::Heading(2, "Limits".to_owned()), Block::List(list)]
}
