//! Counts the work of a finished shard from its rows.

use std::{collections::BTreeMap, io::Read, path::Path};

use serde::Deserialize;

use crate::{Error, Result, Shape, Work};

/// The tokens of a question of the task `recall` and its answer: one each. Rows record how many questions
/// were asked, not their lengths.
const TOKENS_PER_QUESTION: f64 = 2.0;

/// The columns of a row that say how much work it was.
#[derive(Deserialize)]
struct Row {
    experiment: String,
    model: String,
    form: String,
    task: String,
    text: String,
    context_tokens: f64,
    kept_entries: Option<f64>,
    full_entries: Option<f64>,
    targets: Option<f64>,
    questions: Option<f64>,
}

/// Counts the work of the rows in `rows.csv`. Rows of one text, task and model share a prefill.
///
/// # Errors
/// Returns an error if a column is missing, or if a row names a model that is not built in.
pub fn count(path: &Path, csv: impl Read) -> Result<Work> {
    let mut contexts: BTreeMap<[String; 5], Work> = BTreeMap::new();
    for row in csv::Reader::from_reader(csv).deserialize() {
        let row: Row = row.map_err(|cause| {
            Error::in_file(path, cause, "give the rows.csv of a finished shard of experiments/scaling.toml")
        })?;
        let shape = Shape::built_in(&row.model).ok_or_else(|| {
            Error::in_file(
                path,
                format!("the model {} is not built in", row.model),
                "measure a definition that names only tiny-mha and tiny-gqa",
            )
        })?;
        let cell = cell_work(&shape, &row);
        let tokens = row.context_tokens.to_string();
        let key = [row.experiment, row.model + &row.form, row.task, row.text, tokens];
        let context = contexts.entry(key).or_insert_with(|| prefill_work(&shape, row.context_tokens));
        *context += cell;
    }
    let mut all = Work::default();
    for mut context in contexts.into_values() {
        context.longest_ops = context.ops();
        all += context;
    }
    Ok(all)
}

fn prefill_work(shape: &Shape, tokens: f64) -> Work {
    Work {
        contexts: 1.0,
        prefilled_tokens: tokens,
        prefill_ops: tokens * shape.linear_ops(),
        prefill_attention_ops: shape.prefill_attention_ops(tokens),
        entries: shape.entries(tokens),
        cache_bytes: shape.cache_bytes(tokens),
        ..Work::default()
    }
}

fn cell_work(shape: &Shape, row: &Row) -> Work {
    let tokens = row.targets.unwrap_or(0.0) + row.questions.unwrap_or(0.0) * TOKENS_PER_QUESTION;
    Work {
        rows: 1.0,
        scored_tokens: tokens,
        cell_ops: tokens * (shape.linear_ops() + shape.lm_head_ops()),
        cell_attention_ops: tokens * shape.attention_ops(row.kept_entries.unwrap_or(0.0)),
        planned_entries: row.full_entries.unwrap_or(0.0),
        ..Work::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "\
experiment,model,form,task,text,context_tokens,kept_entries,full_entries,targets,questions
a,tiny-mha,true,text,one,896,28672,28672,127,0
a,tiny-mha,true,text,one,896,7168,28672,127,0
a,tiny-gqa,true,text,one,896,7168,7168,127,0
a,tiny-gqa,true,recall,two,132,,,,5
";

    #[test]
    fn rows_of_one_context_share_a_prefill() {
        let work = count(Path::new("rows.csv"), ROWS.as_bytes()).unwrap();
        assert_eq!((work.contexts, work.rows), (3.0, 4.0));
        assert_eq!(work.prefilled_tokens, 896.0 * 2.0 + 132.0);
        assert_eq!(work.scored_tokens, 3.0 * 127.0 + 5.0 * 2.0);
        assert_eq!(work.planned_entries, 2.0 * 28_672.0 + 7168.0);
        assert!(work.longest_ops < work.ops() && work.longest_ops > work.ops() / 3.0);
    }

    #[test]
    fn no_rows_are_no_work() {
        let header = ROWS.lines().next().unwrap();
        assert_eq!(count(Path::new("rows.csv"), header.as_bytes()).unwrap(), Work::default());
    }

    #[test]
    fn errors_say_what_to_give() {
        let other = ROWS.replace("tiny-gqa", "2b-4t");
        let error = count(Path::new("rows.csv"), other.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("rows.csv") && error.contains("tiny-mha and tiny-gqa"), "{error}");
        let error = count(Path::new("rows.csv"), "a\n1\n".as_bytes()).unwrap_err().to_string();
        assert!(error.contains("finished shard"), "{error}");
    }
}
