//! Tables of classes, of statistics and of the dependence on context length.

use super::bounds::BOUNDS;
use super::model::ModelProfiles;
use super::view::View;
use crate::format::{MISSING, estimate, fixed, optional, percent};
use crate::published::{PUBLISHED_HEADS, PublishedHeads};
use crate::table::Table;
use bitkv_record::{ClassCounts, HeadClass, Named, Thresholds};

/// The context length of the published profiles, in tokens.
const PUBLISHED_CONTEXT: &str = "≤ 64";
/// The same length as a number, at which measured profiles can be compared with the published ones.
const PUBLISHED_TOKENS: usize = 64;

/// How entropies at different lengths compare. docs/METRICS.md has the same words.
pub(crate) const LENGTHS: &str = "Entropy is at most log2 n, so bits at different context lengths are not comparable. Dividing \
by log2 n gives all lengths the same largest value, but does not make them comparable: a head that attends to ten tokens has a \
smaller H / log2 n in a longer context.";

/// Returns the published statistics of a model if its published entropies are shown.
fn published(model: &ModelProfiles<'_>) -> Option<&'static PublishedHeads> {
    let is_published = model.views.iter().any(|view| view.context.is_none());
    PUBLISHED_HEADS.iter().find(|published| is_published && published.model == model.name)
}

/// Returns the titles of the columns of classes, as the end of a list of titles.
fn class_titles() -> String {
    HeadClass::ALL.iter().map(|class| format!("|>{class}")).collect()
}

/// Returns the table of heads by class, under both sets of bounds.
pub(super) fn classes(models: &[ModelProfiles<'_>]) -> Table {
    let titles = format!("source|>context|class bounds, bits|>heads{}|>< 1.5 bits %", class_titles());
    let mut table = Table::titled("Heads by class", &titles);
    for model in models {
        let name = &model.name;
        table.group(name);
        let published_row =
            |p: &PublishedHeads| class_row("as published", PUBLISHED_CONTEXT.into(), BOUNDS[0].0, p.classes);
        table.extend(published(model).map(published_row));
        for view in model.longest().into_iter().filter(|view| !view.known().is_empty()) {
            for (bounds, thresholds) in BOUNDS {
                let counts = view.classes(&thresholds);
                table.push(class_row(view.source(), view.context_text(), bounds, counts));
            }
            if view.unknown() > 0 {
                let (unknown, source) = (view.unknown(), view.source());
                let all = unknown + view.known().len();
                let counted = match view.context {
                    None => {
                        "have no recorded entropy. The publication says that they are below 0.5 bits, so they are counted as sinks. \
                         The other entropies are rounded to 0.1 bit, which moves heads near a bound."
                    }
                    Some(_) => "have no recorded entropy and are not counted.",
                };
                table.note(format!("{name}, {source}: {unknown} of {all} heads {counted}"));
            }
        }
    }
    if models.iter().any(|model| published(model).is_some()) {
        table.note("The published counts follow from the bounds in the published code, not from the bounds printed with the counts. For bitnet_b1_58-large \
49.8 % is in print; its counts, 191 of 384, give 49.7 %.");
    }
    table
}

/// Returns a row of the table of classes.
fn class_row(source: &str, context: String, bounds: &str, counts: ClassCounts) -> Vec<String> {
    let share = counts.sink_or_focused() as f64 / counts.total() as f64;
    let mut row = vec![source.to_owned(), context, bounds.to_owned(), counts.total().to_string()];
    row.extend(HeadClass::ALL.iter().map(|class| counts.get(*class).to_string()));
    row.push(percent(share));
    row
}

/// Returns the table of statistics over heads.
pub(super) fn statistics(models: &[ModelProfiles<'_>]) -> Table {
    let titles = "source|>context|>mean|>std|>CV|>min|>max|>mean H / log2 n";
    let mut table = Table::titled("Attention entropy over heads, bits", titles);
    for model in models {
        table.group(&model.name);
        table.extend(published(model).map(published_statistics));
        // The published entropies of one model are incomplete, so it has no recounted statistics.
        let shown = |view: &&View| view.context.is_some() || view.statistics().is_some();
        for view in model.longest().into_iter().filter(shown) {
            let mut row = vec![view.source().to_owned(), view.context_text()];
            row.extend(spread(view, 4));
            row.push(optional(view.normalised, |n| fixed(n, 3)));
            table.push(row);
        }
    }
    table.note("std is the population standard deviation; n is the number of keys that a query sees.");
    table
}

/// Returns the mean, standard deviation, coefficient of variation, smallest and largest entropy, as cells.
fn spread(view: &View, decimals: usize) -> [String; 5] {
    let numbers = view.statistics().map_or([None; 5], |s| [s.mean, s.std, s.cv, s.min, s.max].map(Some));
    numbers.map(|number| optional(number, |n| fixed(n, decimals)))
}

/// Returns the published statistics as a row, with the published number of decimals.
fn published_statistics(p: &PublishedHeads) -> Vec<String> {
    let mut row = vec!["as published".to_owned(), PUBLISHED_CONTEXT.to_owned()];
    row.extend([p.mean, p.std, p.cv, p.min, p.max].map(|n| fixed(n, 4).trim_end_matches('0').to_owned()));
    row.push(MISSING.to_owned());
    row
}

/// Returns the table of statistics and classes by context length, or `None` if only one length was measured.
pub(super) fn lengths(study: &str, model: &ModelProfiles<'_>) -> Option<Table> {
    if model.views.len() < 2 {
        return None;
    }
    let titles = format!(
        ">context|>mean entropy, bits [95 % CI]|>std|>CV|>min|>max|>mean H / log2 n{}|>< 1.5 bits %",
        class_titles()
    );
    let caption = format!("{study}, {}: attention entropy against context length", model.name);
    let mut table = Table::titled(caption, &titles);
    table.extend(model.views.iter().map(length_row));
    table.note(format!("Classes use the bounds in the published code. {LENGTHS}"));
    Some(table)
}

/// Returns the row of one context length.
fn length_row(view: &View) -> Vec<String> {
    let [_, rest @ ..] = spread(view, 3);
    let counts = view.classes(&Thresholds::CODE);
    let mut row = vec![view.context_text(), estimate(view.mean, |h| fixed(h, 3))];
    row.extend(rest);
    row.push(optional(view.normalised, |n| fixed(n, 3)));
    row.extend(HeadClass::ALL.iter().map(|class| counts.get(*class).to_string()));
    row.push(optional(view.focused_share(), percent));
    row
}

/// Returns the table of the published statistics and of each measured model at the context length of the
/// published profiles and at its longest. A model without a profile at the published length has its shortest.
pub(super) fn brief(study: &str, models: &[ModelProfiles<'_>]) -> Table {
    let titles = format!("model|>context|>heads|>mean, bits|>< 1.5 bits %{}", class_titles());
    let mut table = Table::titled(format!("{study}: heads by class, bounds of the published code"), &titles);
    let row = |name: String, context: String, mean: Option<f64>, counts: ClassCounts| {
        // These are the columns of `class_row` after its bounds, with the mean added and the share moved
        // forward.
        let mut tail = class_row("", String::new(), "", counts).split_off(3);
        let (share, heads) = (tail.pop().unwrap_or_default(), tail.remove(0));
        [vec![name, context, heads, optional(mean, |m| fixed(m, 3)), share], tail].concat()
    };
    for model in models {
        if let Some(p) = published(model) {
            table.push(row(
                format!("published, {}", p.model),
                PUBLISHED_CONTEXT.into(),
                Some(p.mean),
                p.classes,
            ));
            continue;
        }
        let views = &model.views;
        let comparable = views.iter().find(|view| view.context == Some(PUBLISHED_TOKENS)).or(views.first());
        let longest =
            views.last().filter(|longest| Some(longest.context) != comparable.map(|view| view.context));
        table.extend(comparable.into_iter().chain(longest).map(|view| {
            let counts = view.classes(&Thresholds::CODE);
            row(model.name.clone(), view.context_text(), view.mean.map(|m| m.value), counts)
        }));
    }
    table
}
