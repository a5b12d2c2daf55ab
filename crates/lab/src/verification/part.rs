//! A part of the verification: some of its policies, some of its budgets.

use bitkv_record::PolicyText;
use toml::{Table, Value};

use super::{FILE, first};
use crate::{
    Error, Result,
    error::{Refuse as _, ensure},
};

/// The policies that check a model, so that every verification has them.
const CHECKS: [&str; 2] = ["full", "uniform+random"];
/// The first sentence of the analysis of a part.
const PART: &str = "Only a part of the verification is measured (--policy, --budget), so its verdicts are not those \
                    of the whole verification.";

/// Keeps only the wanted policies and budgets of a definition. An empty list keeps all.
///
/// # Errors
/// Returns an error if the definition does not have one of them, or if one is given twice.
pub(super) fn keep(table: &mut Table, policies: &[String], budgets: &[f64]) -> Result<()> {
    if policies.is_empty() && budgets.is_empty() {
        return Ok(());
    }
    let experiment = first(table, "experiment")?;
    keep_budgets(experiment, budgets)?;
    keep_policies(experiment, policies)?;
    let whole = table.get("analysis").and_then(Value::as_str).unwrap_or_default();
    let analysis = format!("{PART}\n\n{}", whole.trim_start());
    table.insert("analysis".into(), analysis.into());
    Ok(())
}

/// Keeps the full budget and those that are wanted, in the order of the definition.
fn keep_budgets(experiment: &mut Table, wanted: &[f64]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let budgets = experiment
        .get_mut("budgets")
        .and_then(Value::as_array_mut)
        .refuse(Error::Definition, format!("{FILE} has no budgets"))?;
    let known: Vec<f64> = budgets.iter().filter_map(Value::as_float).filter(|budget| *budget < 1.0).collect();
    let names: Vec<String> = known.iter().map(f64::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (i, budget) in wanted.iter().enumerate() {
        ensure!(
            Definition,
            known.contains(budget),
            "--budget {budget} is not a budget of the verification: {}",
            bitkv_spelling::suggestion(&budget.to_string(), &names)
        );
        ensure!(Definition, !wanted[..i].contains(budget), "--budget {budget} is given twice: remove one");
    }
    budgets.retain(|budget| budget.as_float().is_none_or(|budget| budget >= 1.0 || wanted.contains(&budget)));
    Ok(())
}

/// Keeps the policies that are wanted and those that check a model, and the pairs of policies that are then
/// complete.
fn keep_policies(experiment: &mut Table, wanted: &[String]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let known = texts(experiment.get("policies"));
    check_policies(wanted, &known)?;
    let is_kept = |policy: &str| CHECKS.contains(&policy) || wanted.iter().any(|wanted| same(wanted, policy));
    let kept: Vec<Value> =
        known.iter().filter(|policy| is_kept(policy)).map(|text| text.clone().into()).collect();
    experiment.insert("policies".into(), kept.into());
    // The oracle may be missing now.
    experiment.insert("controls".into(), false.into());
    experiment.insert("analysis".into(), "Only some policies of the verification are measured.".into());
    if let Some(pairs) = experiment.get_mut("pairs").and_then(Value::as_array_mut) {
        pairs.retain(|pair| texts(Some(pair)).iter().all(|policy| is_kept(policy)));
        if pairs.is_empty() {
            experiment.remove("pairs");
            experiment.remove("equivalence");
        }
    }
    Ok(())
}

/// Checks that every wanted policy is known, and that no two are the same policy.
fn check_policies(wanted: &[String], known: &[String]) -> Result<()> {
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    for (i, policy) in wanted.iter().enumerate() {
        ensure!(
            Definition,
            known.iter().any(|known| same(known, policy)),
            "--policy {policy} is not a policy of the verification: {}",
            bitkv_spelling::suggestion(policy, &names)
        );
        ensure!(
            Definition,
            !wanted[..i].iter().any(|earlier| same(earlier, policy)),
            "--policy {policy} is given twice: remove one"
        );
    }
    Ok(())
}

/// Returns whether two texts name the same policy.
fn same(a: &str, b: &str) -> bool {
    PolicyText::new(a) == PolicyText::new(b)
}

/// Returns the texts of a list.
fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Table {
        include_str!("../../../../experiments/verify.toml").parse().unwrap()
    }

    /// Returns the budgets and the analysis of a part of the verification.
    fn part(policies: &[&str], budgets: &[f64]) -> (Vec<f64>, String) {
        let mut table = definition();
        let policies: Vec<String> = policies.iter().map(|&text| text.to_owned()).collect();
        keep(&mut table, &policies, budgets).unwrap();
        let own = first(&mut table, "experiment").unwrap()["budgets"].as_array().unwrap().clone();
        let budgets = own.iter().filter_map(Value::as_float).collect();
        (budgets, table["analysis"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_part_keeps_the_order_of_the_definition_and_says_that_it_is_one() {
        let whole = definition()["analysis"].as_str().unwrap().trim().to_owned();
        let cases = [
            (part(&[], &[0.1, 0.5]), vec![1.0, 0.5, 0.1]),
            (part(&["uniform+recency"], &[]), vec![1.0, 0.5, 0.2, 0.1]),
        ];
        for ((budgets, analysis), due) in cases {
            assert_eq!(budgets, due);
            assert!(analysis.starts_with(PART) && analysis.contains(&whole), "{analysis}");
        }
        let mut same = definition();
        keep(&mut same, &[], &[]).unwrap();
        assert_eq!(same, definition());
    }
}
