//! Formats the measurement as tables for the terminal.

use bitkv_record::{Ceilings, Throughput, ThroughputRow, Timed};
use bitkv_report::Table;

/// Returns the tables of rows, ceilings and memory, and of the fits if there are any.
pub(super) fn tables(document: &Throughput) -> Vec<Table> {
    let mut tables = vec![rows(document), ceilings(document), memory(document)];
    tables.extend((!document.fits.is_empty()).then(|| fits(document)));
    tables
}

fn rows(document: &Throughput) -> Table {
    let (model, method) = (&document.model, &document.method);
    let weights = if model.random { "random weights" } else { "its own weights" };
    let caption = format!(
        "{}, {} layers, {weights}, {} in {}, {} LM head; instructions: {}",
        model.name, model.layers, model.weights, model.arithmetic, model.lm_head, document.isa
    );
    let titles = "test|>threads|>tokens/s|>min - max|>GB/s|>Gop/s|>of ceiling|>cache MB|>cache ms/token";
    let mut table = Table::titled(caption, titles);
    table.extend(document.rows.iter().map(cells));
    table.note(format!(
        "Medians of {} after {}. Each pass runs every test once.",
        counted(method.repeats, "pass"),
        counted(method.warm_up, "warm-up pass")
    ));
    table.note(
        "of ceiling: GB/s of a decode as a share of how fast the machine reads memory, and Gop/s of a prefill as a \
         share of its int8 operations (see the table of ceilings). A decode can exceed 100 % if its weights fit into \
         a processor cache.",
    );
    if document.rows.iter().any(|row| row.depth > 0) {
        let before = match method.fill.as_str() {
            "prefill" => "a prefill",
            _ => "synthetic keys and values",
        };
        table.note(format!(
            "A decode starts after {before}. The division of a budget is {}.",
            method.head_budgets
        ));
    }
    table
}

fn cells(row: &ThroughputRow) -> Vec<String> {
    let test = match row.test {
        Timed::Prefill if row.probes == "off" => format!("prefill {}", row.tokens),
        Timed::Prefill => format!("prefill {} observing {}", row.tokens, row.probes),
        Timed::Decode if row.depth == 0 => format!("decode {}", row.tokens),
        Timed::Decode if row.budget == 1.0 => format!("decode {} after {}", row.tokens, row.depth),
        Timed::Decode => format!("decode {} after {} with {} %", row.tokens, row.depth, percent(row.budget)),
    };
    let rate = &row.tokens_per_second;
    let optional = |value: Option<f64>, show: &dyn Fn(f64) -> String| value.map_or_else(String::new, show);
    vec![
        test,
        row.threads.to_string(),
        significant(rate.median),
        format!("{} - {}", significant(rate.min), significant(rate.max)),
        optional(row.bytes_per_second, &|v| format!("{:.1}", v / 1e9)),
        giga(row.ops_per_second),
        optional(row.read_fraction.or(row.ops_fraction), &|v| format!("{:.0} %", 100.0 * v)),
        match row.depth {
            0 => String::new(),
            _ => format!("{:.1}", row.cache_bytes as f64 / 1e6),
        },
        optional(row.attention_seconds_per_token, &|v| format!("{:.2}", v * 1e3)),
    ]
}

fn ceilings(document: &Throughput) -> Table {
    let title = |c: &Ceilings| format!("|>{} thread{}", c.threads, if c.threads == 1 { "" } else { "s" });
    let titles: String = document.ceilings_by_threads.iter().map(title).collect();
    let caption = "Ceilings: what the machine can do, measured between the passes";
    let mut table = Table::titled(caption, &format!("ceiling{titles}"));
    type Value = fn(&Ceilings) -> Option<f64>;
    let all: [(&str, Value); 9] = [
        ("read, GB/s", |c| Some(c.read_bytes_per_second)),
        ("read in one stream, GB/s", |c| Some(c.read_one_stream_bytes_per_second)),
        ("int8, widest vectors, Gop/s", |c| Some(c.int8_ops_per_second)),
        ("int8, AVX2, Gop/s", |c| c.int8_avx2_ops_per_second),
        ("int8, VNNI 256, Gop/s", |c| c.int8_vnni256_ops_per_second),
        ("int8, VNNI 512, Gop/s", |c| c.int8_vnni512_ops_per_second),
        ("int8, AMX with loads, Gop/s", |c| c.amx_int8_ops_per_second),
        ("bf16, AMX with loads, Gop/s", |c| c.amx_bf16_ops_per_second),
        ("f32, Gop/s", |c| Some(c.f32_ops_per_second)),
    ];
    for (name, value) in all {
        let values: Vec<Option<f64>> = document.ceilings_by_threads.iter().map(value).collect();
        if values.iter().any(Option::is_some) {
            let shown = values.iter().map(|v| v.map_or_else(String::new, giga));
            table.push(std::iter::once(name.to_owned()).chain(shown).collect());
        }
    }
    table
}

fn memory(document: &Throughput) -> Table {
    let m = &document.memory;
    let mut table = Table::titled("Memory", "part|>MB");
    let mega = |bytes: f64| format!("{:.1}", bytes / 1e6);
    for (name, bytes) in [
        ("linear layers", m.linear_bytes),
        ("LM head", m.lm_head_bytes),
        ("embedding", m.embedding_bytes),
        ("norms", m.norm_bytes),
        ("largest cache", m.cache_bytes),
    ] {
        if bytes > 0 {
            table.push(vec![name.into(), mega(bytes as f64)]);
        }
    }
    if let (Some(rest), Some(peak)) = (m.rest_bytes, document.peak_rss_bytes) {
        table.push(vec!["the rest".into(), mega(rest as f64)]);
        table.push(vec!["peak".into(), mega(peak as f64)]);
    }
    table
}

fn fits(document: &Throughput) -> Table {
    let caption = "Fit: a prefill of T tokens takes a T + b T^2 seconds (least squares of relative errors)";
    let titles = ">threads|>a, ms/token|>b, ns/token^2|>both terms equal at T|T: deviation from the fit";
    let mut table = Table::titled(caption, titles);
    if document.fits.iter().any(|fit| fit.quadratic_seconds_per_token_squared < 0.0) {
        table.note(
            "If b is negative, these times grow more slowly than the lengths, so the fit holds for no other length: fit longer prefills, or repeat \
             the measurement on an idle machine.",
        );
    }
    for fit in &document.fits {
        let points = fit.points.iter().map(|p| format!("{}: {:+.1} %", p.tokens, 100.0 * p.residual));
        table.push(vec![
            fit.threads.to_string(),
            format!("{:.3}", fit.linear_seconds_per_token * 1e3),
            format!("{:.2}", fit.quadratic_seconds_per_token_squared * 1e9),
            fit.equal_at_tokens.map_or_else(String::new, |t| format!("{t:.0}")),
            points.collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}

/// Formats a number with its noun, such as `1 pass` or `5 passes`.
fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}es") }
}

/// Formats a fraction as a percentage without trailing zeros.
fn percent(fraction: f64) -> f64 {
    (fraction * 1e4).round() / 100.0
}

fn giga(value: f64) -> String {
    significant(value / 1e9)
}

/// Formats a value with three digits, or with all digits before the decimal point if these are more.
fn significant(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}
