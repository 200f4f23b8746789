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

pub mod btsdio;

use crate::harness::{self, Program, Report, SEEDS};
use kernel::hosted::{Explore, Kind, Machine, ModuleInfo};
use std::env;

/// Within so many schedules a defect is found, and a cure survives as many.
pub const SCHEDULES: usize = 20_000;

/// Which of a module's drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    Defect,
    /// And how it was found not to hold.
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
        defect: $defect:tt,
        $(first_fix ($cve:literal): $first_fix:tt,)?
    })*) => {
        &[$(
            table!(@row $name, defect, $bugs, Variant::Defect, &$defect),
            $(table!(@row $name, first_fix, $bugs, Variant::FirstFix { cve: $cve }, &$first_fix),)?
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

use Kind::{FreedWhileActive, UseAfterFree, WildAccess};

/// All of them.
pub const ALL: &[Entry] = table! {
    btsdio ["btsdio-work"] {
        defect: [FreedWhileActive, UseAfterFree, WildAccess],
        first_fix ("CVE-2023-53145"): [FreedWhileActive, UseAfterFree, WildAccess],
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
            None if self.variant == Variant::Cure => report.ok = true,
            None => report.found = format!("not found in {limit} schedules"),
            Some(failure) if !self.expected.contains(&failure.kind) => eprintln!("{failure}"),
            Some(_) => report.ok = true,
        }
        if report.ok && self.variant != Variant::Cure && env::var(harness::SCHEDULE).is_err() {
            self.explore_from_seeds(&mut report, limit);
        }
        report
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
            found += u32::from(failure.is_some());
            until_found.push(failure.map_or(limit, |failure| failure.tried));
        }
        until_found.sort_unstable();
        report.seeds_median = Some(until_found[until_found.len() / 2] as f64);
        report.seeds_found = Some(found);
    }
}
