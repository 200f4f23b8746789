//! What is explored.

use crate::examples::{case1, case2};
use devscope_corpus::defects;
use kernel::hosted::{edu::Edu, Machine, ModuleInfo};

/// A scenario with a name.
pub struct Named {
    pub name: &'static str,
    pub run: fn(&Machine),
}

/// What the hardware does to the driver of `case1`: `threads` programs of it, each interrupting `times`
/// times three times, while the device is unbound. One of its interrupts brings about another, and so on.
///
/// With one of each this is `examples/case1/scenario.rs`.
pub fn storm(machine: &Machine, threads: usize, times: usize) {
    const ONCE: u32 = 0x001;
    const AND_ANOTHER: u32 = 0x200;

    let module = machine.load(&case1::driver::MODULE);
    let module = module.expect("the module loads");
    let edu = Edu::new();
    let slot = machine.plug_pci(edu.clone());
    assert!(slot.is_bound(), "the device binds");
    let hardware: Vec<_> = (0..threads)
        .map(|_| {
            let edu = edu.clone();
            machine.spawn("hardware", move || {
                for _ in 0..times {
                    edu.raise(AND_ANOTHER);
                    edu.raise(ONCE);
                    edu.raise(ONCE);
                }
            })
        })
        .collect();
    slot.unbind().expect("the device unbinds");
    hardware.into_iter().for_each(|hardware| hardware.join());
    module.unload().expect("the module unloads");
    slot.unplug();
}

/// A driver as one writes it in C, with a mistake that exploration finds.
#[derive(Clone, Copy)]
pub struct Defect {
    pub name: &'static str,
    /// It is one of the two of `examples/`, which the project's target is about.
    pub of_examples: bool,
    pub module: &'static ModuleInfo,
    pub scenario: fn(&Machine, &'static ModuleInfo),
}

/// Those of the examples and those of the corpus, with the fixes that did not hold.
pub fn defects() -> Vec<Defect> {
    let examples = [
        Defect {
            name: "case1",
            of_examples: true,
            module: &case1::c_shaped::defect::MODULE,
            scenario: case1::scenario::unbind_in_a_storm,
        },
        Defect {
            name: "case2",
            of_examples: true,
            module: &case2::c_shaped::defect::MODULE,
            scenario: case2::scenario::close_late,
        },
    ];
    let corpus = defects::ALL.iter();
    let corpus = corpus.filter(|entry| entry.variant != defects::Variant::Cure);
    let corpus = corpus.map(|entry| Defect {
        name: entry.name,
        of_examples: false,
        module: entry.module,
        scenario: entry.scenario,
    });
    examples.into_iter().chain(corpus).collect()
}
