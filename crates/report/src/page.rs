//! The report as one self-contained HTML page: no network, light and dark, with figures that answer when they
//! are touched. docs/PAGE.md describes its design.
//!
//! Everything that a reader can choose is computed here and written into the page as data ([`data`]); the
//! script only places it. Without scripts, the page has all tables and the static figures.

mod answers;
mod blocks;
pub(crate) mod charts;
pub(crate) mod data;
mod figures;
mod leaderboard;
mod rows;
mod shell;
mod statements;

pub(crate) use leaderboard::{Boards, Entry};

use crate::claims::{self, Claim};
use crate::escape::html as escape;
use crate::experiment::{self, Interactive};
use crate::kinds::Kinds;
use crate::{Run, heads, memory, sections};
use data::{ChartData, LineData, PointData};
use figures::Figures;
use shell::{Section, page};

/// Returns the page of a run.
pub(crate) fn html(run: &Run<'_>) -> String {
    let claims = claims::all(run);
    let mut figures = Figures::default();
    let mut experiments = experiments(run);
    let answers = answers::list(run, &claims, &experiments);
    let first = first_figure(run, &mut experiments, &mut figures);
    let head = head(run, &claims, answers, &first);
    let mut all = claims.iter().map(|claim| claim_section(claim, run)).collect::<Vec<_>>();
    all.extend(key_numbers(run, &claims));
    for (name, interactive) in experiments {
        all.push(experiment_section(run, name, interactive, &mut figures));
    }
    all.extend(heads_sections(run, &mut figures));
    all.extend(memory_section(run, &mut figures));
    all.extend(rows_section(run));
    all.extend(last_sections(run, &claims));
    let packed = rows::packed(run.rows);
    page(&sections::title(run), &head, &all, &figures, packed.as_deref())
}

/// Returns what the script draws of each experiment. Names of models say what their weights are.
fn experiments<'a>(run: &Run<'a>) -> Vec<(&'a str, Interactive)> {
    let kinds = Kinds::new(run);
    let mut all: Vec<(&str, Interactive)> =
        experiment::names(run).into_iter().map(|name| (name, experiment::interactive(run, name))).collect();
    for (_, own) in &mut all {
        own.chart.panels.iter_mut().for_each(|panel| kinds.mark(&mut panel.name));
        own.forest.panels.iter_mut().for_each(|panel| kinds.mark(&mut panel.name));
        own.depths
            .iter_mut()
            .flat_map(|depths| &mut depths.panels)
            .for_each(|panel| kinds.mark(&mut panel.name));
    }
    all
}

/// Returns the figure that answers the question: quality with the published figures if a claim is about
/// compression, the pairs that a definition names, or the first chart. The figure is not shown again below.
fn first_figure(run: &Run<'_>, experiments: &mut [(&str, Interactive)], figures: &mut Figures) -> String {
    let is_about_pairs = answers::are_about_pairs(run, experiments);
    if let Some((_, first)) = experiments.first_mut() {
        add_published(run, &mut first.chart);
        if is_about_pairs && !first.forest.panels.is_empty() {
            return figures.forest(&std::mem::take(&mut first.forest));
        }
        if !first.chart.panels.is_empty() {
            return figures.chart(&std::mem::take(&mut first.chart), published_measure(run));
        }
    }
    match heads::interactive(run).into_iter().next() {
        Some((mut heads, _)) => {
            mark_heads(&mut heads, run);
            figures.heads(&heads)
        }
        None => memory_figure(run, figures),
    }
}

/// Says which kind of weights the models of a map have.
fn mark_heads(heads: &mut data::HeadsData, run: &Run<'_>) {
    let kinds = Kinds::new(run);
    heads.models.iter_mut().for_each(|model| kinds.mark(&mut model.name));
}

/// Adds the published figures to the measures of a chart that they are about.
fn add_published(run: &Run<'_>, chart: &mut ChartData) {
    for (title, published) in claims::published_quality(run) {
        for panel in &mut chart.panels {
            let Some(index) = panel.measures.iter().position(|measure| measure.name == *title) else {
                continue;
            };
            let point = |&(budget, value): &(f64, f64)| PointData {
                label: budget.to_string(),
                x: vec![Some(budget), None],
                y: vec![Some(value), None, None],
                n: 0,
            };
            let mut points = vec![Vec::new(); panel.measures.len()];
            points[index] = published.iter().map(point).collect();
            let name = format!("published {title}");
            let (full, faint) = (String::new(), false);
            panel.lines.push(LineData { name, full, faint, marks: true, shown: true, points });
        }
    }
}

