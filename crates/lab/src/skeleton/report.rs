//! The comparison as tables.

use bitkv_record::{HeadClass, Reading, SkeletonComparison, SkeletonPair, SkeletonWeights, Spread};
use bitkv_report::{Align, Table};

use super::refutation::show;

/// The report as Markdown.
pub(super) fn markdown(comparison: &SkeletonComparison, provenance: &str) -> String {
    let names: Vec<&str> = comparison.models.iter().map(|pair| pair.model.as_str()).collect();
    let mut text = format!("# {} run as a Llama skeleton\n\n{}\n\n", names.join(", "), comparison.refutation);
    comparison.models.iter().for_each(|pair| text += &format!("- {}\n", verdict(pair)));
    tables(comparison).iter().for_each(|table| text += &format!("\n{}", table.to_markdown()));
    text + &format!("\n{provenance}\n")
}

/// The report for a terminal.
pub(super) fn terminal(comparison: &SkeletonComparison) -> String {
    let mut text = String::new();
    tables(comparison).iter().for_each(|table| text += &(table.to_terminal() + "\n"));
    comparison.models.iter().for_each(|pair| text += &(verdict(pair) + "\n"));
    text
}

fn tables(comparison: &SkeletonComparison) -> [Table; 5] {
    [texts(comparison), differences(comparison), classes(comparison), profiles(comparison), parts(comparison)]
}

fn verdict(pair: &SkeletonPair) -> String {
    let shown = pair.expectations.iter().filter(|e| e.holds).count();
    let outcome = if pair.harmless { "harmless" } else { "not harmless" };
    format!(
        "{}: the mistake is {outcome} ({shown} of {} expectations hold).",
        pair.model,
        pair.expectations.len()
    )
}

fn columns<'a>(titles: &[&'a str]) -> Vec<(&'a str, Align)> {
    let align = |i: usize| if i == 0 { Align::Left } else { Align::Right };
    titles.iter().enumerate().map(|(i, title)| (*title, align(i))).collect()
}

fn readings(comparison: &SkeletonComparison) -> impl Iterator<Item = &Reading> {
    comparison.models.iter().flat_map(|pair| [&pair.truth, &pair.skeleton])
}

fn texts(comparison: &SkeletonComparison) -> Table {
    let titles = ["model", "bits/token", "bits/byte", "perplexity", "guessing, bits/token"];
    let mut table = Table::new("What the evaluation texts cost", &columns(&titles));
    table.extend(readings(comparison).map(|reading| {
        vec![
            reading.name.clone(),
            format!("{:.3}", reading.bits_per_token),
            format!("{:.3}", reading.bits_per_byte),
            format!("{:.1}", reading.perplexity),
            format!("{:.3}", reading.uniform_bits),
        ]
    }));
    comparison.models.iter().for_each(|pair| table.note(mistakes(pair)));
    table
}

/// What of the published mistake this model's skeleton can show.
fn mistakes(pair: &SkeletonPair) -> String {
    let m = &pair.mistakes;
    let weights = match m.weights {
        SkeletonWeights::Masters => "masters that are not made ternary",
        SkeletonWeights::CodesTimesScale => {
            "ternary codes times their scale, since the checkpoint holds no masters, so that the published use of \
             unquantised masters is not part of this measurement"
        }
    };
    let activation = m.replaced_activation.as_ref().map(|name| format!("SiLU in place of {name}"));
    let sub_norms = m.without_sub_norms.then(|| "no sub-norms".to_owned());
    let unquantised = m.unquantised_activations.then(|| "f32 in place of int8 activations".to_owned());
    let others: Vec<String> = [activation, sub_norms, unquantised].into_iter().flatten().collect();
    format!("{}: {}; the weights are {weights}.", pair.skeleton.name, others.join(", "))
}

fn differences(comparison: &SkeletonComparison) -> Table {
    let mut titles = columns(&["skeleton against truth, by text", "mean [95 % interval]"]);
    titles[1].1 = Align::Left;
    let mut table = Table::new("How far the skeleton's predictions are from the true model's", &titles);
    for pair in &comparison.models {
        table.group(&pair.model);
        let d = &pair.difference;
        let row =
            |name: &str, spread: &Spread, factor, decimals| vec![name.into(), show(spread, factor, decimals)];
        table.extend([
            row("difference, bits/token", &d.bits_per_token, 1.0, 3),
            row("difference, bits/byte", &d.bits_per_byte, 1.0, 3),
            row("above guessing, bits/token", &d.above_uniform_bits, 1.0, 3),
            row("same most likely next token, %", &d.agreement, 100.0, 1),
            row("KL(truth || skeleton), nats", &d.kl_nats, 1.0, 3),
        ]);
    }
    table
}

fn classes(comparison: &SkeletonComparison) -> Table {
    let classes = HeadClass::ALL.map(HeadClass::name);
    let titles = [&["model", "tokens", "mean bits"][..], &classes[..], &["below 1.5 bits, %"][..]].concat();
    let mut table = Table::new("Attention entropy on the calibration texts", &columns(&titles));
    for reading in readings(comparison) {
        for profile in &reading.profiles {
            let mut row =
                vec![reading.name.clone(), profile.context.to_string(), format!("{:.2}", profile.mean_bits)];
            row.extend(HeadClass::ALL.map(|class| profile.classes.of(class).to_string()));
            row.push(format!("{:.1}", 100.0 * profile.below_focused));
            table.push(row);
        }
    }
    table
}

fn profiles(comparison: &SkeletonComparison) -> Table {
    let titles = [
        "model",
        "tokens",
        "rank correlation",
        "between halves of the texts",
        "mean |difference|, bits",
        "by text: rank correlation",
        "by text: |difference|, bits",
        "by text: below 1.5 bits, points",
    ];
    let mut table = Table::new("The skeleton's entropy profile against the true one", &columns(&titles));
    for pair in &comparison.models {
        table.extend(pair.difference.profiles.iter().map(|p| {
            let optional = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.3}"));
            vec![
                pair.model.clone(),
                p.context.to_string(),
                optional(p.rank_correlation),
                optional(p.between_halves),
                format!("{:.3}", p.mean_absolute_bits),
                p.text_rank_correlation.map_or("-".into(), |spread| show(&spread, 1.0, 3)),
                show(&p.text_absolute_bits, 1.0, 3),
                show(&p.text_below_focused, 100.0, 1),
            ]
        }));
    }
    table.note("Correlations are Spearman's, over heads. Between halves: the true model's profile on every other text against the rest.");
    table
}

fn parts(comparison: &SkeletonComparison) -> Table {
    let titles = ["a harmless mistake", "measured", "holds"].map(|title| (title, Align::Left));
    let mut table = Table::new("What a harmless mistake would show", &titles);
    for pair in &comparison.models {
        table.group(&pair.model);
        table.extend(pair.expectations.iter().map(|e| {
            vec![e.statement.clone(), e.measured.clone(), if e.holds { "yes" } else { "no" }.into()]
        }));
    }
    table.note(&comparison.refutation);
    table
}
