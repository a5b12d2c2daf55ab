//! The task `variables`: chains of variables, each assigned from the one before.

use bitkv_stats::Rng;

use super::haystack::{Haystack, PlantedLine};
use super::{Question, Retrieval, TaskKind, Words, positions};

use crate::Result;

/// The number of chains in a context. The first is the worked example at the beginning of every question; the
/// others are asked.
const CHAINS: usize = 3;
/// The number of variables in a chain, which is also the number of steps from the last variable to the value.
const NAMES: usize = 3;

/// Draws chains of variables between lines of filler. A chain is a value and then names. The line
/// `name previous` assigns each name from the one before it (the first from the value); the lines of a chain
/// are in order, with filler between them. A question shows the first chain traced back,
/// `name3 name2 name1 value`, and the last name of another chain; the answer traces that chain back.
pub(super) fn draw(words: &Words, tokens: usize, _index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let all = words.shuffled(rng);
    let (chains, filler) = all.split_at(CHAINS * (1 + NAMES));
    let chains: Vec<&[u32]> = chains.chunks_exact(1 + NAMES).collect();
    let planted: Vec<Vec<PlantedLine>> = chains.iter().map(|chain| assignments(chain, rng)).collect();
    let traced_back = |chain: &[u32]| -> Vec<u32> { chain.iter().rev().copied().collect() };
    let example = [traced_back(chains[0]), vec![words.newline()]].concat();
    let hay = Haystack { kind: TaskKind::Variables, words, filler, tokens };
    let context = hay.context_with(planted.concat(), rng)?;
    let question = |i: usize| {
        let trace = traced_back(chains[i]);
        let prompt = [&example[..], &trace[..1]].concat();
        // Each step of the answer is in a line of its own, after the name that it defines.
        let line_positions = |pair: &[u32]| positions::after_prompt(&context, &pair[..1], &pair[1..]);
        let positions = trace.windows(2).flat_map(line_positions).collect();
        Question { prompt, answer: trace[1..].to_vec(), depth: Some(planted[i][0].depth), positions }
    };
    let questions = (1..CHAINS).map(question).collect();
    Ok(Retrieval { context, questions })
}

/// Returns the lines of a chain, at random depths in ascending order. The first one has the value.
fn assignments(chain: &[u32], rng: &mut Rng) -> Vec<PlantedLine> {
    let mut depths: Vec<f64> = chain[1..].iter().map(|_| rng.unit()).collect();
    depths.sort_by(f64::total_cmp);
    let line = |(pair, depth): (&[u32], f64)| PlantedLine { depth, words: vec![pair[1], pair[0]] };
    chain.windows(2).zip(depths).map(line).collect()
}
