//! Reading what a guest says on its serial line.
//!
//! Two kinds of lines matter. The kernel's own reports (KASAN, lockdep, debug objects, kmemleak, a
//! hung task, a panic) fail the run whatever else happened. Lines of the guest's programs begin
//! `guest: ` and carry `key=value` pairs; they come through the kernel's log, so that a message of
//! the kernel's never lands in the middle of one.

use std::collections::BTreeMap;

/// What no run may contain.
const REPORTS: &[&str] = &[
    "BUG:",
    "KASAN:",
    "KCSAN:",
    "WARNING:",
    "UBSAN:",
    "ODEBUG:",
    "INFO: task",
    "INFO: lockdep",
    "INFO: trying to register non-static key",
    "possible recursive locking",
    "possible circular locking",
    "possible irq lock inversion",
    "inconsistent lock state",
    "suspicious RCU usage",
    "invalid wait context",
    "bad unlock balance",
    "unreferenced object",
    "self-detected stall",
    "detected stalls on CPUs",
    "detected expedited stalls",
    "Oops:",
    "Kernel panic",
    "kernel BUG at",
    "general protection fault",
    "list_add corruption",
    "list_del corruption",
    "refcount_t:",
    "percpu ref (",
    "irq_poll: nobody cared",
    ": nobody cared",
    "Trying to free already-free IRQ",
    "rust_kernel: panicked",
    "panicked at",
];

/// How many lines of a report are quoted at most.
const QUOTED: usize = 60;

/// The report that `line` begins or belongs to.
pub fn report_in(line: &str) -> Option<&'static str> {
    if said_by_guest(line).is_some() {
        return None;
    }
    REPORTS
        .iter()
        .find(|report| line.contains(**report))
        .copied()
}

/// Whether a line of a report is for a debugger rather than for a reader: contents of registers.
pub fn is_dump(line: &str) -> bool {
    const DUMPS: &[&str] = &[
        "Code:", "RSP:", "RAX:", "RDX:", "RBP:", "R10:", "R13:", "FS:", "CS:", "CR2:", "PKRU:",
        "DR0:", "DR3:",
    ];
    let text = after_time(line).trim_start();
    DUMPS.iter().any(|dump| text.starts_with(dump))
}

/// A line with the names of Rust functions as they are written.
pub fn readable(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    let mut rest = line;
    while let Some(at) = rest.find("_R") {
        let (before, name) = rest.split_at(at);
        let (name, after) = name.split_at(name.find(|c| !is_name(c)).unwrap_or(name.len()));
        text.push_str(before);
        text.push_str(&format!("{:#}", rustc_demangle::demangle(name)));
        rest = after;
    }
    text + rest
}

/// A report that Linux makes about itself, whatever driver is there.
pub struct Known {
    /// What its first line contains.
    pub first: &'static str,
    /// What one of its lines contains.
    pub frame: &'static str,
}

impl Known {
    fn is(&self, report: &[String]) -> bool {
        let mut lines = report.iter();
        lines.by_ref().any(|line| line.contains(self.first))
            && lines.any(|line| line.contains(self.frame))
    }
}

/// The first report in a log, with the lines after it that explain it.
pub fn first_report(lines: &[String]) -> Option<&[String]> {
    reports(lines).next()
}

/// The first report that is none of `known`, and how many before it are.
pub fn first_unknown_report<'a>(
    lines: &'a [String],
    known: &[Known],
) -> (Option<&'a [String]>, usize) {
    let mut passed = 0;
    for report in reports(lines) {
        if !known.iter().any(|known| known.is(report)) {
            return (Some(report), passed);
        }
        passed += 1;
    }
    (None, passed)
}

/// The reports in a log, one after the other, each with the lines that explain it.
fn reports(lines: &[String]) -> impl Iterator<Item = &[String]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let at = rest.iter().position(|line| report_in(line).is_some())?;
        // A header often stands between two rules, the words one line below the upper one.
        let from = if at > 0 && is_rule(&rest[at - 1]) {
            at - 1
        } else {
            at
        };
        rest = &rest[from..];
        let end = rest
            .iter()
            .skip(2)
            .position(|line| line.contains("---[ end ") || said_by_guest(line).is_some())
            .map_or(rest.len(), |end| end + 3);
        let report = &rest[..end.min(QUOTED)];
        rest = &rest[end..];
        Some(report)
    })
}

fn is_rule(line: &str) -> bool {
    let text = after_time(line);
    text.len() >= 10 && text.chars().all(|c| c == '=' || c == '-')
}

/// A line without the kernel's `[   12.345678] `.
pub fn after_time(line: &str) -> &str {
    line.strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .map_or(line, |(_, text)| text)
}

/// What one of the guest's programs said in this line.
pub fn said_by_guest(line: &str) -> Option<&str> {
    after_time(line).strip_prefix("guest: ")
}

/// What the guest has said so far: for each key the last value.
#[derive(Default)]
pub struct Account(BTreeMap<String, String>);

