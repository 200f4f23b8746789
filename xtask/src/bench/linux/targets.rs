//! What devscope set out to cost, and whether it does. A miss is no error of the bench.

use super::page::{Found, NODES};

/// A row for each target: what it is, what was found, and whether that is met.
pub fn rows(found: &Found) -> Vec<Vec<String>> {
    let mut rows = vec![["target", "found", ""].map(str::to_owned).to_vec()];
    let mut row = |target: &str, (words, met): (String, Option<bool>)| {
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        };
        rows.push(vec![target.to_owned(), words, verdict.to_owned()]);
    };
    for (name, of) in [
        (
            "interrupt to the handler's first instruction",
            "irq-to-first-instruction",
        ),
        ("the whole handler of edu", "irq-handler"),
        ("dispatch of a tasklet", "tasklet-dispatch"),
        ("dispatch of a timer", "timer-dispatch"),
        ("dispatch of work", "work-dispatch"),
    ] {
        row(&format!("1. {name}: C + 2"), more_than_c(found, of, 2));
    }
    for (name, of) in [
        ("tasklet, idle", "tasklet-schedule-idle"),
        ("tasklet, pending", "tasklet-schedule-pending"),
        ("timer, idle", "timer-start-idle"),
        ("timer, pending", "timer-start-pending"),
        ("work, idle", "work-schedule-idle"),
        ("work, pending", "work-schedule-pending"),
    ] {
        row(
            &format!("2. schedule(), {name}: C + 4"),
            more_than_c(found, of, 4),
        );
    }
    row(
        "3. gate: less than drm_dev_enter()",
        gate(found, "drm_dev_enter()", drm(found), 1.0),
    );
    row(
        "3. gate: 1.5 of Revocable",
        gate(found, "Revocable", access(found, "rust"), 1.5),
    );
    row(
        "3. one ioctl(): less than with drm_dev_enter()",
        ioctl(found),
    );
    row(
        "4. unbind: no grace period without a gate",
        periods(found, "unbind-work", None),
    );
    row(
        "4. unbind: one grace period at most",
        periods(found, "unbind-gate", Some("unbind-gate")),
    );
    row(
        "4. unbind, 64 gates: a tenth of the time of Devres",
        unbind(found, "unbind-gate"),
    );
    row(
        "4. unbind, 64 work items: a tenth of the time of Devres",
        unbind(found, "unbind-work"),
    );
    for (name, ours) in [
        ("the module", found.sizes.module("devscope")),
        ("the driver alone", Some(found.sizes.driver)),
    ] {
        row(
            &format!("5. .text of edu, {name}: 1.25 of C"),
            text(found, ours, "c", 1.25),
        );
        row(
            &format!("5. .text of edu, {name}: that of Linux Rust"),
            text(found, ours, "rust", 1.0),
        );
    }
    rows
}

type Judged = (String, Option<bool>);

fn judged(words: Option<(String, bool)>) -> Judged {
    words.map_or((String::new(), None), |(words, met)| (words, Some(met)))
}

fn more_than_c(found: &Found, row: &str, allowed: i64) -> Judged {
    let net = |column| found.counted().net(column, row).map(|net| net as i64);
    let more = net("devscope").zip(net("c")).map(|(ours, c)| ours - c);
    judged(more.map(|more| (format!("C {more:+}"), more <= allowed)))
}

/// Coming in and leaving, without the call in between.
fn access(found: &Found, column: &str) -> Option<u64> {
    let nothing = found.counted().net(column, "access-nothing")?;
    Some(found.counted().net(column, "access")? - nothing)
}

fn drm(found: &Found) -> Option<u64> {
    let net = |row| found.counted().net("c", row);
    Some(net("ioctl-drm_dev_enter")? - net("ioctl-unprotected")?)
}

fn gate(found: &Found, name: &str, other: Option<u64>, times: f64) -> Judged {
    judged(access(found, "devscope").zip(other).map(|(ours, other)| {
        let words = format!("{ours} instructions; {name} {other}");
        (words, (ours as f64) <= times * other as f64)
    }))
}

fn ioctl(found: &Found) -> Judged {
    let net = |at: usize| found.counted().net(NODES[at].0, NODES[at].1);
    judged(
        net(5)
            .zip(net(3))
            .map(|(ours, drm)| (format!("{ours} instructions; {drm}"), ours < drm)),
    )
}

/// How many grace periods end while a device is unbound: none, or as many as where C waits for one. That
/// may be two, since the driver core has RCU free something just before `remove()`.
fn periods(found: &Found, row: &str, one: Option<&str>) -> Judged {
    let mut most = None;
    let mut allowed = 0;
    for pass in &found.passes {
        for many in [1, 8, 64, 256] {
            let ended = |column, row| {
                let number = |what| pass.number(column, row, many, what);
                Some(number("grace-periods")? + number("expedited")?)
            };
            if let Some(one) = one {
                allowed = allowed.max(ended("c", one).unwrap_or(0));
            }
            if let Some(ended) = ended("devscope", row) {
                most = Some(most.unwrap_or(0).max(ended));
            }
        }
    }
    judged(most.map(|most| {
        let words = match one {
            None => format!("{most} at most, with 1 to 256"),
            Some(_) => format!("{most} at most, with 1 to 256; one synchronize_rcu() {allowed}"),
        };
        (words, most <= allowed)
    }))
}

/// Times are compared where time passes.
fn unbind(found: &Found, row: &str) -> Judged {
    let time = |column| found.timed()?.number(column, row, 64, "ticks");
    judged(time("devscope").zip(time("rust")).map(|(ours, rust)| {
        let ratio = rust as f64 / ours as f64;
        (format!("{ratio:.0} times faster"), ratio >= 10.0)
    }))
}

fn text(found: &Found, ours: Option<u64>, column: &str, times: f64) -> Judged {
    judged(ours.zip(found.sizes.module(column)).map(|(ours, other)| {
        let ratio = ours as f64 / other as f64;
        (format!("{ratio:.2}"), ratio <= times)
    }))
}
