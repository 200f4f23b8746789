// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers as one writes them in C, with the mistake in them, on the raw bindings.
//!
//! Each module is one driver, in variants: the *defect* as it was found; for some what was tried first,
//! which did not hold (*first fix*); and the *cure*, which is the control. Exploration has to find the
//! first two, and must not find anything in the last.
//!
//! What the hosted kernel does not have (HCI, HID, network devices, ...) is there in as few lines as the
//! bug needs, and each module says so. Where a plain load or store is what goes wrong, it is written
//! [`c::load`] or [`c::store`], which look as KASAN does.

pub mod c;

pub mod appletb_kbd;
pub mod ath9k_htc;
pub mod btcoex;
pub mod btsdio;
pub mod cnic;
pub mod cxgb4;
pub mod dvb_dmxdev;
pub mod f_hid;
pub mod ff_memless;
pub mod goldfish_battery;
pub mod goldfish_tty;
pub mod gpiolib_cdev;
pub mod greybus_raw;
pub mod mvsas;
pub mod ocelot;
pub mod octeon_ep;
pub mod octeon_tx;
pub mod ptp_ocp;
pub mod smsc75xx;
pub mod snd_usb_midi;
pub mod switchtec;
pub mod switchtec_ntb;
pub mod tc358743;
pub mod ucsi_ccg;
pub mod uio;
pub mod usb_gadget;

use crate::harness::{self, Program, Report, SEEDS};
use kernel::hosted::{Explore, Failure, Kind, Machine, ModuleInfo};
use std::env;

/// Within so many schedules a defect is found, and a cure survives as many.
pub const SCHEDULES: usize = 20_000;

/// Which of a module's drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    Defect,
    /// And which that was: the CVE, or the commit.
    FirstFix {
        cve: &'static str,
    },
    Cure,
}

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Variant::Defect => "defect",
            Variant::FirstFix { .. } => "first fix",
            Variant::Cure => "cure",
        }
    }
}

/// A driver to explore.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name: &'static str,
    /// Ids in `bugs/`.
    pub bugs: &'static [&'static str],
    pub variant: Variant,
    /// What may be found; nothing, of a cure.
    pub expected: &'static [Kind],
    pub module: &'static ModuleInfo,
    pub scenario: fn(&Machine, &'static ModuleInfo),
}

/// Rows of the table: a module, the bugs, and of each variant what may be found.
macro_rules! table {
    ($($name:ident $bugs:tt {
        defect: $defect:expr,
        $(first_fix ($cve:literal): $first_fix:expr,)?
    })*) => {
        &[$(
            table!(@row $name, defect, $bugs, Variant::Defect, $defect),
            $(table!(@row $name, first_fix, $bugs, Variant::FirstFix { cve: $cve }, $first_fix),)?
            table!(@row $name, cure, $bugs, Variant::Cure, &[]),
        )*]
    };
    (@row $name:ident, $module:ident, $bugs:tt, $variant:expr, $expected:expr) => {
        Entry {
            name: concat!(stringify!($name), "::", stringify!($module)),
            bugs: &$bugs,
            variant: $variant,
            expected: $expected,
            module: &$name::$module::MODULE,
            scenario: $name::scenario,
        }
    };
}

use Kind::{
    BadFree, Deadlock, FreedWhileActive, Leak, Misuse, RanAfterFree, UseAfterFree, WildAccess,
};

/// What was still used, or still to run, has gone.
const GONE: &[Kind] = &[UseAfterFree, FreedWhileActive, RanAfterFree];
/// So has what says where to look next.
const LOST: &[Kind] = &[
    UseAfterFree,
    FreedWhileActive,
    RanAfterFree,
    WildAccess,
    BadFree,
];
/// It was not there yet, or was said to be there no longer.
const NULL: &[Kind] = &[WildAccess];

