//! Rewrites rows so that tables pool them: seeds of one policy, and questions of one context.

use bitkv_record::{Form, GridRow, PolicyText};

/// What rows add to the name of a model that runs as a plain Llama. The second is in files of format 1.
pub(crate) const PLAIN_LLAMA: [&str; 2] = ["+plain-llama", "+llama-skeleton"];

/// Returns a row with the names by which tables pool rows. Its policy has no seed, because the column of
/// seeds has it. Its model has no mark of the form, because the form is an axis. Its text is the name of the
/// context, not of a single question. Tables average or pair the rows that agree in these names.
pub(crate) fn pooled(row: &GridRow) -> GridRow {
    let model = match row.axes.form {
        Form::PlainLlama => base_model_name(&row.model),
        Form::True => &row.model,
    };
    GridRow { model: model.to_owned(), text: context(row).to_owned(), ..without_policy_seed(row) }
}

/// Returns a row whose policy has no seed. A seed in its text becomes the seed of the row.
pub(crate) fn without_policy_seed(row: &GridRow) -> GridRow {
    let (policy, seed) = PolicyText::new(&row.policy).without_seed();
    GridRow { policy: policy.to_string(), seed: seed.unwrap_or(row.seed), ..row.clone() }
}

/// Returns the name of a model without the mark of its form.
pub(crate) fn base_model_name(model: &str) -> &str {
    PLAIN_LLAMA.iter().find_map(|mark| model.strip_suffix(mark)).unwrap_or(model)
}

/// Returns the name of a row's context. If policies see the question, each question has an eviction of its
/// own and a number at the end of its name, but the questions of one context are not independent.
fn context(row: &GridRow) -> &str {
    let is_number = |end: &str| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    match row.text.rsplit_once('-') {
        Some((context, end)) if row.task.aware && is_number(end) => context,
        _ => &row.text,
    }
}
