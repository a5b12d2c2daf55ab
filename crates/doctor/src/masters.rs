//! Compares codes and scales with those of the master weights, if these are given.

use bitkv_checkpoint::{Architecture, Checkpoint, Config, Linear, ScaleRule, WeightFormat};

use crate::{
    Examination, Finding,
    finding::{fault, fine, warning},
    map::{ZERO, corrected_code},
    order::{Buffers, Order},
};

const CHECK: &str = "masters";
const SCALES: &str = "masters-scale";

/// The number of groups of four rows that are compared in each matrix.
const GROUPS: usize = 8;

/// If at least this fraction of the codes is equal, the weights were made ternary as in transformers. A
/// different order of summation changes one code in a million.
const EXACT: f64 = 0.9999;
/// If at least this fraction of the codes is equal, the differences come from rounding. Arithmetic in bf16
/// changes one code in a thousand.
const ROUNDED: f64 = 0.99;

/// One unit in the last place of a bf16 scale, as a fraction of the scale.
const SCALE_ULP: f32 = 1.0 / 128.0;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let Some(masters) = &examination.evidence.masters else { return Vec::new() };
    let (config, theirs) = (examination.evidence.checkpoint.config(), masters.config());
    if let Some(difference) = difference(config, theirs) {
        let remedy =
            format!("give the master weights that {} was made from", examination.evidence.checkpoint.file());
        let judgement = fault("these are not master weights of this model", remedy);
        return vec![Finding::new(CHECK, "config.json", difference, judgement)];
    }
    let mut pairs = Vec::new();
    for matrix in &examination.codes.matrices {
        match masters.linear(matrix.linear.shape()) {
            Ok(theirs) => pairs.push((&matrix.linear, theirs)),
            Err(refusal) => {
                let means =
                    "the master weights are damaged or incomplete, so nothing can be compared with them";
                let judgement = fault(means, "download the master weights again");
                return vec![Finding::new(CHECK, masters.file(), refusal.to_string(), judgement)];
            }
        }
    }
    if pairs.is_empty() {
        return Vec::new();
    }
    vec![codes(&pairs), scales(&examination.evidence.checkpoint, &pairs)]
}

/// Describes the first size in which two configurations differ; `None` if they agree.
fn difference(ours: &Config, theirs: &Config) -> Option<String> {
    type Size = fn(&Config) -> usize;
    let sizes: [(&str, Size); 7] = [
        ("vocab_size", |c| c.vocab_size),
        ("hidden_size", |c| c.hidden_size),
        ("intermediate_size", |c| c.intermediate_size),
        ("num_hidden_layers", |c| c.num_hidden_layers),
        ("num_attention_heads", |c| c.num_attention_heads),
        ("num_key_value_heads", |c| c.num_key_value_heads),
        ("head_dim", |c| c.head_dim),
    ];
    let (key, size) = sizes.into_iter().find(|(_, size)| size(ours) != size(theirs))?;
    Some(format!("`{key}` is {} here and {} in the master weights", size(ours), size(theirs)))
}

/// One way to read the stored codes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    /// The code that means zero.
    zero: u8,
    /// Whether +1 and -1 are exchanged.
    exchanged: bool,
    order: Order,
}

const AS_STORED: Reading = Reading { zero: ZERO, exchanged: false, order: Order::Right };

impl Reading {
    /// Returns every reading that differs from the stored one.
    fn wrong() -> impl Iterator<Item = Reading> {
        let orders = [Order::Right].into_iter().chain(Order::WRONG);
        let maps = move |order| {
            [1, 0, 2]
                .into_iter()
                .flat_map(move |zero| [false, true].map(|exchanged| Reading { zero, exchanged, order }))
        };
        orders.flat_map(maps).filter(|reading| *reading != AS_STORED)
    }

    /// Returns the right code for a stored one.
    fn code(self, stored: u8) -> u8 {
        let code = corrected_code(stored, self.zero);
        if self.exchanged && code < 3 { 2 - code } else { code }
    }

    /// Returns the fraction of the sampled codes that equal those of the master weights in this reading.
    fn equal_fraction(self, pairs: &[(&Linear, Linear)]) -> f64 {
        let counts = pairs.iter().map(|(ours, theirs)| self.count(ours, theirs));
        let (same, all) = counts.fold((0, 0), |(same, all), (s, a)| (same + s, all + a));
        same as f64 / all.max(1) as f64
    }

