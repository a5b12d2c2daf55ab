//! Variables that take each other's value.

use bitkv_stats::Rng;

use super::haystack::{Haystack, Planted};
use super::{Question, Retrieval, TaskKind, Words};

use crate::Result;

/// Chains in a context. The first is the worked example at the head of every question, the others are asked.
const CHAINS: usize = 3;
/// Variables of a chain: as many steps lead from the last one to the value.
const NAMES: usize = 3;

/// A chain is a word that is a value and then names, each assigned in a line `name before`; lines keep their order
/// but stand apart. A question shows the first chain followed back, `name3 name2 name1 value`, and the
/// last name of another; the answer follows that one back.
pub(super) fn draw(words: &Words, tokens: usize, _index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let all = words.shuffled(rng);
    let (chains, filler) = all.split_at(CHAINS * (1 + NAMES));
    let chains: Vec<&[u32]> = chains.chunks_exact(1 + NAMES).collect();
    let planted: Vec<Vec<Planted>> = chains.iter().map(|chain| assignments(chain, rng)).collect();
    let back = |chain: &[u32]| -> Vec<u32> { chain.iter().rev().copied().collect() };
    let example = [back(chains[0]), vec![words.newline()]].concat();
    let questions = (1..CHAINS)
        .map(|i| {
            let way = back(chains[i]);
            let prompt = [&example[..], &way[..1]].concat();
            Question { prompt, answer: way[1..].to_vec(), depth: Some(planted[i][0].depth) }
        })
        .collect();
    let hay = Haystack { kind: TaskKind::Variables, words, filler, tokens };
    Ok(Retrieval { context: hay.with(planted.concat(), rng)?, questions })
}

/// The lines of a chain, at random depths in ascending order; the first one holds the value.
fn assignments(chain: &[u32], rng: &mut Rng) -> Vec<Planted> {
    let mut depths: Vec<f64> = chain[1..].iter().map(|_| rng.unit()).collect();
    depths.sort_by(f64::total_cmp);
    let line = |(pair, depth): (&[u32], f64)| Planted { depth, words: vec![pair[1], pair[0]] };
    chain.windows(2).zip(depths).map(line).collect()
}