/// All of them.
pub const ALL: &[Entry] = table! {
    appletb_kbd ["appletb-kbd-probe-timer"] {
        defect: GONE,
        first_fix ("CVE-2025-38378"): GONE,
    }
    ath9k_htc ["ath9k-htc-wmi-tasklet"] {
        defect: NULL,
        first_fix ("8b3046abc99e"): NULL,
    }
    btcoex ["brcmfmac-btcoex"] {
        defect: GONE,
    }
    btsdio ["btsdio-work"] {
        defect: GONE,
        first_fix ("CVE-2023-1989"): GONE,
    }
    cnic ["cnic-delete-task"] {
        defect: GONE,
    }
    cxgb4 ["cxgb4-flower-stats"] {
        defect: GONE,
    }
    dvb_dmxdev ["dvb-dmxdev-release"] {
        defect: GONE,
        first_fix ("CVE-2022-41218"): GONE,
    }
    f_hid ["f-hid-cdev-reinit"] {
        defect: &[UseAfterFree, FreedWhileActive, Misuse],
        first_fix ("CVE-2022-50568"): &[Misuse],
    }
    ff_memless ["ff-memless-timer", "ff-core-stop"] {
        defect: GONE,
        first_fix ("CVE-2019-19524"): GONE,
    }
    goldfish_battery ["goldfish-battery-devm-order"] {
        defect: GONE,
    }
    goldfish_tty ["goldfish-tty-free-irq-cookie"] {
        defect: &[Misuse],
    }
    gpiolib_cdev [] {
        defect: GONE,
        first_fix ("CVE-2022-50453"): LOST,
    }
    greybus_raw ["greybus-raw-write"] {
        defect: GONE,
    }
    mvsas ["mvsas-work-queue"] {
        defect: LOST,
        first_fix ("CVE-2025-40001"): LOST,
    }
    ocelot ["ocelot-stats-cyclic"] {
        defect: GONE,
    }
    octeon_ep ["octeon-ep-poll-chain"] {
        defect: GONE,
    }
    octeon_tx ["octeon-tx-cleanup-tasklet"] {
        defect: GONE,
    }
    ptp_ocp ["ptp-ocp-watchdog"] {
        defect: GONE,
    }
    smsc75xx ["smsc75xx-bind-work"] {
        defect: &[Leak],
        first_fix ("the fix of the leak"): GONE,
    }
    snd_usb_midi [] {
        defect: GONE,
        first_fix ("CVE-2025-38105"): GONE,
    }
    switchtec ["switchtec-stdev-release"] {
        defect: GONE,
    }
    switchtec_ntb ["switchtec-ntb-link-work"] {
        defect: GONE,
    }
    tc358743 ["tc358743-probe-timer", "tc358743-poll-timer"] {
        defect: GONE,
        first_fix ("CVE-2024-56576"): GONE,
    }
    ucsi_ccg ["ucsi-ccg-irq-thread"] {
        defect: GONE,
        first_fix ("the other order"): &[Deadlock],
    }
    uio ["uio-open-fds-destroy", "uio-crash-after-unregister"] {
        defect: GONE,
        first_fix ("a93e7b331568"): NULL,
    }
    usb_gadget [] {
        defect: GONE,
        first_fix ("CVE-2025-21838"): GONE,
    }
};

/// What `tests/defects.rs` runs.
pub fn programs() -> Vec<Program> {
    let program = |entry: &'static Entry| Program {
        name: entry.name.into(),
        run: Box::new(|| entry.explore()),
    };
    ALL.iter().map(program).collect()
}

impl Entry {
    /// Explores it; what was to be found, from as many seeds as there are to be.
    pub fn explore(&self) -> Report {
        let limit = harness::number_from_env("DEVSCOPE_SCHEDULES").unwrap_or(SCHEDULES);
        let mut report = Report {
            variant: self.variant.name().into(),
            ..Report::new(self.name, self.bugs)
        };
        let (module, scenario) = (self.module, self.scenario);
        let run = move |machine: &Machine| scenario(machine, module);
        let failure = harness::explore(&mut report, "defects", limit, run);
        match failure {
            None if self.variant == Variant::Cure => {
                let mut marks = report.reached.keys();
                report.ok = marks.any(|mark| mark.starts_with("callbacks during"));
                if !report.ok {
                    report.found = "no callback ran while the device was bound or unbound".into();
                }
            }
            None => report.found = format!("not found in {limit} schedules"),
            Some(failure) if !self.expects(&failure) => eprintln!("{failure}"),
            Some(_) => report.ok = true,
        }
        if report.ok && self.variant != Variant::Cure && env::var(harness::SCHEDULE).is_err() {
            self.explore_from_seeds(&mut report, limit);
        }
        report
    }

    fn expects(&self, failure: &Failure) -> bool {
        self.expected.contains(&failure.kind)
    }

    fn explore_from_seeds(&self, report: &mut Report, limit: usize) {
        let (module, scenario) = (self.module, self.scenario);
        let mut until_found: Vec<usize> = Vec::new();
        let mut found = 0;
        for seed in 1..=u64::from(SEEDS) {
            let outcome = Explore::new(self.name)
                .schedules(limit)
                .seed(seed)
                .run(move |machine| scenario(machine, module));
            let failure = outcome.failure();
            if let Some(failure) = failure.as_ref().filter(|it| !self.expects(it)) {
                report.ok = false;
                report.found = format!("from seed {seed}: {}: {}", failure.kind, failure.message);
                eprintln!("{failure}");
            }
            found += u32::from(failure.is_some());
            until_found.push(failure.map_or(limit, |failure| failure.tried));
        }
        until_found.sort_unstable();
        report.seeds_median = Some(until_found[until_found.len() / 2] as f64);
        report.seeds_found = Some(found);
    }
}