/// Returns the measure that the first chart shows first: the one that a claim is about.
fn published_measure(run: &Run<'_>) -> &'static str {
    claims::published_quality(run).first().map_or("", |(title, _)| title)
}

/// Returns the first screen: the question, the answers with their reasons, and one figure.
fn head(run: &Run<'_>, claims: &[Claim], mut answers: String, figure: &str) -> String {
    let question = escape(&question(&run.definition.analysis));
    let title = escape(&sections::title(run));
    if !claims.is_empty() {
        let basis = escape(&sections::basis(run, claims));
        answers +=
            &format!("<details><summary>What the verdicts rest on</summary><p>{basis}</p></details>\n");
    }
    let provenance = blocks::blocks(&[sections::provenance(run.manifest)]);
    format!(
        "<header>\n<p class=\"eyebrow\">{title}</p>\n<h1>{question}</h1>\n{provenance}</header>\n\
         <div class=\"first\">\n<div>\n{answers}</div>\n<div>\n{figure}</div>\n</div>\n"
    )
}

/// Returns the first sentence of an analysis, which is the question of a run.
fn question(analysis: &str) -> String {
    let text = analysis.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = text.char_indices().find(|(i, c)| {
        let rest = &text[i + c.len_utf8()..];
        matches!(c, '?' | '.') && (rest.is_empty() || rest.starts_with(' '))
    });
    end.map_or(text.clone(), |(i, _)| text[..=i].to_owned())
}

/// Returns the section of a claim.
fn claim_section(claim: &Claim, run: &Run<'_>) -> Section {
    let models = claims::models(run);
    Section::new(&claim.title, statements::cards(claim, &models))
}

/// Returns the section of the key numbers of the claims, if there are any.
fn key_numbers(run: &Run<'_>, claims: &[Claim]) -> Option<Section> {
    let mut table = sections::key_numbers(claims)?;
    Kinds::new(run).mark_table(&mut table);
    Some(Section::new("Key numbers", blocks::table(&table, true)))
}

/// Returns the section of an experiment. The first screen may have its chart or its differences.
fn experiment_section(
    run: &Run<'_>,
    name: &str,
    Interactive { chart, forest, depths }: Interactive,
    figures: &mut Figures,
) -> Section {
    let mut html = String::new();
    if !chart.panels.is_empty() {
        html += &figures.chart(&chart, "");
    }
    if !forest.panels.is_empty() {
        html += &figures.forest(&forest);
    }
    html.extend(depths.map(|depths| figures.depths(&depths)));
    let mut tables = experiment::blocks(run, name);
    Kinds::new(run).mark_blocks(&mut tables);
    html += &blocks::blocks(tables.get(1..).unwrap_or_default());
    Section::new(&format!("Experiment {name}"), html)
}

/// Returns the sections of the profile studies: a map of all heads, a chart by length, and the tables.
fn heads_sections(run: &Run<'_>, figures: &mut Figures) -> Vec<Section> {
    let mut sections = Vec::new();
    for ((mut heads, chart), (name, mut tables)) in
        heads::interactive(run).into_iter().zip(heads::studies(run))
    {
        mark_heads(&mut heads, run);
        let mut html = figures.heads(&heads);
        if !chart.panels.is_empty() {
            html += &figures.chart(&chart, "");
        }
        Kinds::new(run).mark_blocks(&mut tables);
        // The first block is the heading, which the section has.
        html += &blocks::blocks(tables.get(1..).unwrap_or_default());
        sections.push(Section::new(&format!("Profile {name}"), html));
    }
    sections
}

/// Returns the chart of memory against context, empty without rows.
fn memory_figure(run: &Run<'_>, figures: &mut Figures) -> String {
    let panels = memory::panels(run.memory);
    let note = "Memory against the context, by how bytes are counted.".to_owned();
    let chart = charts::joined("memory against context length".to_owned(), note, panels);
    if chart.panels.is_empty() { String::new() } else { figures.chart(&chart, "") }
}

/// Returns the section about memory, if the run has rows of it.
fn memory_section(run: &Run<'_>, figures: &mut Figures) -> Option<Section> {
    let mut tables = sections::memory_blocks(run);
    if tables.is_empty() {
        return None;
    }
    Kinds::new(run).mark_blocks(&mut tables);
    let html = memory_figure(run, figures) + &blocks::blocks(&tables[1..]);
    Some(Section::new("Memory", html))
}

/// Returns the section in which the script shows single rows.
fn rows_section(run: &Run<'_>) -> Option<Section> {
    let rows = run.rows.len();
    if rows == 0 {
        return None;
    }
    let html = match rows > rows::MOST {
        true => format!(
            "<p>The run has {rows} rows, which is more than this page holds ({}). They are in rows.csv.</p>\n",
            rows::MOST
        ),
        false => format!(
            "<p>All {rows} rows of rows.csv: one for each policy, budget and text. Numbers have six digits; the file \
             has all of them.</p>\n<div id=\"rows\" aria-live=\"polite\"></div>\n"
        ),
    };
    Some(Section::new("Single rows", html))
}

/// Returns the question in full, the limits, what was run and how to run it again.
fn last_sections(run: &Run<'_>, claims: &[Claim]) -> Vec<Section> {
    let asked = crate::block::paragraphs(&run.definition.analysis);
    let mut method = blocks::blocks(&asked);
    if !experiment::names(run).is_empty() {
        method += &format!("<p>{}</p>\n", escape(experiment::READING));
    }
    let limits = sections::limits(run, claims);
    let mut reproduce = sections::reproduce(run.manifest, run.folder);
    Kinds::new(run).mark_blocks(&mut reproduce);
    vec![
        Section::new("What was asked, and what would refute it", method),
        Section::new("Limits", blocks::blocks(limits.get(1..).unwrap_or_default())),
        Section::new("What was run", blocks::blocks(reproduce.get(1..).unwrap_or_default())),
    ]
}

#[cfg(test)]
mod tests {
    use super::question;

    #[test]
    fn the_question_is_the_first_sentence() {
        assert_eq!(question("Does it\nhold at 2.5x? Refuted if not."), "Does it hold at 2.5x?");
        assert_eq!(question("A sweep."), "A sweep.");
        assert_eq!(question("No end"), "No end");
    }
}
