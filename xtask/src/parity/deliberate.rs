//! Where the hosted crate differs from Linux's on purpose.
//!
//! An entry that names nothing which differs is wrong: the table says what is so today.

use std::collections::BTreeSet;

/// Names with one reason. A name stands for what is below it as well: a type for its methods.
pub struct Deliberate {
    pub why: &'static str,
    pub names: &'static [&'static str],
}

pub const DELIBERATE: &[Deliberate] = &[
    Deliberate {
        why: "macros and inline functions of C that Rust has no helper of: for drivers in C's shape, \
              and for those helpers of ours that replace them in Linux",
        names: &[
            "kernel::bindings::cond_resched",
            "kernel::bindings::devm_kzalloc",
            "kernel::bindings::devm_request_irq",
            "kernel::bindings::iminor",
            "kernel::bindings::in_atomic",
            "kernel::bindings::in_hardirq",
            "kernel::bindings::in_task",
            "kernel::bindings::ioread64",
            "kernel::bindings::iov_iter_count",
            "kernel::bindings::iowrite64",
            "kernel::bindings::irqs_disabled",
            "kernel::bindings::kmalloc",
            "kernel::bindings::kzalloc",
            "kernel::bindings::local_bh_disable",
            "kernel::bindings::local_bh_enable",
            "kernel::bindings::local_irq_disable",
            "kernel::bindings::local_irq_enable",
            "kernel::bindings::local_irq_restore",
            "kernel::bindings::local_irq_save",
            "kernel::bindings::mdelay",
            "kernel::bindings::might_sleep",
            "kernel::bindings::pci_get_drvdata",
            "kernel::bindings::pci_set_drvdata",
            "kernel::bindings::platform_get_drvdata",
            "kernel::bindings::platform_set_drvdata",
            "kernel::bindings::preempt_disable",
            "kernel::bindings::preempt_enable",
            "kernel::bindings::queue_work",
            "kernel::bindings::reinit_completion",
            "kernel::bindings::schedule_work",
            "kernel::bindings::spin_lock_bh",
            "kernel::bindings::spin_lock_irq",
            "kernel::bindings::spin_lock_irqsave",
            "kernel::bindings::spin_unlock_bh",
            "kernel::bindings::spin_unlock_irq",
            "kernel::bindings::spin_unlock_irqrestore",
            "kernel::bindings::tasklet_disable",
            "kernel::bindings::tasklet_disable_nosync",
            "kernel::bindings::tasklet_enable",
            "kernel::bindings::tasklet_schedule",
            "kernel::bindings::timer_pending",
            "kernel::bindings::usleep_range",
        ],
    },
    Deliberate {
        why: "a function of C, and a macro where the kernel is built with lockdep, as ours is",
        names: &["kernel::bindings::mutex_lock_interruptible"],
    },
    Deliberate {
        why: "printk() takes a format of C and what belongs to it; the model takes the text",
        names: &["kernel::bindings::printk", "kernel::print::call_printk"],
    },
    Deliberate {
        why: "variadic in C, which Rust calls but cannot define; the model takes \"%s\" and the name",
        names: &["kernel::bindings::alloc_workqueue_noprof"],
    },
    Deliberate {
        why: "in C they are in a union, whose name is bindgen's",
        names: &[
            "kernel::bindings::iov_iter.ubuf",
            "kernel::bindings::iov_iter.count",
        ],
    },
    Deliberate {
        why: "what `module!` expands to here; in Linux it expands to statics of its own",
        names: &["kernel::module::ModulePlace", "kernel::module::ModuleStatic"],
    },
    Deliberate {
        why: "in Linux the bus types are statics of C, which need not be `Sync`",
        names: &["Sync for kernel::bindings::bus_type"],
    },
];

