// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the crate's types are, and what they must not become by accident.

use devscope::{
    file::Kiocb,
    irq::{Irq, IrqSlot},
    part::{Part, PartScope},
    poll::{Events, PollTable},
    tasklet::{Tasklet, TaskletSlot},
    urb::{Completed, In, Urb, UrbSlot},
    wait::WaitQueue,
    work::{Work, WorkSlot},
    Scope,
};
use kernel::{
    device::{Bound, Core},
    prelude::Zeroable,
};
use static_assertions::{assert_eq_size, assert_impl_all, assert_not_impl_any};

// A scope belongs to `attach()`'s own task, and there is one.
assert_not_impl_any!(Scope<'static>: Send, Sync, Clone, Copy, Default, Zeroable);
assert_not_impl_any!(PartScope<'static, 'static>: Send, Sync, Clone, Copy, Default, Zeroable);

// A body is given once, in `attach()`.
assert_not_impl_any!(TaskletSlot<'static>: Send, Sync, Clone, Copy, Default, Zeroable);
assert_not_impl_any!(WorkSlot<'static>: Send, Sync, Clone, Copy, Default, Zeroable);
assert_not_impl_any!(IrqSlot<'static>: Send, Sync, Clone, Copy, Default, Zeroable);
assert_not_impl_any!(UrbSlot<'static, In>: Send, Sync, Clone, Copy, Default, Zeroable);

// What has arrived has one owner, anywhere in the scope.
assert_impl_all!(Completed<'static, In>: Send, Sync);
assert_not_impl_any!(Completed<'static, In>: Clone, Copy, Default, Zeroable);

// Handles go into any closure, as often as wanted, and come from a scope only.
assert_impl_all!(Tasklet<'static>: Send, Sync, Copy);
assert_impl_all!(Work<'static>: Send, Sync, Copy);
assert_impl_all!(WaitQueue<'static>: Send, Sync, Copy);
assert_impl_all!(Irq<'static>: Send, Sync, Copy);
assert_impl_all!(Urb<'static, In>: Send, Sync, Copy);
assert_not_impl_any!(Urb<'static, In>: Default, Zeroable);
assert_not_impl_any!(Irq<'static>: Default, Zeroable);
assert_impl_all!(Part<'static, u32>: Send, Sync, Copy);
assert_not_impl_any!(Part<'static, u32>: Default, Zeroable);
assert_not_impl_any!(Tasklet<'static>: Default, Zeroable);
assert_not_impl_any!(Work<'static>: Default, Zeroable);
assert_not_impl_any!(WaitQueue<'static>: Default, Zeroable);

// A handle is a pointer, and never null.
assert_eq_size!(Tasklet<'static>, Option<Tasklet<'static>>, usize);
assert_eq_size!(Work<'static>, Option<Work<'static>>, usize);
assert_eq_size!(Part<'static, u32>, Option<Part<'static, u32>>, usize);
assert_eq_size!(WaitQueue<'static>, Option<WaitQueue<'static>>, usize);
assert_eq_size!(Irq<'static>, Option<Irq<'static>>, usize);
assert_eq_size!(Urb<'static, In>, Option<Urb<'static, In>>, usize);

// One call of `read()`, `write()` or `poll()` is its caller's.
assert_not_impl_any!(Kiocb<'static>: Send, Sync, Clone, Copy, Default, Zeroable);
assert_not_impl_any!(PollTable<'static>: Send, Sync, Clone, Copy, Default, Zeroable);

// What a file is ready for is a set of bits.
assert_impl_all!(Events: Send, Sync, Copy);
assert_eq_size!(Events, u32);

/// A handle for longer serves as a handle for less; the other way would be a way out of the scope.
fn _handles_are_covariant<'short, 'long: 'short>(
    tasklet: Tasklet<'long>,
    work: Work<'long>,
    queue: WaitQueue<'long>,
    irq: Irq<'long>,
    urb: Urb<'long, In>,
) -> (
    Tasklet<'short>,
    Work<'short>,
    WaitQueue<'short>,
    Irq<'short>,
    Urb<'short, In>,
) {
    (tasklet, work, queue, irq, urb)
}

// `Data: Sync` keeps borrows of the core context out. What closures may keep is the device itself.
assert_not_impl_any!(kernel::auxiliary::Device<Core<'static>>: Sync);
assert_not_impl_any!(kernel::faux::Device<Core<'static>>: Sync);
assert_not_impl_any!(kernel::i2c::I2cClient<Core<'static>>: Sync);
assert_not_impl_any!(kernel::pci::Device<Core<'static>>: Sync);
assert_not_impl_any!(kernel::platform::Device<Core<'static>>: Sync);
assert_not_impl_any!(kernel::usb::Interface<Core<'static>>: Sync);
assert_not_impl_any!(kernel::device::Device<Core<'static>>: Sync);
assert_impl_all!(kernel::auxiliary::Device<Bound>: Sync);
assert_impl_all!(kernel::pci::Device<Bound>: Sync);
assert_impl_all!(kernel::platform::Device<Bound>: Sync);
assert_impl_all!(kernel::device::Device<Bound>: Sync);

#[test]
fn the_assertions_of_this_file_compile() {}