    /// Returns how many codes of a matrix are equal, and how many were compared.
    fn count(self, ours: &Linear, theirs: &Linear) -> (usize, usize) {
        let (groups, cols) = (ours.shape().rows / 4, ours.shape().cols);
        let (mut buffers, mut master, mut same, mut all) = (Buffers::new(cols), vec![0; cols], 0, 0);
        for group in (0..groups).step_by(groups.div_ceil(GROUPS).max(1)) {
            let belong = self.order.undo(ours, group, &mut buffers);
            for (row, codes) in belong.into_iter().zip(buffers.restored.chunks_exact(cols)) {
                theirs.codes(row, &mut master);
                same += codes.iter().zip(&master).filter(|(a, b)| self.code(**a) == **b).count();
                all += cols;
            }
        }
        (same, all)
    }

    fn means(self) -> String {
        let zeros = match self.zero {
            0 => "the weights were packed with the map 00=0, 01=+1, 10=-1",
            2 => "the original was decoded with the map 00=0, 01=+1, 10=-1 and the result was written",
            _ => "code 1 means zero, as it should",
        };
        let signs = if self.exchanged { ", with +1 and -1 exchanged" } else { "" };
        match (self.order, self.zero == ZERO && !self.exchanged) {
            (Order::Right, _) => format!("{zeros}{signs}"),
            (order, true) => order.means().into(),
            (order, false) => format!("{zeros}{signs}; also, {}", order.means()),
        }
    }
}

fn codes(pairs: &[(&Linear, Linear)]) -> Finding {
    let equal = AS_STORED.equal_fraction(pairs);
    let place = format!("all {} linear weights", pairs.len());
    let found = format!("{:.4} % of the sampled codes equal those of the master weights", 100.0 * equal);
    let judgement = if equal >= EXACT {
        fine("the weights are unpacked as they were packed")
    } else if equal >= ROUNDED {
        warning(
            "the weights were made ternary with other rounding than the f32 arithmetic of transformers, such as the bf16 \
             arithmetic of onebitllms, or the master weights belong to another revision",
            "use the master weights of the same revision",
        )
    } else {
        let readings = Reading::wrong().map(|reading| (reading, reading.equal_fraction(pairs)));
        match readings.max_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((reading, part)) if part >= ROUNDED => fault(
                format!("{} (undoing that makes {:.4} % equal)", reading.means(), 100.0 * part),
                match reading.order {
                    Order::Right => "convert the original with 00=-1, 01=0, 10=+1",
                    order => order.remedy(),
                },
            ),
            _ => fault(
                "no known decode map and no known order of codes makes them equal, so the weights are damaged or belong to \
                 another model",
                "convert the master weights again",
            ),
        }
    };
    Finding::new(CHECK, place, found, judgement)
}

fn scales(checkpoint: &Checkpoint, pairs: &[(&Linear, Linear)]) -> Finding {
    let are_equal = |a: f32, b: f32| (a / b - 1.0).abs() <= SCALE_ULP;
    let counts = pairs.iter().fold([0; 3], |mut counts, (ours, theirs)| {
        let (ours, theirs) = (ours.multiplier(), theirs.multiplier());
        let kind = if are_equal(ours, theirs) {
            0
        } else if are_equal(1.0 / ours, theirs) {
            1
        } else {
            2
        };
        counts[kind] += 1;
        counts
    });
    let [equal, reciprocal, other] = counts;
    let judgement = match counts {
        [_, 0, 0] => {
            fine("the scales are those of the master weights, and they are applied in the right direction")
        }
        [_, reciprocal, 0] if reciprocal > equal => fault(
            "the scales are applied in the wrong direction: they divide where they should multiply, or the reverse",
            remedy(checkpoint),
        ),
        _ => fault(
            "these scales are neither mean|W| nor 1 / mean|W| of the master weights, so they are damaged, or the master \
             weights belong to another model",
            "convert the master weights again",
        ),
    };
    let found = format!(
        "within a unit in the last place of bf16, {equal} multipliers equal those of the master weights, {reciprocal} \
         equal their reciprocal, and {other} equal neither"
    );
    Finding::new(SCALES, format!("all {} linear weights", pairs.len()), found, judgement)
}

/// Returns the remedy for scales that are applied in the wrong direction.
pub(crate) fn remedy(checkpoint: &Checkpoint) -> String {
    let config = checkpoint.config();
    match config.weights {
        _ if checkpoint.gguf().is_some() => {
            "convert the model again from its source; if bitkv wrote this file, first let `linear_class` in the \
             `quantization_config` of the source's config.json be the other of bitlinear and autobitlinear"
                .into()
        }
        WeightFormat::Packed(rule)
            if config.architecture != Architecture::OneBitLlm || rule == ScaleRule::Divide =>
        {
            let class = if rule == ScaleRule::Divide { "autobitlinear" } else { "bitlinear" };
            format!("set `linear_class` in the `quantization_config` of config.json to {class}")
        }
        _ => "convert the model again from its source".into(),
    }
}