/// What cannot be said in a check that is written for any type, and is said in
/// `hosted/tests/signatures.rs` for some.
pub const BY_HAND: &[Deliberate] = &[
    Deliberate {
        why:
            "generic over what the representation of an atomic can do, which only the kernel names",
        names: &[
            "kernel::sync::atomic::atomic_load",
            "kernel::sync::atomic::atomic_store",
            "kernel::sync::atomic::cmpxchg",
            "kernel::sync::atomic::xchg",
            "kernel::sync::atomic::Atomic<T>::load",
            "kernel::sync::atomic::Atomic<T>::store",
            "kernel::sync::atomic::Atomic<T>::xchg",
            "kernel::sync::atomic::Atomic<T>::cmpxchg",
            "kernel::sync::atomic::Atomic<T>::add",
            "kernel::sync::atomic::Atomic<T>::fetch_add",
            "kernel::sync::atomic::Atomic<T>::fetch_sub",
            "core::fmt::Debug for kernel::sync::atomic::Atomic<T>",
        ],
    },
    Deliberate {
        why: "generic over the barriers that there are, by a trait that only the kernel names",
        names: &["kernel::sync::barrier::smp_mb"],
    },
    Deliberate {
        why: "its type has bounds on parameters of its own, which no parameter of an \
              implementation can have",
        names: &["kernel::io::IoBackend"],
    },
];

/// Tells which of a table's entries were met.
pub struct Table {
    entries: Vec<&'static str>,
    met: BTreeSet<&'static str>,
}

impl Table {
    pub fn new(table: &'static [Deliberate]) -> Self {
        Self {
            entries: table
                .iter()
                .flat_map(|group| group.names)
                .copied()
                .collect(),
            met: BTreeSet::new(),
        }
    }

    /// Whether the name of a check is in the table.
    pub fn meets(&mut self, name: &str) -> bool {
        let entry = self.entries.iter().find(|entry| covers(entry, name));
        entry.is_some_and(|entry| {
            self.met.insert(entry);
            true
        })
    }

    /// The entries that were not met.
    pub fn idle(&self) -> Vec<&'static str> {
        let entries = self.entries.iter().copied();
        entries.filter(|entry| !self.met.contains(entry)).collect()
    }
}

/// `kernel::a::Type` covers itself, `kernel::a::Type<T>::new`, and `Send for kernel::a::Type`.
fn covers(entry: &str, name: &str) -> bool {
    let subject = name.rsplit(" for ").next().unwrap_or(name);
    [name, subject].into_iter().any(|name| {
        name.strip_prefix(entry).is_some_and(|rest| {
            rest.is_empty()
                || ["::", "<", ".", " ("]
                    .iter()
                    .any(|next| rest.starts_with(next))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_covers_what_is_below_it_and_nothing_beside_it() {
        for name in [
            "kernel::a::Type",
            "kernel::a::Type<T>::new",
            "kernel::a::Type.field",
            "kernel::a::Type (implemented)",
            "Send for kernel::a::Type<T>",
        ] {
            assert!(covers("kernel::a::Type", name), "{name}");
        }
        for name in ["kernel::a::Types", "kernel::a", "Send for kernel::a::Other"] {
            assert!(!covers("kernel::a::Type", name), "{name}");
        }
    }

    #[test]
    fn an_entry_that_nothing_needs_is_told() {
        const TABLE: &[Deliberate] = &[Deliberate {
            why: "a test",
            names: &["kernel::a", "kernel::b"],
        }];
        let mut table = Table::new(TABLE);
        assert!(table.meets("kernel::a::x"));
        assert!(!table.meets("kernel::c"));
        assert_eq!(table.idle(), ["kernel::b"]);
    }

    #[test]
    fn every_difference_has_a_reason_and_one_entry() {
        for table in [DELIBERATE, BY_HAND] {
            let mut all = BTreeSet::new();
            for group in table {
                assert!(group.why.len() > 20, "{}", group.why);
                for name in group.names {
                    assert!(all.insert(name), "{name} is in the table twice");
                }
            }
        }
    }
}
