//! The ranks of policies by measure and budget, for a leaderboard.

use super::baseline::{self, Baseline};
use super::measure::{ACCURACY, AGREEMENT, KL, Measure};
use super::quantity::{by_text, over_texts};
use super::retrieval;
use super::slice::{Contender, Slice};
use crate::page::data::{BoardData, RankData};
use crate::policies::{heading, is_faint};
use bitkv_record::{AskedBudget, Better, PolicyRole, ScoredTask};
use std::collections::BTreeMap;

/// Returns the boards of one slice: one for each measure and budget. `model` is the name of the slice.
pub(super) fn boards(model: &str, slice: &Slice<'_>) -> Vec<BoardData> {
    let texts = || ("text".to_owned(), slice.only(ScoredTask::TEXT, None));
    let mut all = Vec::new();
    for (measure, (task, rows)) in [(KL, texts()), (AGREEMENT, texts())] {
        all.extend(measure_boards(model, &task, &rows, &measure));
    }
    for (task, rows) in retrieval::tasks(slice) {
        all.extend(measure_boards(model, &task, &rows, &ACCURACY));
    }
    all
}

/// Returns the boards of one measure, one for each budget at which something was evicted.
fn measure_boards(model: &str, task: &str, slice: &Slice<'_>, measure: &Measure) -> Vec<BoardData> {
    let budgets = slice.budgets();
    let table = baseline::all_differences(slice, "", Baseline::Random, measure);
    let against_random: BTreeMap<(String, usize), String> = table
        .tested()
        .into_iter()
        .map(|tested| ((tested.row.to_owned(), tested.column), tested.verdict))
        .collect();
    let board = |(column, budget): (usize, &AskedBudget)| {
        let verdict =
            |name: &str| against_random.get(&(name.to_owned(), column)).cloned().unwrap_or_default();
        let ranks = ranks(slice, *budget, measure, &verdict);
        (*budget != AskedBudget::FULL && ranks.len() > 1).then(|| BoardData {
            model: model.to_owned(),
            task: task.to_owned(),
            measure: measure.name().to_owned(),
            unit: measure.axis_unit().trim_start_matches(", ").to_owned(),
            is_lower_better: measure.better() == Better::Lower,
            budget: budget.to_string(),
            ranks,
        })
    };
    budgets.iter().enumerate().filter_map(board).collect()
}

/// Returns the policies at one budget, the best first. Only policies that could be deployed have a place.
fn ranks(
    slice: &Slice<'_>,
    budget: AskedBudget,
    measure: &Measure,
    verdict: &dyn Fn(&str) -> String,
) -> Vec<RankData> {
    let contenders = slice.contenders().into_iter().filter(|own| own.role != PolicyRole::Full);
    let mut found: Vec<_> = contenders
        .filter_map(|own| Some((own, over_texts(&slice.at(own.policy, budget), measure.quantity)?)))
        .collect();
    found.sort_by(|(_, a), (_, b)| match measure.is_better(a.value - b.value) {
        true => std::cmp::Ordering::Less,
        false if a.value == b.value => std::cmp::Ordering::Equal,
        false => std::cmp::Ordering::Greater,
    });
    let best = found.iter().map(|(own, _)| *own).find(|own| !is_faint(own.role));
    let mut place = 0;
    let rank = |(own, estimate): (Contender<'_>, crate::Estimate)| {
        let is_ranked = !is_faint(own.role);
        place += usize::from(is_ranked);
        let from_best = best.filter(|best| best.policy != own.policy && is_ranked);
        let from_best =
            from_best.and_then(|best| slice.difference([own.policy, best.policy], budget, measure));
        let (low, high) = estimate.interval.unzip();
        let name = own.marked();
        RankData {
            place: is_ranked.then_some(place),
            against_random: verdict(&name),
            name,
            full: own.policy.to_owned(),
            role: heading(own.role),
            value: vec![Some(estimate.value), low, high],
            from_best: from_best.map_or_else(Vec::new, |found| {
                let (low, high) = found.estimate.interval.unzip();
                vec![Some(found.estimate.value), low, high]
            }),
            n: by_text(&slice.at(own.policy, budget), measure.quantity).len(),
        }
    };
    found.into_iter().map(rank).collect()
}
