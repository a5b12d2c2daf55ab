//! Fewer tokens or fewer bits? Every KV format at as many bytes as f16 has.

use crate::cells::{Cell, Difference, MODELS, Run};
use crate::finding::{Finding, table};
use crate::sentence::{Check, Sentence, list, nats};
use bitkv_record::KvFormat;

const BUDGETS: [&str; 5] = ["0.5", "0.25", "0.2", "0.1", "0.05"];
const FORMATS: [KvFormat; 4] = [KvFormat::Int8, KvFormat::Kivi4, KvFormat::Int4, KvFormat::Kivi2];
const POLICY: &str = "uniform+window-attention";

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    let run = &Run::newest("quantisation");
    let intro = Sentence::plain(
        "Formats have as many bytes as the f16 cache, and the policy is `uniform+window-attention`.",
    );
    let mut sentences = vec![intro];
    sentences.extend(FORMATS.map(|format| format_sentence(run, format)));
    Finding { title: "Fewer bits or fewer tokens?", sentences, tables: vec![by_budget(run)] }
}

/// Returns the table of the KL of every format at every budget.
fn by_budget(run: &Run) -> String {
    let mut rows = Vec::new();
    for model in MODELS {
        for format in [&[KvFormat::F16], &FORMATS[..]].concat() {
            let mut row = vec![model.to_owned(), format!("`{format}`")];
            for budget in BUDGETS {
                let f16 = Cell::new(model, POLICY, budget);
                let own = f16.clone().kv(format);
                row.push(match run.rows_of(&own).next() {
                    Some(_) => format!("{}{}", nats(run.kl(&own)), run.kl_difference(&own, &f16).star()),
                    None => String::new(),
                });
            }
            rows.push(row);
        }
    }
    table(&format!("model|KL of format at|{}", BUDGETS.join("|")), &rows)
}

/// Returns the budgets at which the KL of a format minus that of f16 has a property. A format without room
/// at a budget has no rows there, or those of f16.
fn budgets(run: &Run, model: &str, format: KvFormat, property: fn(&Difference) -> bool) -> Vec<&'static str> {
    let is_found = |budget: &&str| {
        let (own, f16) = (Cell::new(model, POLICY, budget).kv(format), Cell::new(model, POLICY, budget));
        run.rows_of(&own).next().is_some() && property(&run.kl_difference(&own, &f16))
    };
    BUDGETS.into_iter().filter(is_found).collect()
}

fn format_sentence(run: &Run, format: KvFormat) -> Sentence {
    let budgets_text = |property: fn(&Difference) -> bool| {
        let [mha, gqa] = MODELS.map(|model| match budgets(run, model, format, property) {
            found if found.is_empty() => "no budget".to_owned(),
            found if found.len() == BUDGETS.len() => "every budget".to_owned(),
            found => list(found),
        });
        if mha == gqa {
            format!("{mha} on both models")
        } else {
            format!("{mha} ({}) and {gqa} ({})", MODELS[0], MODELS[1])
        }
    };
    let (lower, higher) = (budgets_text(Difference::below), budgets_text(Difference::above));
    let consistent = MODELS.iter().all(|model| {
        let lower = budgets(run, model, format, |d| d.mean < 0.0);
        budgets(run, model, format, Difference::below).iter().all(|budget| lower.contains(budget))
    });
    Sentence::new(
        "The KL of `{}` is lower than that of f16 (the interval of the difference is below zero) at {}, and \
         higher at {}.",
        &[&format, &lower, &higher],
        [Check::new(consistent, "an interval is below zero and its mean is not")],
    )
}
