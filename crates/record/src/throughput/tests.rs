use super::*;

fn row() -> ThroughputRow {
    ThroughputRow {
        test: Timed::Decode,
        tokens: 64,
        depth: 4096,
        budget: 0.2,
        probes: "off".into(),
        threads: 2,
        tokens_per_second: Range { min: 9.0, median: 10.0, max: 12.0 },
        spread: 0.3,
        seconds: vec![6.4, 7.1, 5.3],
        bytes_per_second: Some(1e10),
        ops_per_second: 4e10,
        read_fraction: Some(0.5),
        ops_fraction: None,
        attention_seconds_per_token: Some(0.004),
        cache_entries: 120_000,
        cache_bytes: 61_440_000,
    }
}

fn document() -> Throughput {
    Throughput {
        versions: Versions { bitkv: "0.1.0".into(), revision: "abc".into(), dirty: false },
        machine: Machine { cpu: "a processor".into(), cores: 2, simd: vec!["avx2".into()] },
        isa: "avx2".into(),
        model: ModelShape {
            name: "2b-4t".into(),
            random: true,
            layers: 30,
            hidden: 2560,
            intermediate: 6912,
            heads: 20,
            kv_heads: 5,
            vocabulary: 128_256,
            positions: 4096,
            head: "exact".into(),
        },
        method: Method { warm_up: 1, repeats: 3, fill: "synthetic".into(), cut: "the last".into() },
        rows: vec![row()],
        ceilings: Ceilings { threads: 2, ..Ceilings::default() },
        ceilings_by_threads: vec![Ceilings { threads: 2, ..Ceilings::default() }],
        memory: MemoryUse {
            ternary_bytes: 521,
            head_bytes: 657,
            embedding_bytes: 0,
            norm_bytes: 1,
            cache_bytes: 61,
            rest_bytes: Some(-3),
        },
        peak_rss_bytes: Some(1237),
        fits: Vec::new(),
    }
}

#[test]
fn what_was_written_reads_back_equal() {
    let fit = PrefillFit {
        threads: 1,
        linear_seconds_per_token: 0.01,
        quadratic_seconds_per_token_squared: 1e-6,
        equal_at_tokens: Some(1e4),
        points: vec![FitPoint { tokens: 512, seconds: 5.4, residual: 0.01 }],
    };
    for document in [document(), Throughput { fits: vec![fit], ..document() }] {
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(Throughput::from_json(&text, "bench.json").unwrap(), document);
    }
}

#[test]
fn what_is_no_measurement_is_refused() {
    let mut still = document();
    still.rows[0].tokens_per_second.min = 0.0;
    let said = Throughput::from_json(&serde_json::to_string(&still).unwrap(), "bench.json").unwrap_err();
    assert!(said.to_string().contains("tokens_per_second.min = 0"), "{said}");
    let more = serde_json::to_string(&document()).unwrap().replacen("\"isa\"", "\"isb\"", 1);
    assert!(Throughput::from_json(&more, "bench.json").unwrap_err().to_string().contains("bench.json"));
}

#[test]
fn ranges() {
    assert_eq!(Range::of(&[]), None);
    let range = Range::of(&[3.0, 1.0, 2.0, 6.0]).unwrap();
    assert_eq!((range.min, range.median, range.max, range.spread()), (1.0, 2.5, 6.0, 2.0));
}
