//! The tables of `docs/SCALING.md`.

mod what_if;

use crate::{
    Check, FITTED_SHARDS, Overheads, Pass, Projection, ShardCost, Step, TOLERANCE,
    cluster::Cluster,
    model::NAMES,
    point::Point,
    projection::{LENGTHS, project_one},
    shape::PROJECTED,
    speed::{MEASURED, Speed},
    study::snapshot_bytes,
    units,
};

/// A table with the name of its place in the document.
pub type Table = (&'static str, String);

/// Returns the tables that need no simulation.
pub fn measured_tables(
    points: &[Point],
    checks: &[Check],
    cluster: &Cluster,
    overheads: &Overheads,
) -> Vec<Table> {
    vec![
        ("scaling-coefficients", coefficients(points)),
        ("scaling-overheads", overhead_table(overheads)),
        ("scaling-validation", validation(checks)),
        ("scaling-speeds", speeds()),
        ("scaling-assumptions", assumptions(cluster)),
        ("scaling-snapshots", snapshots(cluster, overheads)),
    ]
}

/// Returns the tables of simulated runs.
pub fn projected_tables(projections: &[Projection], cluster: &Cluster, overheads: &Overheads) -> Vec<Table> {
    vec![
        ("scaling-projection", efficiency(projections, cluster, overheads)),
        ("scaling-passes", passes(projections)),
        ("scaling-what-if", what_if::table(cluster, overheads)),
    ]
}

/// Returns a table in Markdown.
fn markdown(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    let mut table = line(&header) + &line(&vec!["---".to_owned(); header.len()]);
    rows.into_iter().for_each(|row| table += &line(&row));
    table
}

fn coefficients(points: &[Point]) -> String {
    let shards: Vec<&Point> = points
        .iter()
        .filter(|point| point.step == Step::Shard && FITTED_SHARDS.contains(&point.shards))
        .collect();
    let Some(first) = shards.first() else {
        return "No points are measured yet, so nothing is fitted. `experiments/scaling/measure.sh` measures \
                them.\n"
            .to_owned();
    };
    let wall = ShardCost::fit(&shards, |point| point.wall_seconds, true);
    let cpu = ShardCost::fit(&shards, Point::cpu_seconds, false);
    let rows = NAMES.iter().enumerate().map(|(i, (name, unit))| {
        vec![name.to_string(), unit.to_string(), units::digits(wall.0[i]), units::digits(cpu.0[i])]
    });
    format!(
        "Fitted on {} to {} processes:\n\n{}",
        first.machine,
        shards.len(),
        markdown(&["cost of", "unit", "wall clock", "CPU"], rows)
    )
}

fn overhead_table(overheads: &Overheads) -> String {
    let merge = &overheads.merge;
    let rows = [
        ("start of a process", units::seconds(overheads.start_seconds)),
        ("metadata operations of a shard", units::digits(overheads.shard_operations)),
        (
            "metadata operations of a context: no snapshots, written, read",
            overheads.context_operations.map(units::digits).join(", "),
        ),
        (
            "observation in a snapshot, for each entry",
            format!("{} bytes", units::digits(overheads.observation_bytes)),
        ),
        (
            "plan and copy on two cores, for each entry and cell",
            format!("{} ns", units::digits(overheads.entry_seconds * 1e9)),
        ),
        ("merge, for each row", format!("{} us", units::digits(merge.row_seconds * 1e6))),
        ("merge, for each shard", format!("{} ms", units::digits(merge.shard_seconds * 1e3))),
    ];
    let source = if overheads.measured {
        "These numbers are fitted to all measured points:"
    } else {
        "These numbers are assumed, because no points are measured yet:"
    };
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    format!("{source}\n\n{}", markdown(&["overhead", "value"], rows))
}

fn validation(checks: &[Check]) -> String {
    if checks.is_empty() {
        return "No points are measured yet, so nothing is validated.\n".to_owned();
    }
    let whole: Vec<&Check> = checks.iter().filter(|check| check.shard.is_none()).collect();
    let rows = whole.iter().map(|check| {
        vec![
            check.what.to_owned(),
            check.pass.name().to_owned(),
            check.shards.to_string(),
            check.role.to_owned(),
            units::seconds(check.measured_seconds),
            units::seconds(check.predicted_seconds),
            units::error(check.relative_error),
        ]
    });
    let table = markdown(&["what", "snapshots", "shards", "role", "measured", "predicted", "error"], rows);
    let worst = |decides: &dyn Fn(&Check) -> bool| {
        let errors = checks.iter().filter(|check| decides(check)).map(|check| check.relative_error.abs());
        units::percent(errors.fold(0.0, f64::max))
    };
    format!(
        "{table}\nThe largest error of a predicted run is {}; the tolerance is {}. The largest error of a single \
         shard that was not fitted is {}.\n",
        worst(&Check::decides),
        units::percent(TOLERANCE),
        worst(&|check| check.role == "predicted" && check.shard.is_some()),
    )
}

fn speeds() -> String {
    let rows =
        MEASURED.iter().map(|speed| [speed.what, speed.value, speed.source].map(str::to_owned).to_vec());
    markdown(&["on two cores", "speed", "measured as"], rows)
}

fn assumptions(cluster: &Cluster) -> String {
    let rows = cluster.assumptions().into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    markdown(&["assumption", "value"], rows)
}

fn efficiency(projections: &[Projection], cluster: &Cluster, overheads: &Overheads) -> String {
    let even = Cluster { tail_share: 0.0, ..*cluster };
    let mut rows = Vec::new();
    for shape in PROJECTED {
        for tokens in LENGTHS {
            let run = |nodes: usize| {
                projections
                    .iter()
                    .find(|p| (p.shape, p.tokens, p.pass, p.nodes) == (shape.name, tokens, Pass::None, nodes))
            };
            let efficiency = |nodes| run(nodes).map_or(String::new(), |p| units::percent(p.efficiency));
            let Some(last) = run(1000) else { continue };
            let without_tail = project_one(shape, tokens, Pass::None, 1000, &even, overheads);
            rows.push(vec![
                shape.name.to_owned(),
                format!("{}k", tokens / 1024),
                units::seconds(last.single_seconds),
                efficiency(10),
                efficiency(100),
                run(100).map_or(String::new(), |p| p.limit.to_owned()),
                efficiency(1000),
                last.limit.to_owned(),
                units::seconds(last.makespan_seconds),
                units::percent(without_tail.efficiency),
                without_tail.limit.to_owned(),
            ]);
        }
    }
    let header = [
        "shape",
        "tokens",
        "one node",
        "10 nodes",
        "100",
        "limit",
        "1,000",
        "limit",
        "makespan of 1,000",
        "1,000 without tail",
        "limit",
    ];
    markdown(&header, rows)
}

fn passes(projections: &[Projection]) -> String {
    let mut rows = Vec::new();
    for shape in PROJECTED {
        for tokens in [4096, 32_768, 131_072] {
            let makespan = |pass: Pass| {
                let found = projections
                    .iter()
                    .find(|p| (p.shape, p.tokens, p.pass, p.nodes) == (shape.name, tokens, pass, 1000));
                found
                    .map_or(String::new(), |p| format!("{}, {}", units::seconds(p.makespan_seconds), p.limit))
            };
            let mut row = vec![shape.name.to_owned(), format!("{}k", tokens / 1024)];
            row.extend(Pass::ALL.map(makespan));
            rows.push(row);
        }
    }
    markdown(&["shape", "tokens", "no snapshots", "snapshots written", "snapshots read"], rows)
}

fn snapshots(cluster: &Cluster, overheads: &Overheads) -> String {
    let mut rows = Vec::new();
    for shape in PROJECTED {
        let speed = Speed::on_node(&shape, cluster.cores, overheads.entry_seconds);
        for tokens in [4096, 32_768, 131_072].map(f64::from) {
            let bytes = snapshot_bytes(&shape, tokens, overheads);
            let prefill = speed.prefill_seconds(&shape, tokens);
            rows.push(vec![
                shape.name.to_owned(),
                format!("{}k", tokens / 1024.0),
                units::bytes(bytes),
                units::seconds(prefill),
                format!("{}/s", units::bytes(bytes / prefill)),
                format!("{}/s", units::bytes(1000.0 * bytes / prefill)),
                units::digits((cluster.snapshot_capacity / bytes).floor()),
            ]);
        }
    }
    let header = [
        "shape",
        "tokens",
        "snapshot",
        "prefill",
        "break-even of a node",
        "of 1,000 nodes",
        "contexts in the space",
    ];
    markdown(&header, rows)
}
