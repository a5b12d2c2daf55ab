//! The scores of CriticalKV's two stages.

/// Returns CriticalKV's scores, `(score + epsilon) * norm`, where `norms` bound how much evicting a token can
/// change the output. The positions in `chosen`, which the first stage has chosen by `scores` alone, get the
/// highest score.
///
/// Source: Feng et al. 2025 (Identify Critical KV Cache), arXiv:2502.03805.
pub fn two_stage(scores: &[f32], norms: &[f32], chosen: &[u32], epsilon: f32) -> Vec<f32> {
    let mut both: Vec<f32> = scores.iter().zip(norms).map(|(s, norm)| (s + epsilon) * norm).collect();
    chosen.iter().for_each(|&at| both[at as usize] = f32::MAX);
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stage_outranks_the_second() {
        let found = two_stage(&[1.0, 3.0, 0.0], &[4.0, 0.5, 2.0], &[1], 0.5);
        assert_eq!(found, [6.0, f32::MAX, 1.0]);
    }
}
