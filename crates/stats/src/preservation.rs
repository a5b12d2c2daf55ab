//! Measures how much of an attention row the kept positions preserve.

/// Returns the sums of `p` and of `p^2`, over the kept positions and over all positions.
fn masses(row: &[f32], kept: &[u32]) -> [(f64, f64); 2] {
    let add = |(sum, squares): (f64, f64), p: f32| {
        let p = f64::from(p);
        (sum + p, squares + p * p)
    };
    let kept = kept.iter().filter_map(|&i| row.get(i as usize).copied());
    [kept.fold((0.0, 0.0), add), row.iter().copied().fold((0.0, 0.0), add)]
}

/// Returns the cosine between an attention row and its renormalised kept part: the published "attention
/// preservation", `sqrt(sum_kept p^2 / sum p^2)`, 0..1.
///
/// It stays high for a head that one sink dominates, regardless of what else is evicted, so report
/// [`retained_mass`] with it. `kept` holds distinct positions; positions after the end of the row count as 0.
/// The result is NaN if the row has no mass.
pub fn attention_preservation(row: &[f32], kept: &[u32]) -> f64 {
    let [(_, kept), (_, all)] = masses(row, kept);
    (kept / all).sqrt()
}

/// Returns the fraction of an attention row's mass that falls on the kept positions, 0..1. The row need not
/// sum to 1. `kept` holds distinct positions, as for [`attention_preservation`]. The result is NaN if the row
/// has no mass.
pub fn retained_mass(row: &[f32], kept: &[u32]) -> f64 {
    let [(kept, _), (all, _)] = masses(row, kept);
    kept / all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dominating_sink_hides_the_loss() {
        let mut row = vec![0.5f32];
        row.extend([0.5 / 64.0; 64]);
        assert_eq!(retained_mass(&row, &[0]), 0.5);
        assert!(attention_preservation(&row, &[0]) > 0.99);
    }

    #[test]
    fn known_rows() {
        assert_eq!(attention_preservation(&[0.25; 4], &[0, 1, 2, 3]), 1.0);
        assert_eq!(attention_preservation(&[0.25; 4], &[2]), 0.5);
        assert_eq!(retained_mass(&[0.25; 4], &[2, 9]), 0.25);
        assert_eq!(retained_mass(&[0.25; 4], &[]), 0.0);
        assert!(retained_mass(&[], &[]).is_nan());
    }

    proptest! {
        #[test]
        fn is_the_cosine_with_the_renormalised_part(
            row in prop::collection::vec(0.01..1.0f32, 1..50),
            keep: u64,
        ) {
            let kept: Vec<u32> = (0..row.len() as u32).filter(|i| *i == 0 || keep >> i & 1 == 1).collect();
            let mass: f32 = kept.iter().map(|&i| row[i as usize]).sum();
            let part: Vec<f64> = (0..row.len() as u32)
                .map(|i| if kept.contains(&i) { f64::from(row[i as usize] / mass) } else { 0.0 })
                .collect();
            let dot: f64 = row.iter().zip(&part).map(|(a, b)| f64::from(*a) * b).sum();
            let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
            let cosine = dot / norm(&mut row.iter().map(|&p| f64::from(p))) / norm(&mut part.iter().copied());
            prop_assert!((attention_preservation(&row, &kept) - cosine).abs() < 1e-6);
        }
    }
}
