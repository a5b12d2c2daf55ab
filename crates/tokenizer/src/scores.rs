//! Derives scores of pieces from a list of merges.

use std::collections::{HashMap, HashSet};

use tokenizers::models::bpe::Vocab;

use crate::{
    Result, TokenType, Tokenizer, Vocabulary,
    merges::{all_merges, splits},
};

impl Tokenizer {
    /// Returns a score for every id, `[ids]`, such that merging the best piece first gives the same result as
    /// applying the merges in order.
    ///
    /// Such scores exist if every split of a piece is a merge, and if all merges that make the same piece are
    /// next to each other in the list. Merges of several pieces may also be mixed, but only as [`all_merges`]
    /// mixes the merges of pieces with the same score.
    ///
    /// # Errors
    /// Returns an error if no such scores exist.
    pub(crate) fn scores_of_merges(&self, vocabulary: &Vocabulary) -> Result<Vec<f32>> {
        let normal = |id: &u32| {
            (*id as usize) < vocabulary.tokens.len()
                && vocabulary.token_types[*id as usize] == TokenType::Normal as i32
        };
        let token = |id: u32| vocabulary.tokens.get(id as usize).map_or("", String::as_str);
        let all = 0..vocabulary.tokens.len() as u32;
        let ids: Vocab = all.clone().filter(normal).map(|id| (token(id).to_string(), id)).collect();
        let listed: HashSet<(u32, u32)> = self.merges.iter().copied().collect();
        for id in self.pieces.ids().iter().filter(|id| normal(id)) {
            let lacking = splits(token(*id), &ids).find(|(a, b)| !listed.contains(&(ids[*a], ids[*b])));
            if let Some((a, b)) = lacking {
                return Err(self.inexact(format!(
                    "it never merges `{a}` and `{b}`, although the merged text is a token"
                )));
            }
        }
        let made_piece = |a: &str, b: &str| ids.get(format!("{a}{b}").as_str()).copied();
        let pairs = self.merges.iter().map(|(left, right)| (token(*left), token(*right)));
        let makes: Vec<_> = pairs.filter_map(|(a, b)| Some((a, b, made_piece(a, b)?))).collect();
        let ranks = ranks(makes.iter().map(|(.., piece)| *piece));
        let score = |id: u32| -(ranks.get(&id).map_or(ranks.len(), |rank| *rank) as f32);
        let scored = self.pieces.ids().iter().filter(|id| normal(id)).map(|id| (token(*id), score(*id)));
        let rebuilt = all_merges(scored, &ids, &self.file)?;
        let misplaced_merge = |((a, b, piece), (c, d)): (&(&str, &str, u32), &(String, String))| {
            if made_piece(c, d) == Some(*piece) { None } else { Some(format!("`{a}` and `{b}`")) }
        };
        match makes.iter().zip(&rebuilt).find_map(misplaced_merge) {
            None if makes.len() == rebuilt.len() => Ok(all.map(score).collect()),
            misplaced => {
                let misplaced = misplaced.unwrap_or_else(|| "something that is not a piece of text".into());
                Err(self.inexact(format!(
                    "no scores give the merge of {misplaced} its place among the other merges"
                )))
            }
        }
    }
}

/// Returns the rank of each piece, 0 for the best one. `made_piece` iterates over the pieces that the merges
/// make, in order. Pieces whose merges are mixed get the same rank, as if they had the same score.
fn ranks(made_piece: impl Iterator<Item = u32> + Clone) -> HashMap<u32, usize> {
    let last: HashMap<u32, usize> = made_piece.clone().enumerate().map(|(at, piece)| (piece, at)).collect();
    let mut ranks = HashMap::new();
    let (mut rank, mut end) = (0, 0);
    for (at, piece) in made_piece.enumerate() {
        if at > end {
            rank += 1;
        }
        end = end.max(last[&piece]).max(at);
        ranks.insert(piece, rank);
    }
    ranks
}
