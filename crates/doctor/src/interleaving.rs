//! Checks that codes are in the order they were trained in.
//!
//! Neither the bytes nor the norms of activations show a wrong order, because a norm precedes or follows
//! every projection. But the tensors of a trained model are correlated: the columns that read a channel have
//! an unusual number of zeros if the norm scales that channel down, and neurons with few inputs have few
//! outputs. A wrong order destroys this agreement, and undoing the right mistake restores it. [`structure`]
//! does the same for the layouts of GGUF files.

use bitkv_checkpoint::{Checkpoint, NormShape, structure};

use crate::{
    Examination, Finding,
    codes::{Codes, Matrix},
    finding::{Judgement, fault, fine, note, warning},
    order::{NonZeros, Order},
};

const CHECK: &str = "interleaving";

/// The number of layers that are examined: enough for any trained model, and quick to read.
const LAYERS: usize = 4;

/// A mistake is reported only if undoing it increases the agreement by this much, and by the factor
/// [`RATIO`]. The unit is the standard deviation of the agreement of unrelated tensors. In the two built-in
/// models the right order gives 89 and 76 for rows and 143 and 211 for columns, a wrong order at most 14, and
/// random weights show at most 4.
const CLEAR: f64 = 30.0;
/// Undoing a mistake must also make the agreement of rows this many times larger.
const RATIO: f64 = 2.0;

/// The least agreement that shows the stored order to be right, in standard deviations.
const PRESENT: f64 = 15.0;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let Examination { evidence, codes, balance, .. } = examination;
    let zero = balance.zero_code();
    let Some(scores) = Scores::new(&evidence.checkpoint, codes, zero) else { return Vec::new() };
    let (mistake, undone) = scores.best_mistake();
    let judgement = if scores.is_clear(undone) {
        fault(mistake.means(), mistake.remedy())
    } else {
        scores.right.judge(evidence.checkpoint.gguf().is_some_and(|gguf| gguf.i2s_layout().is_some()))
    };
    let place = format!("all {} linear weights", codes.matrices.len());
    let found = format!(
        "norms, rows and columns of neighbouring tensors agree beyond chance by this many standard deviations: {} in the \
         stored order, and at best {undone} in another order",
        scores.right
    );
    vec![Finding::new(CHECK, place, found, judgement)]
}

/// How much more tensors agree than unrelated tensors would, in standard deviations.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    /// The agreement of columns with the norms of the same channels.
    columns: f64,
    /// The agreement of rows with norms and columns of the same channels.
    rows: f64,
}

impl Score {
    fn total(self) -> f64 {
        self.columns + self.rows
    }

    /// Judges the agreement of the stored order if no mistake explains it better. `layouts` says whether
    /// columns could be read in several layouts.
    fn judge(self, layouts: bool) -> Judgement {
        let means = match (self.columns >= PRESENT, self.rows >= PRESENT) {
            (true, true) => return fine(Order::Right.means()),
            (false, true) if layouts => {
                return warning(
                    "rows are in the order they were trained in but columns are not, so the I2_S tensors are read in \
                     another layout than they were written in",
                    "leave out --i2s-layout so that the layout is detected, or try another layout with it",
                );
            }
            (false, true) => {
                "rows are in the order they were trained in; columns agree too little to show their order"
            }
            (true, false) => {
                "columns are in the order they were trained in; rows agree too little to show their order"
            }
            (false, false) => {
                "there is too little agreement to recognise a wrong order, as in random weights"
            }
        };
        note(means, "compare the codes with the master weights, if you have them: --masters MODEL")
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "columns {:.0}, rows {:.0}", self.columns, self.rows)
    }
}

/// The scores of the stored order and of every mistake undone.
struct Scores {
    right: Score,
    wrong: [(Order, Score); 5],
}

impl Scores {
    /// Returns `None` if no layer can be examined.
    fn new(checkpoint: &Checkpoint, codes: &Codes, zero: u8) -> Option<Scores> {
        let count = checkpoint.config().num_hidden_layers;
        let step = count.div_ceil(LAYERS).max(1);
        let layers: Vec<Layer> =
            (0..count).step_by(step).filter_map(|layer| Layer::new(checkpoint, codes, layer, zero)).collect();
        if layers.is_empty() {
            return None;
        }
        let score = |order: Order| {
            let (columns, rows): (Vec<_>, Vec<_>) =
                layers.iter().map(|layer| layer.squares(order, zero)).unzip();
            Score { columns: beyond_chance(&columns.concat()), rows: beyond_chance(&rows.concat()) }
        };
        Some(Scores { right: score(Order::Right), wrong: Order::WRONG.map(|order| (order, score(order))) })
    }

