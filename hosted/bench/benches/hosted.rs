//! What is a statistic: how fast the examples are explored, and how the storm on the hosted kernel
//! compares with the same written directly on shuttle.
//!
//! The latter is measured in pairs: so many schedules of one, and right after them as many of the other,
//! now one first and now the other; criterion is given the ratio of each pair.

#![allow(missing_docs)]

use criterion::{
    criterion_group, criterion_main,
    measurement::{Measurement, ValueFormatter, WallTime},
    Criterion, Throughput,
};
use devscope_bench::{
    clock, examples,
    run::{self, Strategy},
    scenario,
};
use std::time::Duration;

// ---- What is measured ----

/// Processor time; shown as criterion shows time.
struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = clock::Instant;
    type Value = Duration;

    fn start(&self) -> clock::Instant {
        clock::Instant::now()
    }

    fn end(&self, begun: clock::Instant) -> Duration {
        begun.elapsed()
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// How many schedules run on the hosted kernel in the time of one directly on shuttle.
struct Ratio;

impl Measurement for Ratio {
    type Intermediate = ();
    type Value = f64;

    fn start(&self) {}

    fn end(&self, _: ()) -> f64 {
        unreachable!("pairs are timed by who runs them")
    }

    fn add(&self, one: &f64, other: &f64) -> f64 {
        one + other
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Plain
    }
}

struct Plain;

impl ValueFormatter for Plain {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        "of bare shuttle"
    }

    fn scale_throughputs(&self, _: f64, _: &Throughput, _: &mut [f64]) -> &'static str {
        "of bare shuttle"
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        ""
    }
}

// ---- The benchmarks ----

/// Schedules in one iteration: enough for the start of an exploration not to count, as in a test.
const SCHEDULES: usize = 500;

fn each_example(criterion: &mut Criterion<ProcessorTime>) {
    let mut group = criterion.benchmark_group("examples");
    group.throughput(Throughput::Elements(SCHEDULES as u64));
    for example in examples::ALL {
        let mut seed = 0;
        group.bench_function(example.name, |bencher| {
            bencher.iter(|| {
                seed += 1;
                run::on_hosted(Strategy::Mixed, seed, SCHEDULES, example.run)
            })
        });
    }
    // What the others are told in terms of.
    let mut seed = 0;
    group.bench_function("bare-storm", |bencher| {
        bencher.iter(|| {
            seed += 1;
            run::on_bare(Strategy::Random, seed, SCHEDULES, 1, 1)
        })
    });
    group.finish();
}

/// One pair: the time of bare shuttle over that of the hosted kernel.
fn pair(hosted: Strategy, bare: Strategy, seed: u64) -> f64 {
    let on_hosted = || {
        let storm = |machine: &_| scenario::storm(machine, 1, 1);
        run::on_hosted(hosted, seed, SCHEDULES, storm).time
    };
    let on_bare = || run::on_bare(bare, seed, SCHEDULES, 1, 1).time;
    let (hosted, bare) = if seed.is_multiple_of(2) {
        (on_hosted(), on_bare())
    } else {
        let bare = on_bare();
        (on_hosted(), bare)
    };
    bare.as_secs_f64() / hosted.as_secs_f64()
}

/// Schedules per second, relative to bare shuttle.
fn storm_compared(criterion: &mut Criterion<Ratio>) {
    run::check_storm();
    let mut group = criterion.benchmark_group("storm");
    let pairs = [
        ("random", Strategy::Random, Strategy::Random),
        ("pct", Strategy::Pct, Strategy::Pct),
        // What a test gets that says nothing, and what shuttle's `check_random` is.
        ("mixed-to-random", Strategy::Mixed, Strategy::Random),
        ("mixed-to-halves", Strategy::Mixed, Strategy::Mixed),
    ];
    for (name, hosted, bare) in pairs {
        let mut seed = 0;
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let mut next = || {
                    seed += 1;
                    pair(hosted, bare, seed)
                };
                (0..times).map(|_| next()).sum()
            })
        });
    }
    group.finish();
}

fn short<M: Measurement + 'static>(measurement: M) -> Criterion<M> {
    Criterion::default()
        .with_measurement(measurement)
        .sample_size(30)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
}

criterion_group! {
    name = speed;
    config = short(ProcessorTime);
    targets = each_example
}
criterion_group! {
    name = compared;
    config = short(Ratio);
    targets = storm_compared
}
criterion_main!(speed, compared);