impl Account {
    pub fn hear(&mut self, line: &str) {
        let Some(said) = said_by_guest(line) else {
            return;
        };
        for (key, value) in said
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
        {
            self.0.insert(key.to_owned(), value.to_owned());
        }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_checkers_first_line_is_a_report() {
        for line in [
            "[    4.1] BUG: KASAN: slab-use-after-free in edu_irq+0x12/0x40 [edu]",
            "[    4.1] WARNING: possible circular locking dependency detected",
            "[    4.1] WARNING: CPU: 1 PID: 55 at lib/debugobjects.c:514 debug_print_object+0x8c/0xb0",
            "[    4.1] ODEBUG: free active (active state 0) object: ffff timer_list hint: x",
            "[    4.1] INFO: task guest:61 blocked for more than 120 seconds.",
            "unreferenced object 0xffff888003a0c400 (size 64):",
            "[    4.1] rcu: INFO: rcu_preempt self-detected stall on CPU",
            "[    4.1] Kernel panic - not syncing: Attempted to kill init!",
            "[    4.1] Oops: Oops: 0002 [#1] SMP KASAN",
            "[    4.1] UBSAN: array-index-out-of-bounds in x.c:3:4",
            "[    4.1] BUG: sleeping function called from invalid context at x.c:1",
            "[    4.1] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [guest:61]",
            "[    4.1] BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 31s!",
            "[    4.1] irq 24: nobody cared (try booting with the \"irqpoll\" option)",
            "[    4.1] rust_kernel: panicked at src/lib.rs:1:1:",
        ] {
            assert!(report_in(line).is_some(), "{line}");
        }
    }

    #[test]
    fn a_healthy_boot_has_no_report() {
        for line in [
            "[    0.000000] Command line: console=ttyS0 panic=-1",
            "[    0.000000] kmemleak: Kernel memory leak detector initialized (mem pool available: 15674)",
            "[    0.000000] KernelAddressSanitizer initialized",
            "[    0.000000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
            "[    0.120000] rcu: RCU lockdep checking is enabled.",
            "[    0.120000] Unknown kernel command line parameters \"CYCLES=20\", will be passed to user space.",
            "[    9.120000] guest: failed=BUG: is quoted here",
            "[    1.000000] edu: loading out-of-tree module taints kernel.",
        ] {
            assert_eq!(report_in(line), None, "{line}");
        }
    }

    #[test]
    fn a_report_is_quoted_from_its_rule_to_its_end() {
        let lines = log("[    1.0] fine\n\
             [    2.0] ==================================================================\n\
             [    2.0] BUG: KASAN: slab-use-after-free in f\n\
             [    2.0] Read of size 8 at addr ffff by task x\n\
             [    2.0] ---[ end trace 0000000000000000 ]---\n\
             [    3.0] later\n");
        assert_eq!(first_report(&lines), Some(&lines[1..5]));
        assert_eq!(first_report(&lines[..1]), None);
    }

    #[test]
    fn a_known_report_is_passed_over_and_no_other() {
        let known = [Known {
            first: "WARNING: fs/proc/generic.c",
            frame: "unregister_irq_proc",
        }];
        let own =
            "[ 1.0] WARNING: fs/proc/generic.c:742 at remove_proc_entry\n[ 1.0] Call Trace:\n\
                   [ 1.0]  unregister_irq_proc+0x7e\n[ 1.0] ---[ end trace 0 ]---\n";
        let other = own.replace("unregister_irq_proc", "some_driver_remove");
        let count = |text: &str| {
            let lines = log(text);
            let (unknown, passed) = first_unknown_report(&lines, &known);
            (unknown.is_some(), passed)
        };
        assert_eq!(count(&format!("{own}{own}")), (false, 2));
        assert_eq!(count(&format!("{own}{other}{own}")), (true, 1));
        assert_eq!(count("[ 1.0] BUG: KASAN: x\n"), (true, 0));
    }

    #[test]
    fn registers_are_dumps_and_frames_are_not() {
        assert!(is_dump(
            "[    7.2] RAX: ff11000004a68c07 RBX: ff11000004a68c20"
        ));
        assert!(is_dump("[    7.2] Code: 89 e7 e8 62 <67> 48 0f"));
        assert!(!is_dump(
            "[    7.2] RIP: 0010:percpu_ref_switch_to_atomic_rcu+0x1b1/0x210"
        ));
        assert!(!is_dump("[    7.2]  rcu_core+0x5cb/0xa60"));
    }

    #[test]
    fn rust_names_are_readable() {
        let line =
            "[    7.4]  _RNvMs0_NtCs9f3RnMJPpcu_8devscope5scopeNtB5_7Members3end+0xbc/0x111 [edu]";
        let text = readable(line);
        assert!(
            text.contains("devscope::scope::Members>::end+0xbc/0x111 [edu]"),
            "{text}"
        );
        assert_eq!(
            readable("[    7.4]  rcu_core+0x5cb"),
            "[    7.4]  rcu_core+0x5cb"
        );
    }

    #[test]
    fn a_long_report_is_cut() {
        let mut lines = log("BUG: x");
        lines.extend((0..500).map(|i| i.to_string()));
        assert_eq!(first_report(&lines).unwrap().len(), QUOTED);
    }

    #[test]
    fn the_account_keeps_the_last_value_that_the_guest_said() {
        let mut account = Account::default();
        for line in [
            "[    5.1] guest: cycle=1 interrupts=10",
            "[    5.2] edu 0000:00:03.0: something cycle=9",
            "[    5.3] guest: cycle=2 interrupts=25",
        ] {
            account.hear(line);
        }
        assert_eq!(account.number("cycle"), Some(2));
        assert_eq!(account.number("interrupts"), Some(25));
        assert_eq!(account.get("nothing"), None);
    }
}