    fn best_mistake(&self) -> (Order, Score) {
        let best = self.wrong.iter().max_by(|a, b| a.1.total().total_cmp(&b.1.total()));
        *best.expect("the list of mistakes is not empty")
    }

    fn is_clear(&self, wrong: Score) -> bool {
        wrong.total() >= self.right.total() + CLEAR && wrong.rows >= RATIO * self.right.rows
    }
}

/// Returns how much the sum of squared agreements exceeds that of unrelated lists, in standard deviations; 0
/// for an empty slice.
fn beyond_chance(squares: &[f64]) -> f64 {
    let count = squares.len() as f64;
    if squares.is_empty() {
        return 0.0;
    }
    (squares.iter().sum::<f64>() - count) / (2.0 * count).sqrt()
}

/// The matrices of a layer, with their counts in the stored order, and the absolute values of the weights of
/// its norms.
struct Layer<'a> {
    /// q, k, v, o, gate, up and down.
    matrices: [(&'a Matrix, NonZeros); 7],
    input: Option<Vec<f32>>,
    attention_sub: Option<Vec<f32>>,
    post_attention: Option<Vec<f32>>,
    mlp_sub: Option<Vec<f32>>,
    head_dim: usize,
    group: usize,
}

impl<'a> Layer<'a> {
    /// Returns `None` if a matrix is missing or damaged, or if its number of rows is not a multiple of four.
    fn new(checkpoint: &Checkpoint, codes: &'a Codes, layer: usize, zero: u8) -> Option<Layer<'a>> {
        let config = checkpoint.config();
        let usable = |shape: &bitkv_checkpoint::LinearShape| {
            let matrix = codes.named(&shape.name)?;
            let is_usable = shape.rows.is_multiple_of(4) && matrix.counts[3] == 0;
            is_usable.then(|| (matrix, NonZeros::count(&matrix.linear, Order::Right, zero)))
        };
        let matrices: Vec<_> = config.linears(layer).iter().map(usable).collect::<Option<_>>()?;
        let norms = config.norms(layer);
        let norm = |shape: &NormShape| {
            checkpoint.norm(shape).ok().map(|weights| weights.iter().map(|w| w.abs()).collect::<Vec<f32>>())
        };
        Some(Layer {
            matrices: matrices.try_into().ok()?,
            input: norm(&norms.input),
            attention_sub: norms.attention_sub.as_ref().and_then(norm),
            post_attention: norm(&norms.post_attention),
            mlp_sub: norms.mlp_sub.as_ref().and_then(norm),
            head_dim: config.head_dim,
            group: config.group_size(),
        })
    }

    /// Returns squared agreements after undoing `order`: first of columns with norms, then of rows with norms
    /// and columns of the same channels.
    fn squares(&self, order: Order, zero: u8) -> (Vec<f64>, Vec<f64>) {
        let [q, k, v, o, gate, up, down] = self.matrices.each_ref().map(|(matrix, stored)| match order {
            Order::Right => stored.clone(),
            _ if order.mixes_rows() => NonZeros::count(&matrix.linear, order, zero),
            _ => stored.reordered(order),
        });
        // All query heads of a group read the values of one KV head.
        let values: Vec<f32> =
            v.rows.chunks(self.head_dim).flat_map(|head| head.repeat(self.group)).collect();
        let columns = [
            (&self.input, &q),
            (&self.input, &k),
            (&self.input, &v),
            (&self.attention_sub, &o),
            (&self.post_attention, &gate),
            (&self.post_attention, &up),
            (&self.mlp_sub, &down),
        ];
        let columns =
            columns.into_iter().filter_map(|(norm, matrix)| Some(squared(norm.as_ref()?, &matrix.cols)));
        let of_norms =
            [(&self.mlp_sub, &gate.rows), (&self.mlp_sub, &up.rows), (&self.attention_sub, &values)];
        let of_norms = of_norms.into_iter().filter_map(|(norm, rows)| Some(squared(norm.as_ref()?, rows)));
        let of_columns = [(&down.cols, &gate.rows), (&down.cols, &up.rows), (&o.cols, &values)];
        let of_columns = of_columns.into_iter().map(|(columns, rows)| squared(columns, rows));
        (columns.collect(), of_norms.chain(of_columns).collect())
    }
}

/// Returns the squared agreement of two lists.
fn squared(a: &[f32], b: &[f32]) -> f64 {
    structure::agreement(a, b).powi(2)
}
