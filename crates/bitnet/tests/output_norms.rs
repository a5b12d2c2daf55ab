//! Compares the norms of values after the output projection with norms computed from weights that the test
//! ternarises itself.

mod common;

use bitkv_bitnet::{Architecture, CachePrecision, Model, Probes};
use common::{Masters, Random};

/// Returns the weights of a layer as -1, 0 or 1 times their mean magnitude.
fn ternarised(masters: &Masters, name: &str) -> Vec<f64> {
    let weights = &masters[name].1;
    let scale = weights.iter().map(|w| f64::from(w.abs())).sum::<f64>() / weights.len() as f64;
    weights.iter().map(|w| (f64::from(*w) / scale).round().clamp(-1.0, 1.0) * scale).collect()
}

fn values(model: &Model) -> Vec<Vec<f32>> {
    let probes = Probes { values: true, ..Probes::default() };
    let mut cache = model.new_cache_with_precision(CachePrecision::F32);
    model.forward(&Random(4).tokens(300, 61), &mut cache, Some(&probes)).unwrap().probed.unwrap().values
}

#[test]
fn norms_are_sums_of_projected_values() {
    for architecture in [Architecture::BitNet, Architecture::OneBitLlm, Architecture::Llama] {
        let config = common::config(architecture);
        let masters = common::masters(&config, 3);
        let model = common::load_masters(&config, &masters);
        let mut values = values(&model);
        // Heads may have different lengths; one of them is empty here.
        values[1].truncate(17 * 6);
        values[2].clear();
        let (heads, kv_heads, hidden) = (6, config.num_key_value_heads, 36);
        for with_sub_norm in [false, true] {
            let norms = model.value_output_norms(&values, with_sub_norm);
            assert_eq!(norms.len(), 3 * heads);
            for (i, norms) in norms.iter().enumerate() {
                let (layer, head) = (i / heads, i % heads);
                let weights = ternarised(&masters, &format!("model.layers.{layer}.self_attn.o_proj.weight"));
                let norm = config.norms(layer).attention_sub.filter(|_| with_sub_norm);
                let gain = norm.map(|norm| &masters[&norm.name].1);
                let values = &values[layer * kv_heads + head / (heads / kv_heads)];
                assert_eq!(norms.len(), values.len() / 6);
                for (token, (norm, value)) in norms.iter().zip(values.chunks(6)).enumerate() {
                    let entry = |d: usize| {
                        f64::from(value[d]) * gain.map_or(1.0, |gain| f64::from(gain[head * 6 + d]))
                    };
                    let output = |row: usize| {
                        (0..6).map(|d| weights[row * heads * 6 + head * 6 + d] * entry(d)).sum::<f64>().abs()
                    };
                    let exact: f64 = (0..hidden).map(output).sum();
                    assert!(
                        (f64::from(*norm) - exact).abs() < 1e-5 * (1.0 + exact),
                        "{architecture:?} {with_sub_norm} head {i} token {token}: {norm} for {exact}"
                    );
                }
            }
        }
    }
}
