//! A small run rendered in all three forms: the parts are there, nothing leaks through, the markup is whole.

mod fixture;
mod markup;

use bitkv_record::CellRow;
use bitkv_report::{figures, render_html, render_markdown, render_terminal};
use fixture::run;

#[test]
fn the_page_is_well_formed_and_self_contained() {
    let run = run();
    let page = render_html(&run.input());
    markup::check(&page);
    assert!(page.starts_with("<!DOCTYPE html>"));
    for outside in ["<script", "<link", "src=", "url(", "@import", "href=\"http"] {
        assert!(!page.contains(outside), "{outside} found");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("lang=\"en\""));
    for (_, svg) in figures(&run.input()) {
        markup::check(&svg);
        assert!(page.contains(&svg) && svg.contains("aria-label="));
    }
    assert_eq!(page.matches("<table>").count(), page.matches("<caption>").count());
    assert_eq!(page.matches("<figure").count(), page.matches("<figcaption>").count());
}

#[test]
fn every_form_gives_verdicts_numbers_command_and_limits() {
    let run = run();
    let (page, markdown, terminal) =
        (render_html(&run.input()), render_markdown(&run.input()), render_terminal(&run.input()));
    assert!(page.contains("Verdict: does not hold") && page.contains("class=\"verdict not-tested\""));
    assert!(markdown.contains("> Verdict: **holds**"));
    assert!(terminal.contains("== Heads fall into classes: NOT TESTED =="));
    for form in [&page, &markdown] {
        assert!(form.contains("0.2500 [0.2500, 0.2500]"), "constant difference\n{form}");
        assert!(
            form.contains("oracle-rule †")
                && form.contains("5x compression")
                && form.contains("2x compression")
        );
        assert!(form.contains("bitkv verify --model"));
        assert!(form.contains("Limits") && form.contains("The program was built from sources"));
        assert!(form.contains("3 texts") && form.contains("printed: 0.5/1.5/2.5/3.5"));
        assert_eq!(
            form.matches("as published").count(),
            5,
            "published heads stand once in each of two tables"
        );
    }
    for form in [&page, &markdown, &terminal] {
        assert!(form.contains("oracle-rule †") && form.contains("all 6 cells"), "{form}");
        assert!(form.contains("KV share at 2048") && form.contains("64.0"));
        assert!(!form.contains("NaN") && !form.contains("inf "));
    }
}

#[test]
fn the_summary_comes_first() {
    let run = run();
    let order = [
        "Verdicts",
        "Key numbers",
        "KV share of memory, ",
        "heads below 1.5 bits, ",
        "revision abc123",
        "Statement by statement",
        "Self-check",
        "say nothing about models",
        "duration, seconds",
        "Options and input files",
    ];
    for form in [render_html(&run.input()), render_markdown(&run.input())] {
        let places = order.map(|part| form.find(part).unwrap_or_else(|| panic!("{part} in {form}")));
        assert!(places.is_sorted(), "{places:?}");
    }
}

#[test]
fn a_terminal_is_not_flooded() {
    let mut run = run();
    let twin: Vec<CellRow> =
        run.cells.iter().map(|cell| CellRow { model: "twin".into(), ..cell.clone() }).collect();
    let many = (0..40).flat_map(|i| twin.iter().map(move |cell| (i, cell)));
    let many = many.map(|(i, cell)| CellRow { policy: format!("uniform+rival-{i}"), ..cell.clone() });
    run.cells.extend(many.collect::<Vec<_>>());
    run.cells.extend(twin);
    run.verification.models.push("twin".into());
    let terminal = render_terminal(&run.input());
    let lines = terminal.lines().count();
    assert!(lines < 80, "{lines}\n{terminal}");
    assert!(terminal.contains("report.html") && terminal.contains("twin: cost of compression"));
    assert!(terminal.lines().all(|line| line.chars().count() <= 160), "{terminal}");
}

#[test]
fn names_are_escaped_in_every_form() {
    let run = run();
    assert!(
        render_html(&run.input()).contains("m&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;|x")
    );
    let markdown = render_markdown(&run.input());
    let outside_code = markdown.lines().filter(|line| !line.starts_with("bitkv verify"));
    assert!(outside_code.into_iter().all(|line| !line.contains("<script>")));
    assert!(markdown.contains(r"\|x: 2x compression"));
}

#[test]
fn markdown_tables_keep_their_columns() {
    let markdown = render_markdown(&run().input());
    let cells = |line: &str| line.replace(r"\|", "").matches('|').count();
    let mut widths = Vec::new();
    for line in markdown.lines() {
        match line.starts_with('|') {
            true => widths.push(cells(line)),
            false => widths.clear(),
        }
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{line}");
    }
}

#[test]
fn markdown_refers_to_exactly_the_figures_given() {
    let run = run();
    let markdown = render_markdown(&run.input());
    let files = figures(&run.input());
    assert_eq!(markdown.matches("](figures/").count(), files.len());
    assert!(files.iter().all(|(path, _)| markdown.contains(&format!("]({path})"))));
    let mut paths: Vec<&String> = files.iter().map(|(path, _)| path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), files.len(), "figures have names of their own");
    assert_eq!(
        files.iter().filter(|(path, _)| path.contains("attention-entropy")).count(),
        2,
        "one map a profile"
    );
}

#[test]
fn an_unknown_head_is_said_and_not_counted() {
    let markdown = render_markdown(&run().input());
    assert!(
        markdown.contains(", calibration-512: 1 of 6 heads have no recorded entropy and are not counted."),
        "{markdown}"
    );
    assert!(
        markdown.contains("| calibration-512 | 512 | code: 0.5/1.5/3.0/4.0 | 5 | 0 | 1 | 3 | 1 | 0 | 20.0 |")
    );
    assert!(markdown.contains("| calibration-512 | 512 | - | - | - | - | - |"));
    assert!(
        markdown
            .contains("| 128 | 2.000 [1.900, 2.100] | - | - | - | - | 0.281 | 0 | 1 | 3 | 1 | 0 | 20.0 |"),
        "{markdown}"
    );
}

#[test]
fn a_full_budget_that_changes_something_is_shouted() {
    let mut run = run();
    run.cells[4].kl_nats = Some(0.5);
    let terminal = render_terminal(&run.input());
    assert!(terminal.contains("Self-check FAILED: 1 of 6"), "{terminal}");
}

#[test]
fn an_empty_run_is_still_a_report() {
    let mut run = run();
    run.memory.clear();
    run.heads.clear();
    run.cells.clear();
    run.verification.claims.clear();
    markup::check(&render_html(&run.input()));
    assert!(!render_terminal(&run.input()).contains("NaN"));
    assert!(figures(&run.input()).is_empty());
}

#[test]
fn measurements_without_a_claim_are_shown_all_the_same() {
    let mut run = run();
    run.verification.claims.clear();
    let page = render_html(&run.input());
    assert!(page.contains(">Compression</h2>") && page.contains("2x compression"));
}
