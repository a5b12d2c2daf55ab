//! Tests, corrections and intervals agree with SciPy and statsmodels. `testdata/statistics/make.py` writes
//! the references.

use bitkv_stats::{
    equivalence, holm, mcnemar, mean_interval, minimum_detectable_effect, paired_test, pearson, quantile,
    spearman,
};
use serde_json::Value;

fn references(name: &str) -> Vec<Value> {
    let all: Value =
        serde_json::from_str(include_str!("../../../testdata/statistics/references.json")).unwrap();
    all[name].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// Checks that `found` equals `expected` up to a relative error.
#[track_caller]
fn assert_near(found: f64, expected: &Value, error: f64) {
    let expected = number(expected);
    assert!((found - expected).abs() <= error * expected.abs(), "{found} instead of {expected}");
}

#[test]
fn mcnemar_is_the_tail_of_a_binomial_distribution() {
    for case in references("mcnemar") {
        let [lost, gained] = ["lost", "gained"].map(|name| case[name].as_u64().unwrap());
        assert_near(mcnemar(lost, gained), &case["p"], 1e-8);
    }
}

#[test]
fn holm_is_that_of_statsmodels() {
    for case in references("holm") {
        let adjusted = holm(&numbers(&case["p"]));
        let expected = case["adjusted"].as_array().unwrap();
        assert_eq!(adjusted.len(), expected.len());
        adjusted.iter().zip(expected).for_each(|(found, expected)| assert_near(*found, expected, 1e-12));
    }
}

#[test]
fn correlations_with_ties_are_those_of_scipy() {
    for case in references("correlation") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        assert_near(pearson(&x, &y).unwrap(), &case["pearson"], 1e-10);
        assert_near(spearman(&x, &y).unwrap(), &case["spearman"], 1e-10);
    }
}

#[test]
fn quantiles_are_those_of_numpy() {
    for case in references("samples") {
        for pair in case["quantiles"].as_array().unwrap() {
            let found = quantile(&numbers(&case["values"]), number(&pair[0])).unwrap();
            assert_near(found, &pair[1], 1e-12);
        }
    }
}

#[test]
fn equivalence_is_the_tost_of_statsmodels() {
    for case in references("samples") {
        let expected = &case["equivalence"];
        let found = equivalence(&numbers(&case["values"]), number(&expected["margin"])).unwrap();
        assert_near(found.p_value, &expected["p"], 1e-9);
        assert_near(found.low, &expected["low"], 1e-9);
        assert_near(found.high, &expected["high"], 1e-9);
    }
}

#[test]
fn the_minimum_detectable_effect_is_near_the_exact_one() {
    for case in references("samples") {
        let values = numbers(&case["values"]);
        // The exact one needs the noncentral t distribution.
        assert_near(minimum_detectable_effect(&values).unwrap(), &case["minimum_detectable_effect"], 0.02);
    }
}

#[test]
fn the_interval_and_its_test_are_those_of_scipy_distributions() {
    for case in references("samples") {
        let (values, expected) = (numbers(&case["values"]), &case["interval"]);
        let found = mean_interval(&values).unwrap();
        assert_near(found.low, &expected["low"], 1e-8);
        assert_near(found.high, &expected["high"], 1e-8);
        assert_near(paired_test(&values).unwrap(), &expected["p"], 1e-8);
    }
}
