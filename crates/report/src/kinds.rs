//! Says in every table whether a model is ternary or a control, if a run has models that are not ternary.

use std::collections::BTreeMap;

use bitkv_record::WeightKind;

use crate::Run;
use crate::block::{Block, Document};
use crate::table::Table;

/// The kind of weights of each model, by name. It is empty if all models are ternary.
pub(crate) struct Kinds<'a>(BTreeMap<&'a str, WeightKind>);

impl<'a> Kinds<'a> {
    /// Returns the kinds of the models of a run.
    pub(crate) fn new(run: &Run<'a>) -> Self {
        let rows = run.rows.iter().map(|row| (&row.model, row.weights));
        let heads = run.heads.iter().map(|row| (&row.model, row.weights));
        let memory = run.memory.iter().map(|row| (&row.model, row.weights));
        let known = rows.chain(heads).chain(memory);
        let kinds: BTreeMap<&str, WeightKind> =
            known.filter_map(|(model, kind)| Some((model.as_str(), kind?))).collect();
        let all_ternary = kinds.values().all(|kind| *kind == WeightKind::Ternary);
        Kinds(if all_ternary { BTreeMap::new() } else { kinds })
    }

    /// Adds the kind after the first mention of each model.
    pub(crate) fn mark(&self, text: &mut String) {
        for (model, kind) in &self.0 {
            if let Some(end) = end_of_name(text, model) {
                text.insert_str(end, &format!(" ({kind})"));
            }
        }
    }

    /// Adds the kind to the texts of a table.
    pub(crate) fn mark_table(&self, table: &mut Table) {
        table.edit_texts(|text| self.mark(text));
    }

    /// Adds the kind to every heading, list, table and figure that names a model.
    pub(crate) fn mark_blocks(&self, blocks: &mut [Block]) {
        for block in blocks {
            match block {
                Block::Heading(_, text) => self.mark(text),
                Block::List(items) => items.iter_mut().for_each(|item| self.mark(item)),
                Block::Table(table) => self.mark_table(table),
                Block::Figure(figure) => self.mark(&mut figure.caption),
                Block::Details(title, inner) => {
                    self.mark(title);
                    self.mark_blocks(inner);
                }
                // The title of a verdict is that of a claim, and paragraphs have no numbers.
                Block::Text(_) | Block::Code(_) | Block::Verdict { .. } => {}
            }
        }
    }
}

/// Adds the kind of weights to every heading, table and figure of a report that names a model.
pub(crate) fn mark(mut document: Document, run: &Run<'_>) -> Document {
    let kinds = Kinds::new(run);
    kinds.mark(&mut document.title);
    kinds.mark_blocks(&mut document.blocks);
    document
}

/// Returns the end of the first mention of a name that is neither a part of a longer name nor an argument of
/// a command.
fn end_of_name(text: &str, name: &str) -> Option<usize> {
    let joins = |c: char| c.is_alphanumeric() || ['+', '-', '_', '/'].contains(&c);
    text.match_indices(name).map(|(start, _)| (start, start + name.len())).find_map(|(start, end)| {
        let before = &text[..start];
        let before = before.ends_with("--model ") || before.chars().next_back().is_some_and(joins);
        let mut rest = text[end..].chars();
        let after = match rest.next() {
            Some('.') => rest.next().is_some_and(joins),
            next => next.is_some_and(joins),
        };
        (!before && !after).then_some(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_marked() {
        let kinds = Kinds(BTreeMap::from([("m", WeightKind::Ternary), ("m-2", WeightKind::Control)]));
        for (text, marked) in [
            ("m", "m (ternary)"),
            ("KL of m-2, by budget", "KL of m-2 (control), by budget"),
            ("m and m-2.", "m (ternary) and m-2 (control)."),
            ("bitkv memory --model m --json", "bitkv memory --model m --json"),
            ("m+plain-llama, m.gguf, x/m, m_1", "m+plain-llama, m.gguf, x/m, m_1"),
        ] {
            let mut text = text.to_owned();
            kinds.mark(&mut text);
            assert_eq!(text, marked);
        }
    }
}
