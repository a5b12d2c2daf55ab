//! Fits the time of a prefill of T tokens to `a T + b T^2`.

use bitkv_record::{FitPoint, PrefillFit, Range, ThroughputRow, Timed};
use bitkv_stats::linear_and_quadratic;

use crate::Request;

/// Returns one fit for each number of threads, or an empty list if the request asks for no fit.
pub(crate) fn all_fits(request: &Request, rows: &[ThroughputRow]) -> Vec<PrefillFit> {
    let fit_for_threads = |threads: &usize| {
        let wanted = |row: &&ThroughputRow| {
            let plain = row.test == Timed::Prefill && row.probes == "off";
            plain && row.threads == *threads && request.fit.contains(&row.tokens)
        };
        let found = rows.iter().filter(wanted);
        let points: Vec<(f64, f64)> =
            found.filter_map(|row| Some((row.tokens as f64, Range::new(&row.seconds)?.median))).collect();
        fit(*threads, &points)
    };
    request.threads.iter().filter(|_| !request.fit.is_empty()).filter_map(fit_for_threads).collect()
}

/// Returns the fit of `points`, which are pairs of tokens and seconds, or `None` if they have no fit.
fn fit(threads: usize, points: &[(f64, f64)]) -> Option<PrefillFit> {
    let (linear, quadratic) = linear_and_quadratic(points)?;
    let point = |&(tokens, seconds): &(f64, f64)| {
        let fitted = linear * tokens + quadratic * tokens * tokens;
        FitPoint { tokens: tokens as usize, seconds, residual: seconds / fitted - 1.0 }
    };
    Some(PrefillFit {
        threads,
        linear_seconds_per_token: linear,
        quadratic_seconds_per_token_squared: quadratic,
        equal_at_tokens: (quadratic > 0.0).then(|| linear / quadratic),
        points: points.iter().map(point).collect(),
    })
}
